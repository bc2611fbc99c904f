"""A schema guessed from what an artifact says of itself and what a sample holds; each guess with its doubt."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from driftline.contract.nearest import did_you_mean
from driftline.contract.schema import Feature, Label, ModelSchema, Output
from driftline.errors import ModelError
from driftline.offline.summary import MOST_DISTINCT, Summary
from driftline.scoring.description import Description, labels_of

TARGETS: Final = frozenset({"target", "label", "y", "class", "outcome"})
"""Names that a column of what is to be predicted usually has."""
FEW: Final = 20
"""Whole numbers with no more values than this may be codes of categories."""
MANY: Final = 50
"""Texts with more values than this may be names, or whole sentences."""
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}")


class Wish(NamedTuple):
    """What the user has said.

    Attributes:
        name: The model's name.
        version: Its version.
        target: The column of what is to be predicted.
        output: What the model gives.
    """

    name: str
    version: str
    target: str | None = None
    output: Output | None = None


class Draft(NamedTuple):
    """A schema, and how sure it is.

    Attributes:
        schema: The schema.
        target: The column that is no feature, for it is what is predicted.
        notes: What to look at, by feature.
        guesses: What was guessed of the model as a whole.
        left_out: Columns that cannot be features, and why.
        question: What the user has to say, for the answer itself may be among the context; empty if nothing.
    """

    schema: ModelSchema
    target: str | None
    notes: Mapping[str, str]
    guesses: Sequence[str]
    left_out: Mapping[str, str]
    question: str


def draft(described: Description, columns: Mapping[str, Summary], wish: Wish) -> Draft:
    """Returns the schema that fits an artifact and its sample.

    Args:
        described: What the artifact says.
        columns: The sample's.
        wish: What was said by who knows better.

    Raises:
        ModelError: The sample lacks what the model takes, or it has to be said what the model gives.
    """
    guesses: list[str] = []
    if wish.target is not None and wish.target not in columns:
        raise ModelError(f"the sample has no column {wish.target}{did_you_mean(wish.target, columns)}")
    output = wish.output or described.output
    if output is None:
        raise ModelError("the artifact does not say what it gives: say it with --gives binary|multiclass|regression")
    named = None if described.names is None else _named(described.names, columns)
    target = wish.target or _target(columns, named, described, guesses)
    inputs = _unnamed(columns, target, described, guesses) if named is None else named
    if target in inputs:
        raise ModelError(f"the model takes {target} as a feature, so it cannot be the target")
    labels = _labels(output, described.classes, None if target is None else columns[target], guesses)
    notes: dict[str, str] = {}
    left_out: dict[str, str] = {}
    features = [_input(columns[name], described, notes) for name in inputs]
    for name, summary in columns.items():
        if name in inputs or name == target:
            continue
        if flaw := _flaw(summary):
            left_out[name] = flaw
            continue
        features.append(_feature(summary, role="context"))
        notes[name] = _joined("the model does not take it", _doubt(summary))
    mapping = {"name": wish.name, "version": wish.version, "output": output, "features": list(map(_mapping, features))}
    schema = ModelSchema.from_mapping({**mapping, "labels": list(labels)} if labels else mapping)
    spare = (
        []
        if target is not None
        else [columns[feature.name] for feature in schema.features if feature.role == "context"]
    )
    return Draft(schema, target, notes, guesses, left_out, _question(spare, schema))


def _named(names: Sequence[str], columns: Mapping[str, Summary]) -> list[str]:
    """Returns the columns that a model's features are; LightGBM has an underscore where the column has a blank."""
    by_name = {name.replace(" ", "_"): name for name in columns} | {name: name for name in columns}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ModelError(
            f"the model takes {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}, "  # noqa: PLR2004
            f"and the sample has only {', '.join(columns)}"
        )
    return [by_name[name] for name in names]


def _target(
    columns: Mapping[str, Summary], named: Sequence[str] | None, described: Description, guesses: list[str]
) -> str | None:
    over = [name for name in columns if named is None or name not in named]
    found = [name for name in over if name.lower() in TARGETS]
    classes = set(map(str, described.classes or ((0, 1) if described.output == "binary" else ())))
    if not found and len(classes) > 1:
        found = [name for name in over if _holds(columns[name], classes)]
    if not found and named is None and described.width == len(columns) - 1:
        found = over[-1:]
    if len(found) != 1:
        return None
    guesses.append(f"the column {found[0]} is taken for what is predicted, so it is no feature (--target)")
    return found[0]


def _question(spare: Sequence[Summary], schema: ModelSchema) -> str:
    """Returns the question which spare column is what is predicted, if any may be."""
    classes = set(map(str, schema.classes))
    found = [
        summary.name
        for summary in spare
        if summary.name.lower() in TARGETS
        or _holds(summary, classes)
        or (classes and summary.distinct is not None and len(summary.distinct) == len(classes))
    ]
    if len(found) > 1:
        return f"which of {', '.join(found)} is predicted? Say it with --target: they are taken as context now"
    return f"is {found[0]} what is predicted? Then say --target {found[0]}: it is taken as context now" if found else ""


def _holds(summary: Summary, classes: set[str]) -> bool:
    """Whether a column's values are classes, more than one of them."""
    values = None if summary.distinct is None else {value.removesuffix(".0") for value in summary.distinct}
    return values is not None and len(values) > 1 and values <= classes


def _unnamed(
    columns: Mapping[str, Summary], target: str | None, described: Description, guesses: list[str]
) -> list[str]:
    inputs = [name for name in columns if name != target]
    width = described.width
    if width is not None and width != len(inputs):
        raise ModelError(
            f"the model takes {width} features and does not say which; the sample has {len(inputs)} columns"
            f"{'' if target is None else f' beside {target}'}. Leave those in it that the model takes, in its "
            "order, and name what is predicted with --target"
        )
    guesses.append("the model does not say which features it takes: they are taken to be the columns, in their order")
    return inputs


def _labels(
    output: Output, classes: tuple[Label, ...], target: Summary | None, guesses: list[str]
) -> tuple[Label, ...]:
    if output == "regression":
        return ()
    held = () if target is None or target.distinct is None else _sorted(target.distinct)
    if output == "binary" and held == (0, 1) and classes in {(0, 1), ()}:
        return ()
    if output == "binary" and not classes and target is not None and len(held) != 2:  # noqa: PLR2004
        values = f"more than {MOST_DISTINCT}" if target.distinct is None else len(held)
        raise ModelError(
            f"a binary model tells two classes apart, and {target.name} has {values} values: if the model gives a "
            "number, say --gives regression; if something else is predicted, name its column with --target"
        )
    numbered = classes == tuple(range(len(classes)))
    if (not classes or (numbered and held != classes)) and len(held) > 1 and len(held) == len(classes or held):
        guesses.append(f"the classes are taken to be called {', '.join(map(str, held))}, in this order (labels)")
        classes = held
    if output == "binary" and classes in {(0, 1), ()}:
        return ()
    if not classes:
        raise ModelError("the model does not name its classes: name the sample's column that has them with --target")
    return classes


def _sorted(values: set[str]) -> tuple[Label, ...]:
    """Returns classes in the order that libraries give them codes in."""
    if {value.lower() for value in values} == {"false", "true"}:
        return (0, 1)
    try:
        return labels_of(sorted(float(value) for value in values))
    except ValueError:
        return tuple(sorted(values))


def _input(summary: Summary, described: Description, notes: dict[str, str]) -> Feature:
    if flaw := _flaw(summary):
        raise ModelError(f"the model takes {summary.name}, and {flaw}")
    name = summary.name
    kind = described.types.get(name) or described.types.get(name.replace(" ", "_"))
    categories = described.categories.get(name)
    if categories == ():
        categories = tuple(sorted(summary.distinct or ()))
        notes[name] = "the model takes codes: are these its categories, in the order of their codes from 0?"
    elif categories is not None:
        notes[name] = "the model's own categories, which it takes the codes of"
    feature = _feature(summary, kind=kind, categories=categories)
    if name not in notes and (doubt := _doubt(summary, feature)):
        notes[name] = doubt
    return feature


def _feature(
    summary: Summary, *, role: Any = "input", kind: Any = None, categories: tuple[str, ...] | None = None
) -> Feature:
    feature = Feature(
        summary.name, kind or summary.type, role=role, nullable=summary.missing > 0, categories=categories
    )
    example = summary.shown(feature)
    return feature if categories is not None and example not in categories else replace(feature, example=example)


def _flaw(summary: Summary) -> str:
    if summary.flaw:
        return summary.flaw
    if not summary.name:
        return "a column without a name (an index?)"
    if not summary.name.isprintable() or '"' in summary.name or "\\" in summary.name:
        return "its name has quotes, backslashes, or what cannot be printed"
    return ""


def _doubt(summary: Summary, feature: Feature | None = None) -> str:
    """Returns what may not be as it seems."""
    kind = summary.type if feature is None else feature.type
    values = None if summary.distinct is None else len(summary.distinct)
    many = values is None or values > MANY
    doubts = {
        "the sample has no value of it: is it a number?": values == 0,
        "the sample has only one value of it": values == 1,
        "digits after a leading zero, which a number would lose: it is taken as text": kind == "category"
        and summary.padded,
        "a date? It is taken as text": kind == "category" and _DATE.fullmatch(str(summary.example)) is not None,
        "no two rows have the same: does it identify them? Then leave it out, or log = hash": kind != "float"
        and summary.unlike
        and summary.rows > FEW,
        f"more than {MANY} values: names, or free text?": kind == "category" and many,
        f"{values} values: codes of categories, or a number? A fraction would be refused": kind == "int"
        and values is not None
        and values <= FEW,
        "is it always whole? A fraction would be refused": kind == "int",
    }
    return next((doubt for doubt, holds in doubts.items() if holds), "")


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def _mapping(feature: Feature) -> dict[str, Any]:
    return {name: value for name in feature.__struct_fields__ if (value := getattr(feature, name)) is not None}
