"""Since when a change has been there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.drift.build import Named, cut
from driftline.drift.exam import Exam
from driftline.drift.layout import Layout
from driftline.drift.profile import Column
from driftline.drift.questions import Questions
from driftline.drift.since import change_point, excesses


def columns() -> tuple[Column, ...]:
    random = np.random.default_rng(0)
    named = [Named("x", "feature", "number"), Named("kind", "class", "category")]
    return cut(named, [random.normal(size=5000), random.choice(["a", "b"], size=5000).tolist()])


def windows(changed_from: int, count: int, shift: float, kind: str | None = None) -> np.ndarray:
    random = np.random.default_rng(1)
    layout = Layout(columns())
    found = []
    for at in range(count):
        values = random.normal(size=400) + (shift if at >= changed_from else 0)
        kinds = random.choice(["a", "b"], size=400).tolist()
        if kind is not None and at >= changed_from:
            kinds[:40] = [kind] * 40
        found.append(layout.count([values, kinds]))
    return np.stack(found)


@given(st.integers(0, 19), st.lists(st.integers(1, 1000), min_size=20, max_size=20))
def test_without_noise_it_is_the_very_window(begin: int, rows: list[int]) -> None:
    held = np.array(rows)
    excess = np.where(np.arange(20) >= begin, 0.3, 0.0) * held
    assert change_point(excess, held) == begin


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30))
def test_it_is_one_of_the_windows(excess: list[float]) -> None:
    assert 0 <= change_point(np.array(excess), np.full(len(excess), 10)) < len(excess)


def test_windows_without_rows_are_no_hindrance() -> None:
    assert change_point(np.array([0.0, 0.0, 5.0, 0.0]), np.array([10, 0, 10, 0])) == 2


@pytest.mark.parametrize(
    ("column", "shift", "kind", "question"), [(0, 0.4, None, "location"), (1, 0.0, "c", "unseen"), (1, 0.0, "a", "bin")]
)
def test_each_sort_of_change_is_dated_by_the_statistic_it_was_seen_in(
    column: int, shift: float, kind: str | None, question: str
) -> None:
    counts = windows(12, 20, shift, kind)
    questions = Questions(columns(), Layout(columns()))
    answer = Exam(questions, 1e-4).take(counts[12:].sum(axis=0))[column]
    assert answer.question == question
    assert answer.strength >= 1
    found = excesses(questions, column, answer, counts)
    assert abs(change_point(found, counts[:, : Layout(columns()).starts[1]].sum(axis=1)) - 12) <= 1
    assert abs(found[:12].mean()) < abs(found[12:].mean()) / 3
