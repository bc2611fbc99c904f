"""The lock files fit any index, and nothing else."""

import re
from pathlib import Path

import pytest

LOCKS = sorted((Path(__file__).resolve().parents[1] / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_index_and_a_hash_for_every_version(lock: Path) -> None:
    text = lock.read_text()
    requirements = re.split(r"\n(?=[a-z0-9])", text.strip())

    assert "://" not in text
    assert "--index" not in text
    for requirement in requirements:
        assert re.match(r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,_-]+\])?==[^ ]+", requirement), requirement
        assert "--hash=sha256:" in requirement
