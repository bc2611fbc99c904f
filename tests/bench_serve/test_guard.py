"""What CI fails by."""

import pytest

from bench_serve import guard
from bench_serve.rounds import Pace
from cores import Cores


def test_the_median_decides_and_not_a_round_that_was_disturbed() -> None:
    text, holds = guard.verdict([1.1, 1.4, 9.0])
    assert holds
    assert "1.40 x of a constant reply (1.10 to 9.00)" in text
    assert not guard.verdict([1.0, 1.41, 1.41])[1]


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
