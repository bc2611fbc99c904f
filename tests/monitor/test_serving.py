"""A version that takes over is watched as it is: its columns, its own reference, and only what it answered itself."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from driftline.contract.arrangement import default_package
from driftline.contract.schema import Feature, ModelSchema
from driftline.drift.profile import encode_profile
from driftline.eventlog.reader import LogReader
from driftline.monitor import main
from driftline.monitor.follow import SETTLED_US, Follower
from driftline.monitor.main import Monitor
from driftline.monitor.serving import Serving
from driftline.monitor.sources import profile_of_log
from driftline.monitor.store import MonitorStore
from tests.monitor.conftest import Watch
from tests.monitor.logs import SCHEMA, US, Event, PredictionLog, events
from tests.waiting import wait_until

SETTLED_S = SETTLED_US // US
CONTEXT = (Feature("passenger", "float", role="context"), Feature("hour", "float", role="context"))
FIRST = replace(SCHEMA, features=(*SCHEMA.features, *CONTEXT))
SECOND = replace(SCHEMA, version="2", features=(*SCHEMA.features, Feature("country", "category")))


def of_version(schema: ModelSchema, rows: int, **other: Any) -> list[Event]:
    """Predictions of one of the two, with exactly its features."""
    found = events(rows, model_version=schema.version, **other)
    for at, each in enumerate(found):
        added = {"passenger": at % 7, "hour": at % 24} if schema is FIRST else {"country": ("FR", "DE")[at % 2]}
        each["features"] |= added
    return found


def put_reference(folder: Path, schema: ModelSchema) -> Path:
    """Writes the reference of a version's own, and returns where."""
    with PredictionLog(folder / f"training-{schema.version}") as log:
        log.add(of_version(schema, 1000, seed=5))
    with LogReader(folder / f"training-{schema.version}") as lines:
        profile = profile_of_log(lines, schema, 0, lines.rows)
    path = folder / f"reference-{schema.version}.json"
    path.write_bytes(encode_profile(profile))
    return path


def watch_version(watch: Watch, schema: ModelSchema, reference: Path | None) -> None:
    """As the monitor does when it finds that another version serves."""
    watch.follower.close()
    watch.schema, watch.otherwise = schema, reference
    watch.begin()


def verdicts(watch: Watch) -> dict[str, set[str]]:
    """The states that each column had in the windows that were judged."""
    found: dict[str, set[str]] = {}
    for judged in watch.judged:
        for verdict in judged.verdicts:
            found.setdefault(verdict.column.name, set()).add(verdict.state)
    return found


def test_a_version_with_other_columns_is_held_against_its_own_reference_and_what_was_before_is_not(
    watch: Watch,
) -> None:
    first, second = put_reference(watch.folder, FIRST), put_reference(watch.folder, SECOND)
    watch_version(watch, FIRST, first)
    watch.log.add(of_version(FIRST, 300, seed=1))
    watch.go_on(300)
    assert set(verdicts(watch)) == {"feature_1", "feature_2", "passenger", "hour", "probability", "predicted_class"}

    watch.judged.clear()
    watch_version(watch, SECOND, second)
    watch.look(300)
    # One process is slower than the other: for some seconds both versions answer.
    watch.log.add(of_version(FIRST, 10, seed=2, first_s=300))
    watch.log.add(of_version(SECOND, 400, seed=3, first_s=310))
    watch.go_on(720)
    assert watch.profile.column("country").role == "feature"
    columns = ("feature_1", "feature_2", "country", "probability", "predicted_class")
    assert verdicts(watch) == {name: {"quiet"} for name in columns}
    states = {minute: state for minute, _, state in watch.windows()}
    assert states == {minute: "earlier" if minute <= 5 else "judged" for minute in range(12) if minute in states}
    assert {"earlier", "judged"} == set(states.values())

    watch.begin()  # a restart does not judge what the first version answered either
    watch.go_on(730)
    assert {minute: state for minute, _, state in watch.windows()} == states


def test_a_change_in_what_the_new_version_is_asked_is_an_alarm(watch: Watch) -> None:
    first, second = put_reference(watch.folder, FIRST), put_reference(watch.folder, SECOND)
    watch_version(watch, FIRST, first)
    watch.log.add(of_version(FIRST, 100, seed=1))
    watch.go_on(100)
    watch_version(watch, SECOND, second)
    watch.look(100)
    changed = of_version(SECOND, 400, seed=3, first_s=100 + SETTLED_S)
    for each in changed:
        each["features"]["country"] = "IT"
    watch.log.add(changed)
    watch.go_on(600)
    assert "alarm" in verdicts(watch)["country"]


def test_without_a_reference_of_its_own_the_first_rows_of_the_new_version_stand_in(watch: Watch) -> None:
    watch_version(watch, SCHEMA, None)
    watch.log.add(events(600, seed=1))
    watch.go_on(600)
    assert watch.store.meta()["provisional"] == "1"
    watch_version(watch, SECOND, None)
    watch.look(600)
    assert watch.phase == "no_reference"
    watch.log.add(of_version(SECOND, 900, seed=2, first_s=600 + SETTLED_S))
    watch.go_on(1600)
    assert watch.profile.origin.model_versions == ("2",)
    assert verdicts(watch)["country"] == {"quiet"}


MODEL = """
name = "seed"
version = "{version}"
output = "binary"
{features}
[artifact]
runtime = "logistic"
"""


def put_package(folder: Path, schema: ModelSchema) -> Path:
    """Writes a package that says what it takes; nothing scores here."""
    package = folder / "seed" / schema.version
    package.mkdir(parents=True)
    features = "".join(f'[[features]]\nname = "{it.name}"\ntype = "{it.type}"\n' for it in schema.features)
    (package / "model.toml").write_text(MODEL.format(version=schema.version, features=features))
    return package


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with version 1."""
    put_package(tmp_path / "models", FIRST)
    return tmp_path / "models"


def test_a_folder_that_is_broken_for_a_moment_changes_nothing_and_is_said_once(models: Path) -> None:
    serving = Serving(lambda: default_package(models))
    assert not serving.changed()
    (models / "serving.toml").write_text("what is this")
    with capture_logs() as said:
        assert [serving.changed(), serving.changed()] == [False, False]
    assert [each["event"] for each in said] == ["model.unreadable"]
    put_package(models, SECOND)
    (models / "serving.toml").unlink()
    assert serving.changed()
    assert serving.package.schema.version == "2"
    assert not serving.changed()


def test_a_monitor_that_runs_watches_the_version_that_took_over(
    watch: Watch, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "LOOK_S", 0.05)
    monkeypatch.setattr(main, "IDLE_S", 0.05)
    for schema in (FIRST, SECOND):
        put_reference(watch.folder, schema)
    serving = Serving(lambda: default_package(models))

    def make(store: MonitorStore) -> Follower:
        schema = serving.package.schema
        own = watch.folder / f"reference-{schema.version}.json"
        return Follower(watch.log_dir, store, schema, watch.reference, watch.plan, otherwise=own)

    def columns() -> set[str]:
        return {column.name for column in watch.profile.columns} if "profile" in watch.store.meta() else set()

    async def run() -> None:
        stopping = asyncio.Event()
        monitor = Monitor(watch.folder, make, changed=serving.changed)
        running = asyncio.create_task(monitor.run(stopping))
        await asyncio.to_thread(wait_until, lambda: "passenger" in columns())
        put_package(models, SECOND)
        await asyncio.to_thread(wait_until, lambda: "country" in columns())
        stopping.set()
        await running

    watch.log.add(of_version(FIRST, 100, seed=1))
    asyncio.run(run())
    assert "passenger" not in columns()
