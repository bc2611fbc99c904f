"""The real process: killed at any point, twice in one folder, and with a store that refuses."""

import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from random import Random
from typing import Self

import numpy as np
import pytest

from driftline.drift.profile import Profile, decode_profile, encode_profile
from driftline.monitor.store import FILE_NAME, MonitorStore
from tests.monitor.logs import PredictionLog, events, profile_of, recount
from tests.waiting import find_free_port, wait_until

WIDTH_S = 60
QUICK = "import driftline.monitor.follow as f, driftline.monitor.sources as s; f.CHUNK_ROWS = 64; f.STEP_ROWS = 256"


class Process:
    """A running ``driftline monitor``; killed when the ``with`` ends.

    Args:
        data: The data folder.
        before: Python that runs first.
    """

    def __init__(self, data: Path, before: str = "") -> None:
        self.port = find_free_port()
        code = f"{before}\nimport sys; from driftline.cli.main import main; sys.argv[0] = 'driftline'; main()"
        command = [sys.executable, "-c", code, "monitor", "--data", str(data), "--window-s", str(WIDTH_S)]
        command += ["--console-port", "0", "--monitor-metrics-port", str(self.port)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")}
        self.said = data.with_name(f"monitor-{self.port}.log")
        with self.said.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=data.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(60)

    def end(self) -> int:
        """Asks it to end, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def reason(self) -> str:
        """Why it is not ready; empty if it is."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5):
                return ""
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
        return text


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with 6,000 predictions in its log, and a reference of other ones."""
    folder = tmp_path / "data"
    with PredictionLog(tmp_path / "other") as log:
        log.add(events(500, seed=9))
    folder.mkdir()
    (folder / "reference.json").write_bytes(encode_profile(profile_of(tmp_path / "other", 0, 500)))
    with PredictionLog(folder / "logs", segment_max_bytes=200_000) as log:
        found = events(6000)
        for at in range(0, 6000, 500):
            log.add(found[at : at + 500])
    return folder


def position(data: Path) -> int:
    path = data / "monitor" / FILE_NAME
    if not path.exists():
        return 0
    connection = sqlite3.connect(path, timeout=10)
    try:
        row = connection.execute("SELECT value FROM meta WHERE key = 'position_row'").fetchone()
    except sqlite3.OperationalError:  # it is just being made
        return 0
    finally:
        connection.close()
    return int(row[0]) if row else 0


def check_counted_once(data: Path) -> None:
    """Each line is in the counts, whatever hours they were rolled up in by now, and in one window."""
    found = recount(events(6000), profile_of_reference(data), WIDTH_S * 1_000_000)
    with MonitorStore(data / "monitor" / FILE_NAME) as store:
        everything = (-(1 << 62), 1 << 62)
        held = [*store.cells(*everything).values(), *store.hours(*everything).values()]
        assert np.sum([cell.counts for cell in held], axis=0).tolist() == np.sum(list(found.values()), axis=0).tolist()
        assert sum(cell.rows for cell in held) == 6000
        judged = store.connection.execute(
            "SELECT first_cell, stop_cell, rows, state FROM windows ORDER BY window"
        ).fetchall()
        assert all(stop <= first for (_, stop, *_), (first, *_) in itertools.pairwise(judged))
        for first, stop, rows, state in judged:
            assert state == "judged"
            assert rows == sum(sum(counts) for (cell, *_), counts in found.items() if first <= cell < stop) / 4
        verdicts = store.connection.execute("SELECT count(*) FROM verdicts GROUP BY window").fetchall()
        assert verdicts == [(4,)] * len(judged)


def profile_of_reference(data: Path) -> Profile:
    return decode_profile((data / "reference.json").read_bytes())


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment_it_counts_each_line_once(data: Path, seed: int) -> None:
    random = Random(seed)
    kill_at = sorted(random.sample(range(6000), 3))
    for row in kill_at:
        with Process(data, QUICK):
            wait_until(lambda row=row: position(data) >= row, within_s=30)  # type: ignore[misc]
    with Process(data, QUICK) as process:
        wait_until(lambda: position(data) == 6000 and process.reason() == "", within_s=30)
        assert process.end() == 0
    check_counted_once(data)


def test_a_second_one_waits_and_takes_over(data: Path) -> None:
    with Process(data) as first:
        wait_until(lambda: position(data) == 6000, within_s=30)
        with Process(data) as second:
            wait_until(lambda: "another monitor has the folder" in second.reason(), within_s=30)
            first.process.kill()
            wait_until(lambda: second.reason() == "", within_s=30)
            assert second.end() == 0
    check_counted_once(data)


def test_one_that_waits_can_be_stopped(data: Path) -> None:
    with Process(data) as first:
        wait_until(lambda: first.reason() == "", within_s=30)
        with Process(data) as second:
            wait_until(lambda: "another monitor" in second.reason(), within_s=30)
            assert second.end() == 0
        assert first.end() == 0


def test_its_metrics_tell_how_far_it_is_and_what_has_moved(data: Path) -> None:
    with Process(data) as process:
        wait_until(lambda: "driftline_monitor_rows_total 6000.0" in process.metrics(), within_s=30)
        wait_until(lambda: "driftline_monitor_windows_total 25.0" in process.metrics(), within_s=30)
        text = process.metrics()
        assert "driftline_monitor_behind_rows 0.0" in text
        for name in ("alarm", "strength_ratio", "moved_ratio", "missing_ratio"):
            for column in ("feature_1", "feature_2", "probability", "predicted_class"):
                assert f'driftline_drift_{name}{{column="{column}"}}' in text
    with Process(data) as again:  # says at once what it had said last
        wait_until(lambda: 'driftline_drift_alarm{column="feature_1"} 0.0' in again.metrics(), within_s=30)
        assert "driftline_monitor_windows_total 0.0" in again.metrics()


def test_a_reference_that_cannot_be_used_is_why_it_is_not_ready(data: Path) -> None:
    right = (data / "reference.json").read_bytes()
    (data / "reference.json").write_bytes(b"{}")
    with Process(data) as process:
        wait_until(lambda: "it is no profile" in process.reason(), within_s=30)
        (data / "reference.json").write_bytes(right)
        wait_until(lambda: process.reason() == "" and position(data) == 6000, within_s=30)


@pytest.mark.parametrize("wrong", ["no database", "of a later version"])
def test_a_store_that_cannot_be_used_is_said_and_waited_for(data: Path, wrong: str) -> None:
    path = data / "monitor" / FILE_NAME
    path.parent.mkdir()
    if wrong == "no database":
        path.write_bytes(b"no database at all" * 100)
    else:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    with Process(data) as process:
        wait_until(lambda: str(path) in process.reason(), within_s=30)
        assert process.process.poll() is None
        path.unlink()
        wait_until(lambda: position(data) == 6000 and process.reason() == "", within_s=30)
    check_counted_once(data)


def test_a_folder_that_is_removed_ends_it_with_a_message(data: Path) -> None:
    with Process(data) as process:
        wait_until(lambda: position(data) == 6000, within_s=30)
        shutil.rmtree(data)
        assert process.process.wait(60) == 3
        assert "was removed or replaced" in process.said.read_text()


def test_a_taken_port_is_exit_code_3_and_names_the_option(data: Path) -> None:
    with Process(data) as process:
        wait_until(lambda: process.reason() is not None, within_s=30)
        command = [sys.executable, "-m", "driftline", "monitor", "--data", str(data), "--console-port", "0"]
        command += ["--monitor-metrics-port", str(process.port)]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 3
    assert "--monitor-metrics-port" in finished.stderr
    assert "(port_taken)" in finished.stderr
