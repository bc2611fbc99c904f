"""What the load test sends."""

import math
import statistics

import pytest

from inputs import HIGHEST, LOWEST, Inputs, Shift, probability_of


def rows(inputs: Inputs, count: int) -> list[dict[str, float]]:
    return [inputs.next() for _ in range(count)]


def test_features_are_uniform_between_minus_five_and_five() -> None:
    sent = rows(Inputs(seed="1", user=0), 4000)

    for name in ("feature_1", "feature_2"):
        values = [features[name] for features in sent]
        assert min(values) >= LOWEST
        assert max(values) <= HIGHEST
        assert statistics.fmean(values) == pytest.approx(0.0, abs=0.2)
        assert statistics.pstdev(values) == pytest.approx(10 / math.sqrt(12), abs=0.1)


def test_a_seed_repeats_every_user_and_no_two_users_send_the_same() -> None:
    assert rows(Inputs(seed="7", user=3), 20) == rows(Inputs(seed="7", user=3), 20)
    assert rows(Inputs(seed="7", user=3), 20) != rows(Inputs(seed="7", user=4), 20)
    assert rows(Inputs(seed="7", user=3), 20) != rows(Inputs(seed="8", user=3), 20)


def test_without_a_seed_no_run_is_like_another() -> None:
    assert rows(Inputs(seed="", user=0), 5) != rows(Inputs(seed="", user=0), 5)


def test_a_drifting_user_sends_what_it_would_have_sent_moved_in_feature_1_alone() -> None:
    steady = rows(Inputs(seed="7", user=0), 300)

    drifting = rows(Inputs(seed="7", user=0, shift=Shift(by=3.0, after=100)), 300)

    assert drifting[:100] == steady[:100]
    for before, after in zip(steady[100:], drifting[100:], strict=True):
        assert after["feature_1"] == before["feature_1"] + 3.0
        assert after["feature_2"] == before["feature_2"]


def test_the_shift_counts_the_requests_of_all_users_together() -> None:
    shift = Shift(by=100.0, after=10)
    users = [Inputs(seed="7", user=number, shift=shift) for number in range(4)]

    sent = [users[turn % 4].next()["feature_1"] for turn in range(20)]

    assert [value > HIGHEST for value in sent] == [False] * 10 + [True] * 10


def test_the_example_of_the_seed_has_the_probability_the_seed_gave_it() -> None:
    assert probability_of({"feature_1": 1.5, "feature_2": -0.7}) == pytest.approx(0.7649478037637648, abs=1e-15)


def test_outcomes_follow_the_probability_and_no_row_depends_on_them() -> None:
    inputs = Inputs(seed="7", user=0, shift=Shift(by=3.0, after=0))
    expected = outcomes = 0.0
    sent = []
    for _ in range(4000):
        sent.append(inputs.next())
        before = {**sent[-1], "feature_1": sent[-1]["feature_1"] - 3.0}
        expected += probability_of(before)
        outcomes += inputs.outcome(share=1.0) or 0
    assert outcomes == pytest.approx(expected, abs=150)  # five standard deviations at most
    assert sent == rows(Inputs(seed="7", user=0, shift=Shift(by=3.0, after=0)), 4000)


def test_a_share_of_outcomes_is_told() -> None:
    inputs = Inputs(seed="7", user=0)
    assert [inputs.outcome(share=0.0) for _ in range(100)] == [None] * 100
    told = [inputs.outcome(share=0.1) is not None for _ in range(4000)]
    assert sum(told) == pytest.approx(400, abs=100)
