"""What serving a prediction costs: ``make bench``, half an hour; ``ARGS=--short``, less than two minutes.

    ARGS="--only stacks --only latency"    measures these parts anew and keeps the rest of what was measured last
    ARGS=--render                          measures nothing; the page again from what was measured last
    ARGS=--guard                           what CI asks: fails if a prediction costs 1.4 times a constant reply or more

What is measured has one core. The load has another, with Redis, the log worker and this process.
"""

import argparse
import datetime as dt
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import structlog

import cold_start
import worker
from bench_serve import models, page
from bench_serve.goals import goals
from bench_serve.guard import guard
from bench_serve.latency import at_rate
from bench_serve.memory import growth
from bench_serve.ours import DRIFTLINES, EMBEDDED, OVER_REDIS, SYNCED_256
from bench_serve.peers import peers
from bench_serve.replies import GRANIAN, GRANIAN_256, NGINX, REPLIES
from bench_serve.rounds import Pace, faults, in_rounds, values
from cores import Cores
from machine import machine, said_by, versions
from stack import Redis, installed
from table import render

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "loadtest" / "results" / "serve.json"
PACKAGES = ("driftline", "granian", "uvloop", "httptools", "uvicorn", "fastapi", "starlette", "redis", "onnxruntime")
FULL, SHORT = Pace(rounds=5, seconds=4, warm_s=1), Pace(rounds=3, seconds=2, warm_s=1)
FEW = FULL._replace(rounds=3)
SHORT_STACKS = (GRANIAN, EMBEDDED, OVER_REDIS, GRANIAN_256, SYNCED_256)
MARKS = (1_000_000, 10_000_000)
BATCH_ROUNDS, BATCH_ROWS, BATCHES = 5, 4000, 60
WORKER_ROUNDS = 3
STARTS = 10
QUIET = 50

Results = dict[str, Any]


def measure_stacks(_: Results, cores: Cores) -> Any:
    """All stacks under wrk."""
    return in_rounds((*REPLIES, *DRIFTLINES, *peers()), FULL, cores, say)


def measure_latency(results: Results, cores: Cores) -> Any:
    """Driftline and the constant reply at half of what the slower of them answers at most.

    Raises:
        RuntimeError: Nobody knows how much that is.
    """
    both = (GRANIAN, EMBEDDED)
    found = results.get("stacks", {})
    per_s = [values(found, stack.name, "per_s") for stack in both if stack.name in found]
    if len(per_s) < len(both) or not all(per_s):
        raise RuntimeError("latency is measured at half of saturation: measure the stacks first")
    return at_rate(both, min(map(median, per_s)) / 2, FULL, cores, say)


def measure_worker(_: Results, cores: Cores) -> Any:
    """Events a second of CPU."""
    with cores.shared():
        rates = worker.measure(WORKER_ROUNDS)
    return {way: each.cpu for way, each in rates.items()}


def measure_starts(_: Results, cores: Cores) -> Any:
    """Starts; who asks whether it is there needs a core as well."""
    with cores.shared():
        return cold_start.measure(STARTS)


PARTS: Mapping[str, Callable[[Results, Cores], Any]] = {
    "stacks": measure_stacks,
    "latency": measure_latency,
    "models": lambda _, cores: models.against_direct(FEW, cores, say),
    "batches": lambda _, __: models.batches(BATCH_ROUNDS, BATCH_ROWS, BATCHES),
    "worker": measure_worker,
    "memory": lambda _, cores: growth(EMBEDDED, MARKS, cores, say),
    "starts": measure_starts,
}
WRK, REDIS = ("wrk",), Redis.PROGRAMS
# Of each program one of these names.
NEEDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "stacks": (WRK, NGINX, REDIS),
    "models": (WRK,),
    "worker": (REDIS,),
    "memory": (WRK,),
}


def main() -> int:
    """Measures, renders the page, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="only Driftline and the constant reply; writes nothing")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part, keep the others")
    parser.add_argument("--render", action="store_true", help="measure nothing; render what the file has")
    parser.add_argument("--guard", action="store_true", help="fail if a prediction costs too much")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(QUIET))
    cores = Cores.of_machine()
    cores.pin_load()
    if asked.guard:
        want([WRK])
        return guard(cores, say)
    if asked.short:
        want([WRK, REDIS])
        return short(cores)
    failed = False if asked.render else measure(asked.only or list(PARTS), asked.json, cores)
    markdown = page.as_markdown(json.loads(asked.json.read_text()))
    say(markdown)
    render(PAGE, markdown, page.BEGIN, page.END)
    return int(failed)


def want(programs: Iterable[tuple[str, ...]]) -> None:
    """Returns if these are there.

    Raises:
        SystemExit: One is not; the message says how to install it.
    """
    missing = [names[0] for names in dict.fromkeys(programs) if not is_there(*names)]
    if missing:
        names = " ".join(missing)
        raise SystemExit(f"bench: {names} missing, nothing was measured. Debian: sudo apt-get install -y {names}")


def is_there(*programs: str) -> bool:
    """Whether one of these is installed."""
    try:
        installed(*programs)
    except FileNotFoundError:
        return False
    return True


def short(cores: Cores) -> int:
    """Driftline beside the constant reply; 1 if something failed or an event was lost."""
    found = in_rounds(SHORT_STACKS, SHORT, cores, say)
    judged = [goal for goal in goals({"stacks": found}) if goal.met is not None]
    say("\n".join(["", page.goal_table(judged), "", page.stacks(found)]))
    return int(any(faults(found, name) for name in found))


def measure(parts: list[str], file: Path, cores: Cores) -> bool:
    """Measures these parts, each into the file when it is done; returns whether one failed, or a turn of one did.

    Raises:
        SystemExit: A program is missing that one of them needs.
    """
    want(program for part in parts for program in NEEDS.get(part, ()))
    results: Results = json.loads(file.read_text()) if file.exists() else {"measured": {}}
    results |= {"machine": machine(), "versions": all_versions()}
    file.parent.mkdir(parents=True, exist_ok=True)
    failed = False
    for part in parts:
        say(part)
        began = time.monotonic()
        measured: dict[str, Any] = {"date": dt.datetime.now(dt.UTC).date().isoformat()}
        results.pop(part, None)
        try:
            results[part] = PARTS[part](results, cores)
        except Exception as error:  # noqa: BLE001 - the other parts can still be measured
            measured["failed"] = f"{str(error) or type(error).__name__}"
            say(f"  {part} failed: {measured['failed']}")
        failed |= "failed" in measured or any(each["failures"] for each in stacks_in(results[part]))
        results["measured"][part] = measured | {"took_s": round(time.monotonic() - began)}
        file.write_text(json.dumps(results, indent=1) + "\n")
    return failed


def stacks_in(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The stacks of a part that measures stacks."""
    stacks = part.get("stacks", part)
    return [each for each in stacks.values() if "failures" in each]


def all_versions() -> dict[str, str]:
    """Of all that runs in this environment, and of Debian's programs that are there."""
    found = versions(PACKAGES)
    if is_there(*WRK):
        found["wrk"] = said_by(installed(*WRK), "-v").split()[1].split("/")[-1]
    if is_there(*NGINX):
        found["nginx"] = said_by(installed(*NGINX), "-v").split("/")[-1].strip()
    if is_there(*REDIS):
        found["Redis"] = said_by(installed(*REDIS), "--version").partition("v=")[2].split()[0]
    return found


def say(text: str) -> None:
    """Tells the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
