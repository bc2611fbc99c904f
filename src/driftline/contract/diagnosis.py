"""The careful reading of a request body: slow, and precise about everything that is wrong with it.

It defines what is accepted. The fast path in ``request.py`` accepts the same bodies with the same values, and a
property test keeps it so.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from driftline.contract.nearest import did_you_mean
from driftline.contract.parsing import NOT_FINITE, Pairs, kind, parse_object
from driftline.contract.problems import MAX_LISTED_ERRORS, FieldError, InvalidFieldsError

Path = tuple[str | int, ...]
ValueErrors = Callable[[Path, object], Iterator[FieldError]]


def read_features(body: bytes, names: tuple[str, ...]) -> tuple[float, ...]:
    """Returns the body's numbers in the order of ``names``.

    Raises:
        InputError: The body is no JSON object; ``reason`` says how.
        InvalidFieldsError: It has other fields than ``names``, or values that are not finite numbers.
    """
    parsed = parse_object(body)
    refuse_wrong(member_errors(parsed, names, number_errors))
    values = dict(parsed)
    return tuple(values[name] for name in names)


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
