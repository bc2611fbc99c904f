"""Pydantic classes for what crosses the HTTP border and for events, made from a model's schema.

They are the description that OpenAPI and Python clients use. Requests are decided by ``request.py``, which is faster;
tests keep the two in agreement.
"""

from collections.abc import Mapping
from functools import cache, reduce
from keyword import iskeyword
from operator import or_
from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
    create_model,
)

from driftline.contract import json_schema
from driftline.contract.feedback import MAX_ITEMS, Outcomes
from driftline.contract.outputs import PREDICTED_CLASS, PREDICTION, PROBABILITIES, PROBABILITY, outputs_of
from driftline.contract.schema import MOST_CHARS, Feature, Label, ModelSchema, Score, whole_ends

_HEX_32 = r"^[0-9a-f]{32}$"
_UUID_7 = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"

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
GivenTime = Annotated[
    AwareDatetime | None,
    Field(
        description="When the outcome became known; now, unless it is given, or if it has not come. Of several "
        "outcomes for one prediction the latest counts, and of several that are as late the last one given.",
    ),
]
Producer = Annotated[str, Field(pattern=_HEX_32, description="The outbox that accepted it.")]
Seq = Annotated[int, Field(ge=0, description="Its number in that outbox.")]
Crc32 = Annotated[
    str | None,
    Field(pattern=r"^[0-9a-f]{8}$", description="Of the line's bytes before this member, which is the last."),
]


_EXACT = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


_EXAMPLE_ID = "019ab2d1-6a3e-7c52-9f0e-2b61c1f3a9d4"
_EXAMPLE_PROBABILITY = 0.7649478037637648


class FeedbackResponse(BaseModel):
    """How many outcomes are kept now: all that were sent."""

    model_config = ConfigDict(**_EXACT, json_schema_extra={"examples": [{"accepted": 1}]})

    accepted: Annotated[int, Field(ge=1, le=MAX_ITEMS)]


_EVENT_TAIL: Mapping[str, Any] = {
    "timestamp": (Annotated[AwareDatetime, Field(description="When it was made, in UTC.")], ...),
    "schema_version": (Annotated[Literal[1], Field(description="Of this list of fields.")], ...),
    "kind": (
        Annotated[
            Literal["prediction", "shadow"],
            Field(description="shadow: scored beside the answer by a model that is tried, under the same request_id."),
        ],
        ...,
    ),
    "producer": (Producer, ...),
    "seq": (Seq, ...),
    "model": (str, ...),
    "model_version": (str, ...),
    "trace_id": (
        Annotated[str | None, Field(pattern=_HEX_32, description="Of the trace the request belongs to.")],
        None,
    ),
    "traceparent": (Annotated[str | None, Field(description="The request's W3C Trace Context.")], None),
    "client_request_id": (Annotated[str | None, Field(description="The request's X-Request-Id.")], None),
    "crc32": (Crc32, None),
}


@cache
def request_class(schema: ModelSchema) -> type[BaseModel]:
    """Returns the class ``PredictRequest`` of a model: its features, and nothing else.

    A feature whose name cannot be an attribute is given by its name and read as ``featureN``, N being its index.
    """
    config = ConfigDict(**_EXACT, strict=True, json_schema_extra={"examples": [_json(schema.example)]})
    about = f"What the model {schema.name} is asked about."
    members = {feature.name: _asked_type(feature) for feature in schema.features}
    return create_model("PredictRequest", __config__=config, __doc__=about, **_fields("feature", members))


@cache
def response_class(schema: ModelSchema) -> type[BaseModel]:
    """Returns the class ``PredictResponse`` of a model."""
    outputs = outputs_of(schema)
    example = msgspec.to_builtins(outputs.response(_EXAMPLE_ID, *outputs.of(_example_score(schema))))
    config = ConfigDict(**_EXACT, json_schema_extra={"examples": [example]})
    about = f"What the model {schema.name} says."
    fields: dict[str, Any] = {"request_id": (RequestId, ...), **_output_fields(schema)}
    return create_model("PredictResponse", __config__=config, __doc__=about, **fields)


@cache
def event_class(schema: ModelSchema) -> type[BaseModel]:
    """Returns the class ``PredictionEvent`` of a model: a line of the log. ``(producer, seq)`` is its identity."""
    kept = [feature for feature in schema.features if feature.log != "drop"]
    fields: dict[str, Any] = {
        "request_id": (RequestId, ...),
        "features": (
            create_model(
                "Features",
                __config__=ConfigDict(**_EXACT, strict=True),
                __doc__=f"What is logged of what the model {schema.name} was asked about.",
                **_fields("feature", {feature.name: _logged_type(feature) for feature in kept}),
            ),
            ...,
        ),
        **_output_fields(schema),
        **_EVENT_TAIL,
    }
    about = "A prediction that was made: a line of the log. (producer, seq) is its identity."
    return create_model("PredictionEvent", __config__=_EXACT, __doc__=about, **fields)


@cache
def feedback_class(outcomes: Outcomes) -> type[BaseModel]:
    """Returns the class ``Feedback``: one outcome."""
    example = {"request_id": _EXAMPLE_ID, "outcome": outcomes.shown, "at": "2026-11-23T21:00:00Z"}
    fields: dict[str, Any] = {
        "request_id": (GivenId, ...),
        "outcome": (_outcome_type(outcomes, given=True), ...),
        "at": (GivenTime, None),
    }
    config = ConfigDict(**_EXACT, json_schema_extra={"examples": [_json(example)]})
    return create_model("Feedback", __config__=config, __doc__="What became of one prediction.", **fields)


@cache
def feedback_batch_class(outcomes: Outcomes) -> type[BaseModel]:
    """Returns the class ``FeedbackBatch``: several outcomes."""
    item: Any = feedback_class(outcomes)
    example = {"feedback": item.model_config["json_schema_extra"]["examples"]}
    config = ConfigDict(**_EXACT, json_schema_extra={"examples": [example]})
    about = "Outcomes of several predictions; refused whole if anything is wrong with one."
    items: Any = (Annotated[list[item], Field(min_length=1, max_length=MAX_ITEMS)], ...)
    return create_model("FeedbackBatch", __config__=config, __doc__=about, feedback=items)


@cache
def feedback_event_class(outcomes: Outcomes) -> type[BaseModel]:
    """Returns the class ``FeedbackEvent``: a line of the log. ``(producer, seq)`` is its identity."""
    fields: dict[str, Any] = {
        "request_id": (
            Annotated[str, Field(pattern=_UUID_7, description="Of the prediction, if there is such a one.")],
            ...,
        ),
        "outcome": (_outcome_type(outcomes, given=False), ...),
        "at": (Annotated[AwareDatetime, Field(description="When it became known, in UTC; the latest counts.")], ...),
        "timestamp": (Annotated[AwareDatetime, Field(description="When it was told, in UTC.")], ...),
        "schema_version": _EVENT_TAIL["schema_version"],
        "kind": (Literal["feedback"], ...),
        "producer": (Producer, ...),
        "seq": (Seq, ...),
        "crc32": (Crc32, None),
    }
    about = "What became of a prediction, told later: a line of the log. (producer, seq) is its identity."
    return create_model("FeedbackEvent", __config__=_EXACT, __doc__=about, **fields)


def _output_fields(schema: ModelSchema) -> dict[str, Any]:
    if schema.output == "regression":
        return {PREDICTION: (Annotated[float, Field(description="By the model.")], ...)}
    classes = schema.classes
    if schema.output == "binary":
        about, chosen = f"Of class {classes[1]}, by the model.", f"{classes[1]} from the model's threshold on."
        probability = Annotated[float, Field(ge=0, le=1, description=about)]
        return {PROBABILITY: (probability, ...), PREDICTED_CLASS: (_class_type(classes, chosen), ...)}
    each = Annotated[float, Field(ge=0, le=1)]
    probabilities = create_model(
        "Probabilities",
        __config__=_EXACT,
        __doc__="Of each class, by the model.",
        **_fields("class", {str(label): each for label in classes}),
    )
    chosen = "The class with the highest probability."
    return {PROBABILITIES: (probabilities, ...), PREDICTED_CLASS: (_class_type(classes, chosen), ...)}


def _class_type(classes: tuple[Label, ...], description: str) -> Any:
    return Annotated[Literal[classes], Field(description=description)]


def _example_score(schema: ModelSchema) -> Score:
    match schema.output:
        case "binary":
            return _EXAMPLE_PROBABILITY
        case "multiclass":
            halves = [0.5**power for power in range(1, len(schema.classes))]
            return (*halves, halves[-1])
    return 12.5


def _outcome_type(outcomes: Outcomes, *, given: bool) -> Any:
    kinds: list[Any] = [Literal[outcomes.classes]] if outcomes.classes else []
    kinds += [bool] if given and outcomes.booleans else []
    kinds += [float] if outcomes.numbers else []
    words = [*(["class"] if outcomes.classes else []), *(["number"] if outcomes.numbers else [])]
    described = f"The true {' or '.join(words)}."
    made = reduce(or_, [Annotated[kinds[0], Field(description=described)], *kinds[1:]])
    return made if bool in kinds else Annotated[made, BeforeValidator(_no_boolean)]


def _asked_type(feature: Feature) -> Any:
    made = _plain_type(feature)
    return Annotated[made | None if feature.nullable else made, WithJsonSchema(json_schema.asked(feature))]


def _logged_type(feature: Feature) -> Any:
    made = Annotated[str, Field(pattern=json_schema.HASHED)] if feature.log == "hash" else _plain_type(feature)
    return Annotated[made | None if feature.nullable else made, WithJsonSchema(json_schema.logged(feature))]


def _plain_type(feature: Feature) -> Any:
    match feature.type:
        case "float":
            low, high = feature.range or (None, None)
            return Annotated[float, Field(ge=low, le=high)]
        case "int":
            lowest, highest = whole_ends(feature)
            return Annotated[int, Field(ge=lowest, le=highest), BeforeValidator(_whole)]
        case "bool":
            return bool
        case "category" if feature.categories:
            return Literal[feature.categories]
    return Annotated[str, Field(max_length=MOST_CHARS)]


def _whole(value: object) -> object:
    """A number that JSON writes as 3.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _no_boolean(value: object) -> object:
    """What pydantic would take for the 1 of a Literal."""
    if isinstance(value, bool):
        raise ValueError("must not be a boolean")  # noqa: TRY004 (what pydantic wants of a validator)
    return value


def _fields(prefix: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of members with any names, as attributes where a name can be one."""
    fields: dict[str, Any] = {}
    for index, (name, kind) in enumerate(members.items()):
        numbered = name.removeprefix(prefix).isdigit()  # such a name is given to those that cannot be attributes
        attribute = name if _can_be_attribute(name) and not numbered else f"{prefix}{index}"
        fields[attribute] = (kind, Field(alias=None if attribute == name else name))
    return fields


def _can_be_attribute(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name) and not name.startswith("_") and not hasattr(BaseModel, name)


def _json(example: Mapping[str, Any]) -> dict[str, JsonValue]:
    return dict(example)
