"""Numbers as people read them, however small or large."""

import math

import pytest

from driftline.console import words


@pytest.mark.parametrize(
    ("log_p", "text"),
    [
        (math.log(0.04), "0.04"),
        (math.log(3.2e-12), "3e-12"),
        (-2000.0, "3e-869"),
        (math.log(9.7e-5), "1e-4"),
        (0.0, "1"),
    ],
)
def test_a_probability_is_said_however_small(log_p: float, text: str) -> None:
    assert words.probability(log_p) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "-"), (0.0, "0 %"), (0.00123, "0.12 %"), (0.034, "3.4 %"), (0.624, "62 %"), (1.0, "100 %")],
)
def test_a_share_has_the_digits_that_mean_something(share: float | None, text: str) -> None:
    assert words.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0042, "4.2 ms"), (10, "10 s"), (90, "90 s"), (600, "10 min"), (3600, "1 h"), (86_400, "1 d"), (5400, "90 min")],
)
def test_a_duration_has_its_largest_fitting_unit(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_two_times_of_one_day_say_the_day_once() -> None:
    assert words.span(1_800_000_000_000_000, 1_800_000_010_000_000) == "15 Jan 2027 08:00:00 to 08:00:10 UTC"
    assert words.span(0, 86_400_000_000) == "1 Jan 1970 00:00 to 2 Jan 1970 00:00 UTC"


@pytest.mark.parametrize(
    ("question", "label", "text"),
    [
        ("location", "up", "Its values have moved up."),
        ("missing", "missing", "More rows than expected have no value."),
        ("missing", "less missing", "Fewer rows than expected have no value."),
        ("bin", "less 0", "Fewer rows than expected have the value 0."),
        ("bin", "1.5 to 2", "More rows than expected lie between 1.5 and 2."),
        ("unseen", "unseen", "More rows than expected have a value that the reference has not."),
    ],
)
def test_an_answer_is_a_sentence(question: str, label: str, text: str) -> None:
    assert words.said(question, label) == text


def test_a_question_that_was_not_asked_is_no_evidence() -> None:
    assert words.evidence(-0.5, -math.inf) == "nothing speaks against it"
