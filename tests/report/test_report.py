"""The verdict, and everything it comes with."""

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # has no stubs
import pytest

from driftline import __version__
from driftline.errors import ReportError
from driftline.report.reading import read_windows
from driftline.report.report import make_report
from driftline.report.result import DriftReport, describe
from driftline.report.selection import Selection, TimeRange
from tests.report.events import MakeLog, event, traffic

SHAPE = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        *("schema_version", "created_at", "drift", "verdict", "share", "threshold", "drifted", "columns", "isolated"),
        *("reference", "current", "notes", "versions"),
    ],
    "properties": {
        "schema_version": {"const": 1},
        "created_at": {"$ref": "#/$defs/time"},
        "drift": {"type": "boolean"},
        "verdict": {"type": "string"},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "threshold": {"type": "number"},
        "drifted": {"type": "array", "items": {"type": "string"}},
        "columns": {"type": "array", "items": {"$ref": "#/$defs/column"}},
        "isolated": {
            "type": "array",
            "items": {"type": "object", "required": ["name", "reason"], "additionalProperties": {"type": "string"}},
        },
        "reference": {"$ref": "#/$defs/window"},
        "current": {"$ref": "#/$defs/window"},
        "notes": {"type": "array", "items": {"type": "string"}},
        "versions": {"type": "object", "required": ["driftline", "evidently", "python", "pandas"]},
    },
    "$defs": {
        "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"},
        "column": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "type", "method", "score", "threshold", "drifts_when", "drifted", "missing"],
            "properties": {
                "name": {"type": "string"},
                "type": {"enum": ["numerical", "categorical"]},
                "method": {"type": "string"},
                "score": {"type": "number"},
                "threshold": {"type": "number"},
                "drifts_when": {"enum": ["below", "at_or_above"]},
                "drifted": {"type": "boolean"},
                "missing": {
                    "type": "object",
                    "required": ["reference", "current"],
                    "additionalProperties": {"type": "integer"},
                },
            },
        },
        "window": {
            "type": "object",
            "additionalProperties": False,
            "required": [
                *("rows", "chosen", "out_of", "file", "first_row", "stop_row", "first_timestamp", "last_timestamp"),
                *("models", "ignored_columns"),
            ],
            "properties": {
                "rows": {"type": "integer"},
                "chosen": {"enum": ["first", "last", "drawn"]},
                "out_of": {"type": ["integer", "null"]},
                "file": {"type": ["string", "null"]},
                "first_row": {"type": ["integer", "null"]},
                "stop_row": {"type": ["integer", "null"]},
                "first_timestamp": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/time"}]},
                "last_timestamp": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/time"}]},
                "models": {"type": "array", "items": {"type": "string"}},
                "ignored_columns": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
}


def reported(report: DriftReport) -> dict[str, Any]:
    """The JSON, read as a script would read it."""
    found: dict[str, Any] = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    jsonschema.validate(found, SHAPE)
    return found


def test_where_nothing_changes_there_is_no_drift(steady: DriftReport) -> None:
    found = reported(steady)
    assert found["drift"] is False
    assert found["verdict"].startswith("No drift: ")
    assert found["share"] < found["threshold"] == 0.5


def test_where_a_feature_moves_there_is_drift_in_it_and_in_what_depends_on_it(shifted: DriftReport) -> None:
    found = reported(shifted)
    assert found["drift"] is True
    assert found["drifted"] == ["feature_1", "probability", "predicted_class"]
    assert found["verdict"] == "Drift: 3 of 4 columns drifted (75%; drift means 50% or more)."
    assert [column["drifted"] for column in found["columns"]] == [True, False, True, True]


def test_the_json_says_what_was_compared(shifted: DriftReport) -> None:
    found = reported(shifted)
    assert found["reference"] == {
        "rows": 200,
        "chosen": "first",
        "out_of": None,
        "file": None,
        "first_row": 0,
        "stop_row": 200,
        "first_timestamp": "2026-11-23T21:00:00.123456Z",
        "last_timestamp": "2026-11-23T21:03:19.123456Z",
        "models": ["seed 1"],
        "ignored_columns": [],
    }
    assert (found["current"]["first_row"], found["current"]["stop_row"]) == (800, 1000)
    assert found["versions"]["driftline"] == __version__
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found["created_at"])).total_seconds() < 3600


def test_columns_that_cannot_be_compared_are_isolated_and_the_rest_is_reported(make_log: MakeLog) -> None:
    lines = []
    for number, line in enumerate(traffic(400, shift_after=200, shift_by=5.0)):
        row = json.loads(line)
        row["features"] |= {"constant": 1.0, "gone": 1.0 * number if number < 200 else None}
        row["features"] |= {"huge": 1e308 * (-1) ** number, "gaps": None if number % 2 else number / 7}
        lines.append(json.dumps(row).encode())
    found = reported(make_report(read_windows(make_log(lines), Selection())))
    assert [column["name"] for column in found["columns"]] == [
        *("feature_1", "feature_2", "gaps", "probability", "predicted_class")
    ]
    reasons = {column["name"]: column["reason"] for column in found["isolated"]}
    assert reasons.keys() == {"constant", "gone", "huge"}
    assert reasons["constant"] == "it has one and the same value in both windows"
    assert reasons["gone"] == "it has no value in the current window"
    assert "Evidently could not compare the windows" in reasons["huge"]
    assert {"feature_1", "probability"} <= set(found["drifted"])
    assert found["verdict"].endswith("Not compared: constant, gone, huge.")
    assert found["columns"][2]["missing"] == {"reference": 100, "current": 100}
    assert "gaps has missing values (50% reference, 50% current)" in found["notes"][0]


def test_if_no_column_can_be_compared_that_is_an_error_and_not_no_drift(make_log: MakeLog) -> None:
    lines = [event(number, {"x": 1.0}, probability=0.5, predicted_class=1) for number in range(100)]
    with pytest.raises(ReportError, match="no column can be compared: x: it has one and the same value"):
        make_report(read_windows(make_log(lines), Selection()))


def test_a_window_is_described_in_a_line(make_log: MakeLog) -> None:
    log = make_log(traffic(1500))
    ends = read_windows(log, Selection())
    assert describe(ends.reference) == (
        "the first 200 predictions of the log; rows 1 to 200; "
        "2026-11-23 21:00:00 to 2026-11-23 21:03:19 UTC; scored by seed 1"
    )
    assert describe(ends.current).startswith("the last 200 predictions of the log; rows 1,301 to 1,500; ")
    middle = ends.current.times
    assert middle
    drawn = read_windows(log, Selection(reference_range=TimeRange(stop=middle[0])))
    assert describe(drawn.reference).startswith("1,000 rows, drawn evenly from 1,300 of the time range; rows ")
    assert describe(read_windows(log, Selection(current_range=TimeRange(middle[0]))).current).startswith(
        "all 200 rows of the time range; rows 1,301 to 1,500; "
    )


def test_categories_and_the_probabilities_of_classes_are_compared(make_log: MakeLog) -> None:
    def line(number: int) -> bytes:
        plan = "new" if number >= 100 and number % 3 == 0 else "ab"[number % 2]
        share = 0.2 + (number * 7 % 10) / 50
        shares = {"yes": share, "no": 0.9 - share, "perhaps": 0.1}
        given = {"probability": None, "predicted_class": max(shares, key=lambda label: shares[label])}
        return event(number, {"plan": plan, "member": number % 4 == 0}, **given, probabilities=shares)

    report = make_report(read_windows(make_log(map(line, range(200))), Selection()))
    columns = {score.name: (score.type, score.drifted) for score in report.comparison.scores}
    assert columns == {
        "plan": ("categorical", True),
        "member": ("categorical", False),
        "probabilities.yes": ("numerical", False),
        "probabilities.no": ("numerical", False),
    }
    assert [it.name for it in report.isolated] == ["probabilities.perhaps", "predicted_class"]
