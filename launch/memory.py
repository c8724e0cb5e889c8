"""How much memory a tree of processes uses, without counting shared pages twice (proportional set size, Linux)."""

import os
from pathlib import Path

_BYTES_PER_MB = 1e6


def memory_by_process(root: int | None = None) -> dict[str, float]:
    """PSS in MB of `root` (default: this process) and everything below it, by "name pid". A process that ends while
    being read is left out."""
    found: dict[str, float] = {}
    for pid in descendants(root or os.getpid()):
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            found[f"{name} {pid}"] = round(_pss_bytes(pid) / _BYTES_PER_MB, 1)
        except OSError:
            continue  # it ended: it uses nothing
    return found


def descendants(root: int) -> list[int]:
    """`root` and the ids of all processes below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it ended
            parent = int(stat.rpartition(")")[2].split()[1])  # the name before may hold spaces and brackets
            children.setdefault(parent, []).append(int(entry.name))
    tree = [root]
    for pid in tree:
        tree += children.get(pid, [])
    return tree


def _pss_bytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return float(line.split()[1]) * 1024
    return 0.0
