"""Reading inference requests: one JSON object, and behind it the bytes of the tensors that are not in it."""

import json
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from driftline.contract.parsing import has_more
from driftline.contract.problems import shown
from driftline.contract.v2.tensors import Element, check_datatype, count_elements, elements_of_bytes, elements_of_json
from driftline.errors import InputError

HEADER_LENGTH: Final = "inference-header-content-length"
"""The header that says how long the JSON is; there are bytes behind it if, and only if, it is there."""

_LENGTH_DIGITS: Final = 18
_TOKENS_OF_TENSOR: Final = 64
_MORE_TOKENS: Final = 1024
_ELSEWHERE: Final = ("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size")
_Dimension = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Parameters = dict[str, Any] | None


class _Input(msgspec.Struct):
    name: str
    shape: list[_Dimension]
    datatype: str
    parameters: _Parameters = None
    data: Any = None


class _Output(msgspec.Struct):
    name: str
    parameters: _Parameters = None


class _Request(msgspec.Struct):
    inputs: list[_Input]
    id: str | None = None
    parameters: _Parameters = None
    outputs: list[_Output] | None = None


class Tensor(NamedTuple):
    """An input.

    Attributes:
        name: What it is called.
        datatype: One of :data:`~driftline.contract.v2.tensors.DATATYPES`.
        shape: No number in it is negative.
        elements: Row by row.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: list[Element]


class Wanted(NamedTuple):
    """An output that is asked for.

    Attributes:
        name: What it is called; nobody has looked yet whether there is one.
        binary: Whether it is to come as bytes.
    """

    name: str
    binary: bool


class InferRequest(NamedTuple):
    """What is asked.

    Attributes:
        id: What the client calls the request, if anything.
        inputs: Their names differ.
        outputs: Their names differ; None asks for all.
        binary: Whether outputs are to come as bytes, where none is named.
    """

    id: str | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Wanted, ...] | None
    binary: bool


_decode: Final = msgspec.json.Decoder(_Request).decode


def read_request(body: bytes, header_length: str | None, *, max_rows: int, max_columns: int) -> InferRequest:
    """Returns what a body asks.

    Args:
        body: After it was decompressed.
        header_length: The value of :data:`HEADER_LENGTH`, if it is there.
        max_rows: A body that would be much more is refused before anything is made of it; some more are returned.
        max_columns: How many columns the rows have at most.

    Raises:
        InputError: The body, or the header, is not of this protocol, or there is too much in it.
    """
    length = len(body) if header_length is None else _length(header_length, len(body))
    head, most = body[:length], max_rows * max_columns
    # An element brings a comma, and an array where it is a row of its own; names and parameters bring some more. Twice
    # as many are let through, for a better error than this one is given where a tensor is none of the model's.
    if has_more(head, ",[{", 4 * most + _TOKENS_OF_TENSOR * max_columns + _MORE_TOKENS):
        raise _too_many(max_rows)
    request = _parse(head)
    if sum(count_elements(each.name, each.shape) for each in request.inputs) > 2 * most:
        raise _too_many(max_rows)
    binary = _flag(request.parameters, "binary_data_output", default=False)
    inputs = _tensors(request.inputs, memoryview(body)[length:])
    return InferRequest(request.id or None, inputs, _wanted(request.outputs or (), binary) or None, binary)


def _too_many(max_rows: int) -> InputError:
    return InputError("too_many_rows", f"There are more than {max_rows} rows.")


def _length(header: str, body_bytes: int) -> int:
    if not (header.isascii() and header.isdecimal()) or len(header) > _LENGTH_DIGITS:
        raise InputError("wrong_value", "Inference-Header-Content-Length must be how many bytes of JSON there are.")
    if int(header) > body_bytes:
        raise InputError(
            "wrong_value", f"Inference-Header-Content-Length is {int(header)}, and the body has {body_bytes} bytes."
        )
    return int(header)


def _parse(head: bytes) -> _Request:
    if not head.strip():
        raise InputError("empty_body", "The body must be a JSON object.")
    try:
        return _decode(head)
    except RecursionError as error:
        raise InputError("too_deep", "The body is nested too deeply.") from error
    except UnicodeDecodeError as error:
        raise InputError("invalid_utf8", f"The byte at offset {error.start} is not UTF-8.") from error
    except msgspec.ValidationError as error:
        raise InputError("wrong_type", f"This is no inference request: {error}.") from error
    except msgspec.DecodeError as error:
        # What JSON does not have, and tritonclient writes all the same; nothing else is worth another look.
        if b"NaN" not in head and b"Infinity" not in head:
            raise InputError("malformed_json", f"The body is not JSON: {error}.") from error
    try:
        request: _Request = msgspec.convert(json.loads(head), _Request)
        (request.id or "").encode()  # it is going to be echoed
    except RecursionError as error:
        raise InputError("too_deep", "The body is nested too deeply.") from error
    except msgspec.ValidationError as error:
        raise InputError("wrong_type", f"This is no inference request: {error}.") from error
    except ValueError as error:  # also of UTF-8, of halves of surrogates, of whole numbers with thousands of digits
        raise InputError("malformed_json", "The body is not JSON.") from error
    return request


def _tensors(inputs: list[_Input], binary: memoryview) -> tuple[Tensor, ...]:
    if not inputs:
        raise InputError("missing_field", "There are no inputs.")
    tensors: dict[str, Tensor] = {}
    at = 0
    for each in inputs:
        name, parameters = each.name, each.parameters or {}
        if name in tensors:
            raise InputError("duplicate_field", f"The input {shown(name)} is given more than once.")
        check_datatype(name, each.datatype)
        if any(key in parameters for key in _ELSEWHERE):
            raise InputError("wrong_value", f"The input {shown(name)} is in shared memory, which nobody can send here.")
        size = parameters.get("binary_data_size")
        if size is None:
            if each.data is None:
                raise InputError("missing_field", f"The input {shown(name)} has no data.")
            elements = elements_of_json(name, each.datatype, each.shape, each.data)
        else:
            raw = _binary(name, size, binary[at:])
            if each.data is not None:
                raise InputError("wrong_value", f"The input {shown(name)} has data, and binary data besides.")
            at += len(raw)
            elements = elements_of_bytes(name, each.datatype, each.shape, raw)
        tensors[name] = Tensor(name, each.datatype, tuple(each.shape), elements)
    if at != len(binary):
        raise InputError("wrong_value", f"Behind the binary data of the last input are {len(binary) - at} bytes more.")
    return tuple(tensors.values())


def _binary(name: str, size: object, rest: memoryview) -> memoryview:
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InputError(
            "wrong_type", f"The binary_data_size of the input {shown(name)} must be how many bytes it has."
        )
    if size > len(rest):
        raise InputError(
            "wrong_value",
            f"The input {shown(name)} should have {size} bytes of binary data, and the body has {len(rest)} more; "
            "Inference-Header-Content-Length says where they begin.",
        )
    return rest[:size]


def _wanted(outputs: list[_Output] | tuple[()], binary: bool) -> tuple[Wanted, ...]:
    wanted: dict[str, Wanted] = {}
    for each in outputs:
        parameters = each.parameters or {}
        if each.name in wanted:
            raise InputError("duplicate_field", f"The output {shown(each.name)} is asked for more than once.")
        if parameters.get("classification"):
            raise InputError(
                "wrong_value",
                f"The output {shown(each.name)} is asked for as a classification, which there is not here.",
            )
        if any(key in parameters for key in _ELSEWHERE):
            raise InputError(
                "wrong_value", f"The output {shown(each.name)} is wanted in shared memory, which nobody can reach here."
            )
        wanted[each.name] = Wanted(each.name, _flag(parameters, "binary_data", default=binary))
    return tuple(wanted.values())


def _flag(parameters: _Parameters, key: str, *, default: bool) -> bool:
    value = (parameters or {}).get(key, default)
    if not isinstance(value, bool):
        raise InputError("wrong_type", f"The parameter {key} must be a boolean.")
    return value
