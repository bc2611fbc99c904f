"""JSON of many rows, made of columns: what the rows differ in is encoded column by column, and joined."""

from collections.abc import Iterable, Sequence
from itertools import chain, repeat

import msgspec

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines

Columns = Sequence[tuple[str, Sequence[bytes]]]
"""The members of the objects that rows are: a name, and for each row a value that is JSON already."""


def encoded(values: Iterable[object]) -> list[bytes]:
    """Returns each value as JSON; a call for each of them would take three times as long."""
    return _encode_lines(values).splitlines()  # no line break is in JSON as it is encoded


def pieces(columns: Columns) -> list[Iterable[bytes]]:
    """Returns what the objects of rows consist of, without their closing braces: an iterable for each piece in turn."""
    found: list[Iterable[bytes]] = []
    for name, texts in columns:
        found += (repeat((b"," if found else b"{") + _encode(name) + b":", len(texts)), texts)
    return found


def objects(columns: Columns, *, array: bool) -> bytes:
    """Returns the objects of rows.

    Args:
        columns: Their members; all are of one length.
        array: Whether they are an array, or lines.
    """
    rows = zip(*pieces(columns), repeat(b"}," if array else b"}\n", len(columns[0][1])), strict=True)
    joined = b"".join(chain.from_iterable(rows))
    return b"[" + joined[:-1] + b"]" if array else joined
