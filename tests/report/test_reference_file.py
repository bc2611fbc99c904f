"""The reference may come from a file."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftline.errors import NotEnoughRowsError, ReferenceFileError
from driftline.eventlog.reader import LogReader
from driftline.report.columns import columns_of
from driftline.report.reading import read_windows
from driftline.report.selection import Selection, TimeRange
from driftline.report.windows import Prediction, Windows
from tests.report.events import MakeLog, at, event, events

Rows = list[dict[str, Any]]
ROWS: Rows = [
    {"feature_1": number / 4, "feature_2": -float(number), "probability": 0.5, "predicted_class": number % 2}
    for number in range(100)
]


def write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(path: Path, rows: Rows) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


FORMATS = {".csv": write_csv, ".jsonl": write_jsonl, ".ndjson": write_jsonl, ".parquet": write_parquet}
Compare = Callable[..., Windows]


@pytest.fixture
def log(make_log: MakeLog) -> LogReader:
    return make_log(events(500))


@pytest.fixture
def compare(log: LogReader, tmp_path: Path) -> Compare:
    """Writes rows to a file of this format, and reads them as the reference."""

    def write_and_read(suffix: str, rows: Rows, **selection: Any) -> Windows:
        path = tmp_path / f"reference{suffix}"
        FORMATS[suffix](path, rows)
        return read_windows(log, Selection(reference_file=path, **selection))

    return write_and_read


def refused(log: LogReader, path: Path) -> str:
    with pytest.raises(ReferenceFileError) as error:
        read_windows(log, Selection(reference_file=path))
    assert str(path) in error.value.message
    return error.value.message


@pytest.mark.parametrize("suffix", FORMATS)
def test_each_format_gives_the_same_reference(compare: Compare, suffix: str) -> None:
    windows = compare(suffix, ROWS)
    expected = [
        Prediction({name: row[name] for name in ("feature_1", "feature_2")}, row["probability"], row["predicted_class"])
        for row in ROWS
    ]
    assert list(windows.reference.predictions) == expected
    assert windows.reference.out_of == 100
    assert windows.reference.span is None
    assert windows.reference.file is not None
    assert windows.reference.file.endswith(suffix)
    assert len(windows.current) == 200
    assert windows.notes == ()


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_rows_may_have_the_shape_of_the_log(compare: Compare, suffix: str) -> None:
    rows = [json.loads(line) for line in events(100)]
    windows = compare(suffix, [*rows, {**rows[0], "kind": "feedback"}])
    assert [row.features for row in windows.reference.predictions] == [row["features"] for row in rows]
    assert windows.notes == ()


@pytest.mark.parametrize("suffix", FORMATS)
def test_features_are_enough_and_other_columns_are_ignored_and_named(compare: Compare, suffix: str) -> None:
    windows = compare(suffix, [{"feature_2": 1.0, "age": 3, "feature_1": 2.0, "label": "x"}] * 40)
    assert windows.reference.predictions[0] == Prediction({"feature_1": 2.0, "feature_2": 1.0})
    assert windows.reference.ignored_columns == ("age", "label")
    assert windows.notes == ("left out of the reference file, since the log has no such features: age, label",)


@pytest.mark.parametrize("suffix", FORMATS)
def test_missing_columns_are_an_error_that_names_all_of_them(compare: Compare, suffix: str) -> None:
    with pytest.raises(ReferenceFileError, match="lacks feature_1, feature_2; it has other, another"):
        compare(suffix, [{"other": 1, "another": 2}] * 40)


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_value_is_a_missing_one(compare: Compare, suffix: str) -> None:
    rows = [{**row, "feature_1": None} if number == 3 else row for number, row in enumerate(ROWS)]
    windows = compare(suffix, rows)
    assert windows.reference.predictions[3].features == {"feature_1": None, "feature_2": -3.0}


@pytest.mark.parametrize("suffix", FORMATS)
def test_under_30_rows_are_an_error_that_names_both_numbers(compare: Compare, suffix: str) -> None:
    with pytest.raises(NotEnoughRowsError, match=r"the reference has 29 predictions; .* at least 30"):
        compare(suffix, ROWS[:29])


@pytest.mark.parametrize("name", ["empty.csv", "empty.jsonl"])
def test_an_empty_file_is_not_enough(log: LogReader, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(NotEnoughRowsError, match="the reference has 0 predictions"):
        read_windows(log, Selection(reference_file=tmp_path / name))


@pytest.mark.parametrize("suffix", FORMATS)
def test_of_a_long_file_rows_are_drawn_from_all_of_it(compare: Compare, suffix: str) -> None:
    rows = [{"feature_1": float(number), "feature_2": 0.0} for number in range(5000)]
    drawn = [row.features["feature_1"] for row in compare(suffix, rows).reference.predictions]
    assert len(drawn) == 1000
    assert 400 < sum(value < 2500 for value in drawn) < 600
    few = compare(suffix, rows, reference_rows=50).reference
    assert (len(few), few.out_of) == (50, 5000)


def test_the_current_window_may_be_a_time_range(compare: Compare) -> None:
    windows = compare(".csv", ROWS, current_range=TimeRange(at(100), at(150)))
    assert windows.current.span == (100, 150)


def test_a_short_log_gives_all_it_has_and_under_30_rows_are_an_error(make_log: MakeLog, tmp_path: Path) -> None:
    path = tmp_path / "reference.csv"
    write_csv(path, ROWS)
    windows = read_windows(make_log(events(50)), Selection(reference_file=path))
    assert windows.current.span == (0, 50)
    assert "the current window has 50 of the 200 rows it should have" in windows.notes[0]
    with pytest.raises(NotEnoughRowsError, match=r"the current window has 29 predictions; .* at least 30"):
        read_windows(make_log(events(29)), Selection(reference_file=path))


def test_a_feature_may_have_the_name_of_a_field_of_the_log(make_log: MakeLog, tmp_path: Path) -> None:
    log = make_log(event(number, {"kind": number / 2, "model": 1.0 * number}) for number in range(100))
    path = tmp_path / "reference.csv"
    write_csv(path, [{"kind": number, "model": -number} for number in range(40)])
    windows = read_windows(log, Selection(reference_file=path, current_rows=50))
    assert windows.reference.predictions[7].features == {"kind": 7.0, "model": -7.0}
    assert windows.notes == ()


def test_a_csv_may_begin_with_a_byte_order_mark_and_have_blank_lines(log: LogReader, tmp_path: Path) -> None:
    path = tmp_path / "reference.csv"
    path.write_text("\ufefffeature_1,feature_2\n" + "1,2\n\n" * 40, encoding="utf-8")
    assert len(read_windows(log, Selection(reference_file=path)).reference) == 40


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", b"feature_1,feature_2\n1,2\n1,2,3\n", "line 3 has 3 fields, its header 2"),
        ("x.csv", b"feature_1,feature_2\n1\n", "line 2 has 1 fields, its header 2"),
        ("x.csv", b"feature_1,feature_1\n1,2\n", "a name twice"),
        ("x.csv", b'feature_1,feature_2\n"1,2\n', "line 2"),
        ("x.csv", b"feature_1,feature_2\n\xff,2\n", "utf-8"),
        ("x.csv", b"feature_1;feature_2\n1;2\n", "lacks feature_1, feature_2; it has feature_1;feature_2"),
        ("x.jsonl", b'{"feature_1": 1, "feature_2": 2}\n{\n', "line 2 is not JSON"),
        ("x.jsonl", b"[1, 2]\n", "line 1 is not an object"),
        ("x.jsonl", b"[" * 100_000, "line 1 is not JSON"),
        ("x.jsonl", b"\xff\n", "line 1 is not JSON"),
        ("x.parquet", b"feature_1,feature_2\n1,2\n", "Parquet"),
        ("x.parquet", b"", "cannot be read"),
        ("x.xlsx", b"", "does not end in one of .csv, .jsonl, .ndjson, .parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_that_says_where(
    log: LogReader, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert says in refused(log, path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_file_that_is_not_there_or_no_file_is_an_error(log: LogReader, tmp_path: Path, suffix: str) -> None:
    assert "No such file" in refused(log, tmp_path / f"nothing{suffix}")
    directory = tmp_path / f"directory{suffix}"
    directory.mkdir()
    assert "cannot be read" in refused(log, directory)


@pytest.mark.parametrize("words", [("True", "False"), ("true", "false")])
def test_the_booleans_of_a_csv_file_are_the_classes_of_the_log(compare: Compare, words: tuple[str, str]) -> None:
    rows = [{**row, "predicted_class": words[row["predicted_class"] == 0]} for row in ROWS]
    classes = columns_of(compare(".csv", rows))[-1]
    assert classes.name == "predicted_class"
    assert set(classes.reference.values) == {"0", "1"}


@pytest.mark.parametrize("suffix", FORMATS)
def test_classes_in_words_are_not_compared_with_numbers(compare: Compare, suffix: str) -> None:
    rows = [{**row, "predicted_class": ("no", "yes")[row["predicted_class"]]} for row in ROWS]
    classes = columns_of(compare(suffix, rows))[-1]
    assert classes.obstacle == (
        "its values are written differently: no, yes in the reference, 0, 1 in the current window"
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_feature_without_a_single_number_is_an_error_that_shows_one(compare: Compare, suffix: str) -> None:
    with pytest.raises(ReferenceFileError, match=r"has no number in feature_1; its first value is '0,5'"):
        compare(suffix, [{**row, "feature_1": "0,5"} for row in ROWS])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_column_called_kind_is_the_files_own_affair(compare: Compare, suffix: str) -> None:
    windows = compare(suffix, [{**row, "kind": "train"} for row in ROWS])
    assert len(windows.reference.predictions) == 100


@pytest.mark.parametrize("suffix", FORMATS)
def test_types_are_those_of_the_log(make_log: MakeLog, tmp_path: Path, suffix: str) -> None:
    shares = {"yes": 0.75, "no": 0.25}
    rows: Rows = [
        {"zip": f"0{number % 4}000", "plan": "NA", "member": number % 2 == 0, "age": number} for number in range(60)
    ]
    given = {"probability": None, "predicted_class": "yes", "probabilities": shares}
    log = make_log(event(number, row, **given) for number, row in enumerate(rows))
    path = tmp_path / f"reference{suffix}"
    FORMATS[suffix](
        path, [{**row, "predicted_class": "yes", "probabilities.yes": 0.75, "probabilities.no": 0.25} for row in rows]
    )
    windows = read_windows(log, Selection(reference_file=path))
    assert [row.features for row in windows.reference.predictions] == rows
    assert {(row.predicted_class, *row.probabilities.items()) for row in windows.reference.predictions} == {
        ("yes", ("yes", 0.75), ("no", 0.25))
    }
    assert windows.reference.ignored_columns == ()
    assert [(column.name, column.type) for column in columns_of(windows)] == [
        ("zip", "categorical"),
        ("plan", "categorical"),
        ("member", "categorical"),
        ("age", "numerical"),
        ("probabilities.yes", "numerical"),
        ("probabilities.no", "numerical"),
        ("predicted_class", "categorical"),
    ]
