"""Features of every type and outputs of every kind: what is watched of them, from lines, tables and Parquet."""

import json
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pytest

from driftline.contract.schema import Feature, ModelSchema
from driftline.drift.bins import STRANGE, CategoryBins, NumberBins
from driftline.drift.profile import Profile, decode_profile, encode_profile
from driftline.errors import ProfileError
from driftline.eventlog.compaction import compact_log
from driftline.eventlog.reader import LogReader
from driftline.monitor.examples import request_ids
from driftline.monitor.fold import Folder, Slicing
from driftline.monitor.lines import Answers, LineReader, value_in
from driftline.monitor.sources import columns_of, profile_of_file, profile_of_log, profile_of_rows
from driftline.monitor.store import Cell, MonitorStore
from driftline.monitor.table import Table
from tests.monitor.conftest import Watch
from tests.monitor.logs import (
    LABELS,
    MANY,
    NAMED,
    NUMBER,
    US,
    WATCHED,
    Event,
    PredictionLog,
    bin_of,
    mixed,
    recount,
    stored,
)

OUTPUTS = {
    "churn": (*(f"probabilities.{label}" for label in LABELS), "predicted_class"),
    "price": ("prediction",),
    "fraud": ("probability", "predicted_class"),
}
SCHEMAS = pytest.mark.parametrize("schema", [MANY, NUMBER, NAMED], ids=lambda schema: schema.output)


def check(profile: Profile, found: list[Event], *, without: tuple[str, ...] = ()) -> None:
    """The profile has all that is watched, and the counts of counting one value after the other."""
    names = [name for name in (*WATCHED, *OUTPUTS[profile.model]) if name not in without]
    assert [column.name for column in profile.columns] == names
    for column in profile.columns:
        counts = [0] * column.bins.count
        for each in found:
            counts[bin_of(column, value_in(each, column))] += 1
        assert list(column.counts) == counts, column.name


@SCHEMAS
def test_the_log_as_lines_and_as_parquet_has_one_and_the_same_reference(tmp_path: Path, schema: ModelSchema) -> None:
    found = mixed(schema, 1000)
    with PredictionLog(tmp_path / "logs", segment_max_bytes=60_000) as log:
        log.add(found)
        log.add([{**found[0], "kind": "shadow"}, {**found[1], "model": "another"}])
        log.add([{**found[0], "model": "another"}])
    with LogReader(tmp_path / "logs") as log:
        of_lines = profile_of_log(log, schema, 0, log.rows)
    check(of_lines, found)
    assert decode_profile(encode_profile(of_lines)) == of_lines
    assert (of_lines.output, of_lines.classes) == (schema.output, schema.classes)
    compact_log(tmp_path / "logs")
    with LogReader(tmp_path / "logs") as log:
        assert log.parquet_of(0, 1000) is not None
        assert profile_of_rows(log, schema, 0, 1000).columns == of_lines.columns


@SCHEMAS
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_table_has_the_same_bins_as_the_log(tmp_path: Path, schema: ModelSchema, suffix: str) -> None:
    found = mixed(schema, 400)
    lines = tmp_path / "log.jsonl"
    lines.write_text("".join(json.dumps(each) + "\n" for each in found))
    path = tmp_path / f"table{suffix}"
    if suffix == ".jsonl":
        path = lines
    else:
        outputs = "".join(f', {name} AS "{name}"' for name in OUTPUTS[schema.name])
        with closing(duckdb.connect()) as connection:
            query = f"SELECT features.*, timestamp{outputs} FROM read_json('{lines}')"
            connection.execute(f"COPY ({query}) TO '{path}'")
    with closing(Table(path)) as table:
        check(profile_of_file(table, schema), found, without=("city",))


def test_a_text_is_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("code,yes\n" + "007,true\n7,FALSE\n7.0,1\ntrue,0\n" * 60)
    features = (Feature("code", "category"), Feature("yes", "bool"))
    schema = ModelSchema(name="m", version="1", output="regression", features=features)
    with closing(Table(path)) as table:
        profile = profile_of_file(table, schema)
    bins = [column.bins for column in profile.columns]
    assert [bins.values for bins in bins if isinstance(bins, CategoryBins)] == [
        ("007", "7", "7.0", "true"),
        ("false", "true"),
    ]


@SCHEMAS
def test_what_is_folded_is_what_a_plain_recount_gives(tmp_path: Path, schema: ModelSchema) -> None:
    found = mixed(schema, 600)
    with PredictionLog(tmp_path / "logs") as log:
        log.add(found)
    with LogReader(tmp_path / "logs") as lines, MonitorStore(tmp_path / "store.sqlite", create=True) as store:
        profile = profile_of_log(lines, schema, 0, 300)
        store.adopt(profile.profile_id, encode_profile(profile), provisional=False)
        folder = Folder(store, profile, Slicing(width_us=60 * US), "country")
        folder.fold(lines.numbered(), 600)
        assert store.segments() == ["country=DE", "country=FR"]
        assert stored(store) == recount(found, profile, 60 * US)


def test_a_value_that_the_reference_has_not_is_unseen_though_it_is_declared(tmp_path: Path) -> None:
    with PredictionLog(tmp_path / "logs") as log:
        log.add(mixed(MANY, 300))
        log.add(mixed(MANY, 50, first=300, plan="old"))
    with LogReader(tmp_path / "logs") as lines:
        profile = profile_of_log(lines, MANY, 0, 300)
        reader = LineReader("churn", profile.columns)
        at = [column.name for column in profile.columns].index("plan")
        column = profile.columns[at]
        assert isinstance(column.bins, CategoryBins)
        codes = column.bins.coded(list(reader.read(lines.numbered(300)).rows.values[at]))
        assert set(codes.tolist()) == {STRANGE}
        counts = np.bincount(codes, minlength=column.bins.count)
        found = request_ids(lines, "churn", column, Cell(0, 1, 300, 350, 50, counts), counts)
    assert len(found) == 10


def test_hashes_are_categories_and_what_is_dropped_is_not_watched() -> None:
    kinds = {it.name: it.kind for it in columns_of(MANY)}
    assert kinds == {
        "amount": "number",
        "visits": "number",
        "member": "truth",
        "postcode": "text",
        "plan": "text",
        "city": "text",
        "country": "text",
        "probabilities.stay": "number",
        "probabilities.leave": "number",
        "probabilities.unsure": "number",
        "predicted_class": "text",
    }


def test_of_very_many_classes_only_the_predicted_one_is_watched() -> None:
    many = ModelSchema(
        name="m", version="1", output="multiclass", labels=tuple(range(21)), features=(Feature("x", "float"),)
    )
    assert [(it.name, it.kind) for it in columns_of(many)] == [("x", "number"), ("predicted_class", "category")]
    line = {"kind": "prediction", "timestamp": "2026-11-23T21:00:00Z", "producer": "p", "model": "m", "features": {}}
    event = json.dumps({**line, "predicted_class": 20, "probabilities": {"20": 1.0}}).encode()
    rows = LineReader("m", [], Answers(many.output, many.classes)).read([(0, event)]).rows
    assert (rows.scores.shape, rows.classes.tolist()) == ((1, 0), [20])


def test_a_feature_with_the_name_of_an_output_is_refused(watch: Watch) -> None:
    schema = ModelSchema(name="m", version="1", output="regression", features=(Feature("prediction", "float"),))
    with pytest.raises(ProfileError, match="the feature prediction has the name of what the model gives"):
        columns_of(schema)
    watch.schema = schema
    watch.begin()
    line = mixed(NUMBER, 1)[0] | {"model": "m", "features": {"prediction": 1.0}}
    watch.log.add([line] * 500)
    watch.look(0)
    assert watch.phase == "unfit_reference"
    assert "the name of what the model gives" in watch.follower.trouble


@pytest.mark.parametrize("strange", [[], {}, "nobody", None, 1.5, True])
def test_a_class_that_is_none_of_the_models_is_no_class(strange: object) -> None:
    event = mixed(MANY, 1)[0] | {"predicted_class": strange}
    rows = LineReader("churn", [], Answers(MANY.output, MANY.classes)).read([(0, json.dumps(event).encode())]).rows
    assert rows.classes.tolist() == [-1]


def test_a_category_that_becomes_another_one_is_reported(watch: Watch) -> None:
    watch.schema = MANY
    watch.begin()
    watch.log.add(mixed(MANY, 600))
    watch.log.add(mixed(MANY, 60, first=600, plan="old", member=True))
    watch.look(0)
    watch.go_on(660)
    assert {column.name: type(column.bins) for column in watch.profile.columns}["plan"] is CategoryBins
    states = {it.column.name: it.state for it in watch.judged[-1].verdicts}
    assert {name for name, state in states.items() if state == "alarm"} == {"plan", "member"}
    answer = next(it.evidence.answer for it in watch.judged[-1].verdicts if it.column.name == "plan")
    assert answer.question == "unseen"


def test_a_reference_of_other_kinds_is_refused(watch: Watch) -> None:
    watch.schema = NAMED
    watch.log.add(mixed(NAMED, 300))
    with LogReader(watch.log_dir) as lines:
        profile = profile_of_log(lines, NAMED, 0, 300)
    watch.reference.write_bytes(encode_profile(profile))
    others = {
        "is of model fraud with": ModelSchema(name="x", version="1", output="binary", features=NAMED.features),
        "gives binary (good, bad), and what is served gives binary (bad, good)": ModelSchema(
            name="fraud", version="2", output="binary", labels=("bad", "good"), features=NAMED.features
        ),
        "amount is a number in the reference, and a category in the model": ModelSchema(
            name="fraud",
            version="2",
            output="binary",
            labels=NAMED.labels,
            features=(Feature("amount", "category"), *NAMED.features[1:]),
        ),
    }
    for said, schema in others.items():
        watch.schema = schema
        follower = watch.begin()
        watch.look(0)
        assert follower.phase == "unfit_reference"
        assert said in follower.trouble
        follower.close()


def test_numbers_of_a_regression_are_cut_as_features_are(tmp_path: Path) -> None:
    with PredictionLog(tmp_path / "logs") as log:
        log.add(mixed(NUMBER, 300))
    with LogReader(tmp_path / "logs") as lines:
        column = profile_of_log(lines, NUMBER, 0, 300).column("prediction")
    assert isinstance(column.bins, NumberBins)
    assert column.role == "prediction"
    assert column.sd > 0
