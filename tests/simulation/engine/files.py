"""What a power cut leaves of files and directories, kept beside the real ones that processes see."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

_TORN = 0.5
_ZEROED = 0.15


class File:
    """The bytes of a file that are durable, and what has been done to it since they were.

    An unsynced write is lost, torn, kept, or has its length on the disk and zeros for content.
    """

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = bytearray(durable)
        self._pending: list[bytes | int] = []

    def write(self, content: bytes) -> None:
        """Notes an append."""
        self._pending.append(content)

    def cut(self, length: int) -> None:
        """Notes a truncation."""
        self._pending.append(length)

    def sync(self) -> None:
        """Makes all of it durable."""
        for change in self._pending:
            self._apply(change)
        self._pending.clear()

    def fail_sync(self) -> None:
        """The kernel drops the pages it could not write, and calls them clean: later syncs change nothing."""
        self._pending = [bytes(len(change)) if isinstance(change, bytes) else change for change in self._pending]
        self.sync()

    def power_cut(self, rng: Random) -> None:
        """Leaves what a power cut may."""
        reached = rng.randint(0, len(self._pending))
        for number, change in enumerate(self._pending[: reached + 1]):
            if isinstance(change, int):
                if number < reached:
                    self._apply(change)
            elif number < reached:
                self._apply(bytes(len(change)) if rng.random() < _ZEROED else change)
            elif rng.random() < _TORN:
                self._apply(change[: rng.randint(0, len(change))])
        self._pending.clear()

    def _apply(self, change: bytes | int) -> None:
        if isinstance(change, int):
            del self.durable[change:]
        else:
            self.durable += change


@dataclass
class Link:
    """A symbolic link; it is born whole."""

    target: str

    def power_cut(self, rng: Random) -> None:
        """Changes nothing."""


@dataclass(frozen=True)
class _Change:
    """Names that come to lead to something, or to nothing (None), in one step."""

    names: dict[str, "Node | None"]


class Directory:
    """Names; a change is durable after a sync, and before it may have reached the disk or not.

    Attributes:
        entries: What processes see.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Node] = {}
        self._durable: dict[str, Node] = {}
        self._pending: list[_Change] = []

    def change(self, names: dict[str, "Node | None"]) -> None:
        """Makes these names lead elsewhere."""
        self._pending.append(_Change(names))
        _apply(self.entries, names)

    def sync(self) -> None:
        """Makes the names durable; not what is behind them."""
        self._durable = dict(self.entries)
        self._pending.clear()

    def power_cut(self, rng: Random) -> None:
        """Leaves what a power cut may: the changes up to one, or, for not every file system is so kind, any of them."""
        reached, in_order = rng.randint(0, len(self._pending)), rng.random() < 0.7
        for number, change in enumerate(self._pending):
            if number < reached if in_order else rng.random() < 0.5:
                _apply(self._durable, change.names)
        self.entries = dict(self._durable)
        self._pending.clear()
        for node in self.entries.values():
            node.power_cut(rng)

    def walk(self, path: str = "") -> Iterator[tuple[str, "Node"]]:
        """Yields everything below with its path, a directory before what is in it."""
        for name, node in self.entries.items():
            yield f"{path}/{name}", node
            if isinstance(node, Directory):
                yield from node.walk(f"{path}/{name}")


Node = File | Link | Directory


def as_durable(path: Path) -> Node:
    """Returns what lies there, as durable; without the files of SQLite, which looks after them itself."""
    if path.is_symlink():
        return Link(str(path.readlink()))
    if not path.is_dir():
        return File(path.read_bytes())
    directory = Directory()
    for child in sorted(path.iterdir()):
        if not child.name.startswith("log.sqlite"):
            directory.change({child.name: as_durable(child)})
    directory.sync()
    return directory


def _apply(entries: dict[str, Node], names: dict[str, Node | None]) -> None:
    for name, node in names.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node
