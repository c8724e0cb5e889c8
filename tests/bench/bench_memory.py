"""Proportional resident memory (PSS) of each process of the demo, and of all together, at its largest sample.

The peer of a process is a bare interpreter that has imported what every node needs (numpy, zmq, msgspec), measured
while the demo runs, so that both share the libraries' pages with the same company; the sum's is its target.
"""

import json
import re
import subprocess
import sys
import tempfile
from typing import Any

from whowhere.launch.memory import memory_by_process

SECONDS, SAMPLE_AT_S = 30, 20
TARGET_MB = 600.0
BARE = "import numpy, zmq, msgspec, sys; print(flush=True); sys.stdin.read()"


def demo_and_bare() -> tuple[dict[str, float], float]:
    """(PSS in MB by "name pid" of a whole demo, that of a bare interpreter in the middle of it)."""
    command = [sys.executable, "-m", "whowhere.launch.cli", "demo"]
    options = ["--seconds", str(SECONDS), "--json", "--no-browser"]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        demo = subprocess.Popen([*command, *options], cwd=folder, stdout=subprocess.PIPE, stderr=said)
        try:
            demo.wait(SAMPLE_AT_S)
        except subprocess.TimeoutExpired:
            bare_mb = bare()
        else:
            said.seek(0)
            raise RuntimeError(f"the demo ended early: {said.read().decode()}")
        out, _ = demo.communicate(timeout=SECONDS + 60)
    return json.loads(out.splitlines()[-1])["memory_by_process_mb"], bare_mb


def bare() -> float:
    child = subprocess.Popen([sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    used = memory_by_process(child.pid)
    child.communicate()
    return sum(used.values())


def run() -> list[dict[str, Any]]:
    """Rows of case, ours, peer, peer_name, unit, ratio (above 1: ours is smaller)."""
    used, bare_mb = demo_and_bare()
    total = round(sum(used.values()), 1)
    rows = [row("the whole demo", total, TARGET_MB, "target")]
    named = {name: re.sub(r"^python[\d.]*$", "fork server, or a helper", name.rsplit(" ", 1)[0]) for name in used}
    named[next(iter(used))] = "whowhere demo itself"  # the root of the tree comes first
    return rows + [
        row(named[name], mb, bare_mb, "python with numpy, zmq, msgspec")
        for name, mb in sorted(used.items(), key=lambda entry: -entry[1])
    ]


def row(case: str, ours: float, peer: float, peer_name: str) -> dict[str, Any]:
    figures = {"ours": ours, "peer": peer, "peer_name": peer_name}
    return {"case": case, **figures, "unit": "MB (PSS)", "ratio": round(peer / max(ours, 0.1), 3)}


if __name__ == "__main__":
    for line in run():
        sys.stdout.write(json.dumps(line) + "\n")
