"""The suite that the models of all runtimes pass; each check is called as what it claims."""

import math
from typing import Any

from driftline.contract.outputs import outputs_of
from driftline.contract.package import read_package
from driftline.scoring import Model
from tests.scoring.cases import Case


def scores_are_what_the_library_itself_gives(case: Case, model: Model) -> None:
    assert len(case.rows) == len(case.expected)
    assert len(set(case.expected)) > 2
    assert close(model.score(case.rows), case.expected, case.within)


def one_row_is_a_batch_of_one_to_the_last_bit(case: Case, model: Model) -> None:
    for row in case.rows:
        assert model.score([row])[0] == model.score_row(row)


def a_row_does_not_depend_on_the_rows_beside_it(case: Case, model: Model) -> None:
    together = model.score(case.rows)
    assert close([model.score_row(row) for row in case.rows], together, case.alone_within)
    assert close(list(reversed(model.score(case.rows[::-1]))), together, case.alone_within)


def scores_are_pythons_own_numbers_and_make_outputs(case: Case, model: Model) -> None:
    outputs = outputs_of(read_package(case.package).schema)
    for score in model.score(case.rows):
        assert {type(each) for each in numbers([score])} == {float}
        assert outputs.of(score)


def numbers(scores: Any) -> list[float]:
    return [each for score in scores for each in (score if isinstance(score, tuple) else (score,))]


def close(left: Any, right: Any, within: float) -> bool:
    pairs = list(zip(numbers(left), numbers(right), strict=True))
    return all(a == b if within == 0 else math.isclose(a, b, rel_tol=within, abs_tol=within) for a, b in pairs)
