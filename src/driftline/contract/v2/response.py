"""Writing inference responses: one JSON object, and behind it the bytes of the tensors that are to come as such."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from driftline.contract.nearest import did_you_mean
from driftline.contract.outputs import PROBABILITIES
from driftline.contract.problems import shown
from driftline.contract.schema import ModelSchema
from driftline.contract.v2.metadata import REQUEST_ID, OutputTensor, output_tensors
from driftline.contract.v2.request import InferRequest
from driftline.contract.v2.tensors import bytes_of_elements
from driftline.errors import InputError


class Told(NamedTuple):
    """An output that is going to be told.

    Attributes:
        tensor: Which.
        binary: Whether as bytes.
    """

    tensor: OutputTensor
    binary: bool


def told_outputs(schema: ModelSchema, request: InferRequest) -> tuple[Told, ...]:
    """Returns the outputs that a request asks for, in its order; all of the model's if it does not say.

    Raises:
        InputError: It asks for one that there is not.
    """
    tensors = {tensor.name: tensor for tensor in output_tensors(schema)}
    if request.outputs is None:
        return tuple(Told(tensor, request.binary) for tensor in tensors.values())
    for wanted in request.outputs:
        if wanted.name not in tensors:
            hint = did_you_mean(wanted.name, tuple(tensors)) or "."
            raise InputError(
                "unknown_field", f"The model has no output {shown(wanted.name)}{hint} It gives {', '.join(tensors)}."
            )
    return tuple(Told(tensors[wanted.name], wanted.binary) for wanted in request.outputs)


def write_response(
    schema: ModelSchema,
    request: InferRequest,
    told: Sequence[Told],
    rows: Sequence[tuple[Any, ...]],
    request_ids: Sequence[str],
) -> tuple[bytes, int | None]:
    """Returns a body and how much of it is JSON; None where all is.

    Args:
        schema: The model's.
        request: What was asked.
        told: Of :func:`told_outputs`.
        rows: The values of each, as :class:`~driftline.contract.outputs.Outputs` gives them.
        request_ids: The id of each row's prediction.
    """
    columns = _columns(schema, rows, request_ids)
    outputs: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for tensor, binary in told:
        elements = columns[tensor.name]
        output = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape(len(rows))}
        if binary:
            raw.append(bytes_of_elements(tensor.datatype, elements))
            outputs.append({**output, "parameters": {"binary_data_size": len(raw[-1])}})
        else:
            outputs.append({**output, "data": elements})
    named = {"model_name": schema.name, "model_version": schema.version}
    identified = {} if request.id is None else {"id": request.id}
    head = msgspec.json.encode({**named, **identified, "outputs": outputs})
    return (b"".join((head, *raw)), len(head)) if raw else (head, None)


def _columns(
    schema: ModelSchema, rows: Sequence[tuple[Any, ...]], request_ids: Sequence[str]
) -> dict[str, Sequence[Any]]:
    predicted = [tensor.name for tensor in output_tensors(schema) if tensor.name != REQUEST_ID]
    columns: dict[str, Sequence[Any]] = dict(zip(predicted, zip(*rows, strict=True), strict=True))
    if PROBABILITIES in columns:  # by label, in the model's order
        columns[PROBABILITIES] = tuple(chain.from_iterable(each.values() for each in columns[PROBABILITIES]))
    columns[REQUEST_ID] = list(request_ids)
    return columns
