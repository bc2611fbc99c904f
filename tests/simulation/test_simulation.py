"""The real outbox, relay and worker keep the promise in a simulated world, whatever happens there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.ablations import ABLATIONS, Ablation
from tests.simulation.engine.disk import How
from tests.simulation.lives import Setting, Transport
from tests.simulation.replay import shrink
from tests.simulation.schedule import Action, Schedule, draw, play

CHUNKS = 10
SEEDS_IN_CHUNK = 50
"""More are played by ``python -m tests.simulation.run --seeds 20000 --processes 2``."""
BUDGET = 80
"""Without a rule, the promise must break within so many seeds."""

each_transport = pytest.mark.parametrize("transport", ["local", "redis"])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_promise_is_kept(chunk: int) -> None:
    for seed in range(chunk * SEEDS_IN_CHUNK, (chunk + 1) * SEEDS_IN_CHUNK):
        violation = play(draw(seed)).violation
        assert violation is None, f"{violation}; see: python -m tests.simulation.replay {seed}"


@each_transport
@pytest.mark.parametrize("kind", ["api", "worker"])
@pytest.mark.parametrize("death", ["death", "power"])
def test_a_life_may_end_at_every_boundary(transport: Transport, kind: str, death: str) -> None:
    whole = play(_short(transport, ()))
    assert whole.violation is None
    boundaries = whole.calls[f"{kind}{1 if kind == 'api' else 2}"]
    assert len(boundaries) > 25
    assert {"open", "write", "sync"} < set(boundaries)
    for number, call in enumerate(boundaries):
        hows: tuple[How, ...] = ("torn", "after") if call in {"write", "commit"} else ("after",)
        for how in ("before", *hows) if number == 0 else hows:
            schedule = _short(transport, (Action(0.0, f"{death}_of_{kind}_{how}", number),))
            run = play(schedule)
            assert run.violation is None, f"{run.violation}; see: {schedule.command}"
            assert sum(run.crashed.values()) == 1, f"nobody died; see: {schedule.command}"


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda ablation: ablation.name)
def test_without_a_rule_of_the_code_the_simulation_finds_a_violation(ablation: Ablation) -> None:
    with ablation.applied():
        found = next((seed for seed in range(BUDGET) if play(ablation.draw(seed)).violation is not None), None)
    assert found is not None
    assert play(ablation.draw(found)).violation is None


@each_transport
def test_a_schedule_replays_exactly(transport: Transport) -> None:
    first, second = list[str](), list[str]()
    for seed in range(5):
        schedule = draw(seed, transport=transport)
        assert play(schedule, first).digest == play(Schedule.from_json(schedule.to_json()), second).digest
    assert len(first) > 500
    assert first == second


def test_a_seed_replays_exactly_in_another_process() -> None:
    command = [sys.executable, "-m", "tests.simulation.replay", "5"]
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert f"digest {play(draw(5)).digest:08x}" in done.stdout


def test_a_violation_is_shrunk_to_what_it_needs() -> None:
    ablation = next(ablation for ablation in ABLATIONS if ablation.name == "drop-seen")
    with ablation.applied():
        shrunk = shrink(ablation.draw(2))
        assert play(shrunk).violation is not None
    assert 0 < len(shrunk.actions) < len(ablation.draw(2).actions)


def _short(transport: Transport, first: tuple[Action, ...]) -> Schedule:
    """A few requests, which fill some segments of both kinds."""
    # Bursts of three, and then nothing until all is committed and deleted.
    requests = tuple(Action(after_s, "requests", 7) for after_s in (0.05, 1.2, 0.5))
    return Schedule(Setting(11, transport, "always", 600, 1200), (*first, *requests, Action(1.5, "deliver", 0)))
