"""The careful reading of a request body: slow, and precise about everything that is wrong with it.

It defines what is accepted. The fast path in ``request.py`` accepts the same bodies with the same values, and a
property test keeps it so.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from driftline.contract.nearest import did_you_mean
from driftline.contract.parsing import NOT_FINITE, NotFinite, Pairs, kind, parse_object
from driftline.contract.problems import MAX_LISTED_ERRORS, FieldError, InvalidFieldsError
from driftline.contract.schema import Feature, Row, Value, misfit, noun

Path = tuple[str | int, ...]
ValueErrors = Callable[[Path, object], Iterator[FieldError]]


def read_features(body: bytes, features: Sequence[Feature]) -> Row:
    """Returns the body's values in the order of ``features``.

    Raises:
        InputError: The body is no JSON object; ``reason`` says how.
        InvalidFieldsError: It has other fields than ``features``, or values that are none of theirs.
    """
    return row_of(parse_object(body), features)


def row_of(pairs: Pairs, features: Sequence[Feature], path: Path = ()) -> Row:
    """Returns the values of an object in the order of ``features``.

    Raises:
        InvalidFieldsError: It has other fields than ``features``, or values that are none of theirs.
    """
    refuse_wrong(feature_errors(pairs, features, path))
    values = dict(pairs)
    return tuple(settled(feature, values[feature.name]) for feature in features)


def feature_errors(pairs: Pairs, features: Sequence[Feature], path: Path = ()) -> Iterator[FieldError]:
    """Yields what is wrong with an object that should have these features."""
    known = {feature.name: feature for feature in features}

    def value_errors(here: Path, value: object) -> Iterator[FieldError]:
        wrong = value_misfit(known[str(here[-1])], value)
        if wrong is not None:
            yield FieldError(here, wrong[0], f"The field {here[-1]} {wrong[1]}")

    return member_errors(pairs, tuple(known), value_errors, path=path)


def value_misfit(feature: Feature, value: object) -> tuple[str, str] | None:
    """Returns why a parsed value is none of a feature's, as a code and what to say after its name."""
    if value is NOT_FINITE and feature.type in {"float", "int"}:
        return "not_finite", "must be finite."
    if isinstance(value, float) and math.isinf(value) and feature.type in {"float", "int"}:
        return "number_out_of_range", "does not fit a double-precision number."  # JSON has no infinity to send
    if isinstance(value, Pairs | NotFinite):
        return "wrong_type", f"must be {noun(feature)}, not {kind(value)}."
    return misfit(feature, value)


def settled(feature: Feature, value: Any) -> Value:
    """Returns a valid value in its feature's type: a whole number of a float feature becomes a float."""
    if value is None:
        return None
    if feature.type == "float":
        return float(value)
    return int(value) if feature.type == "int" else value


def refuse_wrong(errors: Iterable[FieldError]) -> None:
    """Returns if nothing is wrong.

    Raises:
        InvalidFieldsError: Something is; it has no more of it than is told.
    """
    found = list(islice(errors, MAX_LISTED_ERRORS + 1))  # one more tells that there are more
    if found:
        raise InvalidFieldsError(found)


def member_errors(
    pairs: Pairs, names: Sequence[str], value_errors: ValueErrors, *, optional: Collection[str] = (), path: Path = ()
) -> Iterator[FieldError]:
    """Yields what is wrong with an object: with the members that it should have, then those it should not.

    Args:
        pairs: The object.
        names: The members there are, in the order in which to tell of them.
        value_errors: Yields what is wrong with one member's value.
        optional: Those of ``names`` that may be missing.
        path: Where the object is.
    """
    values = dict(pairs)
    given: Mapping[str, int] = Counter(name for name, _ in pairs) if len(values) < len(pairs) else {}
    for name in names:
        here = (*path, name)
        if name not in values:
            if name not in optional:
                yield FieldError(here, "missing_field", f"The field {name} is required.")
        elif given.get(name, 1) > 1:
            yield FieldError(here, "duplicate_field", f"The field {name} is given more than once.")
        else:
            yield from value_errors(here, values[name])
    for name in values:
        if name not in names:
            hint = did_you_mean(name, names) or "."
            yield FieldError((*path, name), "unknown_field", f"There is no field of this name{hint}")


def number_errors(path: Path, value: object) -> Iterator[FieldError]:
    """Yields what keeps a member from being a finite number, if anything does."""
    name = path[-1]
    if value is NOT_FINITE:
        yield FieldError(path, "not_finite", f"The field {name} must be finite.")
    elif not isinstance(value, float):
        yield FieldError(path, "wrong_type", f"The field {name} must be a number, not {kind(value)}.")
    elif not math.isfinite(value):
        yield FieldError(path, "number_out_of_range", f"The field {name} does not fit a double-precision number.")
