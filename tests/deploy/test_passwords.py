"""What ``init`` of the Compose stack leaves in the private volume."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.docker import draw_password
from deploy.docker.draw_password import OpenError, PasswordError, ReceiverError, address, put, quoted, write
from driftline.api.keys import add_key
from driftline.settings import load_settings
from tests.redis_server import StartRedis

FILES = ("alert-slack", "alert-smtp", "alert-webhook", "broker", "grafana-password", "redis-password", "redis.conf")
ODD = "p@ss/w:rd %41#\"'$\\é"


def contents(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()}


def test_passwords_are_drawn_once_and_kept(tmp_path: Path) -> None:
    write(tmp_path, {})
    first = contents(tmp_path)
    write(tmp_path, {"REDIS_PASSWORD": "", "GRAFANA_PASSWORD": ""})
    assert contents(tmp_path) == first
    assert sorted(first) == list(FILES)
    assert len(first["redis-password"]) >= 40
    assert first["redis-password"] not in first["grafana-password"]


def test_two_stacks_have_different_passwords(tmp_path: Path) -> None:
    drawn = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, {})
        drawn |= {contents(tmp_path / name)[file] for file in ("redis-password", "grafana-password")}
    assert len(drawn) == 4


def test_a_password_that_is_named_wins_and_stays(tmp_path: Path) -> None:
    write(tmp_path, {})
    write(tmp_path, {"REDIS_PASSWORD": ODD, "GRAFANA_PASSWORD": "g"})
    named = contents(tmp_path)
    assert (named["redis-password"], named["grafana-password"]) == (ODD, "g")
    write(tmp_path, {})
    assert contents(tmp_path) == named


def test_nobody_else_may_read_them_but_grafana_its_own(tmp_path: Path) -> None:
    write(tmp_path, {})
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in FILES}
    assert modes == {**dict.fromkeys(FILES, 0o600), "grafana-password": 0o444}


def test_a_file_that_a_crash_left_half_written_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".broker").write_text("half")
    (tmp_path / "redis-password").write_text("")
    write(tmp_path, {})
    assert sorted(contents(tmp_path)) == list(FILES)
    assert contents(tmp_path)["redis-password"]


@pytest.mark.parametrize("password", ["a\nb", "a\0", "\x1b[0m"])
def test_a_password_that_no_line_can_hold_is_refused_without_saying_it(tmp_path: Path, password: str) -> None:
    with pytest.raises(PasswordError, match=r"^REDIS_PASSWORD holds a character that cannot be printed$"):
        write(tmp_path, {"REDIS_PASSWORD": password})
    assert contents(tmp_path) == {}


@pytest.mark.skipif(draw_password.DIRECTORY.exists(), reason="a container of ours may be what this is")
def test_it_ends_with_one_line_when_the_volume_refuses() -> None:
    ended = subprocess.run([sys.executable, draw_password.__file__], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("init: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_check_says_what_is_wrong_and_writes_nothing() -> None:
    def ended(password: str) -> tuple[int, str]:
        command = [sys.executable, draw_password.__file__, "--check"]
        done = subprocess.run(command, env={"REDIS_PASSWORD": password}, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert ended("with a\ttab") == (1, "init: REDIS_PASSWORD holds a character that cannot be printed\n")
    assert ended(ODD) == (0, "")  # there is no volume here that it could have written to


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(password=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_driftline_reads_the_address_of_any_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    put(tmp_path / "broker", address(password) + "\n", 0o600)
    monkeypatch.delenv("DRIFTLINE_BROKER", raising=False)
    monkeypatch.setenv("DRIFTLINE_BROKER_FILE", str(tmp_path / "broker"))
    assert load_settings({}).broker_url == address(password)


def test_redis_understands_and_a_running_one_is_told(
    tmp_path: Path, start_redis: StartRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redis import AuthenticationError, Redis

    server = start_redis(password="before")
    monkeypatch.setattr(draw_password, "REDIS", f"127.0.0.1:{server.port}/0")
    (tmp_path / "redis-password").write_text("before")
    write(tmp_path, {"REDIS_PASSWORD": ODD})
    with Redis.from_url((tmp_path / "broker").read_text().strip()) as client:
        assert client.ping()
        assert client.config_get("requirepass") == {"requirepass": ODD}
    with Redis.from_url(address("before")) as client, pytest.raises(AuthenticationError):
        client.ping()


def test_without_a_running_redis_the_files_change_all_the_same(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(draw_password, "REDIS", f"127.0.0.1:{free_port}/0")
    (tmp_path / "redis-password").write_text("before")
    write(tmp_path, {"REDIS_PASSWORD": "after"})
    assert contents(tmp_path)["redis-password"] == "after"
    assert capsys.readouterr().out == "init: no running Redis was told of the new password (ConnectionError)\n"


def test_the_configuration_quotes_everything() -> None:
    assert quoted('a"é') == '"\\x61\\x22\\xc3\\xa9"'


NAMED = {
    "DRIFTLINE_ALERT_WEBHOOK": "http://192.0.2.1:9/token",
    "DRIFTLINE_ALERT_SLACK": "https://hooks.slack.com/services/token",
    "DRIFTLINE_ALERT_SMTP": "smtps://me:token@mail.example.org",
}


def test_the_monitor_reads_the_receivers_that_were_named_and_none_when_they_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMED:
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name.removeprefix("DRIFTLINE_").lower().replace("_", "-")))

    def read() -> list[str | None]:
        found = load_settings({})
        secrets = (found.alert_webhook, found.alert_slack, found.alert_smtp)
        return [None if secret is None else secret.get_secret_value() for secret in secrets]

    write(tmp_path, NAMED)
    assert read() == list(NAMED.values())
    write(tmp_path, {})
    assert read() == [None, None, None]


@pytest.mark.parametrize("variable", NAMED)
def test_a_receiver_that_can_be_none_is_refused_without_saying_it(tmp_path: Path, variable: str) -> None:
    for refuse in (draw_password.check, lambda environment: write(tmp_path, environment)):
        with pytest.raises(ReceiverError, match=variable) as caught:
            refuse({variable: "token://token"})
        assert "token://" not in str(caught.value)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("bind", ["0.0.0.0", "192.0.2.1", "::", "[::]"])
def test_others_are_let_in_only_where_somebody_said_how(tmp_path: Path, bind: str) -> None:
    for refuse in (draw_password.check, lambda environment: write(tmp_path, environment)):
        with pytest.raises(OpenError, match=r"DRIFTLINE_AUTH=keys .* keys add NAME.*DRIFTLINE_AUTH=none"):
            refuse({"DRIFTLINE_BIND": bind, "DRIFTLINE_AUTH": ""})
    assert list(tmp_path.iterdir()) == []
    draw_password.check({"DRIFTLINE_BIND": bind, "DRIFTLINE_AUTH": "none"})
    draw_password.check({"DRIFTLINE_BIND": bind, "DRIFTLINE_AUTH": "keys"})


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", ""])
def test_on_this_machine_alone_nobody_has_to_say_anything(bind: str) -> None:
    draw_password.check({"DRIFTLINE_BIND": bind, "DRIFTLINE_AUTH": ""})


def test_what_auth_cannot_be_is_refused() -> None:
    with pytest.raises(OpenError, match="auto"):
        draw_password.check({"DRIFTLINE_AUTH": "auto"})


def test_before_keys_are_asked_for_there_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(OpenError, match="docker compose run --rm keys add NAME"):
        write(tmp_path, {"DRIFTLINE_AUTH": "keys"})
    add_key(tmp_path / "keys.toml", "web")
    write(tmp_path, {"DRIFTLINE_AUTH": "keys"})
    assert (tmp_path / "broker").exists()
