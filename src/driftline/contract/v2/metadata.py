"""What a model says of its tensors: one input for each feature, and the outputs, what was predicted first."""

from typing import Any, Final, NamedTuple

from driftline.contract.outputs import PREDICTED_CLASS, PREDICTION, PROBABILITIES, PROBABILITY
from driftline.contract.schema import Feature, ModelSchema
from driftline.contract.v2.tensors import BOOL, BYTES, FP64, INT64

Json = dict[str, Any]

REQUEST_ID: Final = "request_id"
DATATYPE_OF_TYPE: Final = {"float": FP64, "int": INT64, "bool": BOOL, "category": BYTES}
_ROWS: Final = -1


class OutputTensor(NamedTuple):
    """An output.

    Attributes:
        name: What it is called.
        datatype: One of :data:`~driftline.contract.v2.tensors.DATATYPES`.
        width: How many elements a row has, where it is a matrix; None where it is a column.
    """

    name: str
    datatype: str
    width: int | None = None

    def shape(self, rows: int) -> list[int]:
        """Returns its shape."""
        return [rows] if self.width is None else [rows, self.width]


def output_tensors(schema: ModelSchema) -> tuple[OutputTensor, ...]:
    """Returns a model's outputs: what it predicts, then, always the last, the id of each row's prediction."""
    if schema.output == "regression":
        predicted: tuple[OutputTensor, ...] = (OutputTensor(PREDICTION, FP64),)
    else:
        label = OutputTensor(PREDICTED_CLASS, INT64 if isinstance(schema.classes[0], int) else BYTES)
        multiclass = schema.output == "multiclass"
        score = (
            OutputTensor(PROBABILITIES, FP64, len(schema.classes)) if multiclass else OutputTensor(PROBABILITY, FP64)
        )
        predicted = (score, label)
    return (*predicted, OutputTensor(REQUEST_ID, BYTES))


def takes_matrix(schema: ModelSchema) -> bool:
    """Whether the inputs may come as one tensor: all of them are numbers."""
    return all(feature.type in {"float", "int"} for feature in schema.inputs)


def model_metadata(schema: ModelSchema, versions: list[str], runtime: str) -> Json:
    """Returns what is told of a model.

    Args:
        schema: What it takes and gives.
        versions: Those of its versions that may be asked for.
        runtime: What scores, as its package names it.
    """
    metadata: Json = {
        "name": schema.name,
        "versions": versions,
        "platform": f"driftline_{runtime}",
        "inputs": [_input(feature) for feature in schema.features],
        "outputs": [
            {"name": each.name, "datatype": each.datatype, "shape": each.shape(_ROWS), **_labels(schema, each)}
            for each in output_tensors(schema)
        ],
    }
    if takes_matrix(schema):
        matrix = {"inputs": [each.name for each in schema.inputs], "shape": [_ROWS, len(schema.inputs)]}
        metadata["parameters"] = {"matrix": matrix}
    return metadata


def _input(feature: Feature) -> Json:
    parameters: Json = {}
    if feature.role == "context":
        parameters["role"] = feature.role
    if feature.nullable:
        parameters["nullable"] = True
    if feature.range is not None:
        parameters["range"] = feature.range
    if feature.categories is not None:
        parameters["categories"] = feature.categories
    tensor: Json = {"name": feature.name, "datatype": DATATYPE_OF_TYPE[feature.type], "shape": [_ROWS]}
    return {**tensor, "parameters": parameters} if parameters else tensor


def _labels(schema: ModelSchema, tensor: OutputTensor) -> Json:
    return {"parameters": {"labels": schema.classes}} if tensor.name == PROBABILITIES else {}
