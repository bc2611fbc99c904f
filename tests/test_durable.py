"""What a power cut cannot undo, and a lock that protects what it seems to protect."""

import errno
import fcntl
import os
import shutil
import threading
from pathlib import Path

import pytest

from driftline.durable import create_durably, lock_directory, make_directory, sync_directory, write_durably
from tests.processes import Script

HOLD = """
import sys
from pathlib import Path
from driftline.durable import lock_directory
print(lock_directory(Path(sys.argv[1])) is not None, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were given to fsync, in order."""
    paths: list[str] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        paths.append(str(Path(f"/dev/fd/{fd}").readlink()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    return paths


def open_fds() -> int:
    return len(os.listdir("/dev/fd"))


# -- files and directories


def test_every_directory_that_is_made_is_synced_into_its_parent(tmp_path: Path, synced: list[str]) -> None:
    make_directory(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert set(synced) == {str(tmp_path / "a" / "b"), str(tmp_path / "a"), str(tmp_path)}


def test_a_directory_that_is_there_is_synced_again_for_its_maker_may_have_died_before(
    tmp_path: Path, synced: list[str]
) -> None:
    (tmp_path / "a").mkdir()
    make_directory(tmp_path / "a")
    assert synced == [str(tmp_path)]


def test_content_is_on_disk_before_it_gets_its_name(tmp_path: Path, synced: list[str]) -> None:
    write_durably(tmp_path / "file", b"content")
    content, directory = synced
    assert Path(content).name.startswith(".file.")
    assert directory == str(tmp_path)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_durably(tmp_path / "file", b"old and long")
    write_durably(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: fsync fails."""

    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    write_durably(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        write_durably(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = open_fds()
    make_directory(tmp_path / "a")
    write_durably(tmp_path / "file", b"x")
    sync_directory(tmp_path)
    assert open_fds() == before


# -- the lock


def test_a_directory_that_another_process_has_locked_is_not_to_be_had(tmp_path: Path) -> None:
    before = open_fds()
    with Script(HOLD, tmp_path) as holder:
        assert holder.hear() == "True"
        assert lock_directory(tmp_path) is None
    fd = lock_directory(tmp_path)
    assert fd is not None
    assert lock_directory(tmp_path) is None, "another descriptor of the same process counts as another owner"
    os.close(fd)
    assert open_fds() == before


def test_a_lock_goes_with_its_process_even_when_that_is_killed(tmp_path: Path) -> None:
    with Script(HOLD, tmp_path) as holder:
        assert holder.hear() == "True"
        holder.kill()
        fd = lock_directory(tmp_path)
    assert fd is not None
    os.close(fd)


def test_a_child_of_the_owner_does_not_keep_the_lock(tmp_path: Path) -> None:
    fd = lock_directory(tmp_path)
    assert fd is not None
    with Script("print('ready', flush=True); sys.stdin.read()") as child:
        assert child.hear() == "ready"
        os.close(fd)
        again = lock_directory(tmp_path)
    assert again is not None
    os.close(again)


@pytest.mark.parametrize("made", ["nothing", "file"])
def test_what_is_no_directory_cannot_be_locked(tmp_path: Path, made: str) -> None:
    if made == "file":
        (tmp_path / "file").touch()
    assert lock_directory(tmp_path / "file") is None


@pytest.mark.parametrize("made_again", [False, True])
def test_a_lock_on_what_was_removed_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_again: bool
) -> None:
    """Between the open and the lock, the directory goes, and perhaps another comes in its place."""
    directory = tmp_path / "directory"
    directory.mkdir()
    flock = fcntl.flock

    def late(fd: int, operation: int) -> None:
        shutil.rmtree(directory)
        if made_again:
            directory.mkdir()
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    before = open_fds()
    assert lock_directory(directory) is None
    assert open_fds() == before


def test_a_lock_that_the_file_system_refuses_is_an_error_and_leaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: a network file system without locks. No lock is not the same as a lock that another has."""

    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = open_fds()
    with pytest.raises(OSError, match="No locks"):
        lock_directory(tmp_path)
    assert open_fds() == before


def test_who_is_patient_gets_a_lock_that_another_gives_up_in_time(tmp_path: Path) -> None:
    fd = lock_directory(tmp_path)
    assert fd is not None
    giving_up = threading.Timer(0.1, os.close, [fd])
    giving_up.start()
    try:
        again = lock_directory(tmp_path, within_s=20)
        assert again is not None
        os.close(again)
    finally:
        giving_up.join()


def test_a_file_that_is_created_is_on_disk_before_it_has_its_name_and_never_replaces_one(
    tmp_path: Path, synced: list[str]
) -> None:
    file = tmp_path / "file"
    assert create_durably(file, b"first", mode=0o600)
    assert synced[0].startswith(str(tmp_path / ".file."))
    assert synced[-1] == str(tmp_path)
    assert not create_durably(file, b"second")
    assert file.read_bytes() == b"first"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
