"""What was noted is there again, from another process as well."""

import uuid
from pathlib import Path

from driftline.chaos.history import Entry, History, Outcome

ID = str(uuid.uuid4())


def test_each_outcome_is_kept(tmp_path: Path) -> None:
    with History(tmp_path / "history") as history:
        assert [history.next_number() for _ in range(4)] == [0, 1, 2, 3]
        history.answered(1, ID, 0.1 + 0.2, 1)
        history.refused(2, 503)
        history.garbled(3)
    expected = [
        Entry(Outcome.UNKNOWN),
        Entry(Outcome.ANSWERED, 200, ID, 0.1 + 0.2, 1),
        Entry(Outcome.REFUSED, 503),
        Entry(Outcome.GARBLED),
    ]
    with History(tmp_path / "history") as again:
        assert again.sent == 4
        assert list(again.entries()) == expected
        assert [again.entry(number) for number in range(4)] == expected


def test_a_request_takes_28_bytes(tmp_path: Path) -> None:
    with History(tmp_path / "history") as history:
        for _ in range(1000):
            history.next_number()
    assert (tmp_path / "history").stat().st_size == 28_000


def test_one_without_requests_has_no_entries(tmp_path: Path) -> None:
    with History(tmp_path / "history") as history:
        assert list(history.entries()) == []
