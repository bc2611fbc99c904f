"""``driftline keys``, and a start that needs them."""

import json
import stat
from pathlib import Path

import httpx
import pytest

from driftline.cli.access import access
from driftline.errors import KeysError, SettingsError, TlsError
from driftline.settings import Settings
from tests.certificates import make_pair
from tests.cli.conftest import Run, StartUp
from tests.waiting import wait_until


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(ask: Run, tmp_path: Path) -> None:
    added = ask("keys", "add", "web", "--rate", "2.5")
    token = added.stdout.strip()
    assert added.returncode == 0
    assert token.startswith("driftline_")
    assert "not shown again" in added.stderr
    assert stat.S_IMODE((tmp_path / "data" / "keys.toml").stat().st_mode) == 0o600

    listed = ask("keys", "list")
    assert listed.stdout.startswith("web ")
    assert "2.5 a second" in listed.stdout
    assert token.split("_", 2)[2] not in listed.stdout
    [entry] = json.loads(ask("keys", "list", "--json").stdout)
    assert (entry["name"], entry["rate_per_s"], set(entry)) == ("web", 2.5, {"name", "id", "created", "rate_per_s"})

    assert ask("keys", "revoke", "web").returncode == 0
    assert ask("keys", "list").stdout == ""
    refused = ask("keys", "revoke", "web")
    assert (refused.returncode, refused.stderr) == (
        2,
        "driftline: there is no key web in data/keys.toml (keys_invalid)\n",
    )


def test_the_file_is_the_one_that_the_settings_name(ask: Run, tmp_path: Path) -> None:
    assert ask("keys", "add", "a", DRIFTLINE_KEYS="by-variable.toml").returncode == 0
    assert ask("keys", "add", "a", "--keys", "by-flag.toml").returncode == 0
    assert ask("keys", "add", "a", "--data", "other").returncode == 0
    assert (tmp_path / "by-variable.toml").exists()
    assert (tmp_path / "by-flag.toml").exists()
    assert (tmp_path / "other" / "keys.toml").exists()


def test_a_folder_where_nothing_can_be_written_is_an_error_of_one_line(ask: Run) -> None:
    failed = ask("keys", "add", "a", "--keys", "/proc/keys.toml")
    assert failed.returncode == 3
    assert failed.stderr.startswith("driftline: ")
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["serve", "up"])
def test_a_start_that_is_open_to_others_without_keys_is_refused_and_told_what_to_do(ask: Run, command: str) -> None:
    refused = ask(command, "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "0.0.0.0 is open to other machines" in refused.stderr
    assert "driftline keys add NAME" in refused.stderr
    assert "DRIFTLINE_AUTH=none" in refused.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_on_loopback_no_key_is_asked_for(host: str, tmp_path: Path) -> None:
    assert access(Settings(host=host, data=tmp_path), host) == (None, None)


def test_keys_can_be_asked_for_on_loopback_and_not_asked_for_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="auth = keys"):
        access(Settings(auth="keys", data=tmp_path), "127.0.0.1")
    assert access(Settings(auth="none", host="0.0.0.0", data=tmp_path), "0.0.0.0") == (None, None)


def test_a_file_of_keys_without_any_is_no_file_of_keys(ask: Run) -> None:
    ask("keys", "add", "a")
    ask("keys", "revoke", "a")
    refused = ask("serve", "--port", "0", DRIFTLINE_AUTH="keys")
    assert refused.returncode == 2
    assert "there is no API key in data/keys.toml" in refused.stderr


def test_a_broken_file_of_keys_is_said_to_be_broken(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "keys.toml").write_text("[[key")
    refused = ask("serve", "--port", "0", DRIFTLINE_AUTH="keys")
    assert (refused.returncode, "is not a file of API keys" in refused.stderr) == (2, True)


def test_half_a_pair_is_no_https(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    with pytest.raises(SettingsError, match="tls_key is not"):
        access(Settings(tls_certificate=pair.certificate), "127.0.0.1")
    with pytest.raises(SettingsError, match="tls_certificate is not"):
        access(Settings(tls_key=pair.key), "127.0.0.1")
    with pytest.raises(TlsError):
        access(Settings(tls_key=pair.key, tls_certificate=pair.key), "127.0.0.1")


def test_ports_that_cannot_be_shared_are_not(ask: Run) -> None:
    refused = ask("up", "--port", "18113", DRIFTLINE_API_METRICS_PORT="18113")
    assert (refused.returncode, "cannot both have port 18113" in refused.stderr) == (2, True)
    refused = ask("up", "--metrics-port", "18113", DRIFTLINE_API_METRICS_PORT="18113")
    assert (refused.returncode, "cannot both have port 18113" in refused.stderr) == (2, True)


def test_up_serves_https_with_keys_and_says_how_to_ask(start_up: StartUp, ask: Run, tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "tls")
    token = ask("keys", "add", "web").stdout.strip()
    up = start_up(
        DRIFTLINE_AUTH="keys", DRIFTLINE_TLS_CERTIFICATE=str(pair.certificate), DRIFTLINE_TLS_KEY=str(pair.key)
    )
    assert up.api.startswith("https://localhost:")
    assert wait_until(lambda: f"curl --cacert {pair.certificate}" in up.output)
    assert '-H "X-API-Key: $API_KEY"' in up.output
    with httpx.Client(base_url=up.api, verify=False) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert token not in up.output
