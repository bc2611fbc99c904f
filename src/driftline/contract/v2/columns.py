"""From tensors to columns of features: one tensor for each, or one for all inputs."""

from collections.abc import Iterable, Sequence
from typing import Any

from driftline.contract.nearest import did_you_mean
from driftline.contract.problems import shown
from driftline.contract.schema import Feature, ModelSchema
from driftline.contract.v2.metadata import DATATYPE_OF_TYPE, takes_matrix
from driftline.contract.v2.request import Tensor
from driftline.contract.v2.tensors import BOOL, BYTES, FLOATS, INTEGERS
from driftline.errors import InputError

_NUMBERS = frozenset({*FLOATS, *INTEGERS})
_TAKEN = {"float": _NUMBERS, "int": _NUMBERS, "bool": frozenset({BOOL}), "category": frozenset({BYTES})}
_MATRIX_DIMENSIONS = 2


def columns_of(schema: ModelSchema, tensors: Sequence[Tensor]) -> dict[str, list[Any]]:
    """Returns the columns of a request, all of one length, at least one row; some that the model wants may be missing.

    A tensor with a feature's name is that feature's column, of shape ``[rows]`` or ``[rows, 1]``. One with another name
    is all inputs in their order, of shape ``[rows, inputs]``, where all are numbers and none comes by itself. Any
    datatype of numbers will do for a number.

    Args:
        schema: What the model takes.
        tensors: Their names differ.

    Raises:
        InputError: A tensor is none of the model's, or its shape or datatype does not fit.
    """
    features = {feature.name: feature for feature in schema.features}
    columns: dict[str, list[Any]] = {}
    for tensor in tensors:
        feature = features.get(tensor.name)
        if feature is not None:
            columns[tensor.name] = _column(feature, tensor)
    others = [tensor for tensor in tensors if tensor.name not in features]
    if others:
        by_themselves = any(feature.name in columns for feature in schema.inputs)
        if len(others) > 1 or by_themselves or not takes_matrix(schema):
            raise _unknown(schema, others[0].name)
        columns |= _columns_of_matrix(schema.inputs, others[0])
    _check_rows(columns)
    return columns


def _column(feature: Feature, tensor: Tensor) -> list[Any]:
    if len(tensor.shape) not in {1, 2} or tensor.shape[1:] not in {(), (1,)}:
        raise InputError("wrong_value", f"The shape of the input {feature.name} must be [rows] or [rows, 1].")
    if tensor.datatype not in _TAKEN[feature.type]:
        taken = DATATYPE_OF_TYPE[feature.type]
        also = " or another datatype of numbers" if _TAKEN[feature.type] is _NUMBERS else ""
        raise InputError("wrong_type", f"The input {feature.name} must be {taken}{also}, not {tensor.datatype}.")
    return tensor.elements


def _columns_of_matrix(inputs: Sequence[Feature], tensor: Tensor) -> dict[str, list[Any]]:
    width = len(inputs)
    # A column has one dimension too few to be a matrix, and is one all the same.
    shape = (*tensor.shape, 1) if width == 1 and len(tensor.shape) == 1 else tensor.shape
    if len(shape) != _MATRIX_DIMENSIONS or shape[1] != width:
        raise InputError(
            "wrong_value",
            f"The shape of the input {shown(tensor.name)} must be [rows, {width}], with all inputs in order.",
        )
    if tensor.datatype not in _NUMBERS:
        raise InputError(
            "wrong_type", f"The input {shown(tensor.name)} must be of a datatype of numbers, not {tensor.datatype}."
        )
    return {feature.name: tensor.elements[at::width] for at, feature in enumerate(inputs)}


def _check_rows(columns: dict[str, list[Any]]) -> None:
    if len(set(map(len, columns.values()))) > 1:
        longest = max(columns, key=lambda name: len(columns[name]))
        shortest = min(columns, key=lambda name: len(columns[name]))
        raise InputError(
            "wrong_value",
            f"The input {longest} has {len(columns[longest])} rows, and {shortest} has {len(columns[shortest])}.",
        )
    if not all(columns.values()):
        raise InputError("empty_batch", "The inputs have no rows.")


def _unknown(schema: ModelSchema, name: str) -> InputError:
    hint = did_you_mean(name, schema.names) or "."
    message = f"The model has no input {shown(name)}{hint} It takes {_listed(schema.names)}"
    if takes_matrix(schema):
        message += f", or a tensor of any name and the shape [rows, {len(schema.inputs)}]"
        message += f" for {_listed(feature.name for feature in schema.inputs)}"
    return InputError("unknown_field", f"{message}.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
