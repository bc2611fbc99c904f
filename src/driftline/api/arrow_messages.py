"""What the messages of an Arrow stream say of themselves, before any of their data is looked at."""

import struct
from typing import Final, NamedTuple

_U16, _I32, _U32, _I64 = (struct.Struct(form) for form in ("<H", "<i", "<I", "<q"))
# Places of fields in the tables of format/Message.fbs.
_HEADER: Final = 2
_LENGTH, _COMPRESSION = 0, 3
_DICTIONARY_ROWS: Final = 1


class Brought(NamedTuple):
    """What the head of a message says of the rows that it brings.

    Attributes:
        rows: How many there are.
        compressed: Whether their buffers are, and may become a thousand times as long.
    """

    rows: int
    compressed: bool


def rows_of(head: bytes, *, dictionary: bool) -> Brought:
    """Returns what the head of a message says.

    Args:
        head: The flatbuffer of a record batch, or of a dictionary, whose structure has been verified.
        dictionary: Which of them.
    """
    batch = _table(head, _field(head, _U32.unpack_from(head)[0], _HEADER))
    if dictionary:
        batch = _table(head, _field(head, batch, _DICTIONARY_ROWS))
    length = _field(head, batch, _LENGTH)
    return Brought(_I64.unpack_from(head, length)[0] if length else 0, _field(head, batch, _COMPRESSION) != 0)


def _field(head: bytes, table: int, number: int) -> int:
    """Returns where a field of a table is; 0 if it is not there."""
    entries = table - _I32.unpack_from(head, table)[0]
    entry = 4 + 2 * number
    if entry >= _U16.unpack_from(head, entries)[0]:
        return 0
    offset: int = _U16.unpack_from(head, entries + entry)[0]
    return table + offset if offset else 0


def _table(head: bytes, at: int) -> int:
    """Returns where the table is that is pointed to from here."""
    offset: int = _U32.unpack_from(head, at)[0]
    return at + offset
