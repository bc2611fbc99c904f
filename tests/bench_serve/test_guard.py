"""What CI fails by."""

from collections.abc import Callable
from itertools import count

import pytest

from bench_serve import guard, running
from bench_serve.replies import UVLOOP
from bench_serve.rounds import Pace
from bench_serve.stacks import Place, Stack
from bench_serve.wrk import Load
from cores import Cores


def test_the_median_decides_and_not_a_round_that_was_disturbed() -> None:
    text, holds = guard.verdict([1.1, 1.39, 9.0])
    assert holds
    assert "1.39 x of a constant reply (1.10 to 9.00)" in text
    assert not guard.verdict([1.0, 1.4, 1.4])[1]


@pytest.mark.parametrize(
    ("found", "code", "asked"), [([1.0], 0, 1), ([1.5, 1.3], 0, 2), ([1.5, 1.5], 1, 2)], ids=["fine", "busy", "worse"]
)
def test_it_measures_once_more_and_longer_before_it_fails(
    monkeypatch: pytest.MonkeyPatch, found: list[float], code: int, asked: int
) -> None:
    rounds: list[int] = []

    def measured(pace: Pace, *_: object) -> list[float]:
        rounds.append(pace.rounds)
        return [found[len(rounds) - 1]]

    monkeypatch.setattr(guard, "measured", measured)
    assert guard.guard(Cores(0, 1), lambda _: None) == code
    assert len(rounds) == asked
    assert rounds == sorted(set(rounds))


def nothing_arrives(_: Place) -> int:
    return 0


@pytest.mark.parametrize(
    ("events", "failed", "said"),
    [
        (nothing_arrives, 0, "a server, 5 events lost"),
        (None, 7, "a server, 14 failed"),
        (None, 0, "x of a constant reply"),
    ],
    ids=["keeps nothing", "fails", "fine"],
)
def test_a_server_that_keeps_nothing_or_fails_requests_does_not_pass_however_little_it_costs(
    monkeypatch: pytest.MonkeyPatch, events: Callable[[Place], int] | None, failed: int, said: str
) -> None:
    def load(stack: Stack, _: int, seconds: float) -> Load:
        return Load(1, seconds, failed if stack.name == "a server" else 0, 1.0, 1.0)

    monkeypatch.setattr(running, "put_under_load", load)
    clock = count(1)
    monkeypatch.setattr(running, "used_s", lambda _: next(clock))
    monkeypatch.setattr(guard, "GRANIAN", UVLOOP)
    monkeypatch.setattr(guard, "EMBEDDED", UVLOOP._replace(name="a server", events=events))
    monkeypatch.setattr(guard, "PACES", (Pace(rounds=1, seconds=1, warm_s=1),))
    monkeypatch.setattr(guard, "MOST", float("inf"))
    told: list[str] = []
    code = guard.guard(Cores.of_machine(), told.append)
    assert said in told[-1]
    assert code == int(said.startswith("a server"))
