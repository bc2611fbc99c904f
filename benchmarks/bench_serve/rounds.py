"""All stacks in turn, each started anew for each turn."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

from bench_serve.running import running
from bench_serve.stacks import Stack
from cores import Cores

# A handful of requests that are refused does not spoil a run.
FAILED_SHARE_MAX = 0.0001


class Pace(NamedTuple):
    """How much is measured.

    Attributes:
        rounds: Turns of each stack.
        seconds: Length of a turn.
        warm_s: Load before it, which does not count.
    """

    rounds: int
    seconds: float
    warm_s: float


class Turn(NamedTuple):
    """What one turn gave.

    Attributes:
        per_s: Answers a second.
        answers: How many there were, with those that do not count otherwise.
        cpu_us: CPU microseconds of the server for each answer.
        beside_us: The same of the process beside it, for each event, from when it was ready until all were taken.
        busy: Share of the turn for which the server had its core.
        p50_ms: Median latency.
        p99_ms: What all but one in a hundred answers took at most.
        failed: Requests that were not answered with 200, and connections that broke.
        lost: Answers of which there is no event.
    """

    per_s: float
    answers: int
    cpu_us: float
    beside_us: float
    busy: float
    p50_ms: float
    p99_ms: float
    failed: int
    lost: int


def turn(stack: Stack, pace: Pace, cores: Cores) -> Turn:
    """One turn of one stack."""
    with running(stack, cores) as server:
        began_beside_s, began_answers = server.beside_cpu_s(), server.answers
        warm = server.load(pace.warm_s)
        began_s = server.cpu_s()
        load = server.load(pace.seconds)
        used_s = server.cpu_s() - began_s
        lost = server.lost()
        beside_s = server.beside_cpu_s() - began_beside_s
        return Turn(
            per_s=load.per_s,
            answers=warm.answers + load.answers,
            cpu_us=used_s / max(1, load.answers) * 1e6,
            beside_us=beside_s / (server.answers - began_answers) * 1e6,
            busy=used_s / load.seconds,
            p50_ms=load.p50_ms,
            p99_ms=load.p99_ms,
            failed=warm.failed + load.failed,
            lost=lost,
        )


def in_rounds(stacks: Iterable[Stack], pace: Pace, cores: Cores, tell: Callable[[str], None]) -> dict[str, Any]:
    """The turns of each stack, as JSON takes it; whoever began the last round ends the next.

    A turn that fails is None, and ``failures`` says why.
    """
    order = list(stacks)
    found: dict[str, Any] = {
        stack.name: {"connections": stack.connections, "version": stack.version, "turns": [], "failures": []}
        for stack in order
    }
    for number in range(pace.rounds):
        for stack in order if number % 2 == 0 else reversed(order):
            with noting(found[stack.name], stack.name, number, tell):
                got = turn(stack, pace, cores)
                found[stack.name]["turns"].append(got._asdict())
                tell(f"  {stack.name}: {got.per_s:,.0f}/s, {got.cpu_us:.1f} us")
    return found


@contextmanager
def noting(found: dict[str, Any], name: str, number: int, tell: Callable[[str], None]) -> Iterator[None]:
    """Notes why a turn failed, and goes on: one stack that fails is no reason to lose what others give."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told and shown
        reason = f"round {number + 1}: {str(error) or type(error).__name__}"
        found["turns"].append(None)
        found["failures"].append(reason)
        tell(f"  {name}, {reason}")


def faults(found: Mapping[str, Any], name: str) -> list[str]:
    """What is wrong with a stack, whatever it costs: turns that failed, events that are lost, requests that failed."""
    said = [*found[name].get("failures", [])[:1]]
    lost, failed = sum(values(found, name, "lost")), sum(values(found, name, "failed"))
    if lost:
        said.append(f"{lost:,.0f} events lost")
    if failed > FAILED_SHARE_MAX * (failed + sum(answers(found, name))):
        said.append(f"{failed:,.0f} failed")
    return [f"{name}, {each}" for each in said]


def answers(found: Mapping[str, Any], name: str) -> list[float]:
    """Answers in all rounds; of a file that lacks them, those of a second."""
    return [float(each.get("answers", each["per_s"])) for each in found[name]["turns"] if each]


def values(found: Mapping[str, Any], name: str, key: str) -> list[float]:
    """One figure of a stack in all rounds that did not fail."""
    return [float(each[key]) for each in found[name]["turns"] if each]


def ratios(found: Mapping[str, Any], name: str, to: str, key: str) -> list[float]:
    """A figure of a stack against the same of another in the same round, of all rounds that have both."""
    rounds = zip(found[name]["turns"], found[to]["turns"], strict=True)
    return [one[key] / other[key] for one, other in rounds if one and other]


def ratio(found: Mapping[str, Any], name: str, to: str, key: str) -> float | None:
    """The median of these; None if neither was measured beside the other."""
    if name not in found or to not in found:
        return None
    by_round = ratios(found, name, to, key)
    return median(by_round) if by_round else None
