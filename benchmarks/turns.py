"""Measures that take turns, so that what else the machine does falls on all alike."""

from collections.abc import Callable, Mapping

Rounds = dict[str, list[float]]
Measures = Mapping[str, Callable[[], float]]


def in_turn(measures: Measures, rounds: int) -> Rounds:
    """What each gives in each round, after one that does not count."""
    for each in measures.values():
        each()
    found: Rounds = {name: [] for name in measures}
    for _ in range(rounds):
        for name, each in measures.items():
            found[name].append(each())
    return found
