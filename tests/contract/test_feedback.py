import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.event import timestamp
from driftline.contract.examples import feedback_refusals, refused_feedback
from driftline.contract.feedback import MAX_ITEMS, Feedback, read_feedback
from driftline.contract.messages import Feedback as FeedbackMessage
from driftline.contract.messages import FeedbackBatch
from driftline.contract.problems import FEEDBACK_CODES, MAX_LISTED_ERRORS, InvalidFieldsError
from driftline.errors import InputError

REQUEST_ID = "01a20a66-e670-7344-9870-4be447a1cfe3"
NOW_NS = 1_800_000_000_123_456_789
NOW = "2027-01-15T08:00:00.123456Z"
EARLIER = "2026-11-23T21:00:00.500000Z"


def item(**members: Any) -> dict[str, Any]:
    return {"request_id": REQUEST_ID, "outcome": 1, **members}


def read(body: Any) -> list[Feedback]:
    return read_feedback(body if isinstance(body, bytes) else json.dumps(body).encode(), NOW_NS)


def refused(body: Any) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(InputError) as caught:
        read(body)
    if isinstance(caught.value, InvalidFieldsError):
        return [(error.path, error.code) for error in caught.value.errors]
    return [((), caught.value.reason)]


@pytest.mark.parametrize(
    ("token", "outcome"), [("1", 1), ("0", 0), ("true", 1), ("false", 0), ("1.0", 1), ("0e9", 0), ("-0", 0)]
)
def test_an_outcome_is_one_of_two_classes_however_it_is_written(token: str, outcome: int) -> None:
    [found] = read(f'{{"request_id":"{REQUEST_ID}","outcome":{token}}}'.encode())
    assert found == (REQUEST_ID, outcome, NOW)
    assert type(found.outcome) is int


def test_a_batch_keeps_its_order() -> None:
    assert read({"feedback": [item(at=EARLIER), item(outcome=0)]}) == [(REQUEST_ID, 1, EARLIER), (REQUEST_ID, 0, NOW)]


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        (None, NOW),
        ("2026-11-23T21:00:00.5Z", EARLIER),
        ("2026-11-23t21:00:00.5000004z", EARLIER),
        ("2026-11-23T22:30:00.5+01:30", EARLIER),
        ("2027-01-15T08:00:01Z", NOW),
        ("9999-12-31T23:59:59-23:59", NOW),
        ("0001-01-01T00:00:00+23:59", "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_a_time_is_kept_in_utc_and_one_that_has_not_come_is_now(at: str | None, kept: str) -> None:
    assert read(item(at=at))[0].at == kept


moments = st.datetimes(datetime(1970, 1, 2), datetime(2027, 1, 14), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy takes naive bounds


@given(moments, st.integers(-23 * 60, 23 * 60))
def test_a_moment_is_the_same_in_any_zone(moment: datetime, minutes: int) -> None:
    at = moment.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    us = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert read(item(at=at))[0].at == timestamp(us * 1000)


def test_an_id_in_capital_letters_is_the_same_id() -> None:
    assert read(item(request_id=REQUEST_ID.upper()))[0].request_id == REQUEST_ID


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"{", [((), "malformed_json")]),
        ([item()], [((), "not_an_object")]),
        ({}, [(("request_id",), "missing_field"), (("outcome",), "missing_field")]),
        (item(label=1), [(("label",), "unknown_field")]),
        (item(request_id="order-4711"), [(("request_id",), "wrong_value")]),
        (item(request_id=REQUEST_ID.replace("-7", "-4")), [(("request_id",), "wrong_value")]),
        (item(request_id="\ud800"), [(("request_id",), "wrong_value")]),
        (item(request_id=7), [(("request_id",), "wrong_type")]),
        (item(outcome=2), [(("outcome",), "wrong_value")]),
        (item(outcome=0.5), [(("outcome",), "wrong_value")]),
        (item(outcome="1"), [(("outcome",), "wrong_type")]),
        (item(outcome=None), [(("outcome",), "wrong_type")]),
        (item(outcome=float("nan")), [(("outcome",), "not_finite")]),
        (item(at=1.8e9), [(("at",), "wrong_type")]),
        (item(at="yesterday"), [(("at",), "wrong_value")]),
        (item(at="2026-11-23"), [(("at",), "wrong_value")]),
        (item(at="2026-11-23T21:00:00"), [(("at",), "wrong_value")]),
        (item(at="2026-02-30T21:00:00Z"), [(("at",), "wrong_value")]),
        (item(at="\uff12\uff10\uff12\uff16-11-23T21:00:00Z"), [(("at",), "wrong_value")]),
        ({"feedback": []}, [(("feedback",), "wrong_value")]),
        ({"feedback": [item()] * (MAX_ITEMS + 1)}, [(("feedback",), "wrong_value")]),
        ({"feedback": item()}, [(("feedback",), "wrong_type")]),
        ({"feedback": None}, [(("feedback",), "wrong_type")]),
        ({"feedback": [[]]}, [(("feedback", 0), "wrong_type")]),
        ({"feedback": [item()], **item()}, [(("request_id",), "unknown_field"), (("outcome",), "unknown_field")]),
        (
            {"feedback": [item(), 1, item(outcome=2, at="x")]},
            [
                (("feedback", 1), "wrong_type"),
                (("feedback", 2, "outcome"), "wrong_value"),
                (("feedback", 2, "at"), "wrong_value"),
            ],
        ),
    ],
)
def test_all_that_is_wrong_is_named_by_its_place(body: Any, errors: list[tuple[tuple[str | int, ...], str]]) -> None:
    assert refused(body) == errors


def test_a_member_that_comes_twice_is_refused_at_every_depth() -> None:
    one = json.dumps(item()).encode()
    twice = one[:-1] + b',"outcome":1}'
    assert refused(twice) == [(("outcome",), "duplicate_field")]
    assert refused(b'{"feedback":[%s]}' % twice) == [(("feedback", 0, "outcome"), "duplicate_field")]
    assert refused(b'{"feedback":[%s],"feedback":[%s]}' % (one, one)) == [(("feedback",), "duplicate_field")]


def test_the_list_of_wrong_items_has_an_end() -> None:
    assert len(refused({"feedback": [1] * MAX_ITEMS})) == MAX_LISTED_ERRORS


@pytest.mark.parametrize("secret", ["hunter2", {"hunter2": 1}, [4711]])
def test_a_refusal_never_repeats_a_value(secret: Any) -> None:
    for name in ("request_id", "outcome", "at"):
        with pytest.raises(InvalidFieldsError) as caught:
            read(item(**{name: secret}))
        assert "hunter2" not in str(caught.value.errors)
        assert "4711" not in str(caught.value.errors)


values: st.SearchStrategy[Any] = st.sampled_from(
    [0, 1, 2, True, False, None, 0.5, "one", "", REQUEST_ID, EARLIER, "2026-11-23T21:00:00", [], {}]
)
items = st.dictionaries(st.sampled_from(["request_id", "outcome", "at", "label"]), values, max_size=4).map(
    lambda drawn: {"request_id": REQUEST_ID, "outcome": 1} | drawn
)


@given(items)
def test_the_pydantic_classes_take_what_is_accepted_and_nothing_else(members: dict[str, Any]) -> None:
    for body, message in ((members, FeedbackMessage), ({"feedback": [members]}, FeedbackBatch)):
        text = json.dumps(body)
        try:
            message.model_validate_json(text, strict=True)
        except ValueError:
            assert refused(text.encode())
        else:
            assert read(text.encode())


def test_the_examples_cover_every_code_and_are_what_they_say() -> None:
    answers = feedback_refusals()
    assert set(answers) == set(FEEDBACK_CODES)
    for code, answer in answers.items():
        assert json.loads(answer.body)["code"] == code
    assert set(refused_feedback()) <= set(answers)
