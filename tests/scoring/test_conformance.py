"""What every runtime promises, held against the library that it stands for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from driftline.contract.package import read_package
from driftline.scoring import AsyncModel, load_model
from tests.scoring.cases import CASES, THREADED
from tests.scoring.conformance import (
    a_row_does_not_depend_on_the_rows_beside_it,
    one_row_is_a_batch_of_one_to_the_last_bit,
    scores_are_pythons_own_numbers_and_make_outputs,
    scores_are_what_the_library_itself_gives,
)

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("runtimes")]


@pytest.mark.parametrize("name", CASES)
def test_a_runtime_keeps_what_every_runtime_promises(name: str, tmp_path: Path) -> None:
    case = CASES[name](tmp_path / name)
    model = load_model(read_package(case.package), allow_pickle=True)
    try:
        scores_are_what_the_library_itself_gives(case, model)
        one_row_is_a_batch_of_one_to_the_last_bit(case, model)
        a_row_does_not_depend_on_the_rows_beside_it(case, model)
        scores_are_pythons_own_numbers_and_make_outputs(case, model)
    finally:
        if isinstance(model, AsyncModel):
            model.close()


@pytest.mark.long
def test_models_score_on_one_thread_also_in_a_process_that_was_forked_from_one_that_has_scored(
    tmp_path: Path,
) -> None:
    """The threads of OpenMP are not there after a fork, and a library that has started some waits for them for ever."""
    packages = [make(tmp_path / make.__name__).package for make in THREADED]
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    finished = subprocess.run(
        [sys.executable, Path(__file__).with_name("forked.py"), *packages],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
