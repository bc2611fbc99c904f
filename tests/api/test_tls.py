"""HTTPS by certificate files: that it serves, and that files of no use are named before anybody is served."""

import signal
import socket
from pathlib import Path

import httpx
import pytest

from driftline.api.tls import Tls, check_tls
from driftline.errors import TlsError
from tests.api.conftest import StartApi
from tests.certificates import make_pair
from tests.waiting import wait_until


def test_a_good_pair_serves_whoever_trusts_it_and_plain_http_nobody(start_api: StartApi, tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    api = start_api(tls=pair, processes=2)
    assert api.predict().status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{api.port}/health")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://127.0.0.1:{api.port}/health")
    assert len(api.events()) == 1


def test_a_restart_takes_up_a_new_certificate_and_a_wrong_one_leaves_the_old_at_work(
    start_api: StartApi, tmp_path: Path
) -> None:
    pair, other = make_pair(tmp_path / "one"), make_pair(tmp_path / "other")
    api = start_api(tls=pair)
    good = pair.key.read_bytes()
    pair.key.write_bytes(other.key.read_bytes())
    api.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "api.not_replaced" in api.log())
    assert f"the key in {pair.key} is not that of the certificate" in api.log()
    assert "Traceback" not in api.log()
    assert api.predict().status_code == 200
    pair.key.write_bytes(good)
    api.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "api.replaced" in api.log())
    assert api.predict().status_code == 200


def test_those_who_never_say_hello_hold_up_nobody(start_api: StartApi, tmp_path: Path) -> None:
    api = start_api(tls=make_pair(tmp_path))
    silent = [socket.create_connection(("127.0.0.1", api.port)) for _ in range(100)]
    for connection in silent[::2]:
        connection.sendall(b"\x16\x03\x01\x02\x00")
    api.client.close()
    api.client = httpx.Client(base_url=f"https://127.0.0.1:{api.port}", verify=False, timeout=5)  # a new connection
    assert api.answers()
    for connection in silent:
        connection.close()


def test_a_good_pair_is_good_with_what_stands_above_it_too(tmp_path: Path) -> None:
    pair, other = make_pair(tmp_path / "one"), make_pair(tmp_path / "other")
    check_tls(Tls(*pair))
    pair.certificate.write_bytes(pair.certificate.read_bytes() + other.certificate.read_bytes())
    check_tls(Tls(*pair))


@pytest.mark.parametrize(
    ("days_from", "days_to", "said"), [(-30, -1, "certificate has expired"), (1, 30, "certificate is not yet valid")]
)
def test_a_certificate_whose_time_it_is_not_is_refused(tmp_path: Path, days_from: int, days_to: int, said: str) -> None:
    pair = make_pair(tmp_path, days_from=days_from, days_to=days_to)
    with pytest.raises(TlsError, match=f"{pair.certificate}.*{said}"):
        check_tls(Tls(*pair))


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    one, other = make_pair(tmp_path / "one"), make_pair(tmp_path / "other")
    with pytest.raises(TlsError, match=f"{other.key} is not that of the certificate in {one.certificate}"):
        check_tls(Tls(one.certificate, other.key))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_passphrase(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, passphrase=b"hunter2")
    with pytest.raises(TlsError, match=f"{pair.key} is encrypted"):
        check_tls(Tls(*pair))


@pytest.mark.parametrize("which", ["certificate", "key"])
def test_a_file_that_is_not_there_or_makes_no_sense_is_named(tmp_path: Path, which: str) -> None:
    pair = make_pair(tmp_path)
    path: Path = getattr(pair, which)
    for content in (b"", b"garbage", bytes(100)):
        path.write_bytes(content)
        with pytest.raises(TlsError, match=str(path)):
            check_tls(Tls(*pair))
    path.unlink()
    with pytest.raises(TlsError, match=f"{path} cannot be read: No such file"):
        check_tls(Tls(*pair))
    path.mkdir()
    with pytest.raises(TlsError, match=f"{path} cannot be read: Is a directory"):
        check_tls(Tls(*pair))
