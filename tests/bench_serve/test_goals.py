"""Whether a goal is met."""

from collections.abc import Callable
from typing import Any

import pytest

from bench_serve.goals import goals
from bench_serve.ours import EMBEDDED, OVER_REDIS, SEED, SYNCED_256, TWO_PROCESSES
from tests.bench_serve.figures import PEER, results, turns


def test_each_goal_is_met_by_what_just_reaches_it() -> None:
    found = goals(results())
    assert len(found) == 13
    assert [goal.measure for goal in found if not goal.met] == []


def test_a_ratio_is_the_median_of_the_rounds_ratios_and_not_that_of_the_medians() -> None:
    embedded = goals(results())[0]
    assert embedded.found == "1.15 x"  # of 1.1, 1.2 and 1.15; the medians are 24 and 20


def slower(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda found: found["stacks"].update({name: turns([100.0] * 3)})


@pytest.mark.parametrize(
    ("missed", "worsen"),
    [
        ("with a relay to Redis", slower(OVER_REDIS.name)),
        ("outbox_sync = always", slower(SYNCED_256.name)),
        ("two API processes", slower(TWO_PROCESSES.name)),
        (f"against {PEER}", lambda found: found["stacks"].update({PEER: turns([1.0] * 3, per_s=1900.0)})),
        ("against the seed's service", lambda found: found["stacks"].update({SEED.name: turns([1.0] * 3, 1001.0)})),
        ("half of saturation", lambda found: found["latency"]["stacks"][EMBEDDED.name].update(turns([1.0] * 3))),
        ("JSON", lambda found: found["batches"].update(JSON=[299_999.0])),
        ("Arrow", lambda found: found["batches"].update(Arrow=[699_999.0])),
        ("worker, embedded", lambda found: found["worker"].update(embedded=[499_999.0])),
        ("worker, from Redis", lambda found: found["worker"].update(redis=[499_999.0])),
        ("memory", lambda found: found["memory"].update(rss_mb=[100.0, 105.0])),
        ("memory", lambda found: found["memory"].update(rss_mb=[130.0, 131.0])),
        ("import fastapi", lambda found: found["starts"]["driftline serve"].update(wall_ratio=2.01)),
    ],
)
def test_a_goal_that_is_missed_is_said_to_be(missed: str, worsen: Callable[[dict[str, Any]], None]) -> None:
    found = results()
    worsen(found)
    assert [goal.measure for goal in goals(found) if not goal.met and missed in goal.measure]
    assert len([goal for goal in goals(found) if not goal.met]) == 1


def test_what_was_not_measured_has_no_goal() -> None:
    found = {"memory": results()["memory"]}
    assert [goal.met for goal in goals(found)] == [True]
