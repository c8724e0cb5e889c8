"""Tiny nodes for the tests of what starts and stops processes, and what these ask of processes."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from whowhere.launch.processes import Process
from whowhere.launch.supervisor import Supervisor
from whowhere.nodes.node import NodeConfig
from whowhere.sitefile import Area, Site

SITE = Site(name="tiny", area=Area(x_m=(0, 1), y_m=(0, 1)))

TINY_NODES = {
    "patient": """
        def main(config, stop):
            open(f"{config.run_dir}/{config.name}.up", "a").write("x")
            stop.wait()
            open(f"{config.run_dir}/order", "a").write(config.name + "\\n")
    """,
    "deaf": """
        import time
        def main(config, stop):
            open(f"{config.run_dir}/{config.name}.up", "a").write("x")
            while True:
                time.sleep(1)
    """,
    "failing": """
        from whowhere.drivers.errors import DeviceLost
        def main(config, stop):
            raise DeviceLost("/dev/ttyUSB0 went away; plug it in again")
    """,
    "faulty": """
        def main(config, stop):
            print("not for the command's output")
            return {}["missing"]
    """,
    "broken": """
        raise RuntimeError("built for another numpy")
    """,
    "chatty": """
        print("imported, as many a library says")
        def main(config, stop):
            open(f"{config.run_dir}/{config.name}.up", "a").write("x")
            stop.wait()
    """,
    "ending": """
        import time
        import zmq
        def main(config, stop):
            socket = zmq.Context.instance().socket(zmq.PUB)
            socket.setsockopt(zmq.LINGER, 500)  # as a Publisher
            socket.setsockopt(zmq.SNDHWM, 0)
            socket.connect(open(f"{config.run_dir}/address").read())
            time.sleep(0.5)
            for _ in range(3000):
                socket.send(bytes(1000))
            socket.close()
    """,
}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Process]:
    """A function that makes a row of one of the tiny nodes above."""
    for name, text in TINY_NODES.items():
        (tmp_path / f"tiny_{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(tmp_path))  # spawn hands sys.path on to the children

    def row(node: str, name: str = "", stage: int = 1) -> Process:
        config = NodeConfig(name=name or node, site=SITE, run_dir=str(tmp_path))
        return Process(name=name or node, module=f"tiny_{node}", config=config, stage=stage)

    return row


def supervised(folder: Path, *nodes: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    """A program that runs these of the tiny nodes in `folder`; cwd: from where."""
    script = folder / "supervising.py"
    script.write_text(
        textwrap.dedent("""
            import sys
            from pathlib import Path
            from whowhere.launch.processes import Process
            from whowhere.launch.running import stop_on_signals
            from whowhere.launch.supervisor import Supervisor
            from whowhere.nodes.node import NodeConfig
            from whowhere.sitefile import Area, Site

            if __name__ == "__main__":
                here = str(Path(__file__).parent)
                site = Site(name="tiny", area=Area(x_m=(0, 1), y_m=(0, 1)))
                rows = [
                    Process(name=n, module=f"tiny_{n}", config=NodeConfig(name=n, site=site, run_dir=here))
                    for n in sys.argv[1:]
                ]
                Supervisor(rows).run(stop_on_signals())
        """)
    )
    return subprocess.Popen(
        [sys.executable, str(script), *nodes],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(folder)},  # the fork server imports from there, too
    )


def appears(path: Path) -> None:
    deadline = time.monotonic() + 15
    while not path.exists():
        time.sleep(0.05)
        assert time.monotonic() < deadline, f"no {path.name} within 15 s"


def wait_for(condition: Callable[[], bool], supervisor: Supervisor, within_s: float = 10.0) -> float:
    """Reconcile until the condition holds; how long it took."""
    start = time.monotonic()
    while not condition():
        supervisor.reconcile()
        time.sleep(0.02)
        assert time.monotonic() - start < within_s, "waited too long"
    return time.monotonic() - start


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
