"""An ONNX graph through onnxruntime, on one thread."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from driftline.contract.schema import Feature, Label, ModelSchema, Row
from driftline.errors import ModelError, ScoringError
from driftline.scoring.arrays import ArrayModel, Codes, Encode, matrix_encoder
from driftline.scoring.artifact import FileArtifact, artifact_bytes, artifact_table, names_checked
from driftline.scoring.package import Loading

_DTYPES: Final[Mapping[str, Any]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
_TAKEN: Final[Mapping[Any, tuple[str, ...]]] = {
    np.float32: ("float", "int", "bool"),
    np.float64: ("float", "int", "bool"),
    np.int64: ("int", "bool"),
    np.int32: ("int", "bool"),
    np.bool_: ("bool",),
    np.object_: ("category",),
}
"""The types of features that a tensor holds without a loss."""


class _Artifact(FileArtifact, frozen=True, kw_only=True):
    output: str | None = None


def load(loading: Loading) -> ArrayModel:
    """Returns the model of a package whose runtime is ``onnx``.

    The graph takes one matrix, or a column for each feature under its name. Of its outputs, ``artifact.output`` names
    the one to take; by default it is the only one of floating-point numbers, or of maps from classes to probabilities.

    Raises:
        ModelError: It takes or gives something else.
    """
    package = loading.package
    artifact = artifact_table(package, _Artifact)
    content = artifact_bytes(package, artifact)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    takes = session.get_inputs()
    inputs = package.schema.inputs
    one_matrix = len(takes) == 1 and (len(inputs) > 1 or takes[0].name != inputs[0].name)
    encode = _matrix(takes[0], inputs) if one_matrix else _columns(takes, inputs)
    output = _output(session.get_outputs(), artifact.output)
    told = _maps(package.schema) if output.type.startswith("seq(map(") else np.asarray
    name = output.name

    def predict(encoded: Any) -> NDArray[Any]:
        return told(session.run([name], encoded)[0])

    if _one_at_a_time(takes[0]):
        return ArrayModel(package.schema, lambda rows: [encode((row,)) for row in rows], _each(predict))
    return ArrayModel(package.schema, encode, predict)


def _each(predict: Callable[[Any], NDArray[Any]]) -> Callable[[Any], NDArray[Any]]:
    return lambda rows: np.concatenate([predict(row) for row in rows])


def _one_at_a_time(tensor: Any) -> bool:
    return len(tensor.shape) > 0 and tensor.shape[0] == 1


def _dtype(tensor: Any, features: Sequence[Feature]) -> Any:
    dtype = _DTYPES.get(tensor.type)
    if dtype is None:
        raise ModelError(f"the graph's input {tensor.name} is a {tensor.type}; taken are: {', '.join(_DTYPES)}")
    for feature in features:
        coded = feature.type == "category" and feature.categories is not None and dtype in {np.float32, np.float64}
        if feature.type not in _TAKEN[dtype] and not coded:
            raise ModelError(f"the feature {feature.name} is a {feature.type}, which no {tensor.type} holds")
        if feature.nullable and dtype not in {np.float32, np.float64}:
            raise ModelError(f"the feature {feature.name} may be null, which no {tensor.type} can be")
    return dtype


def _matrix(tensor: Any, inputs: Sequence[Feature]) -> Encode:
    width = tensor.shape[1] if len(tensor.shape) == 2 else None  # noqa: PLR2004
    if len(tensor.shape) != 2 or (isinstance(width, int) and width != len(inputs)):  # noqa: PLR2004
        raise ModelError(
            f"the graph's input {tensor.name} has the shape {tensor.shape}, and the package {len(inputs)} inputs"
        )
    dtype, name = _dtype(tensor, inputs), tensor.name
    matrix = _matrix_of(dtype, inputs)
    return lambda rows: {name: matrix(rows)}


def _matrix_of(dtype: Any, inputs: Sequence[Feature]) -> Encode:
    if dtype is not np.float32:
        codes: Codes | None = {} if dtype is np.object_ else None
        return matrix_encoder(inputs, dtype, codes)
    wide = matrix_encoder(inputs)

    def narrow(rows: Sequence[Row]) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):  # what is too large for a float32 is infinite in the library, too
            return np.asarray(wide(rows), dtype=np.float32)

    return narrow


def _columns(tensors: Sequence[Any], inputs: Sequence[Feature]) -> Encode:
    names = tuple(feature.name for feature in inputs)
    names_checked(sorted((tensor.name for tensor in tensors), key=lambda name: _place(name, names)), names)
    of_name = {tensor.name: tensor for tensor in tensors}
    columns = []
    for feature in inputs:
        tensor = of_name[feature.name]
        if len(tensor.shape) not in {1, 2} or (len(tensor.shape) == 2 and tensor.shape[1] not in {1, None}):  # noqa: PLR2004
            raise ModelError(f"the graph's input {tensor.name} has the shape {tensor.shape}, and not of a column")
        matrix = _matrix_of(_dtype(tensor, (feature,)), (feature,))
        columns.append((feature.name, matrix, (-1, 1) if len(tensor.shape) == 2 else (-1,)))  # noqa: PLR2004

    def encode(rows: Sequence[Row]) -> dict[str, NDArray[Any]]:
        by_feature = zip(columns, zip(*rows, strict=True), strict=True)
        return {name: matrix(values).reshape(shape) for (name, matrix, shape), values in by_feature}

    return encode


def _place(name: str, names: tuple[str, ...]) -> int:
    return names.index(name) if name in names else len(names)


def _output(outputs: Sequence[Any], wanted: str | None) -> Any:
    names = ", ".join(output.name for output in outputs)
    if wanted is not None:
        for output in outputs:
            if output.name == wanted:
                return output
        raise ModelError(f"the graph has no output {wanted}; it has: {names}")
    fit = [output for output in outputs if output.type in {"tensor(float)", "tensor(double)"}]
    fit += [output for output in outputs if output.type.startswith("seq(map(")]
    if len(fit) != 1:
        raise ModelError(f"write output = NAME in [artifact] to say which of the graph's outputs is meant: {names}")
    return fit[0]


def _maps(schema: ModelSchema) -> Callable[[Any], NDArray[np.float64]]:
    """Returns what makes a matrix of one map for each row, from a class to its probability (skl2onnx's ZipMap)."""
    if not schema.classes:
        raise ModelError("the graph gives probabilities of classes, and the package's output is a regression")
    labels: tuple[Label, ...] = schema.classes

    def told(maps: Sequence[Mapping[Label, float]]) -> NDArray[np.float64]:
        for each in maps:
            if len(each) != len(labels) or any(label not in each for label in labels):
                raise ScoringError(f"the graph's classes are {sorted(map(str, each))}, and not the package's labels")
        return np.array([[each[label] for label in labels] for each in maps], dtype=np.float64)

    return told
