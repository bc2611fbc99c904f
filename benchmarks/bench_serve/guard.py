"""Whether a prediction still costs about what a constant reply does: what CI asks."""

from collections.abc import Callable
from statistics import median

from bench_serve.ours import EMBEDDED
from bench_serve.replies import GRANIAN
from bench_serve.rounds import Pace, faults, in_rounds, ratios
from cores import Cores

MOST = 1.4
# The second is for a machine that was busy with something else.
PACES = (Pace(rounds=5, seconds=2, warm_s=1), Pace(rounds=9, seconds=2, warm_s=1))


def guard(cores: Cores, tell: Callable[[str], None]) -> int:
    """0 if it does, 1 if it does not, however often it was asked; says the ratio.

    It does not if anything failed, or an event was lost: then CPU time says nothing.
    """
    for pace in PACES:
        try:
            text, holds = verdict(measured(pace, cores, tell))
        except RuntimeError as error:
            tell(str(error))
            return 1
        tell(text)
        if holds:
            return 0
    return 1


def measured(pace: Pace, cores: Cores, tell: Callable[[str], None]) -> list[float]:
    """CPU of a prediction against that of a constant reply, by round.

    Raises:
        RuntimeError: A turn failed, requests failed, or an answer has no event.
    """
    found = in_rounds((GRANIAN, EMBEDDED), pace, cores, tell)
    if wrong := [*faults(found, GRANIAN.name), *faults(found, EMBEDDED.name)]:
        raise RuntimeError("; ".join(wrong))
    return ratios(found, EMBEDDED.name, GRANIAN.name, "cpu_us")


def verdict(found: list[float]) -> tuple[str, bool]:
    """What was found, in words, and whether that is good enough."""
    middle = median(found)
    text = f"CPU of a prediction: {middle:.2f} x of a constant reply ({min(found):.2f} to {max(found):.2f})"
    return f"{text}; {MOST} x or more fails", middle < MOST
