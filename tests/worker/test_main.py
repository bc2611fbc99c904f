"""The worker as a process of its own: asked to stop it has committed; killed it has lost nothing."""

import asyncio
import functools
import json
import os
import signal
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from driftline.errors import LogNotFoundError
from driftline.eventlog.reader import LogReader
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from driftline.transport.ledger import take_ledger
from tests.eventlog.lines import append, open_log, segments
from tests.processes import Script
from tests.redis_server import RedisServer
from tests.transport.world import World
from tests.waiting import eventually, wait_until

Start = Callable[..., "Worker"]

# Told "start", a worker forks from this process, which has imported all it needs; told "wait", its end is told.
NURSERY = """
import asyncio, json, os
from pathlib import Path
import driftline.worker.stream
from driftline.errors import DriftlineError
from driftline.worker.main import run_worker

def work(data, said, wishes):
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    try:
        asyncio.run(run_worker(outbox_root=Path(data, "outbox"), log_dir=Path(data, "logs"), **wishes))
    except DriftlineError as error:
        print(error.code, error.message, flush=True)
        return 3
    return 0

for line in sys.stdin:
    order, *arguments = json.loads(line)
    if order == "start":
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = work(*arguments)
            finally:
                os._exit(code)
        print(pid, flush=True)
    else:
        print(os.waitstatus_to_exitcode(os.waitpid(*arguments, 0)[1]), flush=True)
"""


class Worker:
    """A running worker process."""

    def __init__(self, nursery: Script, data: Path, **wishes: object) -> None:
        wishes = {
            "broker_url": None,
            "broker_timeout_s": 1.0,
            "segment_max_bytes": 20_000,
            "segment_max_age_s": 86400.0,
            "metrics_host": "127.0.0.1",
            "metrics_port": None,
            **wishes,
        }
        self._nursery = nursery
        self._said = data.parent / f"{data.name}-said-{uuid.uuid4().hex}"
        nursery.say(json.dumps(["start", str(data), str(self._said), wishes]))
        self.pid = int(nursery.hear())
        self._ended = False

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self, number: signal.Signals | None = signal.SIGTERM) -> tuple[int, str]:
        """Returns its exit code and what it had to say."""
        if number is not None:
            self.send(number)
        self._nursery.say(json.dumps(["wait", self.pid]))
        self._ended = True
        return int(self._nursery.hear()), self._said.read_text()

    def bury(self) -> None:
        if not self._ended:
            self.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Script]:
    with Script(NURSERY) as script:
        yield script


@pytest.fixture
def start(nursery: Script) -> Iterator[Callable[..., Worker]]:
    """Starts workers; those that are still there at the end of the test are killed."""
    workers: list[Worker] = []

    def start(data: Path, **wishes: object) -> Worker:
        workers.append(Worker(nursery, data, **wishes))
        return workers[-1]

    yield start
    for worker in workers:
        worker.bury()


def rows(data: Path) -> int:
    try:
        with LogReader(data / "logs") as log:
            return log.rows
    except LogNotFoundError:
        return 0


def waiting_rows(data: Path, enough: int) -> Callable[[], bool]:
    return lambda: rows(data) >= enough


class Producer:
    """An outbox whose events say who they are."""

    def __init__(self, root: OutboxRoot) -> None:
        self.outbox = Outbox(root, segment_max_bytes=50_000)

    def append(self, count: int) -> None:
        for _ in range(count):
            event = {"producer": self.outbox.producer, "seq": self.outbox.next_seq, "timestamp": "2026-11-23T21:00:00Z"}
            self.outbox.append(json.dumps(event).encode())


@pytest.fixture
def producer(tmp_path: Path) -> Iterator[Producer]:
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    producer = Producer(root)
    yield producer
    producer.outbox._give_up()


def health(port: int) -> tuple[int, str]:
    """The status, and why if it is not ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["detail"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_commits_what_the_outboxes_hold_and_exits_with_0(
    tmp_path: Path, producer: Producer, start: Start, number: signal.Signals
) -> None:
    worker = start(tmp_path)
    producer.append(100)
    wait_until(waiting_rows(tmp_path, 100))
    producer.append(5_000)
    assert worker.end(number) == (0, "")
    assert rows(tmp_path) == 5_100
    assert take_ledger(tmp_path / "outbox", tmp_path / "logs").balanced


def test_killed_again_and_again_it_loses_and_doubles_nothing(tmp_path: Path, producer: Producer, start: Start) -> None:
    for life in range(10):
        worker = start(tmp_path)
        producer.append(300)
        wait_until(waiting_rows(tmp_path, 300 * life + 1))
        worker.end(signal.SIGKILL)
    worker = start(tmp_path)
    wait_until(waiting_rows(tmp_path, 3_000))
    assert worker.end() == (0, "")
    with LogReader(tmp_path / "logs") as log:
        assert [json.loads(line)["seq"] for line in log.lines()] == list(range(3_000))


def test_a_standby_takes_over_from_one_that_was_killed_and_ends_politely_while_it_waits(
    tmp_path: Path, producer: Producer, start: Start, free_ports: Callable[[], int]
) -> None:
    first = start(tmp_path)
    producer.append(10)
    wait_until(waiting_rows(tmp_path, 10))
    ports = free_ports(), free_ports()
    second, third = (start(tmp_path, metrics_port=port) for port in ports)
    wait_until(lambda: all("standby" in health(port)[1] for port in ports))
    assert third.end() == (0, "")
    first.end(signal.SIGKILL)
    producer.append(10)
    wait_until(waiting_rows(tmp_path, 20))
    wait_until(lambda: health(ports[0]) == (200, ""))
    assert second.end() == (0, "")


def test_a_port_that_is_taken_is_said_before_the_log_is_touched(tmp_path: Path, start: Start, free_port: int) -> None:
    start(tmp_path / "a", metrics_port=free_port)
    wait_until(lambda: health(free_port)[0] == 200)
    code, said = start(tmp_path / "b", metrics_port=free_port).end(None)
    assert code == 3
    assert said.startswith(f"port_taken cannot serve metrics on 127.0.0.1:{free_port}")
    assert not (tmp_path / "b").exists()


def test_a_damaged_log_is_waited_for_while_health_and_metrics_say_what_is_wrong_and_what_to_run(
    tmp_path: Path, start: Start, free_port: int
) -> None:
    writer = open_log(tmp_path / "logs")
    append(writer, 0, 3)
    writer.close()
    whole = segments(tmp_path / "logs")[0].read_bytes()
    os.truncate(segments(tmp_path / "logs")[0], 10)
    worker = start(tmp_path, metrics_port=free_port)
    wait_until(lambda: "holds 10 bytes" in health(free_port)[1])
    assert "driftline log repair" in health(free_port)[1]
    with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics", timeout=5) as answer:
        assert b"driftline_log_record_damaged 1.0" in answer.read()
    segments(tmp_path / "logs")[0].write_bytes(whole)
    wait_until(lambda: health(free_port) == (200, ""))
    assert worker.end() == (0, "")


def test_one_that_waits_for_a_damaged_log_still_ends_when_asked_to(
    tmp_path: Path, start: Start, free_port: int
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "log.sqlite").write_bytes(b"no database at all" * 1000)
    worker = start(tmp_path, metrics_port=free_port)
    wait_until(lambda: "is damaged" in health(free_port)[1])
    assert worker.end() == (0, "")


def test_outboxes_that_obey_another_log_are_an_error_that_names_the_command(
    tmp_path: Path, producer: Producer, start: Start
) -> None:
    producer.outbox.root.obey("another")
    producer.append(1)
    code, said = start(tmp_path).end(None)
    assert (code, said.split()[0]) == (3, "log_mismatch")
    assert said.rstrip().endswith("driftline log replace another")
    assert rows(tmp_path) == 0


def test_a_url_that_is_none_of_redis_is_an_error_and_its_password_is_not_said(tmp_path: Path, start: Start) -> None:
    code, said = start(tmp_path, broker_url="amqp://user:s3cret@host").end(None)
    assert (code, said.split()[0]) == (3, "broker_unavailable")
    assert "s3cret" not in said


# -- with Redis


@pytest.fixture
def world(tmp_path: Path, redis_server: RedisServer) -> World:
    return World(tmp_path, "redis", redis_server)


def test_with_redis_it_is_killed_and_stopped_and_started_and_loses_and_doubles_nothing(
    tmp_path: Path, world: World, start: Start
) -> None:
    def has_more_rows_than(rows: int) -> bool:
        return world.rows() > rows

    async def story() -> None:
        api = world.start_api()
        for life, number in enumerate([signal.SIGKILL, signal.SIGTERM, signal.SIGKILL]):
            worker = start(tmp_path, broker_url=world.url)
            api.append(1_000)
            await eventually(functools.partial(has_more_rows_than, 1_000 * life))
            code, said = await asyncio.to_thread(worker.end, number)
            assert (code, said) == (-signal.SIGKILL if number == signal.SIGKILL else 0, "")
        start(tmp_path, broker_url=world.url)
        await world.drained()
        await api.stop()

    asyncio.run(asyncio.wait_for(story(), 60))
    assert world.ledger().balanced


def test_it_is_not_ready_before_it_has_reached_redis(
    tmp_path: Path, redis_server: RedisServer, start: Start, free_port: int
) -> None:
    redis_server.freeze()
    worker = start(tmp_path, broker_url=redis_server.url, metrics_port=free_port)
    reason = ""
    while "Timeout" not in reason:
        status, reason = wait_until(lambda: health(free_port))
        assert status == 503
    redis_server.thaw()
    wait_until(lambda: health(free_port) == (200, ""))
    assert worker.end() == (0, "")


@pytest.mark.parametrize("state", ["away", "frozen"])
def test_without_redis_it_still_ends_when_asked_to(
    tmp_path: Path, redis_server: RedisServer, start: Start, state: str, free_port: int
) -> None:
    worker = start(tmp_path, broker_url=redis_server.url, metrics_port=free_port)
    wait_until(lambda: health(free_port) == (200, ""))
    if state == "away":
        redis_server.kill()
    else:
        redis_server.freeze()
    wait_until(lambda: health(free_port)[1].startswith("the broker is away"))
    assert worker.end() == (0, "")
