"""What the scan says of a change that comes, stays and goes."""

from collections.abc import Sequence

import numpy as np
import pytest

from driftline.drift.build import Named, build_profile
from driftline.drift.profile import Origin
from driftline.drift.scan import Evidence, Scan


def windows_of(shifts: Sequence[float], rows: int = 500) -> tuple[Scan, list[list[Evidence]]]:
    draw = np.random.default_rng(3)
    named = [Named("x", "feature", "number")]
    profile = build_profile("m", named, {"x": draw.normal(size=5000)}, Origin("file", in_order=True))
    scan = Scan(profile.columns, 1e-5)
    return scan, [scan.observe(scan.layout.count([draw.normal(size=rows) + shift])) for shift in shifts]


@pytest.mark.parametrize("shift", [1.0, 0.3, 0.15])
def test_an_alarm_ends_soon_after_the_change_and_does_not_come_back(shift: float) -> None:
    _, found = windows_of([0.0] * 20 + [shift] * 40 + [0.0] * 200)
    alarms = [at for at, evidence in enumerate(found) if evidence[0].alarm]
    assert 20 <= alarms[0] <= 27
    assert 59 <= alarms[-1] <= 80


def test_a_change_that_lasts_is_not_taken_to_be_over() -> None:
    _, found = windows_of([0.0] * 10 + [0.3] * 100)
    assert all(evidence[0].alarm for evidence in found[12:])


def test_what_is_forgotten_of_one_column_is_kept_of_another() -> None:
    draw = np.random.default_rng(4)
    named = [Named(name, "feature", "number") for name in ("one", "two")]
    values = {it.name: draw.normal(size=5000) for it in named}
    profile = build_profile("m", named, values, Origin("file", in_order=True))
    scan = Scan(profile.columns, 1e-5)
    found = []
    for at in range(30):
        one = draw.normal(size=500) + (1.0 if at < 5 else 0.0)  # over after five windows
        two = draw.normal(size=500) + 0.12  # too little for one window to see
        found.append(scan.observe(scan.layout.count([one, two])))
    assert [evidence[0].alarm for evidence in found[:5]] == [True] * 5
    assert not any(evidence[0].alarm for evidence in found[7:])
    assert any(evidence[1].alarm for evidence in found)
