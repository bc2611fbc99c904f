"""The reading of a feedback body: one outcome, or a batch of them. No prediction waits for it, so it may be careful.

A body is refused whole, and all that is wrong with it is named: a batch that is half taken would leave its sender with
the question which half.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from driftline.contract.diagnosis import Path, member_errors, number_errors, refuse_wrong
from driftline.contract.event import timestamp
from driftline.contract.parsing import NOT_FINITE, Pairs, kind, parse_object
from driftline.contract.problems import FieldError
from driftline.contract.schema import Label, ModelSchema

MAX_ITEMS: Final = 500
BATCH: Final = "feedback"
_NAMES: Final = ("request_id", "outcome", "at")
_REQUEST_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_MOST_NAMED: Final = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)


class Outcomes(NamedTuple):
    """What an outcome may be: whatever one of the models that are served can have been asked about.

    Attributes:
        classes: The classes of all classifiers, no two alike.
        booleans: Whether ``false`` and ``true`` are 0 and 1: where two classes have no labels.
        numbers: Whether it may be any finite number: where there is a regression.
    """

    classes: tuple[Label, ...]
    booleans: bool
    numbers: bool

    @classmethod
    def of(cls, schemas: Iterable[ModelSchema]) -> "Outcomes":
        """Returns what the outcomes of these models may be."""
        served = list(schemas)
        classes = dict.fromkeys(label for schema in served for label in schema.classes)
        booleans = any(schema.output == "binary" and not schema.labels for schema in served)
        return cls(tuple(classes), booleans, any(schema.output == "regression" for schema in served))

    @property
    def texts(self) -> tuple[str, ...]:
        """The classes that are texts."""
        return tuple(label for label in self.classes if isinstance(label, str))

    @property
    def takes_numbers(self) -> bool:
        """Whether any number may be an outcome."""
        return self.numbers or len(self.texts) < len(self.classes)

    @property
    def shown(self) -> Label | float:
        """An outcome, for documentation."""
        return self.classes[1] if self.classes else 12.5

    def settled(self, value: str | float | bool) -> Label | float:
        """Returns a valid outcome as it is kept: a class as its model calls it, another number as a double."""
        if isinstance(value, str):
            return value
        return int(value) if value in self.classes else float(value)

    def errors(self, path: Path, value: object) -> Iterator[FieldError]:
        """Yields what keeps a parsed member from being an outcome, if anything does."""
        if self.booleans and isinstance(value, bool):
            return
        if self.takes_numbers and (value is NOT_FINITE or isinstance(value, float)):
            wrong = list(number_errors(path, value))
            yield from wrong
            known = self.numbers or value in self.classes
        elif self.texts and isinstance(value, str):
            wrong, known = [], value in self.classes
        else:
            kinds = [*(["a number"] if self.takes_numbers else []), *(["a string"] if self.texts else [])]
            yield FieldError(path, "wrong_type", f"The field outcome must be {' or '.join(kinds)}, not {kind(value)}.")
            return
        if not wrong and not known:
            yield FieldError(path, "wrong_value", f"The field outcome must be {self._choice()}.")

    def _choice(self) -> str:
        words = [
            *(["a number"] if self.numbers else []),
            *(json.dumps(each, ensure_ascii=False) for each in self.classes),
        ]
        if len(words) > _MOST_NAMED:
            return "one of the classes of a model that is served"
        return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


class Feedback(NamedTuple):
    """What became of one prediction.

    Attributes:
        request_id: The prediction's, in lower case. Whether there is such a prediction is for readers of the log.
        outcome: The true class, or the true number.
        at: When that became known, as :func:`~driftline.contract.event.timestamp` gives it.
    """

    request_id: str
    outcome: Label | float
    at: str


def read_feedback(body: bytes, now_ns: int, outcomes: Outcomes) -> list[Feedback]:
    """Returns what a body says, in its order: at least one outcome, at most :data:`MAX_ITEMS`.

    Args:
        body: ``{"request_id": ..., "outcome": ..., "at": ...}``, or ``{"feedback": [...]}`` with such objects in it.
        now_ns: Nanoseconds since 1970. Where no time is given it is this one, and so it is where one is given that has
            not come: a clock that is fast must not outdo every later correction.
        outcomes: What an outcome may be.

    Raises:
        InputError: The body is no JSON object; ``reason`` says how.
        InvalidFieldsError: Something is wrong with its members.
    """
    pairs = parse_object(body)
    if all(name != BATCH for name, _ in pairs):
        refuse_wrong(_item_errors((), pairs, outcomes))
        return [_feedback(pairs, now_ns, outcomes)]
    refuse_wrong(member_errors(pairs, (BATCH,), partial(_batch_errors, outcomes)))
    return [_feedback(item, now_ns, outcomes) for item in pairs[0][1]]


def _feedback(pairs: Pairs, now_ns: int, outcomes: Outcomes) -> Feedback:
    given = dict(pairs)
    at = given.get("at")
    at_ns = now_ns if at is None else min(_ns(at), now_ns)
    return Feedback(given["request_id"].lower(), outcomes.settled(given["outcome"]), timestamp(at_ns))


def _ns(text: str) -> int:
    """Nanoseconds since 1970, to the microsecond; 0 for what was before."""
    return max(0, (_moment(text) - _EPOCH) // _US * 1000)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.upper())


def _batch_errors(outcomes: Outcomes, path: Path, value: object) -> Iterator[FieldError]:
    # An object is a list of pairs in here.
    if not isinstance(value, list) or isinstance(value, Pairs):
        yield FieldError(path, "wrong_type", f"The field {BATCH} must be an array, not {kind(value)}.")
    elif not 0 < len(value) <= MAX_ITEMS:
        yield FieldError(path, "wrong_value", f"The field {BATCH} must have 1 to {MAX_ITEMS} items.")
    else:
        for index, item in enumerate(value):
            yield from _item_errors((*path, index), item, outcomes)


def _item_errors(path: Path, item: Any, outcomes: Outcomes) -> Iterator[FieldError]:
    if isinstance(item, Pairs):
        yield from member_errors(item, _NAMES, partial(_value_errors, outcomes), optional=("at",), path=path)
    else:
        yield FieldError(path, "wrong_type", f"The item must be an object, not {kind(item)}.")


def _value_errors(outcomes: Outcomes, path: Path, value: object) -> Iterator[FieldError]:
    match path[-1]:
        case "request_id":
            yield from _text_errors(path, value, "the request_id of a prediction, a UUIDv7")
        case "at" if value is not None:
            yield from _text_errors(path, value, "a time by RFC 3339, such as 2026-11-23T21:00:00Z")
        case "outcome":
            yield from outcomes.errors(path, value)


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
