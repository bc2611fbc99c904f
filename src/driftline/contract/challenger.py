"""Whether one version of a model can be tried on what another one is asked."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from driftline.contract.schema import Feature, ModelSchema


def unfit(champion: ModelSchema, challenger: ModelSchema) -> str | None:
    """Returns why a version cannot answer what another one is asked, or None if it can.

    It can if it takes every request that the other one takes, and its answers have the same members and classes.

    Args:
        champion: What is asked.
        challenger: What is to be tried.
    """
    if challenger.output != champion.output:
        return f"its output is {challenger.output}, and not {champion.output}"
    if challenger.classes != champion.classes:
        return f"its classes are {_listed(challenger.classes)}, and not {_listed(champion.classes)}"
    taken = {feature.name: feature for feature in challenger.features}
    for feature in champion.features:
        if feature.name not in taken:
            return f"it does not take the feature {feature.name}"
        if why := _narrower(feature, taken.pop(feature.name)):
            return f"its feature {feature.name} {why}"
    return f"it needs the feature {next(iter(taken))}, which nobody sends" if taken else None


def rearranged(champion: ModelSchema, challenger: ModelSchema) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Returns what brings the values of a request from the order of one version into that of another."""
    if champion.names == challenger.names:
        return lambda values: values
    # Of one name alone there is no other order, so itemgetter has two and gives a tuple.
    return itemgetter(*map(champion.names.index, challenger.names))


def _narrower(asked: Feature, taken: Feature) -> str | None:
    if taken.type != asked.type:
        return f"is a {taken.type}, and not a {asked.type}"
    if asked.nullable and not taken.nullable:
        return "may not be null"
    if taken.range is not None and (
        asked.range is None or taken.range[0] > asked.range[0] or taken.range[1] < asked.range[1]
    ):
        return "has a narrower range"
    if taken.categories is not None and (asked.categories is None or set(asked.categories) - set(taken.categories)):
        return "lacks categories"
    return None


def _listed(classes: Sequence[object]) -> str:
    return ", ".join(map(str, classes)) or "none"
