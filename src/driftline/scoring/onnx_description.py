"""What an ONNX graph says of itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import onnxruntime

from driftline.contract.schema import Output, Type
from driftline.errors import ModelError
from driftline.scoring.description import Description

_TYPES: Final[Mapping[str, Type]] = {
    "tensor(int64)": "int",
    "tensor(int32)": "int",
    "tensor(bool)": "bool",
    "tensor(string)": "category",
}


def describe_onnx(artifact: Path) -> Description:
    """Returns what a graph says.

    Raises:
        ModelError: It is none.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(artifact.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class that is public
        raise ModelError(f"{artifact} is no ONNX graph: {str(error).splitlines()[0]}") from error
    takes = session.get_inputs()
    output, classes = _output(session.get_outputs())
    if len(takes) > 1:
        types = {tensor.name: _TYPES.get(tensor.type, "float") for tensor in takes}
        return Description(tuple(types), len(types), output, tuple(range(classes)), types)
    shape = takes[0].shape
    width = shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None  # noqa: PLR2004
    return Description(None, width, output, tuple(range(classes)))


def _output(tensors: Any) -> tuple[Output | None, int]:
    """Returns what the graph gives, and how many classes where that is more than two.

    A label beside numbers makes a classifier, as skl2onnx writes them.
    """
    if len(tensors) != 2:  # noqa: PLR2004
        return None, 0
    shape = tensors[1].shape
    if len(shape) == 2 and isinstance(shape[1], int):  # noqa: PLR2004
        return ("binary", 0) if shape[1] <= 2 else ("multiclass", shape[1])  # noqa: PLR2004
    return None, 0
