"""The disks of simulated machines: at each call that changes them a process may die, and power cuts are remembered.

Files and directories are real ones, below one directory. Beside them is kept what of them is durable.
"""

import errno
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Literal, TypeVar

from tests.simulation.engine.files import Directory, Link, Node, as_durable
from tests.simulation.engine.loop import CURRENT, Crash, Process
from tests.simulation.engine.places import caller
from tests.simulation.engine.real import REAL, empty, write_file

T = TypeVar("T")

How = Literal["before", "torn", "after"]

_SAYS_HOW_MUCH = 0.5
"""How probable it is that a write which stopped short returns how much it wrote, and does not only fail."""


class Disk:
    """The disks of all machines: one directory for each below a common one.

    Args:
        base: The common directory; must exist and be empty.
        rng: Decides what a power cut leaves, and which calls are refused.
        clock: Tells the virtual time, for the times of files.

    Attributes:
        boundaries: How many boundaries have been met.
        met: The places in the code at which boundaries were met.
        calls: The kinds of the boundaries at which each process might have died, in order.
        crashed: The places at which a process died, and how.
        died: Processes that have just died, and have to be buried and reaped.
        flaws: How probable it is that a kind of call is refused.
        before_unlink: Is called with the path of a file that is about to be deleted.
        recorded: Is called when SQLite has committed something.
        stopped_short: Is called when a write has done a part of what it was asked, and has not yet said so.
        note: Is called with everything that happens.
    """

    def __init__(self, base: Path, rng: Random, clock: Callable[[], float]) -> None:
        self.boundaries = 0
        self.met: set[str] = set()
        self.calls: dict[str, list[str]] = {}
        self.crashed: Counter[tuple[str, str]] = Counter()
        self.died: list[Process] = []
        self.flaws: dict[str, float] = {}
        self.before_unlink: Callable[[Path], None] = lambda path: None
        self.recorded: Callable[[], None] = lambda: None
        self.stopped_short: Callable[[Process], None] = lambda process: None
        self.note: Callable[[str], None] = lambda what: None
        self.rng = rng
        self._base = base
        self._prefix = f"{base}/"
        self._clock = clock
        self._root = Directory()
        self._disarmed = False
        self._armed: dict[Process, tuple[int, How]] = {}
        self._open: dict[int, tuple[Node, str]] = {}
        self._held: dict[Process, set[int]] = {}
        self._connections: dict[Process, list[sqlite3.Connection]] = {}
        self._committed: set[str] = set()

    # -- death

    def arm(self, process: Process, boundary: int, how: How) -> None:
        """Lets a process die at a boundary to come; 0 is the next."""
        self._armed[process] = (process.boundaries + boundary, how)

    def armed(self) -> bool:
        """Whether the process that is running will die at some boundary."""
        return CURRENT.get() in self._armed

    def disarm(self) -> None:
        """Lets nobody die any more."""
        self._armed.clear()
        self._disarmed = True

    def reap(self, process: Process) -> None:
        """Closes what a dead process had open, as the kernel does; with it go its locks."""
        for fd in self._held.pop(process, ()):
            self._open.pop(fd, None)
            REAL.close(fd)
        for connection in self._connections.pop(process, ()):
            sqlite3.Connection.close(connection)

    def boundary(
        self, call: str, path: str, act: Callable[[], T], *, torn: Callable[[], T | None] | None = None, flaw: str = ""
    ) -> T:
        """Does what a process asks of the kernel, unless it dies, or the disk refuses.

        Args:
            call: What it asks, for the trace; the first word is its kind.
            path: Of what.
            act: Does it.
            torn: Does a part of it: what an interrupted or a refused call leaves; returns what the call may say of it.
            flaw: Under which of :attr:`flaws` it may be refused.
        """
        process = CURRENT.get()
        if process is None:
            return act()
        alive()
        place = caller(call)
        self._count(process, place, call)
        number, process.boundaries = process.boundaries, process.boundaries + 1
        self.note(f"{process.name} {call} {self.short(path)}")
        at, how = self._armed.get(process, (number + 1, "before"))
        if number >= at:
            if how == "after":
                act()
            elif how == "torn" and torn is not None:
                torn()
            self._die(process, place, "before" if how == "torn" and torn is None else how)
        if flaw in self.flaws and self.rng.random() < self.flaws[flaw]:
            self.note(f"{process.name} IS REFUSED {place}")
            left = torn() if torn is not None else None
            if flaw == "write" and left:
                self.stopped_short(process)
                if self.rng.random() < _SAYS_HOW_MUCH:
                    return left
            _refuse(flaw)
        return act()

    def _count(self, process: Process, place: str, call: str) -> None:
        self.boundaries += 1
        self.met.add(place)
        if not self._disarmed:
            self.calls.setdefault(process.name, []).append(call.partition(" ")[0])

    def _die(self, process: Process, place: str, how: str) -> None:
        del self._armed[process]
        process.alive = False
        self.died.append(process)
        self.crashed[place, how] += 1
        self.note(f"{process.name} DIES {how} {place}")
        raise Crash

    # -- power

    def cut_power(self, machine: str) -> None:
        """Leaves on the disk of a machine what a power cut would; its processes must have been reaped.

        What SQLite has committed is durable, and a file in which it has committed nothing may be there or not.
        """
        node = self.lookup(f"{self._prefix}{machine}", Directory)
        kept = {
            path: Path(path).read_bytes()
            for path in self._databases(machine)
            if path in self._committed or self.rng.random() < 0.5
        }
        node.power_cut(self.rng)
        gone = {path for path in self._committed if path.startswith(f"{self._prefix}{machine}/")} - kept.keys()
        self._committed -= gone
        empty(f"{self._prefix}{machine}")
        for path, found in node.walk(f"{self._prefix}{machine}"):
            if isinstance(found, Directory):
                REAL.mkdir(path)
            elif isinstance(found, Link):
                REAL.symlink(found.target, path)
            else:
                write_file(path, bytes(found.durable))
        for path, content in kept.items():
            if Path(path).parent.is_dir():
                write_file(path, content)

    def settle(self, directory: Path) -> None:
        """Takes what lies in a directory as it is, and as durable: an operator has put it there with care."""
        parent, name = self.split(str(directory))
        parent.change({name: as_durable(directory)})
        parent.sync()
        self._committed.update(self._databases(self.short(str(directory)).partition("/")[0]))

    def committed(self, path: str) -> None:
        """Notes that SQLite has committed something to a file."""
        self._committed.update((path, f"{path}-wal"))
        self.recorded()

    def _databases(self, machine: str) -> list[str]:
        return [
            str(path) for path in sorted((self._base / machine).rglob("log.sqlite*")) if path.suffix != ".sqlite-shm"
        ]

    # -- names and descriptors

    def inside(self, path: object) -> str | None:
        """Returns a path as text, if it leads to one of these disks."""
        name = os.fspath(path) if isinstance(path, str | Path) else ""
        return name if name.startswith(self._prefix) else None

    def short(self, path: str) -> str:
        """Returns a path as it is seen in the trace."""
        return path.removeprefix(self._prefix)

    def lookup(self, path: str, kind: type[T]) -> T:
        """Returns what a path leads to.

        Raises:
            KeyError: It leads to nothing that is known here, such as a file of SQLite's.
        """
        node: Node = self._root
        for name in path[len(self._prefix) :].split("/") if path != str(self._base) else ():
            assert isinstance(node, Directory), path
            node = node.entries[name]
        assert isinstance(node, kind), path
        return node

    def split(self, path: str) -> tuple[Directory, str]:
        """Returns the directory of a path, and the name in it."""
        parent, _, name = path.rpartition("/")
        return self.lookup(parent, Directory), name

    def touched(self, directory: str) -> None:
        """Gives a directory the virtual time of its last change."""
        REAL.utime(directory, (self._clock(), self._clock()))

    def keep(self, fd: int, node: Node, path: str) -> int:
        """Remembers an open file, and whose it is."""
        self._open[fd] = (node, path)
        process = CURRENT.get()
        if process is not None:
            self._held.setdefault(process, set()).add(fd)
        return fd

    def opened(self, fd: int) -> tuple[Node, str] | None:
        """Returns what a descriptor is of, if it is of these disks."""
        return self._open.get(fd)

    def let_go(self, fd: int) -> None:
        """Forgets a descriptor that is about to be closed."""
        del self._open[fd]
        process = CURRENT.get()
        if process is not None:
            self._held.get(process, set()).discard(fd)

    def keep_connection(self, connection: sqlite3.Connection) -> None:
        """Remembers an open connection, and whose it is."""
        process = CURRENT.get()
        if process is not None:
            self._connections.setdefault(process, []).append(connection)

    def let_go_connection(self, connection: sqlite3.Connection) -> None:
        """Forgets a connection that is about to be closed."""
        process = CURRENT.get()
        if process is not None:
            self._connections[process].remove(connection)


def alive() -> None:
    """Returns if whoever is running may go on.

    Raises:
        Crash: The process is dead.
    """
    process = CURRENT.get()
    if process is not None and not process.alive:
        raise Crash


def _refuse(flaw: str) -> None:
    """Fails as the kernel would, or SQLite."""
    if flaw == "commit":
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error
    number = errno.EIO if flaw.startswith("sync") or flaw == "cut" else errno.ENOSPC
    raise OSError(number, os.strerror(number))
