"""What a model takes and gives, as its package declares it. All borders are made from this one description."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self, get_args

import msgspec

from driftline.contract.nearest import did_you_mean
from driftline.errors import ModelError

MOST_CHARS: Final = 1000
"""The longest text that a category may be."""
MOST_EXACT: Final = 2**53 - 1
"""The largest whole number up to which JSON's numbers are exact everywhere (RFC 8259, section 6)."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Value = float | int | bool | str | None
"""What a feature may be in Python: a float is finite, None is missing."""
Row = Sequence[Value]
"""The values of one row."""
Column = Any
"""The values of one feature in many rows: an array of numpy, of shape ``(rows,)``. Nothing here loads numpy."""
Score = float | tuple[float, ...]
"""What a model gives for one row: the probability of the second label, one for each label, or a number."""
Label = str | int

Type = Literal["float", "int", "bool", "category"]
Output = Literal["binary", "multiclass", "regression"]
Role = Literal["input", "context"]
Log = Literal["keep", "hash", "drop"]

_WORDS: Final = {"output": get_args(Output)}
_FEATURE_WORDS: Final = {"type": get_args(Type), "role": get_args(Role), "log": get_args(Log)}
"""What a text may be, by its key."""

TAKEN_NAMES: Final = frozenset({"request_id", "probability", "probabilities", "predicted_class", "prediction"})
"""What an event says of a prediction under names of its own: tables have features beside them, which differ."""

_DEFAULTS: Final[Mapping[Type, Value]] = {"float": 0.0, "bool": False, "category": "a"}


class Feature(msgspec.Struct, frozen=True):
    """One value that comes with a request.

    Attributes:
        name: Its key in requests, events and the log.
        type: ``float`` is a double-precision number, finite; ``int`` a whole number of at most :data:`MOST_EXACT`;
            ``category`` a text of at most :data:`MOST_CHARS` characters.
        role: ``input`` is scored; ``context`` is taken, logged and watched, and the model never sees it.
        nullable: Whether it may be null. It has to be there all the same.
        range: The lowest and the highest number that are taken, either may be infinite; none for any. Only of numbers.
        categories: The texts that are taken; none for any. Only of categories.
        log: What of it is kept: the value, a keyed hash of it, or nothing.
        example: A value for documentation; none for one that the type suggests.
    """

    name: Name
    type: Type
    role: Role = "input"
    nullable: bool = False
    range: tuple[float, float] | None = None
    categories: tuple[str, ...] | None = None
    log: Log = "keep"
    example: Value = None

    @property
    def shown(self) -> Value:
        """A value for documentation, of the feature's type."""
        if self.example is not None:
            return self.example
        if self.categories:
            return self.categories[0]
        if self.type == "int":
            low, high = whole_ends(self)
            return min(max(0, low), high)
        if self.range is not None:
            return min(max(0.0, self.range[0]), self.range[1])
        return _DEFAULTS[self.type]


class ModelSchema(msgspec.Struct, frozen=True, kw_only=True):
    """What one version of a model takes and gives.

    Attributes:
        name: The model's name, kept in every event.
        version: Its version, kept in every event.
        output: ``binary`` gives the probability of the second of two classes, ``multiclass`` one for each class,
            ``regression`` a number.
        threshold: Of two classes it is the second from this probability on, in 0..1.
        labels: What the classes are called, in the model's order; of two classes, 0 and 1 if there are none.
        features: In the order in which the model takes them; names differ.
    """

    name: Name
    version: Name
    output: Output
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    labels: tuple[Label, ...] = ()
    features: Annotated[tuple[Feature, ...], msgspec.Meta(min_length=1)]

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Self:
        """Returns the schema that these keys of a model package declare.

        Raises:
            ModelError: A key is missing, unknown or of the wrong type, or a value is out of range.
        """
        refuse_unknown_keys(mapping, cls.__struct_fields__, where="")
        _refuse_other_words(mapping, _WORDS, where="")
        features = mapping.get("features")
        for index, feature in enumerate(features if isinstance(features, list) else ()):
            if isinstance(feature, Mapping):
                refuse_unknown_keys(feature, Feature.__struct_fields__, where=f"features[{index}].")
                _refuse_other_words(feature, _FEATURE_WORDS, where=f"features[{index}].")
        schema: Self = converted(mapping, cls)
        for key, needed in (("threshold", "binary"), ("labels", "binary or multiclass")):
            if key in mapping and schema.output not in needed:
                raise ModelError(f"{key} is only for an output that is {needed}, and this one is {schema.output}")
        _check_values(schema)
        return schema

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all features, those of the context among them, in their order."""
        return tuple(feature.name for feature in self.features)

    @property
    def inputs(self) -> tuple[Feature, ...]:
        """The features that are scored, in the model's order."""
        return tuple(feature for feature in self.features if feature.role == "input")

    @property
    def example(self) -> dict[str, Any]:
        """A request's features, for documentation."""
        return {feature.name: feature.shown for feature in self.features}

    @property
    def classes(self) -> tuple[Label, ...]:
        """What ``predicted_class`` and an outcome may be, in the model's order; empty for a regression."""
        return self.labels or ((0, 1) if self.output == "binary" else ())


def converted(mapping: Mapping[str, object], kind: type[Any]) -> Any:
    """Returns a table of a package as a struct.

    Raises:
        ModelError: A key is missing, or a value is of the wrong type or out of range.
    """
    try:
        return msgspec.convert(mapping, kind)
    except msgspec.ValidationError as error:
        raise ModelError(f"the model package is wrong: {error}") from error


def refuse_unknown_keys(mapping: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    """Returns if a package's table has only keys that mean something.

    Raises:
        ModelError: It has another one; the message names the nearest that exists.
    """
    for key in mapping:
        if key not in known:
            raise ModelError(f"unknown key {where}{key} in the model package{did_you_mean(key, known)}")


def _refuse_other_words(table: Mapping[str, object], words: Mapping[str, Sequence[str]], where: str) -> None:
    for key, known in words.items():
        word = table.get(key)
        if isinstance(word, str) and word not in known:
            raise ModelError(f"{where}{key} is {word!r} in the model package, and must be one of: {', '.join(known)}")


def _check_values(schema: ModelSchema) -> None:
    if math.isnan(schema.threshold):  # no comparison refuses it
        raise ModelError("threshold must be a number from 0 to 1")
    _check_title("name", schema.name)
    _check_title("version", schema.version)
    _check_labels(schema)
    seen = set()
    for feature in schema.features:
        if feature.name in seen:
            raise ModelError(f"the feature {feature.name} is declared twice")
        seen.add(feature.name)
        if not feature.name.isprintable() or '"' in feature.name or "\\" in feature.name:
            raise ModelError(f"the feature name {feature.name!r} has quotes, backslashes, or what cannot be printed")
        if feature.name in TAKEN_NAMES:
            raise ModelError(
                f"the feature {feature.name} is called as what is said of a prediction, so it could not be watched: "
                "give it another name"
            )
        _check_feature(feature)
    if not schema.inputs:
        raise ModelError("all features are context, and none is left to score")


def _check_title(key: str, text: str) -> None:
    if not text.isprintable() or "/" in text or text in {".", ".."}:
        raise ModelError(f"the {key} {text!r} cannot be part of a path: it has a slash, or what cannot be printed")


def _check_labels(schema: ModelSchema) -> None:
    labels = schema.labels
    if schema.output == "multiclass" and len(labels) < 2:  # noqa: PLR2004 (of one class there is nothing to say)
        raise ModelError("a multiclass model needs labels: what its classes are called, in the model's order")
    if schema.output == "binary" and labels and len(labels) != 2:  # noqa: PLR2004
        raise ModelError(f"a binary model has two labels, and here are {len(labels)}")
    if len(set(labels)) < len(labels) or len({type(label) for label in labels}) > 1:
        raise ModelError("labels must differ, and be all text or all whole numbers")
    for label in labels:
        if isinstance(label, str) and not 0 < len(label) <= MOST_CHARS:
            raise ModelError(f"a label has 1 to {MOST_CHARS} characters")
        if isinstance(label, int) and abs(label) > MOST_EXACT:
            raise ModelError(f"a label that is a number is at most {MOST_EXACT}")


def _check_feature(feature: Feature) -> None:
    name, numeric = feature.name, feature.type in {"float", "int"}
    if feature.range is not None:
        low, high = feature.range
        if not numeric:
            raise ModelError(f"the feature {name} is {feature.type}, which has no range")
        if not low <= high:
            raise ModelError(f"the range of the feature {name} must be its lowest and its highest number")
        if low == math.inf or high == -math.inf or (feature.type == "int" and not _any_whole(feature)):
            raise ModelError(f"in the range of the feature {name} there is no {feature.type}")
    if feature.categories is not None:
        if feature.type != "category":
            raise ModelError(f"the feature {name} is {feature.type}, which has no categories")
        if not feature.categories or len(set(feature.categories)) < len(feature.categories):
            raise ModelError(f"the categories of the feature {name} must differ, and be at least one")
        if max(map(len, feature.categories)) > MOST_CHARS:
            raise ModelError(f"a category of the feature {name} has more than {MOST_CHARS} characters")
    if feature.example is not None and (wrong := misfit(feature, feature.example)):
        raise ModelError(f"the example of the feature {name} {wrong[1]}")


def whole_ends(feature: Feature) -> tuple[int, int]:
    """Returns the lowest and the highest whole number that an ``int`` may be."""
    low, high = feature.range or (-math.inf, math.inf)
    return math.ceil(max(low, -MOST_EXACT)), math.floor(min(high, MOST_EXACT))


def _any_whole(feature: Feature) -> bool:
    low, high = whole_ends(feature)
    return low <= high


def misfit(feature: Feature, value: object) -> tuple[str, str] | None:
    """Returns why a value is none of a feature's, as a code and what to say after its name; None if it is one.

    A whole number is a float, too, and a float that is whole an ``int``.
    """
    if value is None:
        return None if feature.nullable else ("wrong_type", f"must be {noun(feature)}, not null.")
    match feature.type:
        case "bool":
            return None if isinstance(value, bool) else _not_a(feature, value)
        case "category":
            return _category_misfit(feature, value) if isinstance(value, str) else _not_a(feature, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _not_a(feature, value)
    return _number_misfit(feature, value)


def _number_misfit(feature: Feature, value: Any) -> tuple[str, str] | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "not_finite", "must be finite."
    if feature.type == "int":
        if isinstance(value, float) and not value.is_integer():
            return "wrong_type", "must be a whole number."
        if abs(value) > MOST_EXACT:
            return "number_out_of_range", f"must be a whole number of at most {MOST_EXACT}."
    elif isinstance(value, int) and not _fits(value):
        return "number_out_of_range", "does not fit a double-precision number."
    if feature.range is not None and not feature.range[0] <= value <= feature.range[1]:
        return "out_of_range", f"must be {_span(*feature.range)}."
    return None


def _span(low: float, high: float) -> str:
    if high == math.inf:
        return f"at least {_plain(low)}"
    return f"at most {_plain(high)}" if low == -math.inf else f"from {_plain(low)} to {_plain(high)}"


def _plain(number: float) -> str:
    return repr(number).removesuffix(".0")


def _category_misfit(feature: Feature, value: str) -> tuple[str, str] | None:
    if len(value) > MOST_CHARS:
        return "text_too_long", f"must have at most {MOST_CHARS} characters."
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        return "wrong_type", "must be Unicode text, without half of a surrogate pair."
    if feature.categories is not None and value not in feature.categories:
        return "unknown_category", "is none of the categories of this model."
    return None


def noun(feature: Feature) -> str:
    """Returns what a feature must be, in JSON's words."""
    return {"float": "a number", "int": "a whole number", "bool": "a boolean", "category": "a string"}[feature.type]


def _not_a(feature: Feature, value: object) -> tuple[str, str]:
    # Words for what JSON has, and for what a table may have besides.
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    found = kinds.get(type(value), f"of the type {type(value).__name__}")
    return "wrong_type", f"must be {noun(feature)}, not {found}."


def _fits(value: int) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True
