"""A backup takes a log's place whole, or nothing happens; no worker takes anything between the two for a log."""

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from driftline.errors import LogDamagedError, LogUnavailableError
from driftline.eventlog import restore
from driftline.eventlog.backup import write_backup
from driftline.eventlog.reader import LogReader
from driftline.eventlog.restore import restore_backup
from tests.eventlog.lines import append, check_whole, content, line, open_log
from tests.small_disk import CAPTURE_BYTES, KINDS, Kind, small_disk


def backed_up(log_dir: Path, rows: int, size: int = 0) -> bytes:
    """A backup of a log in several segments, with this many rows."""
    writer = open_log(log_dir, segment_max_bytes=5 * len(line(0)))
    for first in range(0, rows, 3):
        append(writer, first, min(first + 3, rows), size)
    out = io.BytesIO()
    write_backup(log_dir, out)
    writer.close()
    return out.getvalue()


def add_rows(log_dir: Path, stop: int) -> None:
    writer = open_log(log_dir)
    append(writer, writer.rows, stop)
    writer.close()


def everything(log_dir: Path) -> dict[str, bytes]:
    """All files below it, but for those that SQLite may make at any time."""
    return {
        str(path.relative_to(log_dir)): path.read_bytes()
        for path in log_dir.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def test_the_log_is_what_it_was_at_the_backup_and_a_writer_goes_on(tmp_path: Path) -> None:
    archive = backed_up(tmp_path / "logs", 14)
    add_rows(tmp_path / "logs", 40)
    restored = restore_backup(io.BytesIO(archive), tmp_path / "logs")
    assert restored is not None
    assert restored.rows == 14
    writer = open_log(tmp_path / "logs")
    assert writer.log_id == restored.log_id
    check_whole(tmp_path / "logs", 14)
    append(writer, 14, 20)
    check_whole(tmp_path / "logs", 20)
    writer.close()


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "another log"])
def test_it_goes_anywhere(tmp_path: Path, there: str) -> None:
    archive = backed_up(tmp_path / "logs", 14)
    target = tmp_path / "target"
    if there == "an empty folder":
        target.mkdir()
    elif there == "another log":
        backed_up(target, 30)
    assert restore_backup(io.BytesIO(archive), target) is not None
    open_log(target).close()
    check_whole(target, 14)


def test_a_worker_that_has_the_log_keeps_it(tmp_path: Path) -> None:
    archive = backed_up(tmp_path / "logs", 14)
    writer = open_log(tmp_path / "logs")
    append(writer, 14, 20)
    assert restore_backup(io.BytesIO(archive), tmp_path / "logs") is None
    check_whole(tmp_path / "logs", 20)
    writer.close()


def test_an_archive_cut_short_anywhere_changes_nothing(tmp_path: Path) -> None:
    archive = backed_up(tmp_path / "logs", 14)
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        whole = max(member.offset_data + member.size for member in members)
    before = everything(tmp_path / "logs")
    for length in {*range(0, whole, 512), *range(1, whole, 1001), whole - 1}:
        with pytest.raises(LogDamagedError, match="not all of one"):
            restore_backup(io.BytesIO(archive[:length]), tmp_path / "logs")
        assert everything(tmp_path / "logs") == before


def test_a_flipped_bit_anywhere_changes_nothing(tmp_path: Path) -> None:
    archive = backed_up(tmp_path / "logs", 14)
    before = everything(tmp_path / "logs")
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        places = [(member.offset_data, member.size) for member in members]
    for start, size in places:
        for offset in range(start, start + size, max(1, size // 60)):
            flipped = bytearray(archive)
            flipped[offset] ^= 1
            with pytest.raises(LogDamagedError, match="the archive is damaged"):
                restore_backup(io.BytesIO(flipped), tmp_path / "logs")
    assert everything(tmp_path / "logs") == before


def test_whoever_unpacks_it_by_hand_can_check_it(tmp_path: Path) -> None:
    archive = backed_up(tmp_path / "logs", 14)
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        files = {member.name: (members.extractfile(member) or io.BytesIO()).read() for member in members}
    *_, last = files
    assert last == "SHA256SUMS"
    told = files.pop(last).decode().splitlines()
    assert told == [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in files.items()]


def test_segments_elsewhere_are_refused_before_anything_goes(tmp_path: Path) -> None:
    archive = backed_up(tmp_path / "made", 14)
    log_dir = tmp_path / "logs"
    backed_up(log_dir, 30)
    (log_dir / "segments").rename(tmp_path / "elsewhere")
    (log_dir / "segments").symlink_to(tmp_path / "elsewhere")
    before = everything(log_dir)
    with pytest.raises(LogUnavailableError, match="cannot be replaced as a whole"):
        restore_backup(io.BytesIO(archive), log_dir)
    assert everything(log_dir) == before
    with LogReader(log_dir) as log:
        assert log.rows == len(list(log.lines())) == 30


def test_the_files_belong_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    archive = backed_up(tmp_path / "made", 14)
    (tmp_path / "logs").mkdir()
    if os.geteuid() == 0:
        os.chown(tmp_path / "logs", 10001, 10002)
    assert restore_backup(io.BytesIO(archive), tmp_path / "logs") is not None
    owner = (tmp_path / "logs").stat()
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (tmp_path / "logs").rglob("*")}
    assert owners == {(owner.st_uid, owner.st_gid)}


def test_what_a_killed_restore_had_unpacked_goes_with_the_next_start(tmp_path: Path) -> None:
    backed_up(tmp_path / "logs", 14)
    (tmp_path / "logs" / ".unpacked" / "segments").mkdir(parents=True)
    open_log(tmp_path / "logs").close()
    assert not (tmp_path / "logs" / ".unpacked").exists()
    check_whole(tmp_path / "logs", 14)


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "segments/x.jsonl", "log.sqlite-wal", "segments"])
def test_an_archive_of_something_else_is_refused_by_name(tmp_path: Path, name: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as members:
        members.addfile(tarfile.TarInfo(name))
    with pytest.raises(LogDamagedError, match="not a backup of a log: it holds"):
        restore_backup(io.BytesIO(archive.getvalue()), tmp_path / "logs")
    assert everything(tmp_path) == {}


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    for junk in (b"", b"not a tar file" * 100):
        with pytest.raises(LogDamagedError, match="not a backup of a log"):
            restore_backup(io.BytesIO(junk), tmp_path / "logs")


class Killed(BaseException):
    """The process is gone."""


def killed_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Callable[[], int]:
    """Kills the restore at this operation on names; tells how many there were."""
    seen = 0

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(owners[name], name)

        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen >= step:
                raise Killed  # and whatever would clean up does not run either
            return original(*arguments, **options)

        return call

    owners: dict[str, Any] = {"rename": Path, "unlink": Path, "rmtree": shutil, "sync_directory": restore}
    for name, owner in owners.items():
        monkeypatch.setattr(owner, name, counted(name))
    return lambda: seen


def test_killed_at_any_step_the_log_is_the_old_one_or_the_new_one_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = backed_up(tmp_path / "made", 14)
    outcomes, step, done = set(), 0, False
    while not done:
        step += 1
        log_dir = tmp_path / f"logs-{step}"
        backed_up(log_dir, 14)
        add_rows(log_dir, 30)
        with monkeypatch.context() as patched:
            operations = killed_at(patched, step)
            with suppress(Killed):
                restore_backup(io.BytesIO(archive), log_dir)
            done = operations() < step
        try:
            open_log(log_dir).close()
        except LogDamagedError as error:
            assert "driftline log restore" in str(error)  # noqa: PT017 - it need not be raised
            outcomes.add("refused")
        else:
            rows = content(log_dir).count(b"\n")
            check_whole(log_dir, rows)
            outcomes.add({14: "new", 30: "old"}[rows])
        assert restore_backup(io.BytesIO(archive), log_dir) is not None
        open_log(log_dir).close()
        check_whole(log_dir, 14)
    assert outcomes == {"old", "refused", "new"}
    assert step > 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_changes_nothing(tmp_path: Path, kind: Kind) -> None:
    archive = backed_up(tmp_path / "large", 14, size=CAPTURE_BYTES)
    with small_disk(tmp_path / "disk", kind) as disk:
        log_dir = disk.path / "logs"
        backed_up(log_dir, 2, size=CAPTURE_BYTES)
        before = everything(log_dir)
        disk.fill()
        with pytest.raises(LogUnavailableError, match=r"No space left on device|File too large"):
            restore_backup(io.BytesIO(archive), log_dir)
        disk.free()
        assert everything(log_dir) == before
        assert restore_backup(io.BytesIO(archive), log_dir) is not None
