import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from driftline.api import shadow
from driftline.api.keeper import Asked, Keeper, Origin
from driftline.api.lineup import Lineup, draw_up
from driftline.api.roster import Roster
from driftline.api.served import Served
from driftline.api.shadow import DROPPED, Shadows
from driftline.contract.package import Package
from driftline.contract.roster_file import Entry, RosterFile, write_roster_file
from driftline.contract.schema import Row
from driftline.errors import ScoringError
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from driftline.scoring import load_model
from tests.api.models import write_package
from tests.waiting import cancelled, eventually

ORIGIN = Origin("t", None, "order-4711")


class Odd:
    """A model that does as the row says."""

    def score(self, rows: Sequence[Row]) -> list[Any]:
        return [self.score_row(row) for row in rows]

    def score_row(self, row: Row) -> Any:
        match row[0]:
            case -1.0:
                raise ScoringError("it will not")
            case -2.0:
                raise RuntimeError("nobody foresaw this")
            case -3.0:
                return float("nan")
        return 0.25


class Stage:
    """A champion, a challenger, an outbox, and what keeps and scores."""

    def __init__(self, folder: Path, challenger: Any = None, **outbox: Any) -> None:
        for version in ("1", "2"):
            write_package(folder / "models" / version, version, bias=float(version))
        write_roster_file(folder / "models", RosterFile(models={"credit": Entry(version="1", shadow=("2",))}))

        def load(package: Package) -> Served:
            odd = challenger is not None and package.schema.version == "2"
            return Served(package, challenger if odd else load_model(package))

        self.roster = Roster.of(draw_up(folder / "models", load))
        root = OutboxRoot(folder / "outbox")
        root.create()
        self.outbox = Outbox(root, **outbox)
        self.shadows = Shadows(self.roster)
        self.keeper = Keeper(self.outbox, durable=False, beside=self.shadows.offer)

    async def predict(self, *incomes: float) -> list[str]:
        served = self.roster.default()
        rows = served.score_all([served.decoder.make(income, "c") for income in incomes])
        return list((await self.keeper.keep_all(served, rows, ORIGIN)).request_ids)

    def events(self) -> list[dict[str, Any]]:
        reader = OutboxReader(self.outbox.root, self.outbox.producer)
        reader.seek(0)
        found = [json.loads(line) for line in reader.read(100_000, 1 << 24).events]
        reader.close()
        return found

    def run(self, script: Callable[[], Any]) -> None:
        async def played() -> None:
            task = asyncio.create_task(self.shadows.run(self.keeper))
            try:
                await asyncio.wait_for(script(), 60)
            finally:
                await cancelled(task)

        asyncio.run(played())


def dropped(reason: str) -> float:
    return float(DROPPED[reason]._value.get())


def test_a_challenger_scores_the_same_row_under_the_same_request_id(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def script() -> None:
        await stage.predict(0.5, -0.5)
        assert len(stage.events()) == 2, "nobody waits for it"
        await eventually(lambda: len(stage.events()) == 4)

    stage.run(script)
    told, beside = stage.events()[:2], stage.events()[2:]
    assert [(event["kind"], event["model_version"]) for event in told] == [("prediction", "1")] * 2
    assert [(event["kind"], event["model_version"]) for event in beside] == [("shadow", "2")] * 2
    for one, other in zip(told, beside, strict=True):
        for key in ("request_id", "features", "trace_id", "client_request_id", "model"):
            assert one[key] == other[key]
        assert one["probability"] < other["probability"]
    assert [event["seq"] for event in stage.events()] == [0, 1, 2, 3]


def test_a_prediction_alone_is_scored_beside_too(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def script() -> None:
        served = stage.roster.default()
        told, _ = await stage.keeper.keep(Asked(served, served.score(served.decoder.make(1.0, "c")), ORIGIN))
        await eventually(lambda: len(stage.events()) == 2)
        assert {event["request_id"] for event in stage.events()} == {told.request_id}

    stage.run(script)


def test_what_another_version_answers_is_not_scored_beside(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    second = stage.roster.find("credit", "2")
    assert len(stage.roster.shadows(stage.roster.default())) == 1
    assert stage.roster.shadows(second) == ()


@pytest.mark.parametrize(("income", "reason"), [(-1.0, "scoring_failed"), (-2.0, "failed"), (-3.0, "no_score")])
def test_a_challenger_that_fails_is_counted_and_goes_on(tmp_path: Path, income: float, reason: str) -> None:
    stage = Stage(tmp_path, Odd())
    before = dropped(reason)

    async def script() -> None:
        await stage.predict(income)
        await stage.predict(7.0)
        await eventually(lambda: len(stage.events()) == 3)

    stage.run(script)
    assert dropped(reason) == before + 1
    assert stage.events()[-1]["probability"] == 0.25


def test_rows_that_find_the_queue_full_are_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MOST_ROWS", 10)
    stage = Stage(tmp_path)
    before = dropped("queue_full")

    async def script() -> None:
        await stage.predict(*map(float, range(15)))
        assert dropped("queue_full") == before + 5
        await eventually(lambda: len(stage.events()) == 25)

    stage.run(script)


def test_a_heavy_challenger_scores_many_rows_at_once_and_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "HEAVY_S", 0.0)
    calls: list[int] = []

    class Counting(Odd):
        def score(self, rows: Sequence[Row]) -> list[Any]:
            calls.append(len(rows))
            return super().score(rows)

    stage = Stage(tmp_path, Counting())

    async def script() -> None:
        await stage.predict(*map(float, range(600)))
        await eventually(lambda: len(stage.events()) == 1200)

    stage.run(script)
    assert calls == [1] * shadow.TRIALS + [256, 256, 600 - shadow.TRIALS - 512]


def test_a_light_challenger_scores_in_short_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "HEAVY_S", 10 * shadow.KEPT_S)
    calls: list[int] = []

    class Counting(Odd):
        def score(self, rows: Sequence[Row]) -> list[Any]:
            calls.append(len(rows))
            return super().score(rows)

    stage = Stage(tmp_path, Counting())

    async def script() -> None:
        await stage.predict(*map(float, range(100)))
        await eventually(lambda: len(stage.events()) == 200)

    stage.run(script)
    assert 1 <= max(calls) <= 10


def test_a_challenger_leaves_half_of_the_outbox_to_answers(tmp_path: Path) -> None:
    stage = Stage(tmp_path, max_bytes=40_000)
    before = dropped("outbox_full")

    async def script() -> None:
        await stage.predict(*map(float, range(60)))
        assert stage.outbox.fill_ratio > 0.5
        await eventually(lambda: dropped("outbox_full") == before + 60)

    stage.run(script)
    assert {event["kind"] for event in stage.events()} == {"prediction"}


def test_what_is_queued_at_the_end_gets_a_moment(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def script() -> None:
        await stage.predict(1.0, 2.0)
        await stage.shadows.stop()
        assert len(stage.events()) == 4

    stage.run(script)


def test_what_is_not_scored_by_then_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "STOP_S", 0.01)
    stage = Stage(tmp_path)
    before = dropped("stopped")

    async def script() -> None:
        await stage.predict(1.0, 2.0)
        await stage.shadows.stop()

    asyncio.run(script())  # and nobody scores
    assert dropped("stopped") == before + 2


def test_an_old_challenger_is_forgotten(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.roster.lineup = Lineup.of([stage.roster.default()])
    assert stage.roster.shadows(stage.roster.default()) == ()
