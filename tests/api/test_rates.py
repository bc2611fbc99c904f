"""How often a key may ask: what a bucket gives, and that the processes share it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.api.keys import MAX_KEYS
from driftline.api.rates import Rates, make_rates

BEGAN = 1000.0


def taken(rates: Rates, rate: float, times: list[float], slot: int = 0) -> int:
    return sum(rates.take(slot, rate, BEGAN + at) == 0 for at in times)


@pytest.mark.parametrize(("rate", "burst"), [(5, 5), (100, 100), (1, 1), (0.5, 1), (2.5, 2)])
def test_at_once_it_gives_one_seconds_worth(rate: float, burst: int) -> None:
    assert taken(Rates(), rate, [0] * 300) == burst


def test_what_it_says_to_wait_is_enough_and_less_is_not() -> None:
    for rate in (0.3, 1.0, 7.0):
        rates = Rates()
        taken(rates, rate, [0] * 20)
        wait_s = rates.take(0, rate, BEGAN)
        assert 0 < wait_s <= 1 / rate + 1e-9
        assert rates.take(0, rate, BEGAN + wait_s * 0.99) > 0
        assert rates.take(0, rate, BEGAN + wait_s) == 0


def test_what_is_refused_costs_nothing() -> None:
    rates = Rates()
    assert taken(rates, 2, [0] * 1000) == 2
    assert taken(rates, 2, [0.5]) == 1


@given(rate=st.floats(0.1, 1000), gaps=st.lists(st.floats(0, 2), max_size=200))
def test_over_any_time_it_gives_no_more_than_its_rate_and_one_burst(rate: float, gaps: list[float]) -> None:
    times = [sum(gaps[:stop]) for stop in range(len(gaps))]
    most = max(1.0, rate) + rate * (times[-1] if times else 0)
    assert taken(Rates(), rate, times) <= most + 1e-6


@given(rate=st.floats(0.1, 1000), calls=st.integers(1, 200))
def test_whoever_keeps_to_the_rate_is_never_refused(rate: float, calls: int) -> None:
    assert taken(Rates(), rate, [number / rate for number in range(calls)]) == calls


def test_keys_do_not_take_from_each_other() -> None:
    rates = Rates()
    assert [taken(rates, 3, [0] * 9, slot) for slot in (0, 1, MAX_KEYS - 1)] == [3, 3, 3]


def test_those_who_share_a_file_share_the_buckets(tmp_path: Path) -> None:
    path = make_rates(tmp_path / "rates")
    one, other = Rates(path), Rates(path)
    assert taken(one, 10, [0] * 6) == 6
    assert taken(other, 10, [0] * 6) == 4
    make_rates(path)
    assert taken(Rates(path), 10, [0] * 20) == 10, "made anew, it is full"
