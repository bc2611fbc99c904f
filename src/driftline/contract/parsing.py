"""JSON as it was written: what the careful readers of bodies look through, and how they name what they find."""

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, Literal

from driftline.errors import InputError

MAX_DEPTH: Final = 32
_LINE = "\n"
_BLANK = b" \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Possessive, with an optional end: an unclosed string must not be tried again from each of its characters.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_OUTSIDE: Final = {
    tokens: re.compile(rb'"(?:[^"\\]|\\.)*+"?|[' + re.escape(tokens).encode() + b"]", re.DOTALL)
    for tokens in ("{", "[{", ",[{")
}
_QUOTE: Final = ord('"')


class Pairs(list[tuple[str, Any]]):
    """An object's members as they were written, duplicates included."""


class NotFinite:
    """A NaN or Infinity token, which JSON does not have."""


NOT_FINITE: Final = NotFinite()


def _decoder(constant: Callable[[str], object]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=Pairs,
        parse_int=lambda digits: float(digits) + 0.0,  # an integer has no negative zero
        parse_constant=constant,
    )


_DECODER: Final = _decoder(lambda _: NOT_FINITE)
PYTHONS: Final = _decoder(float)
"""Takes the tokens ``NaN``, ``Infinity`` and ``-Infinity``, which Python writes, for the floats that they were."""
_BLANKS: Final = re.compile(r"[ \t\r\n]*+")


def parse_object(body: bytes, decoder: json.JSONDecoder = _DECODER) -> Pairs:
    """Returns the members of a body that is a JSON object; its numbers are floats, its objects :class:`Pairs`.

    Args:
        body: What was sent.
        decoder: This one makes :data:`NOT_FINITE` of the tokens that JSON does not have; :data:`PYTHONS` does not.

    Raises:
        InputError: The body is no JSON object; ``reason`` says how.
    """
    parsed = _parse(body, decoder)
    if not isinstance(parsed, Pairs):
        raise InputError("not_an_object", f"The body must be a JSON object, not {kind(parsed)}.")
    return parsed


def parse_items(body: bytes, *, array: bool) -> Iterator[object]:
    """Yields the items of a body one by one, each parsed as :func:`parse_object` parses; no more than was asked for.

    Args:
        body: A JSON array, or JSON values one after another, as in lines.
        array: Which of them.

    Raises:
        InputError: The body is none; ``reason`` says how.
    """
    text = _text(body, "a JSON array" if array else "lines of JSON")
    at = _skip(text, 0)
    if array:
        if text[at] != "[":
            raise InputError("not_an_array", "The body must be a JSON array of objects, one for each row.")
        at = _skip(text, at + 1)
        if text[at : at + 1] == "]":
            _refuse_rest(text, at + 1)
            return
    while True:
        start = at
        item, at = _item(text, at)
        if too_deep(text[start:at].encode()):
            raise InputError("too_deep", f"More than {MAX_DEPTH} levels of nesting.")
        yield item
        at = _skip(text, at)
        if array:
            if text[at : at + 1] == "]":
                _refuse_rest(text, at + 1)
                return
            if text[at : at + 1] != ",":
                raise _malformed(text, at)
            at = _skip(text, at + 1)
        elif at == len(text):
            return


def has_more(body: bytes, tokens: Literal["{", "[{", ",[{"], most: int) -> bool:
    """Returns whether JSON has more of some tokens than it may; those in its strings do not count.

    It says what a body would become before anything is made of it: two bytes may become a list of eighty.

    Args:
        body: JSON, or not.
        tokens: Which of them.
        most: How many of them there may be in all.
    """
    # Hardly any body has to be looked through: most are short, or have few enough even with those in strings.
    if len(body) <= most or sum(map(body.count, tokens.encode())) <= most:
        return False
    places = (match.start() for match in _OUTSIDE[tokens].finditer(body))
    outside = (at for at in places if body[at] != _QUOTE)
    return next(islice(outside, most, None), None) is not None


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


def _parse(body: bytes, decoder: json.JSONDecoder) -> object:
    text = _text(body, "a JSON object")
    if too_deep(body):
        raise InputError("too_deep", f"More than {MAX_DEPTH} levels of nesting.")
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(text, error.pos) from error


def _item(text: str, at: int) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _malformed(text, error.pos) from error
    except RecursionError as error:
        raise InputError("too_deep", f"More than {MAX_DEPTH} levels of nesting.") from error


def _malformed(text: str, at: int) -> InputError:
    where = f"line {text.count(_LINE, 0, at) + 1}, column {at - text.rfind(_LINE, 0, at)}"
    return InputError("malformed_json", f"The body is not JSON at {where}.")


def _refuse_rest(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise InputError("malformed_json", "The body has something behind the array.")


def _skip(text: str, at: int) -> int:
    return _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # nothing at all matches, too


def _text(body: bytes, what: str) -> str:
    if not body.strip(_BLANK):
        raise InputError("empty_body", f"The body must be {what}.")
    if body.startswith(_BYTE_ORDER_MARK):
        raise InputError("malformed_json", "The body starts with a byte order mark; JSON in UTF-8 has none.")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InputError("invalid_utf8", f"The byte at offset {error.start} is not UTF-8.") from error


def too_deep(body: bytes) -> bool:
    """Returns whether JSON, or the beginning of it, has more than :data:`MAX_DEPTH` levels of nesting."""
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
