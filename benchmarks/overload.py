"""Overload: ten times the requests that one API process can answer, and what becomes of those it takes.

    python benchmarks/overload.py                # two minutes; ends with 1 if a claim does not hold
    python benchmarks/overload.py --json FILE    # and the figures to a file

The server has one core and the load another. Its model keeps the processor for half a millisecond: ten times what the
built-in one could answer nobody can send from one core. Only the API runs: its outbox fills, nothing takes from it.
All phases come in turn, several times, and a figure is the median of its rounds: a shared machine is not always as
fast.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from cores import Cores
from open_loop import SLICE_S, OpenLoop, Outcome
from stack import free_port, installed, wait_for

CONNECTIONS = 2000
BEST_AT_ONCE = 32
GOODPUT_SHARE = 0.9
LATENCY_RATIO = 2.0
RECOVERY_S = 2.0
PROBE_EVERY_S = 0.1
PHASES = ("best", "0.9x", "2x", "10x", "after")
ONSET_S = 1.0


PACKAGE = """
name = "busy"
version = "1"
output = "binary"

[[features]]
name = "feature_1"
type = "float"

[[features]]
name = "feature_2"
type = "float"

[artifact]
runtime = "python"
class = "model:Model"
"""
MODEL = """
import time


class Model:
    def predict(self, matrix):
        end = time.perf_counter() + 0.0005 * len(matrix)
        while time.perf_counter() < end:
            pass
        return [0.5] * len(matrix)
"""


def busy_model(folder: Path) -> Path:
    """The folder, which now holds a package whose model keeps the processor for a while."""
    folder.mkdir()
    (folder / "model.toml").write_text(PACKAGE)
    (folder / "model.py").write_text(MODEL)
    return folder


class Api:
    """``driftline serve`` on a free port, on the core for servers; with the built-in model, or one of its own."""

    def __init__(self, directory: Path, settings: dict[str, str], cores: Cores, model: Path | None = None) -> None:
        self.port = free_port()
        self._log = directory / "serve.log"
        environment = {**os.environ, **settings, "DRIFTLINE_DATA": str(directory / "data")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                cores.for_server(
                    [installed("driftline"), "serve", *map(str, [model] if model else []), "--port", str(self.port)]
                ),
                env=environment,
                stdout=log,
                stderr=log,
            )
        wait_for("the API", lambda: healthy(self.port) is not None, 30)
        [self.worker] = psutil.Process(self._process.pid).children()

    def cpu_s(self) -> float:
        """Processor seconds used so far by the process that answers."""
        times = self.worker.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """Ends it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


def healthy(port: int) -> float | None:
    """How long ``/health`` took to say ok, in seconds, or None."""
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return time.perf_counter() - began
    except (urllib.error.URLError, TimeoutError, OSError):
        return None


@dataclass
class Probes:
    """Asks ``/health`` again and again, as a load balancer does, each time on a new connection."""

    port: int
    took_s: list[float] = field(default_factory=list)
    failed: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Asks until :meth:`stop`."""
        while not self._over.wait(PROBE_EVERY_S):
            took_s = healthy(self.port)
            if took_s is None:
                self.failed += 1
            else:
                self.took_s.append(took_s)

    def stop(self) -> None:
        """Ends it."""
        self._over.set()


def measure(api: Api, seconds: float, rounds: int) -> dict[str, Any]:
    """All phases, each as the medians of its figures."""
    load = OpenLoop(api.port, CONNECTIONS)
    load.run(0, seconds / 2, at_once=BEST_AT_ONCE)  # warm-up
    load.settle()
    each = [one_round(api, load, seconds) for _ in range(rounds)]
    load.close()
    found: dict[str, Any] = {name: medians([one[name] for one in each]) for name in PHASES}
    found |= medians([{name: one[name] for name in ("goodput_share", "latency_ratio", "recovery_s")} for one in each])
    found["unanswered"] = sum(one["unanswered"] for one in each)
    found["rss_mib"] = api.worker.memory_info().rss / 2**20
    return found


def one_round(api: Api, load: OpenLoop, seconds: float) -> dict[str, Any]:
    """Each phase once."""

    def phase(per_s: float, at_once: int | None = None) -> tuple[Outcome, dict[str, Any]]:
        before = api.cpu_s()
        outcome = load.run(per_s, seconds, at_once)
        return outcome, figures(outcome, api.cpu_s() - before)

    best, found_best = phase(0, at_once=BEST_AT_ONCE)
    load.settle()
    found: dict[str, Any] = {"best": found_best}
    for name, share in (("0.9x", 0.9), ("2x", 2.0), ("10x", 10.0)):
        load.run(share * best.goodput, ONSET_S)
        probes = Probes(api.port)
        probing = threading.Thread(target=probes.run)
        probing.start()
        _, found[name] = phase(share * best.goodput)
        probes.stop()
        probing.join()
        found[name]["health_max_ms"] = 1000 * max(probes.took_s, default=float("nan"))
        found[name]["health_failed"] = probes.failed
        if name != "10x":  # what follows that is the recovery
            load.settle()
    after, found["after"] = phase(0.5 * best.goodput)
    found["goodput_share"] = found["10x"]["goodput_per_s"] / best.goodput
    found["latency_ratio"] = found["10x"]["p99_ms"] / found["0.9x"]["p99_ms"]
    found["recovery_s"] = recovery_s(after, LATENCY_RATIO * found["0.9x"]["p99_ms"])
    found["unanswered"] = load.settle()
    return found


def medians(each: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure; of what must not happen, all of it."""
    return {
        name: (sum if name in {"failed", "health_failed"} else statistics.median)(one[name] for one in each)
        for name in each[0]
    }


def figures(outcome: Outcome, cpu_s: float) -> dict[str, Any]:
    """A phase as numbers."""
    answers = sum(map(len, outcome.answered.values()))
    return {
        "due_per_s": outcome.due / outcome.seconds,
        "goodput_per_s": outcome.goodput,
        "p50_ms": outcome.latency_ms(50),
        "p99_ms": outcome.latency_ms(99),
        "refused_per_s": outcome.refusals / outcome.seconds,
        "unsent_share": outcome.unsent / max(1, outcome.due),
        "failed": outcome.failed,
        "cpu_us_per_answer": 1e6 * cpu_s / max(1, answers + outcome.refusals),
        "cpu_share": cpu_s / outcome.seconds,
        "lag_ms": 1000 * outcome.lag_s,
    }


def recovery_s(after: Outcome, p99_ms: float) -> float:
    """How long after the overload the last slice of time was that had a refusal or a slow answer at its p99."""
    bad = [
        slot
        for slot in {*after.answered, *after.refused}
        if after.refused.get(slot) or percentile(after.answered.get(slot, []), 99) > p99_ms / 1000
    ]
    early = [slot for slot in bad if 0 <= slot * SLICE_S < after.seconds / 2]  # below 0: sent before
    return (max(early) + 1) * SLICE_S if early else 0.0


def percentile(latencies: list[float], percent: float) -> float:
    """A percentile, 0 of none."""
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def broken_claims(found: dict[str, Any]) -> Iterator[str]:
    """What was promised and does not hold."""
    if found["goodput_share"] < GOODPUT_SHARE:
        yield f"goodput at 10x is {found['goodput_share']:.0%} of the best"
    if found["latency_ratio"] > LATENCY_RATIO:
        yield f"p99 at 10x is {found['latency_ratio']:.1f} times that below saturation"
    if found["recovery_s"] > RECOVERY_S:
        yield f"recovery took {found['recovery_s']:.1f} s"
    if any(found[name]["health_failed"] for name in ("0.9x", "2x", "10x")):
        yield "/health did not always answer"
    if found["10x"]["due_per_s"] < 9 * found["best"]["goodput_per_s"]:
        yield "ten times the load could not be sent"
    if any(found[name]["failed"] for name in ("0.9x", "2x", "10x", "after")):
        yield "requests failed otherwise than by a 503"


def main() -> int:
    """Measures, says what holds, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each phase")
    parser.add_argument("--rounds", type=int, default=5, help="how often each comes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the server")
    arguments = parser.parse_args()
    settings = dict(each.partition("=")[::2] for each in arguments.set)
    cores = Cores.of_machine()
    cores.pin_load()
    with tempfile.TemporaryDirectory(prefix="overload-") as directory:
        environment = {f"DRIFTLINE_{name.upper()}": value for name, value in settings.items()}
        api = Api(Path(directory), environment, cores, busy_model(Path(directory) / "model"))
        try:
            found = measure(api, arguments.seconds, arguments.rounds)
        finally:
            api.stop()
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    claims = list(broken_claims(found))
    sys.stdout.write(f"{as_table(found)}\n{'; '.join(claims) or 'all claims hold'}\n")
    return 1 if claims else 0


def as_table(found: dict[str, Any]) -> str:
    """The figures for people."""
    names = list(found["best"])
    lines = [f"{'':<20}" + "".join(f"{phase:>10}" for phase in PHASES)]
    lines += [f"{name:<20}" + "".join(f"{found[phase][name]:>10.2f}" for phase in PHASES) for name in names]
    lines += [
        f"goodput at 10x is {found['goodput_share']:.0%} of the best, p99 {found['latency_ratio']:.1f} times 0.9x"
    ]
    lines += [f"/health at 10x took {found['10x']['health_max_ms']:.0f} ms at most"]
    lines += [f"recovery {found['recovery_s']:.1f} s, unanswered {found['unanswered']}, RSS {found['rss_mib']:.0f} MiB"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
