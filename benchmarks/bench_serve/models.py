"""Models of several sizes: what a prediction costs over HTTP against the model called directly, and rows of a batch."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench_models.inside import FORMS, bodies, direct
from bench_models.over_http import serving
from bench_models.packages import Case, cases
from bench_serve.ours import of_package
from bench_serve.rounds import Pace, turn
from bench_serve.stacks import Stack
from cores import Cores
from turns import in_turn

ROWS = 2000
BATCH_FORMS = ("JSON", "Arrow")


def against_direct(pace: Pace, cores: Cores, tell: Callable[[str], None]) -> dict[str, Any]:
    """CPU microseconds of one prediction, by model and round, as JSON takes it.

    Raises:
        RuntimeError: An answer has no event.
    """
    with TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        served = [(case, stack_of(case)) for case in cases(Path(directory), ROWS)]
        found: dict[str, Any] = {case.name: {"direct": [], "http": []} for case, _ in served}
        for _ in range(pace.rounds):
            for case, stack in served:
                found[case.name]["direct"].append(direct(case))
                got = turn(stack, pace, cores)
                if got.lost:
                    raise RuntimeError(f"{case.name}: {got.lost} answers have no event")
                found[case.name]["http"].append(got.cpu_us)
                tell(f"  {case.name}: {found[case.name]['http'][-1]:.1f} us")
    return found


def stack_of(case: Case) -> Stack:
    """Driftline with this model; the answer has to be what the model says itself."""
    row = case.rows[0]
    wanted = float(case.call(tuple(row.values())))

    def right(answer: bytes) -> bool:
        return abs(float(json.loads(answer)["probability"]) - wanted) < 1e-6  # noqa: PLR2004 - floats of 32 bits

    return of_package(case.name, case.package)._replace(body=json.dumps(row).encode(), right=right)


def batches(rounds: int, rows: int, times: int) -> dict[str, list[float]]:
    """Rows a second of CPU of the narrowest model, each logged, by the form of the batch."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        case = cases(Path(directory), rows)[0]
        body_of = bodies(case.rows)
        with serving(case, Path(directory)) as server:
            ways = {form: partial(server.batch, FORMS[form], body_of[form], rows, times) for form in BATCH_FORMS}
            found = in_turn(ways, rounds)
    return {form: [1e6 / each for each in us] for form, us in found.items()}
