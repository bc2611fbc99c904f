"""The processes: how they start, die, are replaced, and stop."""

import os
import pickle
import signal
from pathlib import Path

import pytest

from driftline.api.config import ApiConfig
from driftline.api.server import CONNECTIONS_MAX, FILES_SPARE, HANDSHAKES_SPARE, make_room, serve
from driftline.errors import ModelError, OutboxUnavailableError, PortError, SettingsError
from driftline.ports import claim
from tests.api.api_process import EXAMPLE, ApiProcess, code_of, receive, status_of
from tests.api.conftest import StartApi
from tests.api.traffic import begun_bodies
from tests.processes import is_alive
from tests.waiting import WaitUntil


def config(directory: Path, model: Path | None = None) -> ApiConfig:
    return ApiConfig("t", directory / "outbox", directory / "logs", None, "os", 1 << 20, 1 << 20, 1000, model, 1.0)


def not_ready(response: bytes) -> bytes:
    return response if status_of(response) == 503 else b""


def test_the_configuration_can_be_handed_to_a_new_process(tmp_path: Path) -> None:
    assert pickle.loads(pickle.dumps(config(tmp_path))) == config(tmp_path)


def test_a_port_in_use_is_an_error_that_names_it(api: ApiProcess, tmp_path: Path) -> None:
    with pytest.raises(PortError, match=f"127.0.0.1 port {api.port}"):
        serve(config(tmp_path), "127.0.0.1", api.port, 1)


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.host.invalid"])
def test_a_host_that_is_not_ours_is_an_error(host: str, free_port: int) -> None:
    with pytest.raises(PortError, match=f"{host} port {free_port}"):
        claim(host, free_port)


def test_a_name_is_served_by_its_address(free_port: int) -> None:
    assert claim("localhost", free_port).host == "127.0.0.1"


def test_a_wrong_model_is_an_error_before_any_process_is_started(tmp_path: Path, free_port: int) -> None:
    with pytest.raises(ModelError):
        serve(config(tmp_path, model=tmp_path), "127.0.0.1", free_port, 1)


def test_an_outbox_directory_that_cannot_be_made_is_an_error(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "outbox").write_text("a file")
    with pytest.raises(OutboxUnavailableError):
        serve(config(tmp_path), "127.0.0.1", free_port, 1)


@pytest.mark.parametrize(
    ("hard", "tls", "expected"),
    [
        (100_000, False, CONNECTIONS_MAX),
        (100_000, True, CONNECTIONS_MAX),
        (FILES_SPARE + 1, False, 1),
        (FILES_SPARE + 400, True, 300),
        (10_000, True, 10_000 - FILES_SPARE - HANDSHAKES_SPARE),
    ],
)
def test_there_is_room_for_connections_beside_the_files_to_spare(
    monkeypatch: pytest.MonkeyPatch, hard: int, tls: bool, expected: int
) -> None:
    monkeypatch.setattr("driftline.api.server.resource.getrlimit", lambda _: (100, hard))
    monkeypatch.setattr("driftline.api.server.resource.setrlimit", lambda *_: None)
    assert make_room(tls=tls) == expected


@pytest.mark.parametrize("tls", [False, True])
def test_where_no_connection_could_be_held_the_start_fails_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    monkeypatch.setattr("driftline.api.server.resource.getrlimit", lambda _: (FILES_SPARE, FILES_SPARE))
    monkeypatch.setattr("driftline.api.server.resource.setrlimit", lambda *_: None)
    with pytest.raises(SettingsError, match=rf"may open {FILES_SPARE} files.*ulimit -Hn"):
        make_room(tls=tls)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_stop_signal_ends_all_processes_with_exit_code_0(
    start_api: StartApi, number: signal.Signals, processes: int
) -> None:
    api = start_api(processes=processes)
    assert api.predict().status_code == 200
    workers = api.workers()
    assert len(workers) == processes
    assert api.stop(number) == 0
    assert not any(is_alive(pid) for pid in workers)
    assert api.log().count("api.stopped") == processes


def test_ctrl_c_in_a_terminal_reaches_every_process_and_still_ends_with_0(
    start_api: StartApi, wait_until: WaitUntil
) -> None:
    api = start_api(processes=2)
    workers = api.workers()
    api.process.send_signal(signal.SIGSTOP)  # so that the processes are gone before it hears of anything
    for pid in workers:
        os.kill(pid, signal.SIGINT)
    wait_until(lambda: not any(is_alive(pid) for pid in workers))
    api.process.send_signal(signal.SIGINT)
    api.process.send_signal(signal.SIGCONT)
    assert api.process.wait(60) == 0


def test_while_it_stops_it_is_not_ready_but_finishes_what_is_in_flight(
    start_api: StartApi, wait_until: WaitUntil
) -> None:
    api = start_api()
    with begun_bodies(api.port, 1, len(EXAMPLE)) as [slow]:
        slow.sendall(EXAMPLE[:5])
        api.process.send_signal(signal.SIGTERM)
        probe = b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n"
        refusal = wait_until(lambda: not_ready(api.send_raw(probe)))
        assert code_of(refusal) == "not_ready"
        assert b'"reason":"stopping"' in refusal
        slow.sendall(EXAMPLE[5:])
        assert status_of(receive(slow)) == 200
    assert api.process.wait(60) == 0
    assert len(api.events()) == 1


def test_a_client_that_never_finishes_does_not_keep_it_from_stopping(start_api: StartApi) -> None:
    api = start_api()
    with begun_bodies(api.port, 1) as [slow]:
        slow.sendall(EXAMPLE[:5])
        assert api.stop() == 0


def test_a_process_that_is_killed_is_replaced(start_api: StartApi, wait_until: WaitUntil) -> None:
    api = start_api()
    [first] = api.workers()
    assert api.predict().status_code == 200
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: api.workers() not in ([], [first]))
    wait_until(api.answers)
    assert api.predict().status_code == 200
    assert len({event["producer"] for event in api.events()}) == 2
    assert api.metrics()["driftline_events_accepted_total"] == 2


def test_the_processes_stop_when_the_one_that_watches_is_killed(start_api: StartApi, wait_until: WaitUntil) -> None:
    api = start_api(processes=2)
    workers = api.workers()
    api.process.kill()
    api.process.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in workers))
    assert api.log().count("api.stopped") == 2, "in an orderly way"
