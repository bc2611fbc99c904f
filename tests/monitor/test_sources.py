"""A reference is what its rows are, whether they stand in the log or in a table."""

import json
import tracemalloc
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import msgspec
import pytest

from driftline.contract.schema import Feature, ModelSchema
from driftline.drift.bins import CategoryBins, NumberBins
from driftline.drift.profile import Profile, decode_profile, encode_profile
from driftline.errors import ProfileError
from driftline.eventlog.compaction import compact_log
from driftline.eventlog.reader import LogReader
from driftline.monitor import sources
from driftline.monitor.sources import profile_of_file, profile_of_log, profile_of_rows
from driftline.monitor.table import Table
from tests.monitor.logs import NONE_OF_OURS, SCHEMA, Event, PredictionLog, bin_of, events, profile_of

SQL = "COPY (SELECT * FROM read_json('{}')) TO '{}'"


def of_file(path: Path, schema: ModelSchema = SCHEMA) -> Profile:
    with closing(Table(path)) as table:
        return profile_of_file(table, schema)


def flat(found: Sequence[Event]) -> list[dict[str, object]]:
    return [
        {**each["features"], **{name: each[name] for name in ("probability", "predicted_class", "timestamp")}}
        for each in found
    ]


def write_table(folder: Path, suffix: str, rows: Sequence[dict[str, object]]) -> Path:
    """A file of rows, as DuckDB writes it."""
    lines = folder / "rows.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if suffix == ".jsonl":
        return lines
    path = folder / f"rows{suffix}"
    with closing(duckdb.connect()) as connection:
        connection.execute(SQL.format(lines, path))
    return path


def check_counts(profile: Profile, found: Sequence[Event]) -> None:
    """The counts are those of counting one value after the other."""
    assert profile.rows == len(found)
    for column in profile.columns:
        counts = [0] * column.bins.count
        for each in found:
            values = each["features"] if column.role == "feature" else each
            counts[bin_of(column, values.get(column.name))] += 1
        assert list(column.counts) == counts, column.name


class TestOfTheLog:
    """Rows of the log."""

    def test_counts_are_those_of_a_plain_recount(self, tmp_path: Path) -> None:
        found = events(5000)
        for each in found[::17]:
            each["features"]["feature_1"] = None
        with PredictionLog(tmp_path / "logs") as log:
            log.add(found)
        check_counts(profile_of(tmp_path / "logs", 0, 5000), found)
        check_counts(profile_of(tmp_path / "logs", 234, 4401), found[234:4401])

    def test_it_says_where_it_came_from(self, tmp_path: Path) -> None:
        with PredictionLog(tmp_path / "logs") as log:
            log.add([*events(300), *events(300, first_s=300, model_version="2")])
        profile = profile_of(tmp_path / "logs", 100, 500)
        origin = profile.origin
        assert (origin.source, origin.first_row, origin.stop_row, origin.in_order) == ("log", 100, 500, True)
        assert (origin.first_timestamp, origin.last_timestamp) == (
            "2026-11-23T21:01:40.000000Z",
            "2026-11-23T21:08:19.000000Z",
        )
        assert origin.model_versions == ("1", "2")
        with LogReader(tmp_path / "logs") as log_reader:
            assert origin.log_id == log_reader.log_id
        assert decode_profile(encode_profile(profile)) == profile

    def test_what_is_no_prediction_of_the_model_is_left_out(self, tmp_path: Path) -> None:
        found = events(400)
        with PredictionLog(tmp_path / "logs") as log:
            log.add_lines(list(NONE_OF_OURS))
            log.add(found[:200])
            log.add(events(300, model="another", seed=5, shift=100))
            log.add(found[200:])
        check_counts(profile_of(tmp_path / "logs", 0, 905), found)

    @pytest.mark.parametrize("rows", [0, 199])
    def test_too_few_rows_are_an_error_that_says_how_many(self, tmp_path: Path, rows: int) -> None:
        with PredictionLog(tmp_path / "logs") as log:
            log.add(events(300))
        with pytest.raises(ProfileError, match=f"needs 200 rows or more, and there are {rows}"):
            profile_of(tmp_path / "logs", 0, rows)

    def test_memory_does_not_grow_with_the_log(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "SAMPLE_ROWS", 4096)
        monkeypatch.setattr(sources, "CHUNK_ROWS", 512)
        with PredictionLog(tmp_path / "logs", segment_max_bytes=1 << 20) as log:
            for at in range(24):
                log.add(events(1000, first_s=at * 10, every_s=0.01, seed=at))
        peaks = []
        with LogReader(tmp_path / "logs") as reader:
            for rows in (6_000, 24_000):
                tracemalloc.start()
                profile = profile_of_log(reader, SCHEMA, 0, rows)
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
                assert profile.rows == rows
        assert peaks[1] < 1.3 * peaks[0], peaks


class TestOfATable:
    """CSV, Parquet, JSONL."""

    @pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
    def test_counts_are_those_of_its_rows(self, tmp_path: Path, suffix: str) -> None:
        found = events(1000)
        for each in found[::17]:
            each["features"]["feature_1"] = None
        profile = of_file(write_table(tmp_path, suffix, flat(found)))
        check_counts(profile, found)
        assert (profile.origin.source, profile.origin.in_order) == ("file", True)
        assert [column.name for column in profile.columns] == [
            "feature_1",
            "feature_2",
            "probability",
            "predicted_class",
        ]
        classes = profile.column("predicted_class").bins
        assert isinstance(classes, CategoryBins)
        assert sorted(classes.values) == ["0", "1"]

    def test_lines_of_the_log_are_a_table_too(self, tmp_path: Path) -> None:
        found = events(300)
        path = tmp_path / "predictions.jsonl"
        told = {"kind": "feedback", "request_id": "x", "outcome": 1, "timestamp": found[-1]["timestamp"]}
        lines = [*found, {**found[0], "kind": "shadow", "timestamp": found[-1]["timestamp"]}, told]
        path.write_text("".join(json.dumps(each) + "\n" for each in lines))
        profile = of_file(path)
        check_counts(profile, found)
        assert profile.origin.in_order

    def test_a_table_and_the_log_of_the_same_rows_have_the_same_bins(self, tmp_path: Path) -> None:
        found = events(2000)
        with PredictionLog(tmp_path / "logs") as log:
            log.add(found)
        of_log = profile_of(tmp_path / "logs", 0, 2000)
        of_table = of_file(write_table(tmp_path, ".parquet", flat(found)))
        assert of_table.columns == of_log.columns
        assert of_table.schema_hash == of_log.schema_hash

    def test_rows_out_of_order_are_taken_for_independent(self, tmp_path: Path) -> None:
        found = flat(events(500))
        found[100]["timestamp"], found[200]["timestamp"] = found[200]["timestamp"], found[100]["timestamp"]
        assert not of_file(write_table(tmp_path, ".csv", found)).origin.in_order

    def test_rows_without_timestamps_are_taken_for_independent(self, tmp_path: Path) -> None:
        rows: list[dict[str, object]] = [{"feature_1": float(at), "feature_2": 0.5} for at in range(500)]
        profile = of_file(write_table(tmp_path, ".csv", rows))
        assert not profile.origin.in_order
        assert [column.name for column in profile.columns] == ["feature_1", "feature_2"]

    @pytest.mark.parametrize("name", ["it's.csv", 'a "quoted" one.csv', "a*b?.csv", "[1] rows.csv", "U ;--.CSV"])
    def test_any_name_of_a_file_is_that_file(self, tmp_path: Path, name: str) -> None:
        write_table(tmp_path, ".csv", flat(events(300))).rename(tmp_path / name)
        write_table(tmp_path, ".csv", flat(events(250))).rename(tmp_path / "aXbY.csv")
        (tmp_path / "1 rows.csv").write_bytes((tmp_path / "aXbY.csv").read_bytes())
        profile = of_file(tmp_path / name)
        assert (profile.rows, profile.origin.path) == (300, str(tmp_path / name))

    @pytest.mark.parametrize("name", ['say "x"', "it's", "a.b", "select", "features", "x; DROP TABLE y", "Ünï"])
    @pytest.mark.parametrize("nested", [False, True])
    def test_any_name_of_a_feature_is_that_feature(self, tmp_path: Path, name: str, nested: bool) -> None:
        schema = msgspec.structs.replace(SCHEMA, features=(Feature(name, "float", example=1.0),))
        rows: list[dict[str, object]] = [{name: float(at)} for at in range(300)]
        path = write_table(tmp_path, ".jsonl", [{"features": row} for row in rows] if nested else rows)
        (column,) = of_file(path, schema).columns
        assert (column.name, sum(column.counts), column.counts[0]) == (name, 300, 0)

    def test_a_great_many_features_in_an_object_are_columns(self, tmp_path: Path) -> None:
        names = [f"f{at}" for at in range(250)]
        rows: list[dict[str, object]] = [{"features": dict.fromkeys(names, at / 7)} for at in range(10)]
        with closing(Table(write_table(tmp_path, ".jsonl", rows))) as table:
            assert set(names) < set(table.expressions)
            assert list(table.column("f249", "number", None)) == [at / 7 for at in range(10)]

    def test_a_feature_that_is_missing_is_named_with_those_that_are_there(self, tmp_path: Path) -> None:
        path = write_table(tmp_path, ".csv", [{"feature_1": 1.0, "other": 2.0}] * 300)
        with pytest.raises(ProfileError, match=r"lacks feature_2; it has feature_1, other"):
            of_file(path)

    def test_text_where_a_number_belongs_is_an_error_that_names_the_column(self, tmp_path: Path) -> None:
        path = write_table(tmp_path, ".csv", [{"feature_1": "a", "feature_2": 2.0}] * 300)
        with pytest.raises(ProfileError, match="no numbers in feature_1"):
            of_file(path)

    def test_numbers_that_are_written_as_text_are_numbers(self, tmp_path: Path) -> None:
        rows = [{"feature_1": str(at / 7), "feature_2": 2.0} for at in range(300)]
        column = of_file(write_table(tmp_path, ".jsonl", rows)).column("feature_1")
        assert isinstance(column.bins, NumberBins)
        assert column.counts[0] == 0

    @pytest.mark.parametrize("suffix", [".csv", ".parquet"])
    @pytest.mark.parametrize("rows", [0, 199])
    def test_too_few_rows_are_an_error_that_says_how_many(self, tmp_path: Path, suffix: str, rows: int) -> None:
        path = tmp_path / f"few{suffix}"
        with closing(duckdb.connect()) as connection:
            connection.execute(f"COPY (SELECT 1.5 AS feature_1, 2.5 AS feature_2 FROM range({rows})) TO '{path}'")
        with pytest.raises(ProfileError, match=rf"needs 200 rows or more, and there are {rows}"):
            of_file(path)

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("empty.csv", b"", "lacks feature_1|cannot be read|needs 200 rows"),
            ("empty.jsonl", b"", "lacks feature_1|cannot be read|needs 200 rows"),
            ("empty.parquet", b"", "cannot be read"),
            ("broken.parquet", b"PAR1 nothing of the kind", "cannot be read"),
            ("broken.jsonl", b'{"feature_1": 1\n{', "cannot be read"),
            ("rows.xlsx", b"x", "does not end in one of .csv, .parquet, .jsonl"),
        ],
    )
    def test_what_is_no_table_is_an_error_of_one_line(
        self, tmp_path: Path, name: str, content: bytes, says: str
    ) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ProfileError, match=says) as caught:
            of_file(tmp_path / name)
        assert "\n" not in caught.value.message
        assert name in caught.value.message

    @pytest.mark.parametrize("name", ["nothing.csv", "folder.csv"])
    def test_a_file_that_is_not_there_is_said(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "folder.csv").mkdir()
        with pytest.raises(ProfileError, match="there is no file"):
            of_file(tmp_path / name)


def test_rows_that_were_compacted_make_the_same_reference(tmp_path: Path) -> None:
    log_dir = tmp_path / "logs"
    with PredictionLog(log_dir, segment_max_bytes=100_000) as log:
        for begin in range(0, 3000, 300):
            log.add(events(300, first_s=begin, seed=begin))
            log.add([{**each, "model": "another's"} for each in events(20, first_s=begin, seed=1)])
            log.add_lines(NONE_OF_OURS[:2])
    with LogReader(log_dir) as lines:
        expected = profile_of_log(lines, SCHEMA, 100, 2000)
        assert lines.parquet_of(100, 2000) is None
    compact_log(log_dir)
    with LogReader(log_dir) as lines:
        assert lines.parquet_of(100, 2000) is not None
        found = profile_of_rows(lines, SCHEMA, 100, 2000)
        assert lines.parquet_of(100, lines.rows) is None  # the active segment is JSON
        assert (
            profile_of_rows(lines, SCHEMA, 100, lines.rows).rows == profile_of_log(lines, SCHEMA, 100, lines.rows).rows
        )
    assert found.rows == expected.rows
    assert found.origin == expected.origin
    assert [column.bins for column in found.columns] == [column.bins for column in expected.columns]
    assert [column.counts for column in found.columns] == [column.counts for column in expected.columns]


def test_a_damaged_parquet_file_is_read_by_lines_and_left_out_as_far_as_it_is_damaged(tmp_path: Path) -> None:
    log_dir = tmp_path / "logs"
    with PredictionLog(log_dir, segment_max_bytes=100_000) as log:
        for begin in range(0, 1500, 300):
            log.add(events(300, first_s=begin, seed=begin))
    compact_log(log_dir)
    path = min(log_dir.glob("parquet/*/*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with LogReader(log_dir) as lines:
        assert lines.parquet_of(0, 900) is None
        assert profile_of_rows(lines, SCHEMA, 0, 900).rows <= 900
