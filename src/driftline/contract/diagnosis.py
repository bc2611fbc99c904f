"""The careful reading of a request body: slow, and precise about everything that is wrong with it.

It defines what is accepted. The fast path in ``request.py`` accepts the same bodies with the same values, and a
property test keeps it so.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from driftline.contract.nearest import did_you_mean
from driftline.contract.problems import MAX_LISTED_ERRORS, FieldError, InvalidFieldsError
from driftline.errors import InputError

MAX_DEPTH: Final = 32
_BLANK = b" \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Possessive, with an optional end: an unclosed string must not be tried again from each of its characters.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class _Pairs(list[tuple[str, Any]]):
    """An object's members as they were written, duplicates included."""


class _NotFinite:
    """A NaN or Infinity token, which JSON does not have."""


_NOT_FINITE = _NotFinite()


def read_features(body: bytes, names: tuple[str, ...]) -> tuple[float, ...]:
    """Returns the body's numbers in the order of ``names``.

    Raises:
        InputError: The body is no JSON object; ``reason`` says how.
        InvalidFieldsError: It has other fields than ``names``, or values that are not finite numbers.
    """
    parsed = _parse(body)
    if not isinstance(parsed, _Pairs):
        raise InputError("not_an_object", f"The body must be a JSON object, not {_kind(parsed)}.")
    errors = list(islice(_errors(parsed, names), MAX_LISTED_ERRORS + 1))  # one more tells that there are more
    if errors:
        raise InvalidFieldsError(errors)
    values = dict(parsed)
    return tuple(values[name] for name in names)


def _parse(body: bytes) -> object:
    if not body.strip(_BLANK):
        raise InputError("empty_body", "The body must be a JSON object.")
    if body.startswith(_BYTE_ORDER_MARK):
        raise InputError("malformed_json", "The body starts with a byte order mark; JSON in UTF-8 has none.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InputError("invalid_utf8", f"The byte at offset {error.start} is not UTF-8.") from error
    if _too_deep(body):
        raise InputError("too_deep", f"More than {MAX_DEPTH} levels of nesting.")
    try:
        return json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=lambda digits: float(digits) + 0.0,  # an integer has no negative zero
            parse_constant=lambda _: _NOT_FINITE,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError("malformed_json", f"The body is not JSON at {where}.") from error


def _too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        token = match[0]
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token in b"]}":
            depth -= 1
    return False


def _errors(pairs: _Pairs, names: tuple[str, ...]) -> Iterator[FieldError]:
    given = Counter(name for name, _ in pairs)
    values = dict(pairs)
    for name in names:
        if name not in given:
            yield FieldError((name,), "missing_field", f"The field {name} is required.")
        elif given[name] > 1:
            yield FieldError((name,), "duplicate_field", f"The field {name} is given more than once.")
        else:
            yield from _value_error(name, values[name])
    for name in given:
        if name not in names:
            hint = did_you_mean(name, names) or "."
            yield FieldError((name,), "unknown_field", f"There is no field of this name{hint}")


def _value_error(name: str, value: object) -> Iterator[FieldError]:
    if value is _NOT_FINITE:
        yield FieldError((name,), "not_finite", f"The field {name} must be finite.")
    elif not isinstance(value, float):
        yield FieldError((name,), "wrong_type", f"The field {name} must be a number, not {_kind(value)}.")
    elif not math.isfinite(value):
        yield FieldError((name,), "number_out_of_range", f"The field {name} does not fit a double-precision number.")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (float, _NotFinite)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, _Pairs):
        return "an object"
    return "null" if value is None else "an array"
