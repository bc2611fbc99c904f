"""``driftline backtest`` as a person runs it, on a log and on tables."""

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.monitor.logs import START_US, US, PredictionLog, events

pytestmark = pytest.mark.long

HOUR_US = 3600 * US
REFERENCE_ROWS = 3000
WEEK_HOURS = 168
ROWS_AN_HOUR = 220


def table(path: Path, seed: int, *, shift: float = 0.0, shifted_from_hour: int = WEEK_HOURS) -> Path:
    """A week at even traffic behind the rows for a reference; from some hour on feature_1 is shifted."""
    draw = np.random.default_rng(seed)
    rows = REFERENCE_ROWS + WEEK_HOURS * ROWS_AN_HOUR
    one, two = draw.normal(size=rows), draw.gamma(2, 1, rows)
    hours = (np.arange(rows) - REFERENCE_ROWS) // ROWS_AN_HOUR
    one[hours >= shifted_from_hour] += shift
    probability = 1 / (1 + np.exp(-one))
    times = START_US + (np.arange(rows) - REFERENCE_ROWS) * HOUR_US // ROWS_AN_HOUR
    columns = [one, two, probability, (probability >= 0.5).astype(int), times]
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE week AS SELECT unnest($1) AS feature_1, unnest($2) AS feature_2, unnest($3) AS probability, "
            "unnest($4) AS predicted_class, make_timestamp(unnest($5)) AS timestamp",
            [column.tolist() for column in columns],
        )
        connection.execute(f"COPY week TO '{path}' (FORMAT parquet)")
    return path


def outcome(ask: Run, *arguments: str) -> dict[str, Any]:
    finished = ask("backtest", *arguments, "--json")
    assert finished.returncode == 0, finished.stderr
    found: dict[str, Any] = json.loads(finished.stdout)
    return found


def test_a_shift_is_found_with_its_column_and_its_hour(ask: Run, tmp_path: Path) -> None:
    week = table(tmp_path / "week.parquet", 1, shift=0.5, shifted_from_hour=100)
    found = outcome(ask, str(week), "--reference-rows", str(REFERENCE_ROWS))
    first = min(found["alarms"], key=lambda alarm: alarm["opened_us"])
    assert first["column"] == "feature_1"
    assert first["label"] == "up"
    assert (first["since_us"] - START_US) // HOUR_US in range(98, 103)
    assert (first["opened_us"] - START_US) // HOUR_US in range(100, 105)
    assert found["windows"] == WEEK_HOURS
    assert not any(alarm["column"] == "feature_2" for alarm in found["alarms"])


def test_quiet_weeks_stay_within_the_budget(ask: Run, tmp_path: Path) -> None:
    weeks = [table(tmp_path / f"{seed}.parquet", seed) for seed in range(4)]
    found = [outcome(ask, str(week), "--reference-rows", str(REFERENCE_ROWS)) for week in weeks]
    assert sum(len(each["alarms"]) for each in found) <= 1  # of 28 days at one in 30


def test_other_budgets_are_told_and_a_weak_shift_that_lasts_is_one_alarm_or_a_few(ask: Run, tmp_path: Path) -> None:
    week = table(tmp_path / "week.parquet", 3, shift=0.12, shifted_from_hour=50)
    found = outcome(ask, str(week), "--reference-rows", str(REFERENCE_ROWS))
    assert set(found["other_budgets"]) == {"7", "90", "365"}
    assert 1 <= found["other_budgets"]["365"] <= 6
    assert 1 <= sum(alarm["column"] == "feature_1" for alarm in found["alarms"]) <= 3
    assert 0 < found["seen_within_a_day"]["feature_1"]["shift_sd"] < 0.2


def test_the_log_is_replayed_and_its_alarm_fails_where_asked(ask: Run, tmp_path: Path) -> None:
    with PredictionLog(tmp_path / "data" / "logs") as log:
        log.add(events(2000, every_s=0.5))
        log.add(events(2000, first_s=1000, every_s=0.5, seed=1, shift=1.0))
    arguments = ("--reference-rows", "1000", "--window-s", "120")
    assert outcome(ask, *arguments)["alarms"][0]["column"] == "feature_1"
    finished = ask("backtest", *arguments, "--fail-on-alarm")
    assert finished.returncode == 1
    assert "feature_1: drift, up" in finished.stdout or "feature_1: out of range" in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing.parquet", "--reference-rows", "500"), "there is no file nothing.parquet"),
        ((), "no log"),
    ],
)
def test_what_cannot_be_replayed_is_said(ask: Run, arguments: tuple[str, ...], says: str) -> None:
    finished = ask("backtest", *arguments)
    assert finished.returncode == 3
    assert says in finished.stderr


def test_a_number_of_rows_that_is_none_is_a_wrong_option(ask: Run, tmp_path: Path) -> None:
    finished = ask("backtest", str(table(tmp_path / "week.parquet", 1)), "--reference-rows", "-5")
    assert finished.returncode == 2
    assert "--reference-rows" in finished.stderr


def test_without_a_reference_it_is_said_how_to_make_one(ask: Run, tmp_path: Path) -> None:
    week = table(tmp_path / "week.parquet", 1)
    finished = ask("backtest", str(week))
    assert finished.returncode == 3
    assert "driftline reference build" in finished.stderr


@pytest.mark.parametrize("setting", [{"DRIFTLINE_SEGMENT_BY": "feature_2"}, {"DRIFTLINE_WINDOW_ROWS": "200"}])
def test_a_quiet_week_is_quiet_in_segments_and_in_windows_of_rows(
    ask: Run, tmp_path: Path, setting: dict[str, str]
) -> None:
    week = table(tmp_path / "week.parquet", 5)
    finished = ask("backtest", str(week), "--reference-rows", str(REFERENCE_ROWS), "--json", **setting)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["alarms"] == []


def test_a_shift_in_one_segment_is_found_there(ask: Run, tmp_path: Path) -> None:
    week = table(tmp_path / "week.parquet", 6)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE week AS SELECT * FROM '{week}'")
        late = f"make_timestamp({START_US + 100 * HOUR_US})"
        connection.execute(f"UPDATE week SET feature_1 = feature_1 + 1.5 WHERE feature_2 > 2.7 AND timestamp > {late}")
        connection.execute(f"COPY week TO '{week}' (FORMAT parquet)")
    finished = ask(
        "backtest", str(week), "--reference-rows", str(REFERENCE_ROWS), "--json", DRIFTLINE_SEGMENT_BY="feature_2"
    )
    found = json.loads(finished.stdout)["alarms"]
    streams = {alarm["stream"] for alarm in found if alarm["column"] == "feature_1"}
    assert "all" in streams
    assert sum(stream.startswith("feature_2 over") for stream in streams) == 1
    assert not any(stream.startswith("feature_2 up to") for stream in streams)
