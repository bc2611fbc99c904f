"""The elements of tensors, as JSON and as bytes.

Bytes are those of the binary tensor data extension: little-endian, row by row, without gaps; a BOOL is one byte, 0 or
1; an element of BYTES is its length, in four bytes without a sign, and then itself.
"""

import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from math import prod
from types import MappingProxyType
from typing import Any, Final

from driftline.contract.problems import shown
from driftline.errors import InputError

Element = float | int | bool | str | None
"""A value in Python; BYTES are text, and None is what JSON writes as null."""

BOOL: Final = "BOOL"
BYTES: Final = "BYTES"
INT64: Final = "INT64"
FP64: Final = "FP64"
MOST_DIMENSIONS: Final = 8

FLOATS: Final[Mapping[str, str]] = MappingProxyType({"FP16": "e", "FP32": "f", FP64: "d"})
INTEGERS: Final[Mapping[str, str]] = MappingProxyType(
    {"INT8": "b", "INT16": "h", "INT32": "i", INT64: "q", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q"}
)
_CODES: Final = {**FLOATS, **INTEGERS, BOOL: "?"}
DATATYPES: Final = (*_CODES, BYTES)
"""The datatypes there are."""

_LENGTH: Final = struct.Struct("<I")


def check_datatype(name: str, datatype: str) -> None:
    """Returns if a datatype is one of :data:`DATATYPES`.

    Raises:
        InputError: It is not.
    """
    if datatype not in DATATYPES:
        known = ", ".join(DATATYPES)
        raise InputError("wrong_value", f"The datatype of the input {shown(name)} must be one of {known}.")


def count_elements(name: str, shape: Sequence[int]) -> int:
    """Returns how many elements a tensor of this shape has.

    Raises:
        InputError: It has more dimensions than any tensor here.
    """
    if len(shape) > MOST_DIMENSIONS:
        raise InputError("wrong_value", f"The input {shown(name)} has more than {MOST_DIMENSIONS} dimensions.")
    return prod(shape)


def elements_of_bytes(name: str, datatype: str, shape: Sequence[int], raw: memoryview) -> list[Element]:
    """Returns the elements of a tensor, row by row.

    Args:
        name: The tensor's, for the error.
        datatype: One of :data:`DATATYPES`.
        shape: No number in it is negative.
        raw: All of the tensor and nothing else.

    Raises:
        InputError: These are not the bytes of such a tensor.
    """
    count = count_elements(name, shape)
    if datatype == BYTES:
        return _texts_of_bytes(name, count, raw)
    code = _CODES[datatype]
    if len(raw) != count * struct.calcsize(f"<{code}"):
        raise InputError(
            "wrong_value",
            f"The binary data of the input {shown(name)} is {len(raw)} bytes long, and a tensor of its shape and "
            f"datatype {count * struct.calcsize(f'<{code}')}.",
        )
    if datatype == BOOL and bytes(raw).translate(None, b"\x00\x01"):
        raise InputError("wrong_value", f"The binary data of the input {shown(name)} has a BOOL that is not 0 or 1.")
    return list(struct.unpack(f"<{count}{code}", raw))


def _texts_of_bytes(name: str, count: int, raw: memoryview) -> list[Element]:
    texts: list[Element] = []
    at, end = 0, len(raw)
    for _ in range(count):
        start = at + _LENGTH.size
        if start > end or (at := start + _LENGTH.unpack_from(raw, at)[0]) > end:
            raise InputError(
                "wrong_value", f"The binary data of the input {shown(name)} ends before its last element, of {count}."
            )
        try:
            texts.append(str(raw[start:at], "utf-8"))
        except UnicodeDecodeError as error:
            raise InputError(
                "invalid_utf8", f"The element {len(texts)} of the input {shown(name)} is not UTF-8."
            ) from error
    if at != end:
        raise InputError("wrong_value", f"The binary data of the input {shown(name)} goes on after its last element.")
    return texts


def bytes_of_elements(datatype: str, elements: Sequence[Any]) -> bytes:
    """Returns the bytes of a tensor; each element is one of its datatype.

    Args:
        datatype: One of :data:`DATATYPES`.
        elements: Row by row.
    """
    if datatype == BYTES:
        encoded = [element.encode() for element in elements]
        return b"".join(chain.from_iterable((_LENGTH.pack(len(each)), each) for each in encoded))
    return struct.pack(f"<{len(elements)}{_CODES[datatype]}", *elements)


def elements_of_json(name: str, datatype: str, shape: Sequence[int], written: object) -> list[Element]:
    """Returns the elements of a tensor, row by row.

    A number of FP32 or FP16 is the nearest one that the datatype has. A null is None, whatever the datatype.

    Args:
        name: The tensor's, for the error.
        datatype: One of :data:`DATATYPES`.
        shape: No number in it is negative.
        written: What JSON has: a list of all elements, or lists in lists as the shape has dimensions.

    Raises:
        InputError: It is no such tensor.
    """
    flat = _flat(name, shape, written)
    kinds = set(map(type, flat))
    kinds.discard(type(None))
    if datatype in INTEGERS:
        return _integers(name, datatype, flat, kinds)
    if datatype in FLOATS:
        return _floats(name, datatype, flat, kinds)
    if not kinds <= {bool if datatype == BOOL else str}:
        noun = "a boolean" if datatype == BOOL else "a string"
        raise InputError("wrong_type", f"Each element of the input {shown(name)}, of {datatype}, must be {noun}.")
    return flat


def _flat(name: str, shape: Sequence[int], written: object) -> list[Any]:
    if not isinstance(written, list):
        raise InputError("wrong_type", f"The data of the input {shown(name)} must be an array.")
    count = count_elements(name, shape)
    level: list[Any] = written
    if written and isinstance(written[0], list):
        level = [written]
        for size in shape:
            if not all(isinstance(each, list) and len(each) == size for each in level):
                raise InputError("wrong_value", f"The data of the input {shown(name)} is not nested as its shape says.")
            level = list(chain.from_iterable(level))
    if len(level) != count:
        raise InputError(
            "wrong_value", f"The input {shown(name)} has {len(level)} elements, and its shape is one of {count}."
        )
    return level


def _integers(name: str, datatype: str, flat: list[Any], kinds: set[type]) -> list[Element]:
    if float in kinds:
        kinds.discard(float)
        flat = [int(each) if type(each) is float and each.is_integer() else each for each in flat]
        kinds.update(type(each) for each in flat if type(each) is float)
    if not kinds <= {int}:
        raise InputError(
            "wrong_type", f"Each element of the input {shown(name)}, of {datatype}, must be a whole number."
        )
    given = [each for each in flat if each is not None] if None in flat else flat
    try:
        struct.pack(f"<{len(given)}{INTEGERS[datatype]}", *given)
    except struct.error as error:
        raise InputError(
            "number_out_of_range", f"The input {shown(name)} has a number that is none of {datatype}."
        ) from error
    return flat


def _floats(name: str, datatype: str, flat: list[Any], kinds: set[type]) -> list[Element]:
    if not kinds <= {int, float}:
        raise InputError("wrong_type", f"Each element of the input {shown(name)}, of {datatype}, must be a number.")
    given = [each for each in flat if each is not None] if None in flat else flat
    layout = f"<{len(given)}{FLOATS[datatype]}"
    try:
        rounded = iter(struct.unpack(layout, struct.pack(layout, *given)))
    except (OverflowError, struct.error) as error:
        raise InputError(
            "number_out_of_range", f"The input {shown(name)} has a number that does not fit {datatype}."
        ) from error
    return [None if each is None else next(rounded) for each in flat]
