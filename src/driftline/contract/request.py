"""The fast reading of a request body: one decode into a struct made from the schema."""

import math
from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec.structs import astuple

from driftline.contract.diagnosis import read_features
from driftline.contract.schema import MOST_CHARS, Feature, ModelSchema, Row, whole_ends

Features = msgspec.Struct
"""All features of one request, by their names; :func:`msgspec.structs.astuple` gives them in the schema's order."""


class RequestDecoder:
    """Reads the features of one model from request bodies.

    Args:
        schema: What the model takes.

    Attributes:
        make: Makes features of valid values, given in the schema's order.
        inputs: Returns what of them is scored.
    """

    def __init__(self, schema: ModelSchema) -> None:
        # Any string may be a feature's name, but not any string an attribute's.
        attributes = {f"feature{index}": feature.name for index, feature in enumerate(schema.features)}
        self._schema = schema
        self.make: Callable[..., Features] = msgspec.defstruct(
            "Features",
            [(name, _fast_type(feature)) for name, feature in zip(attributes, schema.features, strict=True)],
            rename=attributes,
            forbid_unknown_fields=True,
            frozen=True,
            gc=False,
        )
        self.inputs: Callable[[Features], Row] = _inputs_of(schema)
        self._decode = msgspec.json.Decoder(self.make).decode
        texts = [at for at, feature in enumerate(schema.features) if feature.type == "category"]
        self._quotes: Final = 2 * (len(schema.features) + len(texts))
        self._nulls: Final = _nulls_among([f"feature{at}" for at in texts if schema.features[at].nullable])

    def decode(self, body: bytes) -> Features:
        """Returns the features.

        Raises:
            InputError: The body is refused; ``reason`` says why.
        """
        features = self.decode_fast(body)
        return self.make(*read_features(body, self._schema.features)) if features is None else features

    def decode_fast(self, body: bytes) -> Features | None:
        """Returns the features, or None for a body that is refused or has to be read with care."""
        try:
            features: Features = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        # Of several equal keys msgspec takes the last. Each key brings two quotes (a name has none), and so does each
        # text; what else has quotes is another key, or a text with an escaped one, which is read with care.
        quotes = self._quotes if self._nulls is None else self._quotes - 2 * self._nulls(features)
        return features if body.count(b'"') == quotes else None


def _nulls_among(attributes: Sequence[str]) -> Callable[[Features], int] | None:
    """What counts how many of these are None; None for no attributes."""
    if not attributes:
        return None
    get = attrgetter(*attributes)
    if len(attributes) == 1:  # it gives the value, and of several a tuple
        return lambda features: get(features) is None
    return lambda features: get(features).count(None)


def _fast_type(feature: Feature) -> Any:
    made = _bare_type(feature)
    return made | None if feature.nullable else made


def _bare_type(feature: Feature) -> Any:
    match feature.type:
        case "float" if feature.range:
            low, high = (end if math.isfinite(end) else None for end in feature.range)
            return Annotated[float, msgspec.Meta(ge=low, le=high)]
        case "float":
            return float
        case "int":
            lowest, highest = whole_ends(feature)
            return Annotated[int, msgspec.Meta(ge=lowest, le=highest)]
        case "bool":
            return bool
        case "category" if feature.categories:
            return Literal[feature.categories]
    return Annotated[str, msgspec.Meta(max_length=MOST_CHARS)]


def _inputs_of(schema: ModelSchema) -> Callable[[Features], Row]:
    places = [at for at, feature in enumerate(schema.features) if feature.role == "input"]
    if len(places) == len(schema.features):
        return astuple
    if len(places) == 1:
        (only,) = places
        return lambda features: (astuple(features)[only],)
    chosen = itemgetter(*places)
    return lambda features: chosen(astuple(features))
