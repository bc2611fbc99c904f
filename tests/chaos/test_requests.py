"""Requests differ from each other, and are known again by their features."""

import json
import uuid

from hypothesis import given
from hypothesis import strategies as st

from driftline.chaos.requests import Requests
from driftline.contract.feedback import Outcomes, read_feedback
from driftline.scoring import load_package, seed_package
from driftline.scoring.logistic import LogisticModel

SCHEMA, _ = load_package(seed_package())
OUTCOMES = Outcomes.of([SCHEMA])
numbers = st.integers(0, 10**8)
NOW_NS = 1_800_000_000_000_000_000


@given(numbers, st.integers(0, 2**40))
def test_a_request_is_known_by_what_was_sent(number: int, seed: int) -> None:
    requests = Requests(SCHEMA, seed)
    sent = json.loads(requests.body(number))
    if requests.told(number) is None:
        assert requests.number(sent) == number
    else:
        assert requests.told_number(uuid.UUID(sent["request_id"])) == number
        assert requests.number(requests.features(number)) is None


@given(numbers, st.integers(0, 2**40))
def test_what_is_told_is_told_as_the_log_has_it(number: int, seed: int) -> None:
    requests = Requests(SCHEMA, seed)
    told = requests.told(number)
    if told is not None:
        [read] = read_feedback(requests.body(number), NOW_NS, OUTCOMES)
        assert tuple(read) == tuple(told)
        assert requests.told_number(uuid.UUID(int=uuid.UUID(told.request_id).int ^ 1 << 100)) is None


def test_one_in_eight_tells_and_both_outcomes_occur() -> None:
    told = [told for told in map(Requests(SCHEMA, 3).told, range(800)) if told is not None]
    assert len(told) == 100
    assert 30 < sum(each.outcome for each in told) < 70


@given(
    numbers.filter(lambda number: number % 8 != 7),
    st.sampled_from(SCHEMA.names),
    st.floats(allow_nan=False, allow_infinity=False),
)
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
    assert isinstance(model, LogisticModel)
    scores = {model.score_row(tuple(requests.features(number).values())) for number in range(1000)}
    assert len(scores) == 1000
    assert min(scores) < 0.4
    assert max(scores) > 0.6
