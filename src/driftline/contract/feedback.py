"""The reading of a feedback body: one outcome, or a batch of them. No prediction waits for it, so it may be careful.

A body is refused whole, and all that is wrong with it is named: a batch that is half taken would leave its sender with
the question which half.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from driftline.contract.diagnosis import Path, member_errors, number_errors, refuse_wrong
from driftline.contract.event import timestamp
from driftline.contract.parsing import Pairs, kind, parse_object
from driftline.contract.problems import FieldError

MAX_ITEMS: Final = 500
BATCH: Final = "feedback"
_NAMES: Final = ("request_id", "outcome", "at")
_REQUEST_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)


class Feedback(NamedTuple):
    """What became of one prediction.

    Attributes:
        request_id: The prediction's, in lower case. Whether there is such a prediction is for readers of the log.
        outcome: The true class, 0 or 1.
        at: When that became known, as :func:`~driftline.contract.event.timestamp` gives it.
    """

    request_id: str
    outcome: int
    at: str


def read_feedback(body: bytes, now_ns: int) -> list[Feedback]:
    """Returns what a body says, in its order: at least one outcome, at most :data:`MAX_ITEMS`.

    Args:
        body: ``{"request_id": ..., "outcome": ..., "at": ...}``, or ``{"feedback": [...]}`` with such objects in it.
        now_ns: Nanoseconds since 1970. Where no time is given it is this one, and so it is where one is given that has
            not come: a clock that is fast must not outdo every later correction.

    Raises:
        InputError: The body is no JSON object; ``reason`` says how.
        InvalidFieldsError: Something is wrong with its members.
    """
    pairs = parse_object(body)
    if all(name != BATCH for name, _ in pairs):
        refuse_wrong(_item_errors((), pairs))
        return [_feedback(pairs, now_ns)]
    refuse_wrong(member_errors(pairs, (BATCH,), _batch_errors))
    return [_feedback(item, now_ns) for item in pairs[0][1]]


def _feedback(pairs: Pairs, now_ns: int) -> Feedback:
    given = dict(pairs)
    at = given.get("at")
    at_ns = now_ns if at is None else min(_ns(at), now_ns)
    return Feedback(given["request_id"].lower(), int(given["outcome"]), timestamp(at_ns))


def _ns(text: str) -> int:
    """Nanoseconds since 1970, to the microsecond; 0 for what was before."""
    return max(0, (_moment(text) - _EPOCH) // _US * 1000)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.upper())


def _batch_errors(path: Path, value: object) -> Iterator[FieldError]:
    # An object is a list of pairs in here.
    if not isinstance(value, list) or isinstance(value, Pairs):
        yield FieldError(path, "wrong_type", f"The field {BATCH} must be an array, not {kind(value)}.")
    elif not 0 < len(value) <= MAX_ITEMS:
        yield FieldError(path, "wrong_value", f"The field {BATCH} must have 1 to {MAX_ITEMS} items.")
    else:
        for index, item in enumerate(value):
            yield from _item_errors((*path, index), item)


def _item_errors(path: Path, item: Any) -> Iterator[FieldError]:
    if isinstance(item, Pairs):
        yield from member_errors(item, _NAMES, _value_errors, optional=("at",), path=path)
    else:
        yield FieldError(path, "wrong_type", f"The item must be an object, not {kind(item)}.")


def _value_errors(path: Path, value: object) -> Iterator[FieldError]:
    match path[-1]:
        case "request_id":
            yield from _text_errors(path, value, "the request_id of a prediction, a UUIDv7")
        case "at" if value is not None:
            yield from _text_errors(path, value, "a time by RFC 3339, such as 2026-11-23T21:00:00Z")
        case "outcome" if not isinstance(value, bool):
            wrong = list(number_errors(path, value))
            yield from wrong
            if not wrong and value not in {0.0, 1.0}:
                yield FieldError(path, "wrong_value", "The field outcome must be 0 or 1.")


def _text_errors(path: Path, value: object, what: str) -> Iterator[FieldError]:
    name = path[-1]
    if not isinstance(value, str):
        yield FieldError(path, "wrong_type", f"The field {name} must be a string, not {kind(value)}.")
    elif not (_is_time(value) if name == "at" else _REQUEST_ID.fullmatch(value)):
        yield FieldError(path, "wrong_value", f"The field {name} must be {what}.")


def _is_time(text: str) -> bool:
    if not _RFC_3339.fullmatch(text):
        return False
    try:
        _moment(text)
    except ValueError:
        return False
    return True
