"""What a model gives, as it is answered and logged: made of its score and of what the schema says of the classes."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from driftline.contract.event import event_type
from driftline.contract.schema import Label, ModelSchema, Score
from driftline.errors import InputError, ScoringError

PROBABILITY: Final = "probability"
PROBABILITIES: Final = "probabilities"
PREDICTED_CLASS: Final = "predicted_class"
PREDICTION: Final = "prediction"


class Outputs(NamedTuple):
    """How the scores of one model are told.

    Attributes:
        names: Of the fields.
        of: Makes the values of the fields of a score. Raises InputError where the model has none for these features,
            and ScoringError where it gives what no such model can.
        of_all: Makes the columns of the fields of many scores, and raises what ``of`` does for the first that is wrong.
        event: Makes an event of a request id, features, these values, and the rest of its fields.
        response: Makes a response of a request id and these values.
    """

    names: tuple[str, ...]
    of: Callable[[Score], tuple[Any, ...]]
    of_all: Callable[[Sequence[Score]], tuple[Sequence[Any], ...]]
    event: Callable[..., msgspec.Struct]
    response: Callable[..., msgspec.Struct]


def outputs_of(schema: ModelSchema) -> Outputs:
    """Returns how the scores of a model are told."""
    of: Callable[[Score], tuple[Any, ...]]
    of_all: Callable[[Sequence[Score]], tuple[Sequence[Any], ...]]
    fields: list[tuple[str, Any]]
    label = type(schema.classes[0]) if schema.classes else int
    match schema.output:
        case "binary":
            (of, of_all), fields = _binary(schema), [(PROBABILITY, float), (PREDICTED_CLASS, label)]
        case "multiclass":
            of = _multiclass(schema.classes)
            of_all, fields = _one_by_one(of), [(PROBABILITIES, dict[str, float]), (PREDICTED_CLASS, label)]
        case "regression":
            of, of_all, fields = _regression, _one_by_one(_regression), [(PREDICTION, float)]
    response = msgspec.defstruct("Prediction", [("request_id", str), *fields], frozen=True, gc=False)
    return Outputs(tuple(name for name, _ in fields), of, of_all, event_type(fields), response)


def _one_by_one(of: Callable[[Score], tuple[Any, ...]]) -> Callable[[Sequence[Score]], tuple[Sequence[Any], ...]]:
    return lambda scores: tuple(zip(*map(of, scores), strict=True))


def _binary(
    schema: ModelSchema,
) -> tuple[Callable[[Score], tuple[float, Label]], Callable[[Sequence[Score]], tuple[Sequence[float], list[Label]]]]:
    threshold = schema.threshold
    first, second = schema.classes

    def of(score: Score) -> tuple[float, Label]:
        if 0.0 <= score <= 1.0:  # type: ignore[operator]  # a number, as Model promises of such a schema
            return score, second if score >= threshold else first  # type: ignore[return-value,operator]
        raise _no_probability(score)

    def of_all(scores: Sequence[Any]) -> tuple[Sequence[float], list[Label]]:
        found = [second if score >= threshold else first for score in scores if 0.0 <= score <= 1.0]
        if len(found) < len(scores):
            found = [of(score)[1] for score in scores]
        return scores, found

    return of, of_all


def _multiclass(classes: tuple[Label, ...]) -> Callable[[Score], tuple[dict[str, float], Label]]:
    names = tuple(map(str, classes))

    def of(score: Score) -> tuple[dict[str, float], Label]:
        if not isinstance(score, tuple) or len(score) != len(classes):
            raise ScoringError(f"the model has {len(classes)} classes, and does not give so many probabilities")
        for each in score:
            if not 0.0 <= each <= 1.0:
                raise _no_probability(each)
        return dict(zip(names, score, strict=True)), classes[score.index(max(score))]

    return of


def _regression(score: Score) -> tuple[float]:
    if not isinstance(score, float):
        raise ScoringError("the model does not give a number")
    if not math.isfinite(score):
        raise _no_score()
    return (score,)


def _no_probability(score: object) -> InputError | ScoringError:
    if isinstance(score, float) and math.isnan(score):
        return _no_score()
    return ScoringError("the model gives a probability that is not from 0 to 1")


def _no_score() -> InputError:
    return InputError("score_not_finite", "The model's score of these features is not a finite number.")
