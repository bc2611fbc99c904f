"""JSON as it was written: what the careful readers of bodies look through, and how they name what they find."""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from driftline.errors import InputError

MAX_DEPTH: Final = 32
_BLANK = b" \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Possessive, with an optional end: an unclosed string must not be tried again from each of its characters.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class Pairs(list[tuple[str, Any]]):
    """An object's members as they were written, duplicates included."""


class NotFinite:
    """A NaN or Infinity token, which JSON does not have."""


NOT_FINITE: Final = NotFinite()


def parse_object(body: bytes, constant: Callable[[str], object] = lambda _: NOT_FINITE) -> Pairs:
    """Returns the members of a body that is a JSON object; its numbers are floats, its objects :class:`Pairs`.

    Args:
        body: What was sent.
        constant: What to take for the tokens ``NaN``, ``Infinity`` and ``-Infinity``, which JSON does not have.

    Raises:
        InputError: The body is no JSON object; ``reason`` says how.
    """
    parsed = _parse(body, constant)
    if not isinstance(parsed, Pairs):
        raise InputError("not_an_object", f"The body must be a JSON object, not {kind(parsed)}.")
    return parsed


def kind(value: object) -> str:
    """Returns what a value is, in JSON's words."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (float, NotFinite)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Pairs):
        return "an object"
    return "null" if value is None else "an array"


def _parse(body: bytes, constant: Callable[[str], object]) -> object:
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
            object_pairs_hook=Pairs,
            parse_int=lambda digits: float(digits) + 0.0,  # an integer has no negative zero
            parse_constant=constant,
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
