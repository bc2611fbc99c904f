"""How often does the monitor alarm in weeks in which nothing changes? ``driftline backtest`` replays a hundred of them.

    python benchmarks/quiet_weeks.py              # a hundred weeks, some five minutes
    python benchmarks/quiet_weeks.py --weeks 10

Each week has its own seed: rows for a reference, then seven days of hours with 300 predictions each at random moments,
of one normal and one skewed feature and the probability and class that a model makes of them. Ends with 1 if the alarms
of all weeks together are more than the budget allows.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np

PROGRAM = Path(sys.executable).parent / "driftline"
REFERENCE_ROWS = 5000
ROWS_A_WEEK = 168 * 300
WEEK_US = 7 * 86_400 * 1_000_000
START_US = 1_795_000_000_000_000
DAYS_A_FALSE_ALARM = 30.0
THRESHOLD = 0.5


def write_week(path: Path, seed: int) -> None:
    """Writes the Parquet file of one week, the reference's rows before it."""
    draw = np.random.default_rng(seed)
    rows = REFERENCE_ROWS + ROWS_A_WEEK
    one, two = draw.normal(size=rows), draw.gamma(2, 1, rows)
    probability = 1 / (1 + np.exp(0.3 - 0.8 * one + 0.4 * two))
    times = np.concatenate([np.arange(-REFERENCE_ROWS, 0) * 1_000_000, np.sort(draw.integers(0, WEEK_US, ROWS_A_WEEK))])
    columns = [one, two, probability, (probability >= THRESHOLD).astype(int), START_US + times]
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE week AS SELECT unnest($1) AS feature_1, unnest($2) AS feature_2, unnest($3) AS probability, "
            "unnest($4) AS predicted_class, make_timestamp(unnest($5)) AS timestamp",
            [column.tolist() for column in columns],
        )
        connection.execute(f"COPY week TO '{path}' (FORMAT parquet)")


def say(text: str) -> None:
    """Prints a line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """The exit code: 0 if the budget was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=100)
    weeks = parser.parse_args().weeks
    alarms = windows = 0
    days = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(weeks):
            week = Path(folder) / "week.parquet"
            write_week(week, seed)
            command = [str(PROGRAM), "backtest", str(week), "--reference-rows", str(REFERENCE_ROWS), "--json"]
            command += ["--drift-days", f"{DAYS_A_FALSE_ALARM:g}", "--data", folder]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            alarms, windows, days = alarms + len(found["alarms"]), windows + found["windows"], days + found["days"]
            for alarm in found["alarms"]:
                say(f"week {seed}: {alarm['column']}, {alarm['kind']}, {alarm['label']}")
    allowed = days / DAYS_A_FALSE_ALARM
    say(f"{alarms} alarms in {weeks} quiet weeks, {windows:,} windows of four columns; the budget allows {allowed:.1f}")
    return int(alarms > allowed)


if __name__ == "__main__":
    sys.exit(main())
