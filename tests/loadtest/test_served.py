"""The load test as people run it: real Locust, real Driftline, and logs that are right or wrong."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from driftline.api.keys import add_key
from driftline.eventlog.reader import LogReader
from driftline.eventlog.writer import LogWriter
from tests.certificates import make_pair
from tests.waiting import find_free_port, wait_until

pytestmark = pytest.mark.long

LOADTEST = Path(__file__).resolve().parents[2] / "loadtest"
QUICK = ("-u", "20", "-r", "20", "-t", "2s", "--log-wait", "5")


@dataclass(frozen=True)
class Served:
    """A Driftline that is up."""

    url: str
    data: Path


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def requests_so_far(page: str) -> int:
    with urllib.request.urlopen(f"{page}/stats/requests", timeout=5) as answer:
        total: int = json.load(answer)["stats"][-1]["num_requests"]
        return total


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@contextmanager
def serving(directory: Path, scheme: str = "http", **settings: str) -> Iterator[Served]:
    port, data = find_free_port(), directory / "data"
    command = [sys.executable, "-m", "driftline", "up", "--data", str(data)]
    command += ["--port", str(port), "--metrics-port", str(find_free_port())]
    command += ["--console-port", "0", "--monitor-metrics-port", "0"]
    with (directory / "up.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **settings})
    try:
        wait_until(lambda: "Driftline is up" in (directory / "up.log").read_text(), within_s=30)
        yield Served(f"{scheme}://127.0.0.1:{port}", data)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


@dataclass(frozen=True)
class Ended:
    """A load test that has ended."""

    exit_code: int
    output: str
    verdict: dict[str, object]


def load(served: Served, data: Path | str, results: Path, *options: str, key: str = "") -> Ended:
    command = [sys.executable, str(LOADTEST / "run.py"), "--host", served.url, "--data", str(data)]
    command += ["--csv", str(results / "run"), *QUICK, *options]
    environment = {**os.environ, "API_KEY": key}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    return Ended(done.returncode, done.stderr, json.loads((results / "run_verdict.json").read_text()))


def logged(served: Served, start_row: int = 0) -> list[dict[str, Any]]:
    with LogReader(served.data / "logs") as log:
        return [json.loads(line) for line in log.lines(start_row)]


def rows_of(served: Served) -> int:
    """How many rows are committed; there is no log before the first, whichever test comes first."""
    if not (served.data / "logs" / "log.sqlite").exists():
        return 0
    with LogReader(served.data / "logs") as log:
        return log.rows


class Mirror:
    """Copies a log as it grows, and makes one mistake on the way: it leaves a line out, or takes one twice."""

    def __init__(self, source: Path, target: Path, times_for_one: int) -> None:
        self._source = source
        self._writer = LogWriter(target)
        assert self._writer.try_open()
        self._times_for_one = times_for_one
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._copy)

    def __enter__(self) -> None:
        self._row = len(self._lines(0)) if (self._source / "log.sqlite").exists() else 0
        self._mistake_at = self._row + 5
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._writer.close()

    def _lines(self, start: int) -> list[bytes]:
        with LogReader(self._source) as log:
            return list(log.lines(start))

    def _copy(self) -> None:
        while not self._stop.wait(0.05):
            for line in self._lines(self._row):
                times = self._times_for_one if self._row == self._mistake_at else 1
                if times:
                    self._writer.append((line + b"\n") * times, times, {})
                self._row += 1


@pytest.fixture(scope="module")
def steady(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """An undisturbed run."""
    return load(served, served.data, tmp_path_factory.mktemp("steady"))


def test_all_is_well_ends_with_zero_and_says_so(steady: Ended) -> None:
    assert steady.exit_code == 0
    assert "HOLDS" in steady.output
    assert steady.verdict["outcome"] == "holds"
    assert steady.verdict["answers"] == steady.verdict["lines"] != 0
    assert steady.verdict["failures"] == steady.verdict["cut"] == 0


def test_a_server_with_https_and_keys_is_loaded_as_any_other(tmp_path: Path) -> None:
    pair, token = make_pair(tmp_path), add_key(tmp_path / "data" / "keys.toml", "load")
    tls = {"DRIFTLINE_TLS_CERTIFICATE": str(pair.certificate), "DRIFTLINE_TLS_KEY": str(pair.key)}
    with serving(tmp_path, "https", DRIFTLINE_AUTH="keys", **tls) as served:
        ended = load(served, served.data, tmp_path, key=token)
        assert (ended.exit_code, ended.verdict["outcome"]) == (0, "holds"), ended.output
        assert ended.verdict["failures"] == 0
        assert load(served, served.data, tmp_path).verdict["answers"] == 0


def test_every_line_of_a_run_carries_its_mark(served: Served, steady: Ended) -> None:
    marks = Counter(
        str(event["client_request_id"]).partition("-")[0] for event in logged(served) if event["kind"] == "prediction"
    )

    assert marks[str(steady.verdict["run"])] == steady.verdict["answers"]


def test_outcomes_are_told_of_answers_of_the_run_and_found_in_the_log(served: Served, tmp_path: Path) -> None:
    ended = load(served, served.data, tmp_path, "--outcomes", "1")

    assert (ended.exit_code, ended.verdict["untaken"], ended.verdict["forgotten"]) == (0, 0, [])
    assert ended.verdict["outcomes"] == ended.verdict["answers"] != 0
    told = {event["request_id"] for event in logged(served) if event["kind"] == "feedback"}
    run = {
        event["request_id"]
        for event in logged(served)
        if str(ended.verdict["run"]) in str(event.get("client_request_id"))
    }
    assert run <= told


@pytest.mark.parametrize(("times_for_one", "mistake"), [(0, "lost"), (2, "repeated")])
def test_one_line_too_few_or_too_many_ends_with_one(
    served: Served, tmp_path: Path, times_for_one: int, mistake: str
) -> None:
    with Mirror(served.data / "logs", tmp_path / "data" / "logs", times_for_one):
        ended = load(served, tmp_path / "data", tmp_path, "--outcomes", "0")

    assert ended.exit_code == 1
    assert "BROKEN" in ended.output
    wrong = ended.verdict[mistake]
    assert isinstance(wrong, list)
    assert len(wrong) == 1
    assert f"{mistake}: {wrong[0]}" in ended.output


def test_a_log_that_cannot_be_seen_ends_with_three_and_never_with_zero(served: Served, tmp_path: Path) -> None:
    ended = load(served, "none", tmp_path)

    assert ended.exit_code == 3
    assert "NOT CHECKED" in ended.output
    assert "HOLDS" not in ended.output


def test_drifting_users_shift_what_is_logged(served: Served, tmp_path: Path) -> None:
    before = rows_of(served)

    load(served, served.data, tmp_path, "DriftingUser", "--seed", "7", "--shift-by", "100", "--shift-after", "10")

    features = [event["features"] for event in logged(served, before) if event["kind"] == "prediction"]
    assert sum(row["feature_1"] < 50 for row in features) == 10
    assert all(-5 <= row["feature_2"] <= 5 for row in features)


def test_ctrl_c_ends_a_run_in_order_and_it_is_judged(served: Served, tmp_path: Path) -> None:
    command = [sys.executable, str(LOADTEST / "run.py"), "--host", served.url, "--data", str(served.data)]
    command += ["--csv", str(tmp_path / "run"), "-u", "20", "-r", "20", "-t", "60s"]
    before = rows_of(served)
    output = tmp_path / "locust.log"
    with output.open("wb") as file:
        locust = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: rows_of(served) > before + 50, within_s=30)
        locust.send_signal(signal.SIGINT)
        assert locust.wait(timeout=30) == 0
    finally:
        locust.kill()
    assert "HOLDS" in output.read_text()
    assert "Traceback" not in output.read_text()
    assert "KeyboardInterrupt" not in output.read_text()


def test_the_log_of_another_driftline_is_suspected_before_a_loss(served: Served, tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "other" / "logs")
    assert writer.try_open()
    writer.close()
    ended = load(served, tmp_path / "other", tmp_path, "--log-wait", "0.5")
    assert ended.exit_code == 1
    assert "which has no line of this run at all: is it the log of that Driftline?" in ended.output


def test_a_host_without_its_scheme_is_told_so() -> None:
    command = [sys.executable, str(LOADTEST / "run.py"), "--host", "localhost:8000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "The host localhost:8000 lacks its scheme: --host http://localhost:8000\n",
    )


def test_a_test_that_is_stopped_on_the_web_page_is_judged_too(served: Served, tmp_path: Path) -> None:
    port = find_free_port()
    page = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "locust", "-f", str(LOADTEST / "locustfile.py"), "--host", served.url]
    command += ["--data", str(served.data), "--web-host", "127.0.0.1", "--web-port", str(port)]
    output = tmp_path / "locust.log"
    with output.open("wb") as log:
        locust = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(page), within_s=30)
        ask = urllib.parse.urlencode({"user_count": 5, "spawn_rate": 5, "host": served.url}).encode()
        urllib.request.urlopen(f"{page}/swarm", ask, timeout=10).close()
        wait_until(lambda: requests_so_far(page) > 10)
        urllib.request.urlopen(f"{page}/stop", b"", timeout=30).close()
        assert "HOLDS" in output.read_text()
    finally:
        locust.send_signal(signal.SIGTERM)
        assert locust.wait(timeout=30) == 0


def test_without_a_service_the_message_says_make_up() -> None:
    host = f"http://127.0.0.1:{find_free_port()}"

    done = subprocess.run(
        [sys.executable, str(LOADTEST / "run.py"), "--host", host],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_PROXY": "*"},
    )

    assert done.returncode == 1
    assert "make up" in done.stderr
