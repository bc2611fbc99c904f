"""A program: loads packages, scores, forks, does the same in the child, and says which models work on other threads."""

import os
import sys
import time
import warnings
from pathlib import Path

from driftline.contract.package import read_package
from driftline.scoring import AsyncModel, Model, load_model

ROWS = 500
WORK_S = 0.05
SHARE = 0.25
"""What threads other than the first may have of its time; one that helps has nearly all of it."""


def example(package: Path) -> list[tuple[object, ...]]:
    row = tuple(feature.shown for feature in read_package(package).schema.inputs)
    return [row] * ROWS


def work(model: Model, rows: list[tuple[object, ...]]) -> tuple[float, float]:
    """Scores for a while; the processor's seconds of this thread, and of the others."""
    began_s, all_began_s, deadline_s = time.thread_time(), time.process_time(), time.monotonic() + 3
    while time.thread_time() < began_s + WORK_S and time.monotonic() < deadline_s:
        model.score(rows)  # type: ignore[arg-type]
    own_s = time.thread_time() - began_s
    return own_s, time.process_time() - all_began_s - own_s


def main(packages: list[Path]) -> int:
    warnings.simplefilter("ignore")
    for package in packages:
        load_model(read_package(package), allow_pickle=True).score(example(package))  # type: ignore[arg-type]
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for package in packages:
        model = load_model(read_package(package), allow_pickle=True)
        rows = example(package)
        work(model, rows)  # BLAS starts its threads anew in a child; they turn round for a while, and sleep
        own_s, their_s = work(model, rows)
        if isinstance(model, AsyncModel):
            model.close()
        elif their_s > SHARE * own_s:
            sys.stderr.write(f"{package.name} works on other threads: {their_s:.3f} s to its own {own_s:.3f} s\n")
            sys.stderr.flush()
            os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
