"""Pydantic classes for what crosses the HTTP border and for events, made from a model's schema.

They are the description that OpenAPI and Python clients use. Requests are decided by ``request.py``, which is faster;
tests keep the two in agreement.
"""

from functools import cache
from keyword import iskeyword
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, create_model

from driftline.contract.schema import ModelSchema

_HEX_32 = r"^[0-9a-f]{32}$"

Probability = Annotated[float, Field(ge=0, le=1, description="Of class 1, by the model.")]
PredictedClass = Annotated[Literal[0, 1], Field(description="1 from the model's threshold on.")]
RequestId = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        description="UUIDv7 of this prediction: the same in the response, the event and the log.",
    ),
]


_EXACT = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


_RESPONSE: dict[str, JsonValue] = {
    "request_id": "019ab2d1-6a3e-7c52-9f0e-2b61c1f3a9d4",
    "probability": 0.7649478037637648,
    "predicted_class": 1,
}


class _Response(BaseModel):
    """What the model says."""

    model_config = ConfigDict(**_EXACT, json_schema_extra={"examples": [_RESPONSE]})

    request_id: RequestId
    probability: Probability
    predicted_class: PredictedClass


class _Event(BaseModel):
    """A prediction that was made: a line of the log. (producer, seq) is its identity."""

    model_config = _EXACT

    request_id: RequestId
    features: BaseModel
    probability: Probability
    predicted_class: PredictedClass
    timestamp: Annotated[AwareDatetime, Field(description="When it was made, in UTC.")]
    schema_version: Annotated[Literal[1], Field(description="Of this list of fields.")]
    kind: Literal["prediction"]
    producer: Annotated[str, Field(pattern=_HEX_32, description="The outbox that accepted it.")]
    seq: Annotated[int, Field(ge=0, description="Its number in that outbox.")]
    model: str
    model_version: str
    trace_id: Annotated[str | None, Field(pattern=_HEX_32, description="Of the trace the request belongs to.")] = None
    traceparent: Annotated[str | None, Field(description="The request's W3C Trace Context.")] = None
    client_request_id: Annotated[str | None, Field(description="The request's X-Request-Id.")] = None
    crc32: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-f]{8}$", description="Of the line's bytes before this member, which is the last."),
    ] = None


@cache
def request_class(schema: ModelSchema) -> type[BaseModel]:
    """Returns the class ``PredictRequest`` of a model: its features, finite numbers all, and nothing else.

    A feature whose name cannot be an attribute is given by its name and read as ``featureN``, N being its index.
    """
    return _features_class("PredictRequest", schema)


@cache
def response_class(schema: ModelSchema) -> type[BaseModel]:
    """Returns the class ``PredictResponse`` of a model."""
    return create_model("PredictResponse", __base__=_Response, __doc__=f"What the model {schema.name} says.")


@cache
def event_class(schema: ModelSchema) -> type[BaseModel]:
    """Returns the class ``PredictionEvent`` of a model: a line of the log. ``(producer, seq)`` is its identity."""
    return create_model(
        "PredictionEvent", __base__=_Event, __doc__=_Event.__doc__, features=(_features_class("Features", schema), ...)
    )


def _features_class(name: str, schema: ModelSchema) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for index, feature in enumerate(schema.features):
        attribute = feature.name if _can_be_attribute(feature.name) else f"feature{index}"
        alias = None if attribute == feature.name else feature.name
        fields[attribute] = (float, Field(alias=alias, title=feature.name, examples=[feature.example]))
    example: dict[str, JsonValue] = {**schema.example}
    config = ConfigDict(**_EXACT, strict=True, json_schema_extra={"examples": [example]})
    return create_model(name, __config__=config, __doc__=f"What the model {schema.name} is asked about.", **fields)


def _can_be_attribute(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name) and not name.startswith("_") and not hasattr(BaseModel, name)
