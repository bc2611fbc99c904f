"""What a machine allows is found out by trying, and what it does not is said."""

import os
import sys
from pathlib import Path

import pytest

from driftline.chaos.disk import SmallDisk, why_not_mount
from driftline.chaos.machine import survey
from driftline.errors import ChaosError


def test_without_a_redis_server_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ChaosError, match=r"apt-get install .*redis-server.*--transport embedded"):
        survey(tmp_path, with_redis=True)
    assert "redis" not in survey(tmp_path, with_redis=False).abilities


def test_what_cannot_be_done_is_named_with_the_reason(tmp_path: Path) -> None:
    machine = survey(tmp_path, with_redis=False)
    why = why_not_mount(tmp_path)
    assert {"slow disk", "clock step"} <= set(machine.left_out)
    assert ("mounts" in machine.abilities) == (why is None)
    assert machine.left_out.get("disk-full") == why
    assert list(tmp_path.iterdir()) == []


def test_without_root_it_says_so_and_with_root_a_full_disk_is_full(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "disk", 1 << 20)
    if os.geteuid() != 0 or sys.platform != "linux":
        assert why_not_mount(tmp_path) == "mounting wants root on Linux"
        return
    disk.mount()
    try:
        disk.path.joinpath("before").write_bytes(b"x" * 100_000)
        assert disk.fill() >= 100_000
        with pytest.raises(OSError, match="No space left"):
            disk.path.joinpath("more").write_bytes(b"x" * 100_000)
        disk.free()
        disk.path.joinpath("more").write_bytes(b"x" * 100_000)
    finally:
        disk.unmount(keep=True)
    assert not disk.path.is_mount()
    assert disk.path.joinpath("before").stat().st_size == 100_000
