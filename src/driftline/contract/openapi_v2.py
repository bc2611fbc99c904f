"""The part of the OpenAPI document that is about the Open Inference Protocol."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from driftline.contract.problems import PROBLEMS
from driftline.contract.schema import ModelSchema
from driftline.contract.v2.metadata import model_metadata, takes_matrix
from driftline.contract.v2.tensors import DATATYPES

Json = dict[str, Any]

TAG: Final = "open inference protocol"

_KEYS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
_NOT_FOUND: Final = (*_KEYS, HTTPStatus.NOT_FOUND)
_NOT_READY: Final = HTTPStatus.SERVICE_UNAVAILABLE
_OF_BODIES: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
_OF_INFERENCE: Final = (
    *(*_NOT_FOUND, *_OF_BODIES, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    *(HTTPStatus.INTERNAL_SERVER_ERROR, _NOT_READY),
)


def v2_paths(schema: ModelSchema) -> Json:
    """Returns the paths below ``/v2``; they refer to :func:`v2_schemas`."""
    paths: Json = {
        "/v2": _get("v2_server", "What the server is", "V2Server", _KEYS),
        "/v2/health/live": _get("v2_live", "Whether the process answers at all", "V2Health", (), open_to_all=True),
        "/v2/health/ready": _get(
            "v2_ready", "Whether requests should be sent here", "V2Health", (_NOT_READY,), open_to_all=True
        ),
        "/v2/repository/index": {"post": _index()},
    }
    for path, suffix in (("/v2/models/{name}", ""), ("/v2/models/{name}/versions/{version}", "_version")):
        parameters = _path_parameters(schema, with_version=bool(suffix))
        model = _get(f"v2_model{suffix}", "What a model takes and gives", "V2Model", _NOT_FOUND)
        ready = _get(f"v2_model_ready{suffix}", "Whether a model answers", "V2ModelReady", (*_NOT_FOUND, _NOT_READY))
        paths[path] = {"parameters": parameters, **model}
        paths[f"{path}/ready"] = {"parameters": parameters, **ready}
        paths[f"{path}/infer"] = {"parameters": parameters, "post": _infer(f"v2_infer{suffix}")}
    return paths


def v2_schemas(schema: ModelSchema) -> Json:
    """Returns the schemas of the bodies."""
    name, text, flag = {"type": "string"}, {"type": "string"}, {"type": "boolean"}
    parameters: Json = {"type": "object", "description": "Those that mean nothing here are passed over."}
    datatype: Json = {"type": "string", "enum": list(DATATYPES)}
    shape: Json = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    tensor: Json = {"name": name, "shape": shape, "datatype": datatype, "parameters": parameters}
    elements: Json = {"type": "array", "description": "All elements row by row, or nested as the shape says."}
    data: Json = {**tensor, "data": elements}
    described: Json = {**tensor, "shape": {"type": "array", "items": {"type": "integer", "minimum": -1}}}
    wanted = _struct({"name": name, "parameters": parameters}, "name")
    given = {"type": "array", "minItems": 1, "items": _struct(data, "name", "shape", "datatype")}
    told = {"type": "array", "items": _struct(data, "name", "shape", "datatype")}
    described_all = {"type": "array", "items": _struct(described, "name", "shape", "datatype")}
    versions = {"type": "array", "items": text}
    state = {"enum": ["READY", "UNAVAILABLE"]}
    request = {"id": text, "parameters": parameters, "inputs": given, "outputs": {"type": "array", "items": wanted}}
    response = {"model_name": text, "model_version": text, "id": text, "outputs": told}
    model = {"name": text, "versions": versions, "platform": text, "parameters": parameters}
    model |= {"inputs": described_all, "outputs": described_all}
    server = {"name": text, "version": text, "extensions": {"type": "array", "items": text}}
    listed = {"name": text, "version": text, "state": state, "reason": text}
    metadata = model_metadata(schema, [schema.version], "runtime")
    return {
        "V2Error": _struct({"error": text}, "error"),
        "V2Health": _struct({"live": flag, "ready": flag}, "live", "ready"),
        "V2NotReady": _struct({"error": text, "live": flag, "ready": flag}, "error"),
        "V2Server": _struct(server, *server),
        "V2Model": {**_struct(model, "name", "versions", "platform", "inputs", "outputs"), "examples": [metadata]},
        "V2ModelReady": _struct({"name": text, "ready": flag}, "name", "ready"),
        "V2Index": {"type": "array", "items": _struct(listed, *listed)},
        "V2InferRequest": {**_struct(request, "inputs"), "examples": _requests(schema)},
        "V2InferResponse": _struct(response, "model_name", "model_version", "outputs"),
    }


def _requests(schema: ModelSchema) -> list[Json]:
    described = model_metadata(schema, [schema.version], "runtime")["inputs"]
    columns = [
        {"name": each["name"], "shape": [1], "datatype": each["datatype"], "data": [schema.example[each["name"]]]}
        for each in described
    ]
    requests: list[Json] = [{"id": "42", "inputs": columns}]
    if takes_matrix(schema):
        names = {feature.name for feature in schema.inputs}
        values = [schema.example[feature.name] for feature in schema.inputs]
        matrix = {"name": "input-0", "shape": [1, len(values)], "datatype": "FP64", "data": values}
        requests.append({"inputs": [matrix, *(each for each in columns if each["name"] not in names)]})
    return requests


def _infer(operation: str) -> Json:
    length: Json = {
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "required": False,
        "description": "How many bytes of the body are JSON, before it was compressed; the others are the inputs that "
        "say `binary_data_size`, in their order.",
        "schema": {"type": "integer", "minimum": 0},
    }
    return {
        "operationId": operation,
        "tags": [TAG],
        "summary": "Ask a model about rows, and have the answers kept",
        "description": (
            "One tensor for each feature, of shape `[rows]` or `[rows, 1]`; or, where all inputs are numbers, one of "
            "any name and the shape `[rows, inputs]`. The Content-Type says nothing. Each row is an event with the id "
            "that the output `request_id` has for it: after a 200, all of them are in the outbox."
        ),
        "parameters": [length],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("V2InferRequest")}}},
        "responses": {
            "200": {
                "description": "The outputs that are asked for; as bytes behind the JSON, where they are wanted so.",
                "content": {
                    "application/json": {"schema": _ref("V2InferResponse")},
                    "application/octet-stream": {},
                },
            },
            **_refusals(_OF_INFERENCE),
        },
    }


def _index() -> Json:
    body = {"type": "object", "properties": {"ready": {"type": "boolean", "description": "Only those that are."}}}
    return {
        "operationId": "v2_index",
        "tags": [TAG],
        "summary": "Which models there are",
        "requestBody": {"required": False, "content": {"application/json": {"schema": body}}},
        "responses": {"200": _told("V2Index"), **_refusals((*_KEYS, *_OF_BODIES))},
    }


def _get(
    operation: str, summary: str, schema: str, statuses: Iterable[HTTPStatus], *, open_to_all: bool = False
) -> Json:
    described: Json = {
        "operationId": operation,
        "tags": [TAG],
        "summary": summary,
        **({"security": []} if open_to_all else {}),
        "responses": {"200": _told(schema), **_refusals(statuses)},
    }
    if _NOT_READY in statuses:
        described["responses"][str(int(_NOT_READY))] = {**_told("V2NotReady"), "description": "No, for this reason."}
    return {"get": described}


def _path_parameters(schema: ModelSchema, *, with_version: bool) -> list[Json]:
    given = [("name", schema.name), *([("version", schema.version)] if with_version else [])]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "examples": [example]}}
        for name, example in given
    ]


def _refusals(statuses: Iterable[HTTPStatus]) -> Json:
    return {str(int(status)): {**_told("V2Error"), "description": _title(status)} for status in sorted(statuses)}


def _title(status: HTTPStatus) -> str:
    as_told = {status, HTTPStatus.UNPROCESSABLE_ENTITY} if status == HTTPStatus.BAD_REQUEST else {status}
    return "; ".join(each.title for each in PROBLEMS.values() if each.status in as_told) + "."


def _told(schema: str) -> Json:
    return {"description": "What there is.", "content": {"application/json": {"schema": _ref(schema)}}}


def _struct(properties: Json, *required: str) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
