"""What a model takes and gives, as its package declares it. All borders are made from this one description."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import msgspec

from driftline.contract.nearest import did_you_mean
from driftline.errors import ModelError

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Feature(msgspec.Struct, frozen=True):
    """One number that a model takes.

    Attributes:
        name: Its key in requests, events and the log.
        type: A double-precision number, finite.
        example: A value for documentation.
    """

    name: Name
    type: Literal["float"]
    example: float


class ModelSchema(msgspec.Struct, frozen=True):
    """What one version of a model takes and gives.

    Attributes:
        name: The model's name, kept in every event.
        version: Its version, kept in every event.
        output: A probability, and the class that follows from it.
        threshold: The class is 1 from this probability on, in 0..1.
        features: In the order in which the model takes them; names differ.
    """

    name: Name
    version: Name
    output: Literal["binary"]
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]
    features: Annotated[tuple[Feature, ...], msgspec.Meta(min_length=1)]

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Self:
        """Returns the schema that a model package declares; its ``artifact`` is the scorer's business and not read.

        Raises:
            ModelError: A key is missing, unknown or of the wrong type, or a value is out of range.
        """
        refuse_unknown_keys(mapping, (*cls.__struct_fields__, "artifact"), where="")
        declared = {key: value for key, value in mapping.items() if key != "artifact"}
        features = declared.get("features")
        for index, feature in enumerate(features if isinstance(features, list) else ()):
            if isinstance(feature, Mapping):
                refuse_unknown_keys(feature, Feature.__struct_fields__, where=f"features[{index}].")
        try:
            schema = msgspec.convert(declared, cls)
        except msgspec.ValidationError as error:
            raise ModelError(f"the model package is wrong: {error}") from error
        _check_values(schema)
        return schema

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the model's order."""
        return tuple(feature.name for feature in self.features)

    @property
    def example(self) -> dict[str, float]:
        """A request's features, for documentation."""
        return {feature.name: feature.example for feature in self.features}


def refuse_unknown_keys(mapping: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    """Returns if a package's table has only keys that mean something.

    Raises:
        ModelError: It has another one; the message names the nearest that exists.
    """
    for key in mapping:
        if key not in known:
            raise ModelError(f"unknown key {where}{key} in the model package{did_you_mean(key, known)}")


def _check_values(schema: ModelSchema) -> None:
    if math.isnan(schema.threshold):  # no comparison refuses it
        raise ModelError("threshold must be a number from 0 to 1")
    seen = set()
    for feature in schema.features:
        if feature.name in seen:
            raise ModelError(f"the feature {feature.name} is declared twice")
        seen.add(feature.name)
        if not feature.name.isprintable() or '"' in feature.name or "\\" in feature.name:
            raise ModelError(f"the feature name {feature.name!r} has quotes, backslashes, or what cannot be printed")
        if not math.isfinite(feature.example):
            raise ModelError(f"the example of the feature {feature.name} must be finite")
