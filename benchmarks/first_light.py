"""First light: the whole path under load, from requests to a drift report, with parts killed on the way.

    python benchmarks/first_light.py --render README.md      # about eight minutes
    python benchmarks/first_light.py --quick                 # some seconds a run, to see that it works

Every run has a data directory, ports and, if it uses one, a Redis of its own. It ends with 1 if one of the claims below
does not hold: no failures; as many log lines as answers, each id once; a balanced ledger; the right drift verdict.
"""

import argparse
import csv
import datetime as dt
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftline.eventlog.reader import LogReader
from driftline.outbox.root import OutboxRoot
from machine import machine, said_by, versions
from stack import ROLES, Driftline, Redis, installed, wait_for
from table import as_markdown, render

ROOT = Path(__file__).resolve().parents[1]
LOCUSTFILE = ROOT / "loadtest" / "locustfile.py"
DRAIN_S = 60.0
SAMPLE_S = 0.5
REPORT_ROWS = 2000
# Up to so many rows Evidently compares by p-values, and so sees drift in one of 25 reports on steady traffic.
CHANCE_ROWS = 1000
PACKAGES = ("driftline", "uvicorn", "uvloop", "starlette", "faststream", "evidently", "locust")


@dataclass(frozen=True)
class Load:
    """The load of each run, in Locust's terms."""

    users: int
    spawn_rate: float
    seconds: float


@dataclass(frozen=True)
class Run:
    """One run: over what the events travel, who asks, and what is killed with -9 in the middle."""

    name: str
    broker: bool = False
    users: str = "PredictUser"
    kill: str | None = None

    @property
    def drifts(self) -> bool:
        """Whether the report has to show drift."""
        return self.users == "DriftingUser"


RUNS = (
    Run("embedded"),
    Run("embedded, worker killed", kill="worker"),
    Run("Redis", broker=True),
    Run("Redis, worker killed", broker=True, kill="worker"),
    Run("Redis, Redis killed", broker=True, kill="redis"),
    Run("embedded, drifting", users="DriftingUser"),
)


def measure(run: Run, load: Load, directory: Path) -> dict[str, Any]:
    """Everything that was found out in one run, as JSON takes it."""
    redis = Redis(directory / "redis") if run.broker else None
    driftline = Driftline(directory, redis.url if redis else None)
    try:
        if redis:
            redis.start()
        driftline.start()
        exit_code, killed = put_under_load(run, load, directory, driftline, redis)
        ledger = drained_ledger(driftline)
        driftline.sample()
        cpu_s = {role: driftline.cpu_s(role) for role in ROLES}
        ids = logged_ids(driftline)
        report = drift_report(driftline, directory, rows=min(REPORT_ROWS, len(ids) // 2))
    finally:
        stopped = driftline.stop()
        if redis:
            redis.kill()
    verdict = json.loads((directory / "run_verdict.json").read_text())
    return {
        "name": run.name,
        "locust_exit_code": exit_code,
        "stop_exit_code": stopped,
        "killed": run.kill if killed else None,
        "answers": verdict["answers"],
        "failures": verdict["failures"],
        "log_lines": len(ids),
        "unique_ids": len(set(ids)),
        "ledger": ledger,
        "cpu_us": {role: seconds / max(1, len(ids)) * 1e6 for role, seconds in cpu_s.items()},
        **latencies(directory / "run_stats.csv"),
        **report,
    }


def put_under_load(
    run: Run, load: Load, directory: Path, driftline: Driftline, redis: Redis | None
) -> tuple[int, bool]:
    """Runs Locust and kills what is to be killed half-way; returns Locust's exit code and whether that was done."""
    command = [installed("locust"), "-f", str(LOCUSTFILE), run.users, "--host", driftline.url, "--headless"]
    command += ["--only-summary", "-u", str(load.users), "-r", str(load.spawn_rate), "-t", f"{load.seconds:g}s"]
    command += ["--csv", str(directory / "run"), "--data", str(driftline.data), "--log-wait", f"{DRAIN_S:g}"]
    command += ["--outcomes", "0"]  # so that each line of the log is a prediction
    with (directory / "locust.log").open("wb") as log:
        locust = subprocess.Popen(command, stdout=log, stderr=log)
    outboxes, kill_at, killed = OutboxRoot(driftline.data / "outbox"), math.inf, False
    try:
        while locust.poll() is None:
            if kill_at == math.inf and outboxes.producers():  # there since the first prediction
                kill_at = time.monotonic() + load.seconds / 2
            if run.kill and not killed and time.monotonic() >= kill_at:
                kill(run.kill, driftline, redis)
                killed = True
            driftline.sample()
            time.sleep(SAMPLE_S)
    finally:
        locust.kill()
    return locust.wait(), killed


def kill(part: str, driftline: Driftline, redis: Redis | None) -> None:
    """``kill -9`` of one part, which then starts again."""
    if part == "worker":
        driftline.kill_worker()
    elif part == "redis" and redis is not None:
        redis.kill()
        redis.start()


def drained_ledger(driftline: Driftline) -> dict[str, Any]:
    """The ledger, once nothing is in flight any more."""
    ledger: dict[str, Any] = {}

    def is_drained() -> bool:
        ledger.update(json.loads(driftline.run("ledger", "--json").stdout or "{}"))
        return ledger.get("in_flight") == 0

    wait_for("the outboxes to drain", is_drained, DRAIN_S)
    return ledger


def logged_ids(driftline: Driftline) -> list[str]:
    """The ``request_id`` of every line of the log."""
    with LogReader(driftline.data / "logs") as log:
        return [json.loads(line)["request_id"] for line in log.lines()]


def drift_report(driftline: Driftline, directory: Path, rows: int) -> dict[str, Any]:
    """What ``driftline report`` says of the log's first and last rows."""
    json_output = directory / "report.json"
    done = driftline.run(
        "report",
        *("--output", str(directory / "report.html"), "--json-output", str(json_output)),
        *("--reference-rows", str(rows), "--current-rows", str(rows)),
    )
    if done.returncode:
        raise RuntimeError(f"driftline report ended with {done.returncode}: {done.stderr}")
    report = json.loads(json_output.read_text())
    return {"drift": report["drift"], "drifted": report["drifted"], "report_rows": rows}


def latencies(stats: Path) -> dict[str, Any]:
    """Requests a second and latencies, from Locust's own table."""
    with stats.open(newline="") as file:
        total = next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
    return {
        "requests_per_s": float(total["Requests/s"]),
        "latency_ms": {f"p{percent}": float(total[f"{percent}%"]) for percent in (50, 95, 99)},
    }


def broken_claims(run: Run, found: dict[str, Any]) -> Iterator[str]:
    """What was promised of the run and does not hold."""
    answers, ledger = found["answers"], found["ledger"]
    if found["failures"]:
        yield f"{found['failures']:,} requests failed"
    if found["killed"] != run.kill:
        yield f"{run.kill} was not killed under load"
    if found["locust_exit_code"]:
        yield f"the load test ended with {found['locust_exit_code']}"
    if not found["log_lines"] == found["unique_ids"] == answers:
        yield f"{answers:,} answers, {found['log_lines']:,} log lines, {found['unique_ids']:,} different ids"
    if not (ledger["accepted"] == ledger["logged"] == answers and ledger["balanced"]):
        yield f"the ledger does not balance: {ledger}"
    if run.drifts and not (found["drift"] and "feature_1" in found["drifted"]):
        yield f"the inputs shifted, and the report shows drift in {found['drifted'] or 'nothing'}"
    if found["drift"] and not run.drifts and found["report_rows"] > CHANCE_ROWS:
        yield f"the inputs were steady, and the report shows drift in {found['drifted']}"
    if found["stop_exit_code"]:
        yield f"driftline up ended with {found['stop_exit_code']}"


def redis_version() -> str:
    """The version of the Redis that is used."""
    return said_by(installed(*Redis.PROGRAMS), "--version").partition("v=")[2].split()[0]


def main() -> int:
    """Measures, says what holds, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="6 s a run, everybody at once; for tests, not for figures")
    parser.add_argument("--only", metavar="TEXT", default="", help="only the runs with TEXT in their name")
    parser.add_argument("--output", type=Path, default=ROOT / "loadtest" / "results" / "first_light.json")
    parser.add_argument("--render", type=Path, metavar="FILE", help="put the table between the markers of FILE")
    arguments = parser.parse_args()
    load = Load(users=200, spawn_rate=200, seconds=6) if arguments.quick else Load(users=200, spawn_rate=20, seconds=60)

    found, broken = [], 0
    for run in (run for run in RUNS if arguments.only in run.name):
        directory = Path(tempfile.mkdtemp(prefix="first-light-"))
        say(f"{run.name}, in {directory}")
        found.append(measure(run, load, directory))
        claims = list(broken_claims(run, found[-1]))
        say(f"  {found[-1]['answers']:,} answers: {'; '.join(claims) or 'all claims hold'}")
        broken += len(claims)
        if not claims:
            shutil.rmtree(directory)
    results = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "load": vars(load),
        "machine": machine(),
        "versions": {**versions(PACKAGES), "redis": redis_version()},
        "runs": found,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    say(f"written to {arguments.output}")
    if arguments.render and not broken:
        render(arguments.render, as_markdown(results))
    return 1 if broken else 0


def say(text: str) -> None:
    """Tells the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
