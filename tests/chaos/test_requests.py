"""Requests differ from each other, and are known again by their features."""

import json

from hypothesis import given
from hypothesis import strategies as st

from driftline.chaos.requests import Requests
from driftline.scoring import load_package, seed_package

SCHEMA, _ = load_package(seed_package())
numbers = st.integers(0, 10**8)


@given(numbers, st.integers(0, 2**40))
def test_a_request_is_known_by_what_was_sent(number: int, seed: int) -> None:
    requests = Requests(SCHEMA, seed)
    assert requests.number(json.loads(requests.body(number))) == number


@given(numbers, st.sampled_from(SCHEMA.names), st.floats(allow_nan=False, allow_infinity=False))
def test_with_another_value_it_is_not(number: int, name: str, value: float) -> None:
    requests = Requests(SCHEMA, 5)
    sent = requests.features(number)
    if value != sent[name]:
        assert requests.number({**sent, name: value}) != number


def test_features_of_something_else_are_nobodys() -> None:
    requests = Requests(SCHEMA, 5)
    sent = requests.features(3)
    assert requests.number({}) is None
    assert requests.number({**sent, "another": 1.0}) is None
    assert requests.number(dict.fromkeys(sent, 0.0)) is None
    assert Requests(SCHEMA, 6).number(sent) is None


def test_the_probabilities_differ_too() -> None:
    schema, model = load_package(seed_package())
    requests = Requests(schema, 1)
    scores = {model.score_row(tuple(requests.features(number).values())) for number in range(1000)}
    assert len(scores) == 1000
    assert min(scores) < 0.4
    assert max(scores) > 0.6
