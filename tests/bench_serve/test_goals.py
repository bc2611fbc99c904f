"""Whether a goal is met."""

from collections.abc import Callable
from typing import Any

import pytest

from bench_serve.goals import goals
from bench_serve.ours import EMBEDDED, OVER_REDIS, SYNCED_256, TWO_PROCESSES
from bench_serve.peers import SEED
from bench_serve.replies import GRANIAN
from tests.bench_serve.figures import PEER, latencies, results, turns


def test_each_goal_is_met_by_what_just_reaches_it() -> None:
    found = goals(results())
    assert len(found) == 18
    assert [goal.measure for goal in found if not goal.met or goal.remark] == []


def test_a_ratio_is_the_median_of_the_rounds_ratios_and_not_that_of_the_medians() -> None:
    embedded = goals(results())[0]
    assert embedded.found == "1.15 x"  # of 1.1, 1.2 and 1.15; the medians are 24 and 20


def slower(name: str) -> Callable[[dict[str, Any]], None]:
    # As many a second, so that only what it costs is worse.
    per_s = 8000.0 if name == OVER_REDIS.name else 1000.0
    return lambda found: found["stacks"].update({name: turns([100.0] * 3, per_s)})


def has(name: str, **figures: float) -> Callable[[dict[str, Any]], None]:
    return lambda found: found["stacks"][name]["turns"][1].update(figures)


@pytest.mark.parametrize(
    ("missed", "worsen"),
    [
        ("with a relay to Redis", slower(OVER_REDIS.name)),
        ("outbox_sync = always", slower(SYNCED_256.name)),
        ("two API processes", slower(TWO_PROCESSES.name)),
        (f"against {PEER}", lambda found: found["stacks"].update({PEER: turns([1.0] * 3, per_s=1601.0)})),
        ("against the seed's service", lambda found: found["stacks"].update({SEED.name: turns([1.0] * 3, 1001.0)})),
        (
            "half of saturation",
            lambda found: found["latency"]["stacks"][EMBEDDED.name].update(turns=[latencies(1.51)] * 3),
        ),
        ("JSON", lambda found: found["batches"].update(JSON=[299_999.0])),
        ("Arrow", lambda found: found["batches"].update(Arrow=[699_999.0])),
        ("worker, embedded", lambda found: found["worker"].update(embedded=[499_999.0])),
        ("worker, from Redis", lambda found: found["worker"].update(redis=[499_999.0])),
        ("memory", lambda found: found["memory"].update(rss_mb=[100.0, 105.0])),
        ("memory", lambda found: found["memory"].update(rss_mb=[130.0, 131.0])),
        ("outbox_sync = always", has(SYNCED_256.name, lost=1)),
        ("outbox_sync = always", has(SYNCED_256.name, failed=2)),
        ("import fastapi", lambda found: found["starts"]["driftline serve"].update(wall_ratio=2.01)),
    ],
)
def test_a_goal_that_is_missed_is_said_to_be(missed: str, worsen: Callable[[dict[str, Any]], None]) -> None:
    found = results()
    worsen(found)
    assert [goal.measure for goal in goals(found) if not goal.met and missed in goal.measure]
    assert len([goal for goal in goals(found) if not goal.met]) == 1


def test_what_was_not_measured_is_said_to_be_so_and_why() -> None:
    found = {"memory": results()["memory"], "measured": {"worker": {"failed": "no room"}}}
    judged = goals(found)
    assert len(judged) == len(goals({})) == len(goals(results()))
    assert [goal.measure for goal in judged if goal.met] == ["memory of an API process after 10,000,321 predictions"]
    assert [goal.found for goal in judged if goal.met is None] == ["not measured"] * 17
    assert [goal.measure.partition(":")[0] for goal in judged if goal.remark == "no room"] == [
        "worker, embedded",
        "worker, from Redis",
    ]


@pytest.mark.parametrize(
    ("worsen", "remark"),
    [
        (has(EMBEDDED.name, lost=3), f"{EMBEDDED.name}, 3 events lost"),
        (has(GRANIAN.name, failed=2), f"{GRANIAN.name}, 2 failed"),
    ],
)
def test_a_stack_that_loses_events_or_fails_requests_meets_no_goal_however_little_it_costs(
    worsen: Callable[[dict[str, Any]], None], remark: str
) -> None:
    found = results()
    worsen(found)
    first = goals(found)[0]
    assert (first.found, first.met, first.remark) == ("1.15 x", False, remark)


def test_a_handful_of_failed_requests_spoils_nothing() -> None:
    found = results()
    has(EMBEDDED.name, failed=1)(found)  # of 12,000
    assert all(goal.met for goal in goals(found))


def test_a_round_that_failed_is_in_no_ratio_and_keeps_the_others() -> None:
    found = results()
    found["stacks"][PEER]["turns"][0] = None
    found["stacks"][PEER]["failures"] = ["round 1: it ended"]
    (goal,) = (goal for goal in goals(found) if PEER in goal.measure)
    assert (goal.found, goal.met, goal.remark) == ("5.0 x (embedded 5.6 x)", True, f"{PEER}, round 1: it ended")
    found["stacks"][PEER]["turns"] = [None] * 3
    (goal,) = (goal for goal in goals(found) if PEER in goal.measure)
    assert (goal.found, goal.met) == ("not measured", None)


@pytest.mark.parametrize("late", [{"unsent_share": 0.0011}, {"lag_p99_ms": 0.26}])
def test_a_latency_is_not_measured_if_the_load_itself_was_late(late: dict[str, float]) -> None:
    found = results()
    for each in found["latency"]["stacks"][GRANIAN.name]["turns"]:
        each.update(late)
    (goal,) = (goal for goal in goals(found) if "half of saturation" in goal.measure)
    assert goal.met is None
    assert goal.found.startswith("1.50 x (p99 of the generator's own delay: 0.05 of 1.50 ms, 0.00% unsent and ")
