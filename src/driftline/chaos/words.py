"""What people and scripts read of a run."""

import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from driftline import __version__
from driftline.chaos.judge import Verdict
from driftline.chaos.memory import BOUNDS
from driftline.chaos.run import Result


def announced(result: Result) -> Iterator[str]:
    """Yields the lines that say what is about to happen."""
    plan = result.plan
    yield (
        f"seed {plan.seed}: {plan.minutes:g} min of faults, {plan.transport}, {plan.api_processes} API processes, "
        f"outbox_sync {plan.outbox_sync}, {plan.connections} clients, {plan.rate:g} requests/s"
    )
    counts = Counter(f"{fault.kind} {fault.target}" for fault in result.schedule)
    yield f"{len(result.schedule)} faults: " + ", ".join(
        name if count == 1 else f"{name} ({count})" for name, count in sorted(counts.items())
    )
    for name, why in result.machine.left_out.items():
        yield f"left out: {name} ({why})"


def concluded(result: Result) -> Iterator[str]:
    """Yields the lines of the verdict."""
    verdict, effects = result.verdict, result.effects.values()
    hit = sum(effect.hit for effect in effects)
    missed = f", and {len(effects) - hit} that met nobody" if hit < len(effects) else ""
    yield (
        f"{result.faults_s / 60:.1f} min, {hit} faults{missed}"
        + ("" if result.drained_s is None else f"; all in the log {result.drained_s:.1f} s after the last request")
    )
    yield "started: " + ", ".join(f"{name} {count} times" for name, count in result.starts.items())
    yield "memory at most: " + ", ".join(
        f"{name} {size / 2**20:.0f} MiB (bound {BOUNDS[name] >> 20})"
        for name, size in sorted(result.memory.most_bytes.items())
    )
    yield from judged(verdict)


def judged(verdict: Verdict) -> Iterator[str]:
    """Yields what the judge found."""
    refused = sum(verdict.refused.values())
    by_status = ", ".join(f"{status}: {count:,}" for status, count in verdict.refused.items())
    yield (
        f"sent {verdict.sent:,}: answered {verdict.answered:,}, refused {refused:,}"
        + (f" ({by_status})" if refused else "")
        + f", unknown {verdict.unknown:,} (of them in the log {verdict.unknown_logged:,})"
    )
    for what, texts in verdict.examples.items():
        yield from (f"{what}: {text}" for text in texts)
    yield from verdict.problems
    yield (
        f"{'kept' if verdict.kept else 'BROKEN'}: lost {verdict.lost:,}, doubled {verdict.doubled:,}, "
        f"altered {verdict.altered:,}, foreign {verdict.foreign:,}"
    )


def as_dict(result: Result) -> dict[str, Any]:
    """Returns all of it as what JSON knows."""
    plan, verdict = result.plan, result.verdict
    return {
        "driftline": __version__,
        "began_at": datetime.fromtimestamp(result.began_at, UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "implementation": sys.implementation.name,
        },
        "seed": plan.seed,
        "transport": plan.transport,
        "minutes": plan.minutes,
        "outbox_sync": plan.outbox_sync,
        "api_processes": plan.api_processes,
        "connections": plan.connections,
        "rate": plan.rate,
        "left_out": result.machine.left_out,
        "faults_s": round(result.faults_s, 1),
        "faults": [
            {
                "at_s": fault.at_s,
                "kind": fault.kind,
                "target": fault.target,
                "lasts_s": fault.lasts_s,
                "hit": index in result.effects and result.effects[index].hit,
                "effect": result.effects[index].text if index in result.effects else None,
            }
            for index, fault in enumerate(result.schedule)
        ],
        "drained_s": None if result.drained_s is None else round(result.drained_s, 1),
        "starts": result.starts,
        "memory_bytes": dict(result.memory.most_bytes),
        "memory_bound_bytes": {name: BOUNDS[name] for name in result.memory.most_bytes},
        "verdict": verdict_as_dict(verdict),
        "folder": None if result.folder is None else str(result.folder),
    }


def verdict_as_dict(verdict: Verdict) -> dict[str, Any]:
    """Returns a verdict as what JSON knows."""
    names = ("sent", "answered", "unknown", "garbled", "lines", "unknown_logged", "refused_logged")
    return {
        "kept": verdict.kept,
        **{name: getattr(verdict, name) for name in ("lost", "doubled", "altered", "foreign")},
        **{name: getattr(verdict, name) for name in names},
        "refused": {str(status): count for status, count in verdict.refused.items()},
        "problems": verdict.problems,
        "examples": verdict.examples,
        "ledger": verdict.ledger,
    }
