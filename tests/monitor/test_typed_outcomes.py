"""Outcomes of models with labels, of many classes and of numbers."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftline.contract.schema import Label, ModelSchema, Output
from driftline.drift.profile import encode_profile
from driftline.eventlog.reader import LogReader
from driftline.monitor.finder import Finder
from driftline.monitor.fold import Folder, Slicing
from driftline.monitor.outcome_fold import UNKNOWN, UNREADABLE, OutcomeFold, merged, outcome_of
from driftline.monitor.outcomes import MOST_TOLD, Outcome, Outcomes, Scope
from driftline.monitor.sources import profile_of_log
from driftline.monitor.store import SCHEMA_VERSION, MonitorStore
from driftline.quality.classes import LabelledClasses, quality_of_classes
from driftline.quality.counting import counting_of
from driftline.quality.metrics import quality
from driftline.quality.regression import Errors
from driftline.quality.tally import Labelled, Scored
from tests.monitor.logs import LABELS, MANY, NAMED, NUMBER, START_US, US, Event, PredictionLog, feedback, mixed

ALL = Scope(0, 1 << 60)
SLICING = Slicing(width_us=60 * US)


class World:
    """A log of a model, and a store that it is folded into."""

    def __init__(self, folder: Path, schema: ModelSchema, events: Sequence[Event]) -> None:
        self.log_dir = folder / "logs"
        self.log = PredictionLog(self.log_dir)
        self.log.add(events)
        with LogReader(self.log_dir) as lines:
            self.profile = profile_of_log(lines, schema, 0, 300)
        self.store = MonitorStore(folder / "store.sqlite", create=True)
        self.store.adopt(self.profile.profile_id, encode_profile(self.profile), provisional=False)
        self.counting = counting_of(schema.output, schema.classes)
        self.outcomes = Outcomes(self.store, self.counting)

    def fold(self, step: int = 4096) -> None:
        """Folds what is not folded yet, so many rows at a time."""
        with LogReader(self.log_dir) as lines:
            beside = OutcomeFold(self.store, lines, self.profile, SLICING, "country")
            folder = Folder(self.store, self.profile, SLICING, "country", beside)
            while folder.position_row < lines.rows:
                stop = min(lines.rows, folder.position_row + step)
                folder.fold(lines.numbered(folder.position_row, stop), stop)

    def labelled(self, **scope: Any) -> Any:
        """The counts of those whose outcomes are known."""
        return self.outcomes.labelled(ALL._replace(**scope))

    def close(self) -> None:
        self.store.close()
        self.log.close()


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    schema: ModelSchema = request.param
    made = World(tmp_path, schema, mixed(schema, 300))
    yield made
    made.close()


def of(schema: ModelSchema) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("world", [schema], indirect=True, ids=[schema.output])


@of(NAMED)
def test_labels_are_the_two_classes_of_a_model(world: World) -> None:
    made = mixed(NAMED, 300)
    told: list[Any] = ["bad", "good", True, False, 1, 0.0, "ugly", 2]
    world.log.add(feedback(each, outcome) for each, outcome in zip(made, told, strict=False))
    world.fold()
    assert world.outcomes.known() == (6, 0, 0)
    assert world.store.meta()[UNKNOWN] == "2"
    came = [1, 0, 1, 0, 1, 0]
    predicted = [int(each["predicted_class"] == "bad") for each in made[:6]]
    found = Labelled.of(world.labelled())
    assert found.confusion.tolist() == np.bincount(2 * np.array(predicted) + came, minlength=4).reshape(2, 2).tolist()
    assert quality(found).positives == pytest.approx((0.5, *quality(found).positives[1:]))  # type: ignore[index]
    assert Scored.of(world.outcomes.scored(ALL)).rows == 300


@of(MANY)
def test_many_classes_are_counted_by_predicted_class_and_outcome(world: World) -> None:
    made = mixed(MANY, 300)
    random = np.random.default_rng(3)
    told = [LABELS[at] for at in random.integers(0, 3, 200)]
    world.log.add(feedback(each, outcome) for each, outcome in zip(made, told, strict=False))
    world.log.add([feedback(made[0], LABELS[0], after_s=90), feedback(made[1], "nobody"), feedback(made[2], 0)])
    told[0] = LABELS[0]
    world.fold()
    assert world.store.meta()[UNKNOWN] == "2"
    found = quality_of_classes(LabelledClasses.of(world.labelled()), probabilities=True)
    assert found.rows == 200
    confusion = np.zeros((3, 3), int)
    losses = []
    for each, outcome in zip(made, told, strict=False):
        confusion[LABELS.index(each["predicted_class"]), LABELS.index(outcome)] += 1
        losses.append(-np.log(each["probabilities"][outcome]))
    assert found.confusion.tolist() == confusion.tolist()
    assert found.log_loss is not None
    assert found.log_loss.value == pytest.approx(np.mean(losses), abs=1e-6)
    parts = [world.labelled(segment=segment) for segment in world.store.segments()]
    assert len(parts) == 2
    assert np.array_equal(parts[0] + parts[1], world.labelled())
    assert sum(cohort.labelled.sum() for cohort in world.outcomes.cohorts(ALL, START_US + 10**12, 60 * US)) == 200


@of(NUMBER)
def test_numbers_are_counted_by_their_errors_and_a_correction_undoes_the_first(world: World) -> None:
    made = mixed(NUMBER, 300)
    truth = [each["prediction"] + at % 7 - 2 for at, each in enumerate(made)]
    world.log.add(feedback(each, outcome) for each, outcome in zip(made, truth, strict=True))
    world.fold(step=100)
    exactly = world.labelled()
    world.log.add([feedback(made[5], 1e6, after_s=90)])
    world.log.add([feedback(made[7], "a lot"), feedback(made[7], True)])
    world.fold()
    assert not np.array_equal(world.labelled(), exactly)
    world.log.add([feedback(made[5], truth[5], after_s=120)])
    world.fold()
    assert np.array_equal(world.labelled(), exactly)
    found = Errors.of(exactly)
    errors = np.array([each["prediction"] for each in made]) - truth
    assert found.rows == 300
    assert found.mae is not None
    assert found.bias is not None
    assert found.mae.value == pytest.approx(np.abs(errors).mean())
    assert found.bias.value == pytest.approx(errors.mean())
    assert world.outcomes.known() == (300, 1, 0)
    assert world.store.meta()[UNKNOWN] == "2"


@of(MANY)
def test_how_the_log_is_cut_into_pieces_leaves_no_trace(world: World, tmp_path: Path) -> None:
    made = mixed(MANY, 300)
    world.log.add(feedback(made[at * 7 % 300], LABELS[at % 3], after_s=at) for at in range(400))
    world.fold()
    (tmp_path / "other").mkdir()
    with MonitorStore(tmp_path / "other" / "store.sqlite", create=True) as other:
        other.adopt(world.profile.profile_id, encode_profile(world.profile), provisional=False)
        first, world.store = world.store, other
        world.fold(step=37)
        for table in ("outcomes", "quality", "scored", "cells"):
            query = f"SELECT * FROM {table}"
            assert other.connection.execute(query).fetchall() == first.connection.execute(query).fetchall()
        world.store = first


@of(NAMED)
def test_a_challengers_line_is_no_prediction_and_hides_none(world: World) -> None:
    made = mixed(NAMED, 300)
    score = {"probability": 0.0, "predicted_class": "good"}
    shadows = [{**each, **score, "kind": "shadow"} for each in made[:50]]
    world.log.add(shadows)
    # Of a model that has a feature called kind, a shadow's line has both.
    sly = {**shadows[0], "features": {"a": 0, "kind": "prediction", "z": 0}}
    fields = ("request_id", "features", "probability", "predicted_class", "timestamp", "schema_version", "kind")
    line = json.dumps({name: sly[name] for name in fields} | {"producer": "s" * 32, "seq": 0}, separators=(",", ":"))
    world.log.add_lines([line.encode()])
    world.log.add(mixed(NAMED, 1, first=300))  # so that all of these rows are looked through
    world.log.add(feedback(each, each["predicted_class"]) for each in made[:50])
    world.fold()
    assert world.store.rows(*ALL[:2]) == 301
    assert Labelled.of(world.labelled()).confusion.trace() == 50
    assert Scored.of(world.outcomes.scored(ALL)).rows == 301
    with LogReader(world.log_dir) as lines:
        assert Finder(world.store, lines).find([made[0]["request_id"]])[made[0]["request_id"]][0] == 0


@pytest.mark.parametrize(
    ("told", "output", "classes", "found"),
    [
        (True, "binary", (0, 1), 1.0),
        (1.0, "binary", (0, 1), 1.0),
        (2, "binary", (0, 1), None),
        ("1", "binary", (0, 1), None),
        (2, "binary", (1, 2), 1.0),
        (0, "binary", (1, 2), None),
        (True, "binary", (1, 2), 0.0),
        ("no", "binary", ("no", "yes"), 0.0),
        (1, "binary", ("no", "yes"), 1.0),
        (False, "multiclass", (0, 1, 2), None),
        (2, "multiclass", (0, 1, 2), 2.0),
        (1, "multiclass", ("a", "b"), None),
        (3, "regression", (), 3.0),
        (True, "regression", (), None),
        ("3", "regression", (), None),
        (10**400, "regression", (), None),
        (float("inf"), "regression", (), None),
    ],
)
def test_an_outcome_is_what_the_model_could_predict(
    told: Any, output: Output, classes: tuple[Label, ...], found: float | None
) -> None:
    assert outcome_of(told, output, classes) == found


def test_nobody_fills_the_disk_with_corrections() -> None:
    known: Outcome | None = None
    for at in range(3 * MOST_TOLD):
        known = merged(known, float(at), 1000 - at, at, "id")
    assert known is not None
    assert (known.outcome, known.known_us, len(known.told)) == (0.0, 1000, MOST_TOLD)


def test_a_store_of_before_is_folded_again_and_keeps_its_alerts(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with MonitorStore(path, create=True) as store:
        store.put_meta({"signature": "of then", "position_row": "7"})
        store.connection.execute("DROP TABLE outcomes")
        store.connection.execute("CREATE TABLE outcomes (request_id BLOB PRIMARY KEY, zero_us INTEGER) STRICT")
        alert = "INSERT INTO alerts VALUES (1, 'id', 'key', 'drift', 'firing', 1, 0, 1, x'')"
        store.connection.execute(alert)
        store.connection.execute("PRAGMA user_version = 1")
    with MonitorStore(path, create=True) as store:
        assert store.meta() == {}
        assert store.connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert store.connection.execute("SELECT told, corrected FROM outcomes").fetchall() == []
        assert store.connection.execute("SELECT alert_id FROM alerts").fetchall() == [("id",)]


@of(NUMBER)
def test_unreadable_feedback_is_counted_apart_from_what_the_model_cannot_predict(world: World) -> None:
    good = feedback(mixed(NUMBER, 1)[0], 1.5)
    world.log.add([{**good, "outcome": None}, {**good, "outcome": [1.5]}, {**good, "outcome": "1.5"}, good])
    world.fold()
    assert (world.store.meta()[UNREADABLE], world.store.meta()[UNKNOWN]) == ("2", "1")
    assert world.outcomes.known() == (1, 0, 0)
