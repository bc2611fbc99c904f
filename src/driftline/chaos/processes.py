"""What the system knows of running processes: whose children they are, and how much memory they hold."""

import os
import subprocess
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc/self/statm")


def children_of(parent: int) -> list[int]:
    """Returns the ids of the processes that this one has started, in ascending order, without those that are dead."""
    found = _linux_children(parent) if _PROC.exists() else _ps_children(parent)
    return sorted(found)


def resident_bytes(pids: Collection[int]) -> list[int]:
    """Returns the physical memory that each process holds; one that has ended is left out."""
    if _PROC.exists():
        return [size for pid in pids for size in _linux_resident(pid)]
    return [kib * 1024 for pid, _, kib in _ps() if pid in pids]


def _linux_children(parent: int) -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, IndexError):
                # The name of the program, in brackets, may hold anything.
                state, ppid, *_ = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                if int(ppid) == parent and state != "Z":
                    yield int(name)


def _linux_resident(pid: int) -> Iterator[int]:
    with suppress(OSError, IndexError):
        yield int(Path("/proc", str(pid), "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _ps_children(parent: int) -> Iterator[int]:
    return (pid for pid, ppid, _ in _ps() if ppid == parent)


def _ps() -> list[tuple[int, int, int]]:
    """Id, parent's id and resident KiB of every process, where there is no /proc."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True, check=True)  # noqa: S607
    return [(int(pid), int(ppid), int(rss)) for pid, ppid, rss in (line.split() for line in listed.stdout.splitlines())]
