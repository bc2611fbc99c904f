"""Real series in their own order: when each detector alarms. Nobody knows what the truth is."""

from typing import Any

from bench_drift.columns import real_columns
from bench_drift.measure import Detectors, first_alarm, fit
from bench_drift.streams import SIZES, Size, in_own_order

SMALL, LARGE = SIZES[0], SIZES[2]
SERIES = {
    "employment: AGEP": LARGE,
    "employment: SCHL": LARGE,
    "employment: ANC": LARGE,
    "employment: SEX": LARGE,
    "employment: predicted_probability": LARGE,
    "credit card: app_behavioral_score": LARGE,
    "credit card: app_channel": LARGE,
    "car price: km_driven": LARGE,
    "car price: accident_count": LARGE,
    "car loan: car_value": LARGE,
    "car loan: salary_range": LARGE,
    "car loan: debt_to_income_ratio": LARGE,
    "housing: MedInc": SMALL,
    "housing: Latitude": SMALL,
    "shuttle: f1": LARGE,
    "shuttle: f9": LARGE,
}


def firsts(name: str, size: Size, detectors: Detectors) -> dict[str, Any]:
    """For each detector, rows after the reference until its first alarm; ``None`` if there was none."""
    column = next(column for column in real_columns() if column.name == name)
    stream = in_own_order(column.rows, size, categorical=column.categorical)
    waiting = fit(detectors, stream, size)
    found: dict[str, int | None] = dict.fromkeys(waiting)
    passed = 0
    for rows in stream.windows:
        for detector in list(waiting):
            if seen := first_alarm(waiting[detector], rows):
                found[detector] = passed + seen
                del waiting[detector]
        passed += len(rows)
    return {"series": name, "size": str(size), "rows": passed, "first_alarm": found}
