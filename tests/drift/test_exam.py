"""What is answered where nothing stands out."""

import math

import numpy as np

from driftline.drift.build import Named, build_profile
from driftline.drift.exam import Exam
from driftline.drift.layout import Layout
from driftline.drift.profile import Origin
from driftline.drift.questions import Questions


def test_the_mildest_answer_is_to_a_question_that_is_asked() -> None:
    values = ["yes", "no"] * 500
    profile = build_profile("m", [Named("class", "class", "category")], {"class": values}, Origin("file"))
    layout = Layout(profile.columns)
    exam = Exam(Questions(profile.columns, layout), 1e-6)
    for ones in (95, 100, 105):  # more of either value, and as many of both
        counts = layout.count([["yes"] * ones + ["no"] * (200 - ones)])
        (answer,) = exam.take(np.asarray(counts))
        assert math.isfinite(answer.log_risk)
        assert 0 <= answer.strength < 1
