"""``driftline compact``, as its users see it."""

import json
from pathlib import Path

import pytest

from driftline.eventlog.reader import LogReader
from driftline.eventlog.writer import SEGMENTS
from tests.cli.conftest import Run
from tests.eventlog.lines import days_of_predictions


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    return days_of_predictions(tmp_path / "data" / "logs", 3)


def test_it_says_what_it_has_done_and_that_nothing_is_left_to_do(run: Run, tmp_path: Path, lines: list[bytes]) -> None:
    done = run("compact")
    assert done.returncode == 0, done.stderr
    assert "bytes of Parquet now" in done.stdout
    assert "log.compacted" in done.stderr
    assert run("compact").stdout == "no closed segment is left to compact\n"
    with LogReader(tmp_path / "data" / "logs") as log:
        assert list(log.lines()) == lines
    assert run("log", "verify").returncode == 0


def test_days_that_are_due_are_deleted_and_the_ledger_knows_them(run: Run, lines: list[bytes]) -> None:
    done = run("compact", "--json", DRIFTLINE_LOG_KEEP_BYTES="1")
    facts = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert facts["expired_events"] > 0
    assert facts["left"] == facts["kept"] == []
    ledger = run("ledger")
    assert ledger.returncode == 0
    assert f"{facts['expired_events']}  deleted by retention" in ledger.stdout
    assert json.loads(run("query", "--json", "select count(*) as n from events").stdout) == [
        {"n": len(lines) - facts["expired_events"]}
    ]


def test_what_has_to_be_left_is_said_and_ends_with_1(run: Run, tmp_path: Path, lines: list[bytes]) -> None:
    path = min((tmp_path / "data" / "logs" / SEGMENTS).iterdir())
    path.write_bytes(path.read_bytes().replace(b"seed", b"seeD", 1))
    done = run("compact")
    assert done.returncode == 1
    assert f"left as it is: {Path('data/logs/segments') / path.name} is not what was committed" in done.stdout
