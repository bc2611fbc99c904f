"""The door to Evidently: what it says comes in, what it throws does not."""

import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.errors import NotEnoughRowsError, ReportError
from driftline.report.columns import Column, Series, Type, Value
from driftline.report.evidently import compare, harmless, translated
from driftline.report.result import DriftReport


def column(reference: Sequence[Value], current: Sequence[Value], kind: Type = "numerical", name: str = "x") -> Column:
    return Column(name, kind, Series(tuple(reference)), Series(tuple(current)))


def normal(count: int, mean: float = 0.0, seed: int = 1) -> list[Value]:
    chance = random.Random(seed)
    return [chance.gauss(mean, 1.0) for _ in range(count)]


def of_values(values: list[Value], count: int, seed: int = 1) -> list[Value]:
    return random.Random(seed).choices(values, k=count)


@pytest.mark.parametrize(
    ("steady", "drifted", "method"),
    [
        (column(normal(200), normal(200, seed=2)), column(normal(200), normal(200, 2.0)), "K-S p_value"),
        (
            column(of_values(["0", "1"], 200), of_values(["0", "1"], 200, seed=2), "categorical"),
            column(of_values(["0", "1"], 200), ["1"] * 200, "categorical"),
            "Z-test p_value",
        ),
        (
            column(of_values(["a", "b", "c"], 200), of_values(["a", "b", "c"], 200, seed=2), "categorical"),
            column(of_values(["a", "b", "c"], 200), ["a"] * 200, "categorical"),
            "chi-square p_value",
        ),
        (
            column(normal(2000), normal(2000, seed=2)),
            column(normal(2000), normal(2000, 2.0)),
            "Wasserstein distance (normed)",
        ),
        (
            column(of_values(["0", "1"], 2000), of_values(["0", "1"], 2000, seed=2), "categorical"),
            column(of_values(["0", "1"], 2000), ["1"] * 2000, "categorical"),
            "Jensen-Shannon distance",
        ),
    ],
)
def test_the_direction_of_each_default_method_is_that_of_its_verdict(
    steady: Column, drifted: Column, method: str
) -> None:
    for compared, expected in ((steady, False), (drifted, True)):
        found = compare([compared])
        (score,) = found.scores
        assert score.method == method
        assert score.drifted is found.drift is expected
        beyond = score.score < score.threshold if score.drifts_when == "below" else score.score >= score.threshold
        assert beyond is expected
        assert score.drifts_when == ("below" if "p_value" in method else "at_or_above")


def test_the_verdict_is_on_the_share_of_drifted_columns() -> None:
    same, other = normal(200), normal(200, 3.0)
    columns = [column(same, other, name="moved"), *(column(same, same, name=f"same_{n}") for n in range(2))]
    found = compare(columns)
    assert (found.drift, round(found.share, 3), found.threshold) == (False, 0.333, 0.5)
    found = compare(columns[:2])
    assert (found.drift, found.share) == (True, 0.5)


@pytest.mark.parametrize(
    "columns",
    [
        [],
        [column([None] * 40, normal(40))],
        [column(normal(40), [None] * 40)],
        [column([1e308] * 20 + [-1e308] * 20, normal(40))],
    ],
    ids=["no column", "empty reference", "empty current", "no histogram"],
)
def test_what_evidently_raises_comes_out_as_a_report_error(columns: list[Column]) -> None:
    with pytest.raises(ReportError):
        compare(columns)


def evidently_exceptions(base: type[BaseException] = BaseException) -> Iterator[type[BaseException]]:
    """All that Evidently has loaded to throw."""
    for kind in base.__subclasses__():
        if kind.__module__.partition(".")[0] == "evidently":
            yield kind
        yield from evidently_exceptions(kind)


@pytest.mark.usefixtures("steady")  # so Evidently is loaded
def test_none_of_evidentlys_exceptions_comes_out() -> None:
    kinds = set(evidently_exceptions())
    names = {kind.__name__ for kind in kinds}
    assert names > {"ReferenceMetricNotFound", "ColumnNotFound", "StatTestNotFoundError", "EvidentlyError"}
    assert any(not issubclass(kind, Exception) for kind in kinds)
    for kind in kinds:
        with pytest.raises(ReportError, match=kind.__name__), translated():
            raise kind.__new__(kind)  # without its arguments: that of which even str() fails is covered too


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_a_program_is_not_held_up(kind: type[BaseException]) -> None:
    with pytest.raises(kind), translated():
        raise kind


def test_our_own_errors_stay_what_they_are() -> None:
    with pytest.raises(NotEnoughRowsError), translated():
        raise NotEnoughRowsError("too few")


@given(st.text())
def test_no_text_can_end_the_script_it_stands_in(text: str) -> None:
    assert "<" not in harmless(text)
    assert len(harmless(text)) == len(text)


@pytest.mark.usefixtures("steady")
def test_telemetry_is_off_once_evidently_is_loaded() -> None:
    from evidently.telemetry import event_logger

    assert os.environ["DO_NOT_TRACK"] == "1"
    assert not event_logger.is_enabled()


def test_the_scores_are_finite(steady: DriftReport, shifted: DriftReport) -> None:
    for report in (steady, shifted):
        assert all(math.isfinite(score.score) for score in report.comparison.scores)


@pytest.mark.parametrize("absent", ["evidently", "pandas"])
def test_without_the_extra_the_error_says_what_to_install(absent: str) -> None:
    # None in sys.modules is how Python itself says that a module cannot be had.
    code = f"""
import sys
sys.modules[{absent!r}] = None
from driftline.errors import ReportError
from driftline.report.columns import Column, Series
from driftline.report.evidently import compare
numbers = Series(tuple(float(n) for n in range(40)))
try:
    compare([Column("x", "numerical", numbers, numbers)])
except ReportError as error:
    print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'driftline[report]'" in done.stdout


def test_loading_the_report_does_not_load_evidently() -> None:
    code = "import sys, driftline.report.report, driftline.report.reading, driftline.report.page; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"evidently", "pandas", "pyarrow", "numpy"} & set(done.stdout.split()) == set()
