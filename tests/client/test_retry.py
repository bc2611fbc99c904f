import random

import pytest

from driftline.client.retry import NEVER, Course, Retry
from driftline.errors import (
    AnswerError,
    AnswerLostError,
    BusyError,
    ClientError,
    KeyRefusedError,
    RefusedError,
    UnreachableError,
)

BUSY = BusyError("later", "overloaded", 503, 1.0)
SAFE = (UnreachableError("no"), BUSY, BusyError("later", "rate_limited", 429))
DOUBTFUL = (AnswerLostError("gone"), AnswerError("what?", 502))
FINAL = (RefusedError("no", "wrong_type", 422), KeyRefusedError("no", "key_missing", 401), AnswerError("what?", 404))


def again(error: ClientError, *, repeatable: bool, retry: Retry | None = None) -> bool:
    try:
        Course(retry or Retry(), repeatable=repeatable).wait_s(error)
    except ClientError:
        return False
    return True


def test_what_nothing_can_have_come_of_is_asked_again() -> None:
    assert all(again(error, repeatable=repeatable) for error in SAFE for repeatable in (True, False))
    assert not any(again(error, repeatable=False, retry=NEVER) for error in SAFE)


def test_what_something_may_have_come_of_is_asked_again_only_where_that_does_no_harm() -> None:
    assert all(again(error, repeatable=True) for error in DOUBTFUL)
    assert not any(again(error, repeatable=False) for error in DOUBTFUL)
    assert all(again(error, repeatable=False, retry=Retry(lost_predictions=True)) for error in DOUBTFUL)


def test_what_will_not_change_is_not_asked_again() -> None:
    assert not any(again(error, repeatable=True, retry=Retry(lost_predictions=True)) for error in FINAL)


def test_waits_double_up_to_the_longest_and_no_two_clients_wait_alike() -> None:
    retry = Retry(attempts=7, first_wait_s=0.1, longest_wait_s=1.0)
    course = Course(retry, repeatable=False, draw=random.Random(4))
    waits = [course.wait_s(SAFE[0]) for _ in range(6)]
    for wait_s, longest_s in zip(waits, (0.1, 0.2, 0.4, 0.8, 1.0, 1.0), strict=True):
        assert longest_s / 4 <= wait_s <= longest_s
    with pytest.raises(UnreachableError) as caught:
        course.wait_s(SAFE[0])
    assert caught.value is SAFE[0]
    other = Course(retry, repeatable=False, draw=random.Random(5))
    assert [other.wait_s(SAFE[0]) for _ in range(6)] != waits


def test_a_server_is_left_alone_for_as_long_as_it_wants_or_given_up() -> None:
    assert 1.025 <= Course(Retry(), repeatable=False).wait_s(BUSY) <= 1.1
    assert not again(BUSY, repeatable=True, retry=Retry(longest_wait_s=0.9))
