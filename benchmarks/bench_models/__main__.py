"""What serving costs beside the model: ``make bench-models``, three minutes at most; ``ARGS=--short``, one.

The same rows go to the model directly, to the functions that decide and keep, and over HTTP to a server; then requests
that come at once, scored alone and together; then batches in each form. All take turns, so that what else the machine
does falls on all alike. Ratios within a run are what to believe.
"""

import argparse
import datetime as dt
import json
import math
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from bench_models import page
from bench_models.inside import FORMS, TOGETHER, Inside, bodies, direct, outbox
from bench_models.over_http import serving
from bench_models.packages import cases
from machine import machine, versions
from table import render
from turns import Measures, in_turn

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks-models.md"
PACKAGES = ("uvloop", "httptools", "msgspec", "zlib-ng", "onnxruntime", "pyarrow")
ROUNDS, ROWS = 5, 4000
SHORT_ROUNDS, SHORT_ROWS = 3, 1000
# The kernel counts in hundredths of a second: each measure over HTTP takes a third of one, or more.
BATCHES = 48
QUIET = 50


def measure(rows: int, rounds: int, directory: Path) -> dict[str, Any]:
    """All that is measured, as JSON takes it."""
    found: dict[str, Any] = {"singles": {}, "gains": {}, "batches": {}}
    for case in cases(directory, rows):
        say(f"  {case.name}")
        with outbox() as kept, serving(case, directory) as server:
            usual, alone, together = (Inside(case, kept, most) for most in (None, 1, TOGETHER))
            single: Measures = {"direct": partial(direct, case), "inside": usual.one_by_one, "http": server.one_by_one}
            at_once = {"alone": alone.at_once, "together": together.at_once}
            found["singles"][case.name] = in_turn(single, rounds)
            found["gains"][case.name] = {**in_turn(at_once, rounds), "on": usual.gathers}
            found["batches"][case.name] = {}
            times = round(BATCHES / math.sqrt(len(case.rows[0])))
            for form, body in bodies(case.rows).items():
                ask = (FORMS[form], body, len(case.rows))
                batch = {
                    "inside": partial(usual.batch, *ask),
                    "http": partial(server.batch, *ask, times=times),
                }
                found["batches"][case.name][form] = in_turn(batch, rounds)
    return found


def main() -> int:
    """Measures, renders the page, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer rows and rounds; for a look, not for figures")
    parser.add_argument("--json", type=Path, default=ROOT / "loadtest" / "results" / "models.json", metavar="FILE")
    parser.add_argument("--render", action="store_true", help="measure nothing; render what the file has")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(QUIET))
    if not arguments.render:
        results = all_results(short=arguments.short)
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    results = json.loads(arguments.json.read_text())
    markdown = page.as_markdown(results)
    say(markdown)
    if arguments.render or not results["short"]:
        render(PAGE, markdown, page.BEGIN, page.END)
    return 0


def all_results(*, short: bool) -> dict[str, Any]:
    """What was found, and on what."""
    began, on = time.monotonic(), machine()
    rows, rounds = (SHORT_ROWS, SHORT_ROUNDS) if short else (ROWS, ROUNDS)
    with tempfile.TemporaryDirectory() as directory:
        found = measure(rows, rounds, Path(directory))
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "short": short,
        "rounds": rounds,
        "machine": on,
        "versions": versions(PACKAGES),
        "took_s": round(time.monotonic() - began),
        **found,
    }


def say(text: str) -> None:
    """Tells the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
