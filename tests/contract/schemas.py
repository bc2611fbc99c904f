"""Schemas of all kinds, and bodies for them, right and wrong."""

import json
import math
from typing import Any, get_args

from hypothesis import strategies as st

from driftline.contract.schema import MOST_EXACT, Feature, ModelSchema, Score, Type, whole_ends
from driftline.errors import ModelError

INFINITE = math.inf
ALL_TYPES = ModelSchema.from_mapping(
    {
        "name": "all types",
        "version": "1",
        "output": "binary",
        "features": [
            {"name": "amount", "type": "float", "range": [-0.5, 1e6]},
            {"name": "months", "type": "int", "range": [0.5, INFINITE]},
            {"name": "seats", "type": "int", "nullable": True},
            {"name": "paid", "type": "bool"},
            {"name": "plan", "type": "category", "categories": ["basic", 'say "pro"', ""]},
            {"name": "country", "type": "category", "role": "context", "nullable": True},
        ],
    }
)

LOGGED = [
    *({"name": "amount", "type": "float"}, {"name": "months", "type": "int", "log": "drop"}),
    {"name": "say class", "type": "category", "log": "hash", "nullable": True},
    {"name": "feature7", "type": "bool", "role": "context", "nullable": True},
    {"name": "age", "type": "int", "role": "context", "log": "hash", "range": [18, INFINITE]},
]


def _of_output(name: str, output: str, **more: Any) -> ModelSchema:
    return ModelSchema.from_mapping({"name": name, "version": "1", "output": output, "features": LOGGED, **more})


OF_EACH_OUTPUT = {
    "binary": _of_output("binary", "binary"),
    "labels": _of_output("two labels", "binary", labels=["stays", "leaves"], threshold=0.9),
    "multiclass": _of_output("multiclass", "multiclass", labels=["class", "b c", "class0"]),
    "whole labels": _of_output("whole labels", "multiclass", labels=[3, 1, 2]),
    "regression": _of_output("a number", "regression"),
}
"""Models of all outputs, and of all that can be logged of a feature."""
SCORES: dict[str, Score] = {
    "binary": 0.75,
    "labels": 0.75,
    "multiclass": (0.25, 0.5, 0.25),
    "whole labels": (0.5, 0.5, 0.0),
    "regression": -12.5,
}
"""A score of each of them."""

ends = st.one_of(
    st.sampled_from([-INFINITE, INFINITE, -0.0, 0.5, -0.5, 1e-300, 1e300, 2.0**53, -(2.0**53), 1e17, 1.0, 3.0]),
    st.floats(-100, 100),
    st.integers(-10, 10).map(float),
)
texts = st.one_of(
    st.sampled_from(["", "a", "AT", 'say "x"', "back\\slash", "ünïcödé", "\N{GRINNING FACE}", "a\nb", "\x00", "\x7f"]),
    st.text(max_size=5),
)
names = st.sampled_from(["a", "b c", "class", "größe", "x/y~z", "copy", "feature1", "_d", "\N{GRINNING FACE}"])


@st.composite
def features(draw: st.DrawFn) -> Feature:
    """A feature, which may contradict itself."""
    kind: Type = draw(st.sampled_from(get_args(Type)))
    numeric = kind in {"float", "int"}
    span = draw(st.none() | st.tuples(ends, ends).map(lambda pair: tuple(sorted(pair)))) if numeric else None
    categories = draw(st.none() | st.lists(texts, min_size=1, max_size=4, unique=True)) if kind == "category" else None
    return Feature(
        draw(names),
        kind,
        nullable=draw(st.booleans()),
        range=span,  # type: ignore[arg-type]  # two of them
        categories=None if categories is None else tuple(categories),
    )


@st.composite
def schemas(draw: st.DrawFn) -> ModelSchema:
    """A schema that a package may declare."""
    drawn = draw(st.lists(features(), min_size=1, max_size=4, unique_by=lambda feature: feature.name))
    possible = [feature for feature in drawn if _is_possible(feature)] or [Feature("a", "float")]
    return ModelSchema(name="drawn", version="1", output="regression", features=tuple(possible))


def _is_possible(feature: Feature) -> bool:
    declared = {"name": feature.name, "type": feature.type, "range": feature.range, "categories": feature.categories}
    given = {key: value for key, value in declared.items() if value is not None}
    try:
        ModelSchema.from_mapping({"name": "m", "version": "1", "output": "regression", "features": [given]})
    except ModelError:
        return False
    return True


def tokens(feature: Feature) -> st.SearchStrategy[str]:
    """What may stand for a feature in a body; most often it is one of its values, or nearly."""
    return st.one_of(near(feature), near(feature), near(feature), ANY)


def near(feature: Feature) -> st.SearchStrategy[str]:
    """Values of a feature, and those beside them."""
    made: st.SearchStrategy[str]
    match feature.type:
        case "float":
            made = st.one_of(NUMBERS, st.sampled_from(_beside(feature.range or (0.0, 1.0))))
        case "int":
            made = st.one_of(NUMBERS, st.sampled_from(_beside(whole_ends(feature))), st.integers(-10, 10).map(str))
        case "bool":
            made = st.sampled_from(["true", "false"])
        case "category":
            made = st.one_of(*[written(text) for text in feature.categories or ()], texts.flatmap(written), LONG)
    return st.one_of(made, made, st.just("null"))


def _beside(pair: tuple[float, float]) -> list[str]:
    finite = [end for end in pair if math.isfinite(end)]
    values = [
        value
        for end in finite
        for value in (end, end + 1, end - 1, math.nextafter(end, INFINITE), math.nextafter(end, -INFINITE))
    ]
    return [repr(value) for value in values if math.isfinite(value)] or ["0"]


@st.composite
def written(draw: st.DrawFn, text: str) -> str:
    """One of the ways to write a text in JSON."""
    how = draw(st.sampled_from(["plain", "ascii", "escaped"]))
    if how == "escaped":
        units = text.encode("utf-16-be", "surrogatepass").hex()
        return '"' + "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)) + '"'
    return json.dumps(text, ensure_ascii=how == "ascii")


NUMBERS = st.one_of(
    st.sampled_from(["0", "-0", "-0.0", "1", "3.0", "3e2", "3e-1", "1E0", "5e-324", "1e-999", "1e308", "1e309"]),
    st.sampled_from([str(MOST_EXACT), str(-MOST_EXACT), str(MOST_EXACT + 1), f"{MOST_EXACT}.0", f"{MOST_EXACT}.5"]),
    st.sampled_from(["9" * 309, "9" * 5000, "-" + "9" * 30, "18446744073709551616", "4503599627370497.25", "01", "+1"]),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
LONG = st.sampled_from([999, 1000, 1001]).flatmap(
    lambda many: st.sampled_from(["x" * many, "\N{GRINNING FACE}" * many])
)
LONG = LONG.flatmap(written)
ANY = st.sampled_from(
    [
        *("true", "null", "NaN", "-Infinity", '"1"', '"true"', "[]", "{}", "[1]", '{"a":1}', "", '"', "'a'", '"\\x41"'),
        *('"\\ud800"', '"\\ud800\\u0041"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"a\nb"', '"\\u0022"', '"\\""'),
    ]
)
SPACE = st.text(" \t\r\n", max_size=2)


@st.composite
def bodies(draw: st.DrawFn, schema: ModelSchema) -> bytes:
    """A body for a schema: with its fields in any order, now and then one more, one less, one twice."""
    order: list[Feature] = draw(st.permutations(schema.features))
    match draw(st.integers(0, 9)):
        case 0:
            order = order[1:]
        case 1:
            order = [*order, draw(st.sampled_from(order))]
        case 2:
            order = [*order, Feature("other", "category")]
    parts = [
        f"{draw(SPACE)}{draw(written(feature.name))}{draw(SPACE)}:{draw(tokens(feature))}{draw(SPACE)}"
        for feature in order
    ]
    return ("{" + ",".join(parts) + "}").encode("utf-8", "surrogatepass")


@st.composite
def cases(draw: st.DrawFn) -> tuple[ModelSchema, bytes]:
    """A schema and a body."""
    schema = draw(schemas())
    return schema, draw(bodies(schema))


def values(feature: Feature) -> st.SearchStrategy[Any]:
    """A feature's values."""
    made: st.SearchStrategy[Any]
    match feature.type:
        case "float":
            low, high = (end + 0.0 if math.isfinite(end) else None for end in feature.range or (INFINITE, INFINITE))
            made = st.floats(low, high, allow_nan=False, allow_infinity=False)
        case "int":
            made = st.integers(*whole_ends(feature))
        case "bool":
            made = st.booleans()
        case "category":
            made = st.sampled_from(feature.categories) if feature.categories else st.text(max_size=9)
    return st.none() | made if feature.nullable else made


@st.composite
def rows(draw: st.DrawFn) -> tuple[ModelSchema, tuple[Any, ...]]:
    """A schema and values that it takes."""
    schema = draw(schemas())
    return schema, tuple(draw(values(feature)) for feature in schema.features)
