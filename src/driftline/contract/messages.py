"""Pydantic classes for what crosses the HTTP border and for events, made from a model's schema.

They are the description that OpenAPI and Python clients use. Requests are decided by ``request.py``, which is faster;
tests keep the two in agreement.
"""

from functools import cache
from keyword import iskeyword
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, create_model

from driftline.contract.feedback import MAX_ITEMS
from driftline.contract.schema import ModelSchema

_HEX_32 = r"^[0-9a-f]{32}$"
_UUID_7 = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"

Probability = Annotated[float, Field(ge=0, le=1, description="Of class 1, by the model.")]
PredictedClass = Annotated[Literal[0, 1], Field(description="1 from the model's threshold on.")]
RequestId = Annotated[
    str,
    Field(
        pattern=_UUID_7,
        description="UUIDv7 of this prediction: the same in the response, the event and the log.",
    ),
]
GivenId = Annotated[
    str,
    Field(
        pattern=_UUID_7.replace("0-9a-f", "0-9a-fA-F").replace("[89ab]", "[89abAB]"),
        description="Of the prediction, as it was answered. It need not be in the log yet.",
    ),
]
Outcome = Annotated[Literal[0, 1], Field(description="The true class.")]
Producer = Annotated[str, Field(pattern=_HEX_32, description="The outbox that accepted it.")]
Seq = Annotated[int, Field(ge=0, description="Its number in that outbox.")]
Crc32 = Annotated[
    str | None,
    Field(pattern=r"^[0-9a-f]{8}$", description="Of the line's bytes before this member, which is the last."),
]


_EXACT = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


_RESPONSE: dict[str, JsonValue] = {
    "request_id": "019ab2d1-6a3e-7c52-9f0e-2b61c1f3a9d4",
    "probability": 0.7649478037637648,
    "predicted_class": 1,
}
_FEEDBACK: dict[str, JsonValue] = {
    "request_id": "019ab2d1-6a3e-7c52-9f0e-2b61c1f3a9d4",
    "outcome": 1,
    "at": "2026-11-23T21:00:00Z",
}


class _Response(BaseModel):
    """What the model says."""

    model_config = ConfigDict(**_EXACT, json_schema_extra={"examples": [_RESPONSE]})

    request_id: RequestId
    probability: Probability
    predicted_class: PredictedClass


class Feedback(BaseModel):
    """What became of one prediction."""

    model_config = ConfigDict(**_EXACT, json_schema_extra={"examples": [_FEEDBACK]})

    request_id: GivenId
    outcome: Outcome | bool
    at: Annotated[
        AwareDatetime | None,
        Field(
            description="When the outcome became known; now, unless it is given, or if it has not come. Of several "
            "outcomes for one prediction the latest counts, and of several that are as late the last one given.",
        ),
    ] = None


class FeedbackBatch(BaseModel):
    """Outcomes of several predictions; refused whole if anything is wrong with one."""

    model_config = ConfigDict(**_EXACT, json_schema_extra={"examples": [{"feedback": [_FEEDBACK]}]})

    feedback: Annotated[list[Feedback], Field(min_length=1, max_length=MAX_ITEMS)]


class FeedbackResponse(BaseModel):
    """How many outcomes are kept now: all that were sent."""

    model_config = ConfigDict(**_EXACT, json_schema_extra={"examples": [{"accepted": 1}]})

    accepted: Annotated[int, Field(ge=1, le=MAX_ITEMS)]


class FeedbackEvent(BaseModel):
    """What became of a prediction, told later: a line of the log. (producer, seq) is its identity."""

    model_config = _EXACT

    request_id: Annotated[str, Field(pattern=_UUID_7, description="Of the prediction, if there is such a one.")]
    outcome: Outcome
    at: Annotated[AwareDatetime, Field(description="When it became known, in UTC; the latest counts.")]
    timestamp: Annotated[AwareDatetime, Field(description="When it was told, in UTC.")]
    schema_version: Annotated[Literal[1], Field(description="Of this list of fields.")]
    kind: Literal["feedback"]
    producer: Producer
    seq: Seq
    crc32: Crc32 = None


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
    producer: Producer
    seq: Seq
    model: str
    model_version: str
    trace_id: Annotated[str | None, Field(pattern=_HEX_32, description="Of the trace the request belongs to.")] = None
    traceparent: Annotated[str | None, Field(description="The request's W3C Trace Context.")] = None
    client_request_id: Annotated[str | None, Field(description="The request's X-Request-Id.")] = None
    crc32: Crc32 = None


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
