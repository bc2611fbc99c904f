"""``driftline query``, as its users see it."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from driftline.eventlog.compaction import compact_log
from tests.cli.conftest import Run
from tests.eventlog.lines import days_of_predictions


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    return days_of_predictions(tmp_path / "data" / "logs", 3)


def test_a_query_is_a_table_json_or_csv(run: Run, tmp_path: Path, lines: list[bytes]) -> None:
    compact_log(tmp_path / "data" / "logs")
    sql = "select row, timestamp, feature_1 from events order by row limit 2"
    table = run("query", sql)
    assert table.returncode == 0, table.stderr
    assert [word for word in table.stdout.split() if word.isidentifier()] == ["row", "timestamp", "feature_1"]
    assert json.loads(run("query", "--json", sql).stdout) == [
        {"row": 0, "timestamp": "2026-11-23T00:00:00Z", "feature_1": 0.5},
        {"row": 1, "timestamp": "2026-11-23T02:24:00Z", "feature_1": 1.5},
    ]
    rows = list(csv.reader(io.StringIO(run("query", "--csv", sql).stdout)))
    assert rows == [
        ["row", "timestamp", "feature_1"],
        ["0", "2026-11-23T00:00:00Z", "0.5"],
        ["1", "2026-11-23T02:24:00Z", "1.5"],
    ]
    assert json.loads(run("query", "--json", "select 1 where false").stdout) == []


def test_the_query_of_the_outcomes_in_force_in_the_docs_is_sql(run: Run, lines: list[bytes]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "log.md").read_text(encoding="utf-8")
    [sql] = re.findall(r"^driftline query '(.*from feedback.*)'$", page, re.MULTILINE)
    found = run("query", "--json", sql)
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout) == []


def test_a_long_table_says_that_there_is_more(run: Run, lines: list[bytes]) -> None:
    found = run("query", "select a.row from events a, events b")
    assert "the first 100 rows" in found.stderr
    assert run("query", "select row from events").stderr == ""


def test_sql_that_is_wrong_is_one_line_and_usage(run: Run, lines: list[bytes]) -> None:
    found = run("query", "select nope from events")
    assert found.returncode == 2
    assert len(found.stderr.splitlines()) == 1
    assert 'column "nope" not found' in found.stderr
    assert found.stderr.endswith("(query_invalid)\n")
    assert run("query", "--json", "--csv", "select 1").returncode == 2


def test_a_table_that_goes_into_a_pipe_is_whole(run: Run, lines: list[bytes]) -> None:
    found = run("query", "select line, * from events order by row limit 1").stdout
    assert lines[0].decode().strip() in found
    assert "\N{HORIZONTAL ELLIPSIS}" not in found


def test_columns_of_one_name_are_no_json_that_lacks_one(run: Run, lines: list[bytes]) -> None:
    sql = "select 1 as one, 2 as one, 3 as three"
    found = run("query", "--json", sql)
    assert (found.returncode, found.stdout) == (2, "")
    assert "several columns one: rename them" in found.stderr
    assert run("query", "--csv", sql).stdout == "one,one,three\n1,2,3\n"
