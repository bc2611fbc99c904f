"""What is wrong with API keys and TLS is found before a server is started, with its remedy."""

import stat
from pathlib import Path

import pytest

from driftline.api.keys import add_key
from driftline.cli.access_check import check_access
from driftline.doctor.finding import Finding
from driftline.settings import Settings
from tests.certificates import make_pair
from tests.cli.conftest import Run

OPEN = "0.0.0.0"


def found(data: Path, **wishes: object) -> dict[str, Finding]:
    findings = {finding.check: finding for finding in check_access(Settings(data=data, **wishes))}  # type: ignore[arg-type]
    for finding in findings.values():
        assert bool(finding.remedy) == (finding.level != "ok")
    return findings


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    add_key(path, "app")
    return path


def test_on_a_loopback_address_nothing_is_asked_for_and_nothing_is_wrong(tmp_path: Path) -> None:
    assert {finding.level for finding in found(tmp_path).values()} == {"ok"}


def test_an_api_that_others_reach_without_a_key_is_a_warning(tmp_path: Path) -> None:
    finding = found(tmp_path, host=OPEN, auth="none")["API keys"]
    assert (finding.level, "driftline keys add" in finding.remedy) == ("warning", True)


def test_keys_that_are_needed_and_not_there_are_a_problem_that_names_the_command(tmp_path: Path, keys: Path) -> None:
    keys.write_text("")
    for wishes in ({"host": OPEN}, {"auth": "keys"}, {"host": OPEN, "keys": tmp_path / "none.toml"}):
        finding = found(tmp_path, **wishes)["API keys"]
        assert (finding.level, "there is no API key in" in finding.text) == ("problem", True)
        assert finding.remedy.startswith("driftline keys add NAME")


def test_a_file_of_keys_that_is_none_or_cannot_be_read_is_a_problem(tmp_path: Path, keys: Path) -> None:
    keys.write_text("[[key]]\nname = 'x'\n")
    finding = found(tmp_path, host=OPEN)["API keys"]
    assert (finding.level, "key 1 in" in finding.text) == ("problem", True)
    assert "remove it" in finding.remedy  # the command that it goes on to name refuses such a file
    (tmp_path / "folder").mkdir()
    finding = found(tmp_path, host=OPEN, keys=tmp_path / "folder")["API keys"]
    assert (finding.level, "cannot be read" in finding.text) == ("problem", True)
    assert "as the user" in finding.remedy


def test_a_file_of_keys_that_others_may_write_or_read_is_found(tmp_path: Path, keys: Path) -> None:
    assert found(tmp_path, host=OPEN)["API keys"].level == "ok"
    keys.chmod(0o644)
    assert found(tmp_path, host=OPEN)["API keys"].level == "warning"
    keys.chmod(0o660)
    assert found(tmp_path, host=OPEN)["API keys"].level == "problem"
    keys.chmod(stat.S_IRUSR | stat.S_IRGRP)
    assert found(tmp_path, host=OPEN)["API keys"].level == "ok"


def test_keys_that_cross_a_network_in_clear_are_a_warning(tmp_path: Path, keys: Path) -> None:
    assert found(tmp_path, host=OPEN)["TLS"].level == "warning"
    assert found(tmp_path, auth="keys")["TLS"].level == "ok"
    pair = make_pair(tmp_path / "tls")
    pair.key.chmod(0o600)
    wishes = {"tls_certificate": pair.certificate, "tls_key": pair.key}
    findings = found(tmp_path, host=OPEN, **wishes)
    assert {finding.level for finding in findings.values()} == {"ok"}
    pair.key.chmod(0o644)
    assert found(tmp_path, host=OPEN, **wishes)["TLS key"].level == "warning"


@pytest.mark.parametrize(("days", "level"), [(15, "ok"), (13, "warning"), (0.01, "warning"), (-1, "problem")])
def test_a_certificate_is_good_for_long_or_not_for_long_or_not_any_more(
    tmp_path: Path, days: float, level: str
) -> None:
    pair = make_pair(tmp_path / "tls", days_from=-20, days_to=days)
    finding = found(tmp_path, tls_certificate=pair.certificate, tls_key=pair.key)["TLS"]
    assert finding.level == level
    if level != "ok":
        assert "renew it" in finding.remedy


def test_files_for_tls_that_are_of_no_use_are_a_problem(tmp_path: Path) -> None:
    pair, other = make_pair(tmp_path / "a"), make_pair(tmp_path / "b")
    for certificate, key, why in (
        (pair.certificate, other.key, "is not that of the certificate"),
        (pair.certificate, tmp_path / "none.pem", "cannot be read"),
        (pair.certificate, None, "HTTPS needs both"),
    ):
        finding = found(tmp_path, tls_certificate=certificate, tls_key=key)["TLS"]
        assert (finding.level, why in finding.text) == ("problem", True)


def test_a_host_that_is_no_address_of_this_machine_is_a_problem(tmp_path: Path) -> None:
    assert found(tmp_path, host="192.0.2.1")["address"].level == "problem"


def test_where_only_the_worker_is_the_api_is_not_looked_for(tmp_path: Path) -> None:
    assert found(tmp_path, host=OPEN, broker="redis://127.0.0.1/0")["API keys"].level == "ok"
    (tmp_path / "outbox").mkdir()
    assert found(tmp_path, host=OPEN, broker="redis://127.0.0.1/0")["API keys"].level == "problem"


def test_the_doctor_tells_it(ask: Run, data: Path) -> None:
    finished = ask("doctor", "--quick", DRIFTLINE_HOST=OPEN)
    assert finished.returncode == 1
    assert "there is no API key in" in finished.stdout
    assert "-> driftline keys add NAME" in finished.stdout
