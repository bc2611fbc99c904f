"""The functions of :mod:`os` that change a disk, for the simulated processes."""

import errno
import io
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.simulation.engine.database import connect
from tests.simulation.engine.disk import Disk, alive
from tests.simulation.engine.files import Directory, File, Link
from tests.simulation.engine.loop import CURRENT, Crash
from tests.simulation.engine.real import REAL


class SystemCalls:
    """What stands in the place of ``os.write`` and the others; calls that do not concern the disk go on to those.

    Each that changes something is a boundary.

    Args:
        disk: Whose files are meant.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    @contextmanager
    def interposed(self) -> Iterator[None]:
        """Within it, the code's calls come here."""
        names = (
            "open",
            "close",
            "dup",
            "write",
            "writev",
            "ftruncate",
            "fsync",
            "mkdir",
            "rmdir",
            "unlink",
            "rename",
            "link",
        )
        calls = {name: getattr(self, name) for name in (*names, "symlink", "listdir")}
        calls |= {"fdatasync": self.fsync, "replace": self.rename}
        with (
            patch.multiple(os, **calls),
            patch.object(io, "open", self.io_open),
            patch.object(sqlite3, "connect", lambda *given, **named: connect(self._disk, *given, **named)),
        ):
            yield

    # -- descriptors

    def open(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        """``os.open``."""
        disk, name = self._disk, self._disk.inside(path)
        if name is None:
            return int(REAL.open(path, flags, mode, **more))
        alive()
        makes = flags & os.O_CREAT and (flags & (os.O_EXCL | os.O_TRUNC) or not REAL.path.exists(name))
        if not makes:
            fd = REAL.open(name, flags, mode)
            try:
                return disk.keep(fd, disk.lookup(name, File | Directory), name)  # type: ignore[arg-type]
            except KeyError:  # SQLite's, which syncs its files itself
                return disk.keep(fd, File(), name)

        def act() -> int:
            fd = REAL.open(name, flags, mode)
            directory, last = disk.split(name)
            if last in directory.entries:
                disk.lookup(name, File).cut(0)
            else:
                directory.change({last: File()})
                disk.touched(REAL.path.dirname(name))
            return disk.keep(fd, disk.lookup(name, File), name)

        return disk.boundary("open", name, act, flaw="open")

    def close(self, fd: int) -> None:
        """``os.close``."""
        if self._disk.opened(fd) is not None:
            alive()
            self._disk.let_go(fd)
        REAL.close(fd)

    def dup(self, fd: int) -> int:
        """``os.dup``."""
        opened = self._disk.opened(fd)
        if opened is None:
            return int(REAL.dup(fd))
        alive()
        return self._disk.keep(REAL.dup(fd), *opened)

    def write(self, fd: int, content: Any) -> int:
        """``os.write``."""
        opened = self._disk.opened(fd)
        if opened is None:
            return int(REAL.write(fd, content))
        (node, path), whole = opened, bytes(content)
        assert isinstance(node, File)

        def act(part: bytes = whole) -> int:
            node.write(part)
            return int(REAL.write(fd, part))

        def torn() -> int | None:
            part = whole[: self._disk.rng.randrange(len(whole))]
            return act(part) if part else None

        return self._disk.boundary(f"write {len(whole)}", path, act, torn=torn, flaw="write")

    def writev(self, fd: int, parts: Any) -> int:
        """``os.writev``."""
        return self.write(fd, b"".join(parts)) if self._disk.opened(fd) else int(REAL.writev(fd, parts))

    def ftruncate(self, fd: int, length: int) -> None:
        """``os.ftruncate``."""
        opened = self._disk.opened(fd)
        if opened is None:
            REAL.ftruncate(fd, length)
            return
        node, path = opened
        assert isinstance(node, File)

        def act() -> None:
            node.cut(length)
            REAL.ftruncate(fd, length)

        self._disk.boundary(f"truncate {length}", path, act, flaw="cut")

    def fsync(self, fd: int) -> None:
        """``os.fsync`` and ``os.fdatasync``."""
        opened = self._disk.opened(fd)
        if opened is None:
            REAL.fsync(fd)
            return
        node, path = opened
        assert isinstance(node, File | Directory)
        if isinstance(node, Directory):
            self._disk.boundary("sync", path, node.sync, flaw="sync-names")
            return
        # What a death in the middle of a sync leaves is for a power cut to draw; an error drops the pages.
        drops = None if self._disk.armed() else node.fail_sync
        self._disk.boundary("sync", path, node.sync, torn=drops, flaw="sync")

    # -- names

    def mkdir(self, path: Any, mode: int = 0o777, **more: Any) -> None:
        """``os.mkdir``."""
        disk, name = self._disk, self._disk.inside(path)
        if name is None:
            REAL.mkdir(path, mode, **more)
            return

        def act() -> None:
            REAL.mkdir(name, mode)
            directory, last = disk.split(name)
            directory.change({last: Directory()})
            disk.touched(name)

        disk.boundary("mkdir", name, act, flaw="names")

    def rmdir(self, path: Any, **more: Any) -> None:
        """``os.rmdir``."""
        self._remove("rmdir", REAL.rmdir, path, more)

    def unlink(self, path: Any, **more: Any) -> None:
        """``os.unlink``."""
        self._remove("unlink", REAL.unlink, path, more)

    def _remove(self, call: str, real: Callable[..., None], path: Any, more: dict[str, Any]) -> None:
        disk, name = self._disk, self._disk.inside(path)
        if name is None:
            real(path, **more)
            return
        if not REAL.path.lexists(name):  # nothing changes, so nobody dies of it
            alive()
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)

        def act() -> None:
            disk.before_unlink(Path(name))
            real(name)
            directory, last = disk.split(name)
            directory.change({last: None})
            disk.touched(REAL.path.dirname(name))

        disk.boundary(call, name, act, flaw="names")

    def rename(self, old: Any, new: Any, **more: Any) -> None:
        """``os.rename`` and ``os.replace``."""
        disk, source, target = self._disk, self._disk.inside(old), self._disk.inside(new)
        if source is None or target is None:
            REAL.rename(old, new, **more)
            return

        def act() -> None:
            REAL.rename(source, target)
            (here, last), (there, final) = disk.split(source), disk.split(target)
            node = here.entries[last]
            if here is there:
                here.change({last: None, final: node})
            else:
                there.change({final: node})
                here.change({last: None})

        disk.boundary("rename", f"{source} {disk.short(target)}", act, flaw="names")

    def link(self, old: Any, new: Any, **more: Any) -> None:
        """``os.link``."""
        disk, source, target = self._disk, self._disk.inside(old), self._disk.inside(new)
        if source is None or target is None:
            REAL.link(old, new, **more)
            return

        def act() -> None:
            REAL.link(source, target)
            (here, last), (there, final) = disk.split(source), disk.split(target)
            there.change({final: here.entries[last]})

        disk.boundary("link", f"{source} {disk.short(target)}", act, flaw="names")

    def symlink(self, target: Any, path: Any, *more: Any, **named: Any) -> None:
        """``os.symlink``."""
        disk, name = self._disk, self._disk.inside(path)
        if name is None:
            REAL.symlink(target, path, *more, **named)
            return

        def act() -> None:
            REAL.symlink(target, name)
            directory, last = disk.split(name)
            directory.change({last: Link(os.fspath(target))})

        disk.boundary("symlink", name, act, flaw="names")

    def listdir(self, path: Any = ".") -> list[Any]:
        """``os.listdir``, in an order that is the same each time."""
        return sorted(REAL.listdir(path)) if self._disk.inside(path) is not None else list(REAL.listdir(path))

    def io_open(self, file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        """``io.open``, and through it ``os.fdopen``: what is open for writing is written through ``os.write``."""
        if mode == "wb" and isinstance(file, int) and self._disk.opened(file) is not None:
            return io.BufferedWriter(_Written(self, file))
        here = self._disk.opened(file) if isinstance(file, int) else self._disk.inside(file)
        past = here is not None and CURRENT.get() is not None and not set(mode) <= set("rbt")
        assert not past, f"{file} would be written past the simulated disk"
        return REAL.io_open(file, mode, *more, **named)


class _Written(io.RawIOBase):
    """A file that is being written, below its buffer.

    The garbage collector may close it, long after its process is dead: then nothing is done, in nobody's name.
    """

    def __init__(self, calls: SystemCalls, fd: int) -> None:
        self._calls = calls
        self._process = CURRENT.get()
        self._fd = fd

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, content: Any) -> int:
        if self._process is not None and not self._process.alive:
            raise Crash
        return self._calls.write(self._fd, content)

    def close(self) -> None:
        if not self.closed:
            super().close()
            if self._process is None or self._process.alive:
                self._calls.close(self._fd)
