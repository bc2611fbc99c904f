"""The folders: whose they are, what room there is, what they lie on, and how fast it syncs."""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from driftline.doctor.finding import Finding, Installation, size
from driftline.durable import sync_content
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import held_bytes

_LITTLE_BYTES = 64 << 20
_FEW_FILES = 1_000
_SYNCS = 20
_SYNC_BYTES = 4096
_SYNC_WITHIN_S = 2.0
_SLOW_MS = 20.0
_IN_MEMORY = {"tmpfs", "ramfs"}
_OVER_A_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs"}


def check_disks(at: Installation) -> Iterator[Finding]:
    """Yields what is found of the data folder and the disks below it."""
    if not at.data.exists():
        remedy = "driftline up makes it; if there should be one, --data or DRIFTLINE_DATA names another"
        yield Finding("data folder", "warning", f"{at.data.absolute()} does not exist", remedy)
        return
    yield _owner(at.data)
    folders = {"outboxes": at.outbox_dir, "log": at.log_dir}
    there = {name: folder for name, folder in folders.items() if folder.is_dir()} or {"data": at.data}
    devices = {name: folder.stat().st_dev for name, folder in there.items()}
    for name, folder in there.items():
        yield _room(name, folder, _wanted_bytes(name, at))
    if len(set(devices.values())) < len(devices):
        yield Finding("file system", "ok", "outboxes and log share one: when it is full, both wait for room")
    for name, folder in there.items():
        if name == next(iter(there)) or devices[name] != devices[next(iter(there))]:
            yield from _kind(name, folder)
            if not _is_read_only(folder):
                yield _sync_speed(name, folder, at.outbox_sync)


def _owner(folder: Path) -> Finding:
    status = folder.stat()
    where = str(folder.absolute())
    if _is_read_only(folder):
        return Finding("data folder", "ok", f"{where} is read-only here, of user {status.st_uid}")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        text = f"{where} may not be written by user {os.geteuid()}; it belongs to {status.st_uid}"
        return Finding("data folder", "problem", text, f"run as that user, or: chown -R {os.geteuid()} {where}")
    foreign = [path.name for path in folder.iterdir() if path.stat().st_uid != status.st_uid]
    if foreign:
        text = f"{where} belongs to user {status.st_uid}, and not so in it {', '.join(sorted(foreign))}"
        return Finding("data folder", "problem", text, f"chown -R {status.st_uid} {where}")
    if status.st_mode & 0o002:
        text = f"{where} may be written by everybody on this machine"
        return Finding("data folder", "warning", text, f"chmod o-w {where}")
    return Finding("data folder", "ok", f"{where}, of user {status.st_uid}")


def _is_read_only(folder: Path) -> bool:
    """Whether nobody could write there, as on the file system of a container."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _wanted_bytes(name: str, at: Installation) -> int:
    """What the outboxes may still grow by; for the log, room for two segments."""
    if name == "log":
        return 2 * at.log_segment_max_bytes
    root = OutboxRoot(at.outbox_dir)
    held = sum(held_bytes(root.path / producer) for producer in root.producers())
    return max(0, at.processes * at.outbox_max_bytes - held)


def _room(name: str, folder: Path, wanted_bytes: int) -> Finding:
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    text = f"{size(free)} free"
    if free < _LITTLE_BYTES:
        return Finding(f"room, {name}", "problem", text, f"make room on the disk of {folder.absolute()}, or enlarge it")
    if disk.f_files and disk.f_favail < _FEW_FILES:
        text = f"{text}, but only {disk.f_favail:,} more files"
        return Finding(f"room, {name}", "warning", text, "remove files that nobody needs: the disk is out of inodes")
    if free < wanted_bytes:
        what = "the outboxes may still grow by" if name == "outboxes" else "two segments take"
        smaller = "make room, or lower outbox_max_bytes" if name == "outboxes" else "make room"
        return Finding(f"room, {name}", "warning", f"{text}, and {what} {size(wanted_bytes)}", smaller)
    return Finding(f"room, {name}", "ok", text)


def _kind(name: str, folder: Path) -> Iterator[Finding]:
    kind = _file_system(folder)
    if kind in _IN_MEMORY:
        text = f"{kind}: it is in memory, and gone when the machine restarts"
        yield Finding(f"disk, {name}", "problem", text, "put the data folder on a disk")
    elif kind in _OVER_A_NETWORK:
        text = f"{kind}: over a network, locks and syncs may not be what they are on a disk"
        yield Finding(f"disk, {name}", "warning", text, "put the data folder on a disk of this machine")
    elif kind:
        yield Finding(f"disk, {name}", "ok", kind)


def _file_system(folder: Path) -> str:
    """The type of the file system, where the system says so (Linux)."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    path = folder.resolve()
    above = [(Path(mount[1].replace("\\040", " ")), mount[2]) for mount in mounts]
    found = [(len(point.parts), kind) for point, kind in above if path.is_relative_to(point)]
    return max(found, default=(0, ""), key=lambda pair: pair[0])[1]


def _sync_speed(name: str, folder: Path, outbox_sync: str) -> Finding:
    check = f"sync, {name}"
    took_ms: list[float] = []
    try:
        with tempfile.TemporaryFile(prefix=".doctor-", dir=folder) as file:
            began = time.perf_counter()
            while len(took_ms) < _SYNCS and time.perf_counter() - began < _SYNC_WITHIN_S:
                file.write(b"\0" * _SYNC_BYTES)
                file.flush()
                at = time.perf_counter()
                sync_content(file.fileno())
                took_ms.append((time.perf_counter() - at) * 1000)
    except OSError as error:
        remedy = "see the findings on the folder and its room"
        return Finding(check, "problem", f"{folder} cannot be written: {error.strerror}", remedy)
    median = statistics.median(took_ms)
    text = f"{median:.1f} ms for 4 KiB, {max(took_ms):.1f} ms at worst of {len(took_ms)}"
    if median < _SLOW_MS:
        return Finding(check, "ok", text)
    waits = "every answer waits for one" if outbox_sync == "always" and name != "log" else "the log takes less a second"
    return Finding(check, "warning", f"{text}: {waits}", "a faster disk; network disks and SD cards are slow at this")
