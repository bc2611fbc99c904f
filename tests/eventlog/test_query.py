"""SQL sees each committed event once, whichever form it is in, and nothing else of the machine."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from driftline.contract.checksum import with_checksum
from driftline.errors import LogDamagedError, LogNotFoundError, LogUnavailableError, QueryError
from driftline.eventlog.compaction import compact_log
from driftline.eventlog.query import queried
from driftline.eventlog.writer import SEGMENTS, segment_path
from tests.eventlog.lines import PRODUCER, START, days_of_predictions, open_log, prediction

GIB = 1 << 30
Ask = Callable[[str], list[tuple[Any, ...]]]

FEEDBACK = with_checksum(
    b'{"kind":"feedback","request_id":"00000003","outcome":1,"at":"2026-11-24T02:00:00+02:00",'
    b'"timestamp":"2026-11-25T00:00:00.5Z","schema_version":1,"producer":"cc","seq":0,"who":{"is":["it"]}}'
)


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    """Predictions of three days, and at last a feedback; all but the last segment is Parquet."""
    lines = days_of_predictions(tmp_path / "logs", 3)
    writer = open_log(tmp_path / "logs")
    writer.append(FEEDBACK + b"\n", 1, {"cc": 1})
    writer.close()
    compact_log(tmp_path / "logs")
    return [*lines, FEEDBACK]


@pytest.fixture
def log_dir(tmp_path: Path, lines: list[bytes]) -> Path:
    return tmp_path / "logs"


def answer(log_dir: Path, sql: str, memory_bytes: int = GIB) -> list[tuple[Any, ...]]:
    with queried(log_dir, sql, memory_bytes) as table:
        return list(table.rows)


def test_each_event_is_there_once_with_its_row_and_its_line(log_dir: Path, lines: list[bytes]) -> None:
    found = answer(log_dir, "SELECT row, line FROM events ORDER BY row")
    assert found == [(row, line.decode()) for row, line in enumerate(lines)]


def test_features_are_columns_and_times_are_times_in_utc(log_dir: Path, lines: list[bytes]) -> None:
    assert answer(log_dir, "SELECT count(*), sum(feature_1), max(feature_2) FROM predictions") == [(30, 450.0, 0.0)]
    (day,) = answer(log_dir, "SELECT timestamp FROM events WHERE row = 1")
    assert day == ((START.replace(hour=0) + timedelta(days=0.1)).replace(tzinfo=None),)
    with queried(log_dir, "SELECT * FROM events LIMIT 0", GIB) as table:
        assert table.columns[:4] == ["row", "kind", "timestamp", "request_id"]
        assert {"feature_1", "feature_2", "who"} < {*table.columns}
        assert table.columns[-1] == "line"


def test_feedback_has_its_own_view_and_joins_its_prediction(log_dir: Path) -> None:
    assert answer(log_dir, 'SELECT outcome, "at", who FROM feedback') == [
        (1.0, datetime.fromisoformat("2026-11-24T00:00:00"), '{"is":["it"]}')
    ]
    joined = "SELECT p.row, p.feature_1, f.outcome FROM feedback f JOIN predictions p USING (request_id)"
    assert answer(log_dir, joined) == [(3, 3.5, 1.0)]


def test_models_of_every_output_stand_in_one_log(tmp_path: Path) -> None:
    seed = b'{"kind":"prediction","request_id":"a","predicted_class":1,"probability":1,"model":"two"}'
    many = (
        b'{"kind":"prediction","request_id":"b","predicted_class":"x","probabilities":{"x":1,"y z":0},"model":"many"}'
    )
    one = b'{"kind":"shadow","request_id":"b","prediction":3,"model":"number"}'
    told = b'{"kind":"feedback","request_id":"b","outcome":"x"}'
    writer = open_log(tmp_path / "logs", segment_max_bytes=1)
    for at, line in enumerate((seed, many, one, told, seed, many), start=1):
        writer.append(line + b"\n", 1, {PRODUCER: at})
    writer.close()
    for _ in range(2):  # as JSON, and most of it as Parquet
        sql = (
            'SELECT predicted_class, probability, "probabilities.x", "probabilities.y z" FROM predictions ORDER BY row'
        )
        two, of_many = ("1", 1.0, None, None), ("x", None, 1.0, 0.0)
        assert answer(tmp_path / "logs", sql) == [two, of_many, two, of_many]
        assert answer(tmp_path / "logs", "SELECT prediction, model FROM shadows") == [(3.0, "number")]
        assert answer(tmp_path / "logs", "SELECT outcome FROM feedback") == [("x",)]
        compact_log(tmp_path / "logs")


def test_a_feature_that_has_the_name_of_a_field_keeps_its_prefix(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    features = {"Probability": 7.0, "who": 1.0, "feature_1": 2.0}
    writer.append(prediction(0, START, features=features, who="me") + b"\n", 1, {PRODUCER: 1})
    writer.close()
    sql = 'SELECT probability, "features.Probability", who, "features.who", feature_1 FROM events'
    assert answer(tmp_path, sql) == [(0.0, 7.0, "me", 1.0, 2.0)]


def test_a_field_may_have_other_types_in_other_segments(tmp_path: Path) -> None:
    writer = open_log(tmp_path, segment_max_bytes=1)
    for seq, value in enumerate((1, 2.5, "three", None)):
        writer.append(prediction(seq, START, features={"x": value}, y=value) + b"\n", 1, {PRODUCER: seq + 1})
    writer.close()
    as_json = answer(tmp_path, "SELECT x, y FROM events ORDER BY row")
    compact_log(tmp_path)
    assert answer(tmp_path, "SELECT x, y FROM events ORDER BY row") == as_json
    assert [row[0] for row in as_json] == ["1.0", "2.5", "three", None]


def test_only_what_is_committed_is_seen(log_dir: Path, lines: list[bytes]) -> None:
    (active,) = (log_dir / SEGMENTS).iterdir()
    with active.open("ab") as segment:
        segment.write(prediction(99, START) + b'\n{"request_id":"half')
    assert answer(log_dir, "SELECT count(*), max(row) FROM events") == [(len(lines), len(lines) - 1)]


def test_lines_that_are_damaged_or_no_json_are_left_out_and_others_keep_their_rows(tmp_path: Path) -> None:
    writer = open_log(tmp_path, segment_max_bytes=1 << 20)
    for seq in range(6):
        writer.append(prediction(seq, START) + b"\n", 1, {PRODUCER: seq + 1})
    writer.append(b"no json\n", 1, {})
    writer.append(prediction(6, START) + b"\n", 1, {PRODUCER: 7})
    writer.close()
    path = segment_path(tmp_path, 1)
    path.write_bytes(path.read_bytes().replace(b'"00000002"', b'"000\n0002"'))
    found = answer(tmp_path, "SELECT row, seq, feature_1 FROM events ORDER BY row")
    assert found == [(0, 0, 0.5), (1, 1, 1.5), (3, 3, 3.5), (4, 4, 4.5), (5, 5, 5.5), (7, 6, 6.5)]


def test_an_empty_log_answers_and_none_is_an_error(tmp_path: Path) -> None:
    open_log(tmp_path / "logs").close()
    assert answer(tmp_path / "logs", "SELECT count(*) FROM predictions") == [(0,)]
    with pytest.raises(LogNotFoundError):
        answer(tmp_path / "nowhere", "SELECT 1")


def test_a_log_that_lacks_a_file_is_refused_and_the_file_named(log_dir: Path) -> None:
    path = min((log_dir / "parquet").rglob("*.parquet"))
    path.unlink()
    with pytest.raises(LogDamagedError, match=str(path)):
        answer(log_dir, "SELECT 1")


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("selec 1", "syntax error"),
        ("SELECT nope FROM events", "nope"),
        ("SELECT * FROM evens", "evens"),
        ("", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("COPY events TO 'out.csv'", "one SELECT"),
        ("EXPLAIN ANALYZE COPY events TO 'out.csv'", "one SELECT"),
        ("CREATE TABLE t AS SELECT 1", "one SELECT"),
        ("SET threads = 1", "one SELECT"),
        ("ATTACH 'x.db'", "one SELECT"),
        ("INSTALL httpfs", "one SELECT"),
        ("SELECT * FROM read_text('/etc/hostname')", "no other file"),
        ("SELECT * FROM '/etc/hostname'", "hostname"),
        ("SELECT * FROM read_csv('{log_dir}/segments/../log.sqlite')", "no other file"),
        ("SELECT * FROM read_blob('{log_dir}/log.sqlite')", "no other file"),
        ("SELECT * FROM glob('/etc/*')", "no other file"),
        ("SELECT * FROM query('COPY events TO ''{log_dir}/segments/x.csv''')", "single SELECT"),
        ("SELECT CAST('x' AS INTEGER)", "Could not convert"),
    ],
)
def test_sql_that_is_wrong_or_would_do_more_than_read_the_log_is_refused(log_dir: Path, sql: str, says: str) -> None:
    before = sorted(log_dir.rglob("*"))
    with pytest.raises(QueryError, match=says) as refused:
        answer(log_dir, sql.replace("{log_dir}", str(log_dir)))
    assert "\n" not in refused.value.message
    assert sorted(log_dir.rglob("*")) == before


def test_a_query_that_takes_too_much_memory_is_refused_and_writes_nothing(log_dir: Path) -> None:
    before = sorted(log_dir.rglob("*"))
    with pytest.raises(LogUnavailableError, match="query_memory_bytes"):
        answer(log_dir, "SELECT list(a.range * b.range) FROM range(20000) a, range(20000) b", 64 << 20)
    assert sorted(log_dir.rglob("*")) == before


def test_describe_and_summarize_are_selects(log_dir: Path) -> None:
    assert ("probability", "DOUBLE") in {row[:2] for row in answer(log_dir, "DESCRIBE events")}
    assert answer(log_dir, "SUMMARIZE SELECT feature_1 FROM predictions")


def test_a_folder_with_a_quote_in_its_name_is_one_like_others(tmp_path: Path) -> None:
    log_dir = tmp_path / 'it\'s a "log"'
    days_of_predictions(log_dir, 2)
    assert compact_log(log_dir).left == []
    assert answer(log_dir, "SELECT count(*) FROM events") == [(20,)]
