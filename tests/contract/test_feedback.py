import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no stubs

from driftline.contract.event import timestamp
from driftline.contract.examples import feedback_refusals, refused_feedback
from driftline.contract.feedback import MAX_ITEMS, Feedback, Outcomes, read_feedback
from driftline.contract.messages import feedback_batch_class, feedback_class, feedback_event_class
from driftline.contract.package import seed_schema
from driftline.contract.problems import FEEDBACK_CODES, MAX_LISTED_ERRORS, InvalidFieldsError
from driftline.contract.schema import Feature, ModelSchema, Output
from driftline.errors import InputError

REQUEST_ID = "01a20a66-e670-7344-9870-4be447a1cfe3"
NOW_NS = 1_800_000_000_123_456_789
NOW = "2027-01-15T08:00:00.123456Z"
SEED = Outcomes.of([seed_schema()])
EARLIER = "2026-11-23T21:00:00.500000Z"


def item(**members: Any) -> dict[str, Any]:
    return {"request_id": REQUEST_ID, "outcome": 1, **members}


def read(body: Any, outcomes: Outcomes = SEED) -> list[Feedback]:
    return read_feedback(body if isinstance(body, bytes) else json.dumps(body).encode(), NOW_NS, outcomes)


def refused(body: Any, outcomes: Outcomes = SEED) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(InputError) as caught:
        read(body, outcomes)
    if isinstance(caught.value, InvalidFieldsError):
        return [(error.path, error.code) for error in caught.value.errors]
    return [((), caught.value.reason)]


@pytest.mark.parametrize(
    ("token", "outcome"), [("1", 1), ("0", 0), ("true", 1), ("false", 0), ("1.0", 1), ("0e9", 0), ("-0", 0)]
)
def test_an_outcome_is_one_of_two_classes_however_it_is_written(token: str, outcome: int) -> None:
    [found] = read(f'{{"request_id":"{REQUEST_ID}","outcome":{token}}}'.encode())
    assert found == Feedback(REQUEST_ID, outcome, NOW)
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


def model(output: Output, *labels: str | int) -> ModelSchema:
    return ModelSchema(name="m", version="1", output=output, labels=labels, features=(Feature("x", "float"),))


SERVED = {
    "seed": [seed_schema()],
    "labels": [model("binary", "stays", "leaves")],
    "whole labels": [model("multiclass", 1, 2, 30)],
    "regression": [model("regression")],
    "all": [seed_schema(), model("binary", "stays", "leaves"), model("regression"), model("multiclass", "a", "stays")],
}


@pytest.mark.parametrize(
    ("served", "token", "outcome"),
    [
        ("labels", '"leaves"', "leaves"),
        ("labels", '"le\\u0061ves"', "leaves"),
        ("whole labels", "30", 30),
        ("whole labels", "3e1", 30),
        ("regression", "0.25", 0.25),
        ("regression", "3", 3.0),
        ("regression", "-1e300", -1e300),
        ("all", "true", 1),
        ("all", "0.0", 0),
        ("all", "7", 7.0),
        ("all", '"a"', "a"),
    ],
)
def test_an_outcome_is_what_a_model_that_is_served_calls_it(served: str, token: str, outcome: object) -> None:
    [found] = read(f'{{"request_id":"{REQUEST_ID}","outcome":{token}}}'.encode(), Outcomes.of(SERVED[served]))
    assert (found.outcome, type(found.outcome)) == (outcome, type(outcome))


@pytest.mark.parametrize(
    ("served", "outcome", "code", "words"),
    [
        ("seed", 2, "wrong_value", "must be 0 or 1."),
        ("labels", "goes", "wrong_value", 'must be "stays" or "leaves".'),
        ("labels", 1, "wrong_type", "must be a string, not a number."),
        ("labels", True, "wrong_type", "must be a string, not a boolean."),
        ("labels", float("nan"), "wrong_type", "must be a string, not a number."),
        ("whole labels", 3, "wrong_value", "must be 1, 2 or 30."),
        ("whole labels", True, "wrong_type", "must be a number, not a boolean."),
        ("whole labels", "1", "wrong_type", "must be a number, not a string."),
        ("regression", "1", "wrong_type", "must be a number, not a string."),
        ("regression", True, "wrong_type", "must be a number, not a boolean."),
        ("regression", float("inf"), "not_finite", "must be finite."),
        ("all", "b", "wrong_value", 'must be a number, 0, 1, "stays", "leaves" or "a".'),
        ("all", None, "wrong_type", "must be a number or a string, not null."),
    ],
)
def test_an_outcome_of_no_model_that_is_served_is_refused(served: str, outcome: object, code: str, words: str) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        read(item(outcome=outcome), Outcomes.of(SERVED[served]))
    assert caught.value.errors == ((("outcome",), code, f"The field outcome {words}"),)


def test_so_many_classes_are_not_told_one_by_one() -> None:
    outcomes = Outcomes.of([model("multiclass", *(f"class {number}" for number in range(11)))])
    with pytest.raises(InvalidFieldsError, match="must be one of the classes of a model that is served"):
        read(item(outcome="other"), outcomes)


values: st.SearchStrategy[Any] = st.sampled_from(
    [0, 1, 2, 30, True, False, None, 0.5, "one", "stays", "a", "", REQUEST_ID, EARLIER, "2026-11-23T21:00:00", [], {}]
)
items = st.dictionaries(st.sampled_from(["request_id", "outcome", "at", "label"]), values, max_size=4).map(
    lambda drawn: {"request_id": REQUEST_ID, "outcome": 1} | drawn
)


@given(items, st.sampled_from(sorted(SERVED)))
@example({"request_id": REQUEST_ID, "outcome": True}, "whole labels")
def test_the_pydantic_classes_take_what_is_accepted_and_nothing_else(members: dict[str, Any], served: str) -> None:
    outcomes = Outcomes.of(SERVED[served])
    one, batch = feedback_class(outcomes), feedback_batch_class(outcomes)
    for body, message in ((members, one), ({"feedback": [members]}, batch)):
        text = json.dumps(body)
        schema = Draft202012Validator(message.model_json_schema(), format_checker=None)
        try:
            message.model_validate_json(text, strict=True)
        except ValueError:
            assert refused(text.encode(), outcomes)
        else:
            [found] = read(text.encode(), outcomes)
            assert schema.is_valid(body)
            event = {"request_id": found.request_id, "outcome": found.outcome, "at": found.at, "timestamp": NOW}
            rest = {"schema_version": 1, "kind": "feedback", "producer": "a" * 32, "seq": 0}
            feedback_event_class(outcomes).model_validate_json(json.dumps(event | rest), strict=True)


@pytest.mark.parametrize("served", SERVED)
def test_the_examples_cover_every_code_and_are_what_they_say(served: str) -> None:
    outcomes = Outcomes.of(SERVED[served])
    answers = feedback_refusals(outcomes)
    numbers = {"not_finite", "number_out_of_range"}
    assert set(answers) == set(FEEDBACK_CODES) - (set() if outcomes.takes_numbers else numbers)
    for code, answer in answers.items():
        assert json.loads(answer.body)["code"] == code
    assert set(refused_feedback(outcomes)) <= set(answers)
