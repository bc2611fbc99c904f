"""Where a setting's value comes from, and what is said about one that cannot be."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from driftline.errors import SettingsError, UnknownSettingError
from driftline.settings import Settings, load_settings

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def _clean_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("DRIFTLINE_") or name == "REDIS_URL":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write_file(text: str) -> None:
    Path("driftline.toml").write_text(text, encoding="utf-8")


def test_without_anything_the_defaults_hold() -> None:
    settings = load_settings({})
    assert settings.broker_url is None
    assert (settings.host, settings.port, settings.processes) == ("127.0.0.1", 8000, 1)
    assert (settings.outbox_dir, settings.log_dir) == (Path("data/outbox"), Path("data/logs"))
    assert {settings.source(name) for name in Settings.model_fields} == {"default"}


def test_each_layer_wins_over_the_one_below(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def look() -> None:
        settings = load_settings(flags)
        seen.append((settings.broker_url, settings.source("broker")))

    flags: dict[str, object] = {"broker": None}
    look()
    write_file('broker = "redis://file:1"')
    look()
    monkeypatch.setenv("REDIS_URL", "redis://redis-url:1")
    look()
    Path("broker").write_text("redis://secret:1\n", encoding="utf-8")
    monkeypatch.setenv("DRIFTLINE_BROKER_FILE", "broker")
    look()
    monkeypatch.setenv("DRIFTLINE_BROKER", "redis://variable:1")
    look()
    flags["broker"] = "redis://flag:1"
    look()
    assert seen == [
        (None, "default"),
        ("redis://file:1", "broker in driftline.toml"),
        ("redis://redis-url:1", "REDIS_URL"),
        ("redis://secret:1", "DRIFTLINE_BROKER_FILE"),
        ("redis://variable:1", "DRIFTLINE_BROKER"),
        ("redis://flag:1", "--broker"),
    ]


def test_an_empty_broker_means_embedded_whatever_the_layers_below_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://localhost:1")
    monkeypatch.setenv("DRIFTLINE_BROKER", "")
    assert load_settings({}).broker_url is None


def test_a_broker_file_that_something_above_overrules_need_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_BROKER_FILE", "gone")
    assert load_settings({"broker": "redis://flag:1"}).broker_url == "redis://flag:1"
    monkeypatch.setenv("DRIFTLINE_BROKER", "")
    assert load_settings({}).broker_url is None


def test_an_empty_name_of_a_broker_file_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_BROKER_FILE", "")
    assert load_settings({}).source("broker") == "default"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "DRIFTLINE_BROKER_FILE names broker, which cannot be read: No such file or directory"),
        (b"", "DRIFTLINE_BROKER_FILE names broker, which is empty"),
        (b" \n", "DRIFTLINE_BROKER_FILE names broker, which is empty"),
        (SECRET.encode() + b"\xff", "DRIFTLINE_BROKER_FILE names broker, which cannot be read: it is not text"),
        (
            SECRET.encode(),
            "DRIFTLINE_BROKER_FILE: the broker's address must begin with redis://, rediss:// or unix://",
        ),
        (
            f"redis://:{SECRET}@h\nredis://:{SECRET}@h".encode(),
            "DRIFTLINE_BROKER_FILE names broker, which has more than one line",
        ),
    ],
)
def test_a_broker_file_that_will_not_do_is_one_line_without_what_is_in_it(
    monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str
) -> None:
    if content is not None:
        Path("broker").write_bytes(content)
    monkeypatch.setenv("DRIFTLINE_BROKER_FILE", "broker")
    with pytest.raises(SettingsError) as caught:
        load_settings({})
    assert caught.value.message == said


def test_a_broker_file_must_be_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_BROKER_FILE", ".")
    with pytest.raises(SettingsError, match=r"names \., which cannot be read: Is a directory"):
        load_settings({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alert_webhook", "https://alerts.example.org/token"),
        ("alert_slack", "https://hooks.slack.com/services/token"),
        ("alert_smtp", "smtps://me:token@mail.example.org"),
    ],
)
def test_a_receiver_of_alerts_may_be_in_a_file_and_an_empty_file_is_none(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"DRIFTLINE_{name.upper()}_FILE", "secret")
    Path("secret").write_text(f"{value}\n", encoding="utf-8")
    Path("driftline.toml").write_text(f'{name} = "https://file.example.org"', encoding="utf-8")
    settings = load_settings({})
    assert getattr(settings, name).get_secret_value() == value
    assert settings.source(name) == f"DRIFTLINE_{name.upper()}_FILE"
    assert "token" not in str(settings.shown(name))
    Path("secret").write_text("", encoding="utf-8")
    assert getattr(load_settings({}), name) is None
    Path("secret").write_text(f"token{value}", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings({})
    assert "token" not in caught.value.message


def test_a_file_is_named_only_for_what_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_HOST_FILE", "host")
    with pytest.raises(UnknownSettingError, match="DRIFTLINE_HOST_FILE"):
        load_settings({})


def test_the_settings_file_may_lie_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("port = 1234", encoding="utf-8")
    monkeypatch.setenv("DRIFTLINE_CONFIG", "other.toml")
    settings = load_settings({})
    assert (settings.port, settings.source("port")) == (1234, "port in other.toml")


def test_a_named_settings_file_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_CONFIG", "gone.toml")
    with pytest.raises(SettingsError, match=r"DRIFTLINE_CONFIG names gone\.toml, which does not exist"):
        load_settings({})


def test_a_file_that_is_not_toml_says_where() -> None:
    write_file("port = \n")
    with pytest.raises(SettingsError, match=r"driftline\.toml cannot be read: .*line 1"):
        load_settings({})


@pytest.mark.parametrize(
    ("written", "nearest"), [("prot = 1", "port"), ("borker = 1", "broker"), ("[outbox]\nsync = 1", "outbox_sync")]
)
def test_an_unknown_key_is_an_error_that_names_the_nearest(written: str, nearest: str) -> None:
    write_file(written)
    with pytest.raises(UnknownSettingError, match=rf"driftline\.toml\); the nearest is {nearest}$"):
        load_settings({})


@pytest.mark.parametrize("name", ["DRIFTLINE_PROT", "driftline_prot", "DRIFTLINE_PORTS"])
def test_an_unknown_variable_is_an_error_that_names_the_nearest(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(UnknownSettingError, match=f"no setting {name}; the nearest is DRIFTLINE_PORT$"):
        load_settings({})


def test_every_wrong_value_has_a_line_with_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    write_file('log_format = "loud"\nmax_body_bytes = 0')
    monkeypatch.setenv("DRIFTLINE_PROCESSES", "none")
    with pytest.raises(SettingsError) as caught:
        load_settings({"port": 65536})
    assert caught.value.message.splitlines() == [
        "--port is '65536': it must be less than or equal to 65535",
        "DRIFTLINE_PROCESSES is 'none': it must be a valid integer",
        "max_body_bytes in driftline.toml is '0': it must be greater than or equal to 1",
        "log_format in driftline.toml is 'loud': it must be 'auto', 'pretty' or 'json'",
    ]


@pytest.mark.parametrize("written", ["port = true", "processes = true", "broker_timeout_s = true"])
def test_true_is_no_number(written: str) -> None:
    write_file(written)
    with pytest.raises(SettingsError, match=r"in driftline\.toml is true: no setting is true or false"):
        load_settings({})


def test_a_folder_in_the_place_of_the_settings_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "driftline.toml").mkdir()
    with pytest.raises(SettingsError, match=r"driftline\.toml is a folder"):
        load_settings({})


def test_an_empty_data_folder_is_an_error_and_not_the_one_we_are_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_DATA", "")
    with pytest.raises(SettingsError, match="DRIFTLINE_DATA is '': it is empty"):
        load_settings({})


@pytest.mark.parametrize("query", ["decode_responses=true", "foo=bar", "db=0&socket_timeout=0"])
def test_a_parameter_that_would_change_what_redis_answers_is_refused(query: str) -> None:
    with pytest.raises(SettingsError, match="a parameter that there is not; those are db,"):
        load_settings({"broker": f"redis://localhost:6379/0?{query}"})


def test_a_database_is_a_number() -> None:
    with pytest.raises(SettingsError, match="the number of a database"):
        load_settings({"broker": "redis://localhost:6379/abc"})
    assert load_settings({"broker": "rediss://u:p@localhost:6379/3?ssl_ca_certs=ca.pem&db=3"}).broker_url


@pytest.mark.parametrize(("written", "size"), [('"256 MiB"', 256 * 2**20), ('"1GB"', 10**9), ("4096", 4096)])
def test_sizes_take_units(written: str, size: int) -> None:
    write_file(f"outbox_max_bytes = {written}")
    assert load_settings({}).outbox_max_bytes == size


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_time_is_positive_and_finite(value: str) -> None:
    with pytest.raises(SettingsError, match="--broker-timeout-s"):
        load_settings({"broker_timeout_s": value})


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/0",
        f"redis://:{SECRET}@localhost:6379/0",
        f"rediss://user:{SECRET}@[::1]:6380/2?ssl_ca_certs=ca.pem",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_redis_addresses_are_taken_as_they_are(url: str) -> None:
    assert load_settings({"broker": url}).broker_url == url


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{SECRET}@localhost",
        f"localhost:{SECRET}",
        f"redis:{SECRET}@localhost",
        f"{SECRET}",
        f"redis://:{SECRET}/x@localhost:6379",
        f"redis://:{SECRET}#x@localhost:6379",
        f"redis://:{SECRET}@localhost:port",
        f"redis://:{SECRET}@localhost:99999",
        f"redis://:{SECRET} x@localhost",
        f"redis://:{SECRET}\n@localhost",
        f"redis://:{SECRET}@",
        f"redis://:{SECRET}@[::1",
        f"unix://{SECRET}",
    ],
)
def test_other_addresses_are_refused_without_quoting_them(url: str) -> None:
    with pytest.raises(SettingsError, match="--broker: ") as caught:
        load_settings({"broker": url})
    assert SECRET not in caught.value.message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_pydantics_own_error_does_not_quote_the_address_either() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(broker=SecretStr(f"http://:{SECRET}@localhost"))
    assert SECRET not in str(caught.value)
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"broker": [f"redis://:{SECRET}@localhost"]})
    assert SECRET not in str(caught.value)


passwords = st.text(st.sampled_from("aZ09-._~!$&'()*+,;=:@%"), min_size=1).map(lambda text: f"<{text}>")


@given(password=passwords, place=st.sampled_from(["redis://:{}@host/0", "redis://u:{}@host", "rediss://h?password={}"]))
def test_a_password_never_shows(password: str, place: str) -> None:
    password = password.replace("<", "aa").replace(">", "zz")
    if "?" in place:
        password = password.replace("&", "")
    settings = load_settings({"broker": place.format(password)})
    assert settings.broker_url is not None
    assert password in settings.broker_url
    shown = [repr(settings), str(settings), settings.model_dump_json(), json.dumps(settings.shown("broker"))]
    assert [text for text in shown if password in text] == []
    assert "host" in str(settings.shown("broker")) or "h?" in str(settings.shown("broker"))


def test_another_process_gets_the_same_settings_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {"broker": f"redis://:{SECRET}@h:1", "outbox_max_bytes": "2 GiB", "data": "elsewhere", "port": 1}
    settings = load_settings(flags)
    for name, value in settings.environment(Settings.model_fields).items():
        monkeypatch.setenv(name, value)
    assert load_settings({}).model_dump() == settings.model_dump()


def test_settings_are_a_plain_value_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_PORT", "1")
    write_file("host = 'h'")
    assert (Settings().port, Settings().host) == (8000, "127.0.0.1")


# -- receivers of alerts


@pytest.mark.parametrize("name", ["alert_webhook", "alert_slack", "alert_smtp"])
def test_an_address_of_a_receiver_that_cannot_be_is_not_quoted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"DRIFTLINE_{name.upper()}", f"ftp://u:{SECRET}@host/{SECRET}")
    with pytest.raises(SettingsError, match=f"^DRIFTLINE_{name.upper()}: ") as caught:
        load_settings({})
    assert SECRET not in caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("alert_email_to", "nobody", "it must be mail addresses"),
        ("alert_email_from", "a@b.org, c@d.org", "it must be one mail address"),
        ("console_url", "driftline.example.org", "the address must begin with https:// or http://"),
        ("alert_close_after", "0", "it must be greater than or equal to 1"),
        ("alert_timeout_s", "0", "it must be greater than 0"),
    ],
)
def test_what_cannot_be_said_of_alerts_is_an_error(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')} is '{value}': {said}"):
        load_settings({name: value})


def test_an_empty_variable_takes_back_who_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["alert_webhook", "alert_slack", "alert_email_to", "alert_email_from", "alert_smtp", "console_url"]
    for name in names:
        monkeypatch.setenv(f"DRIFTLINE_{name.upper()}", "")
    settings = load_settings({})
    assert [getattr(settings, name) for name in names] == [None] * len(names)


@pytest.mark.parametrize("name", ["alert_webhook", "alert_slack"])
def test_of_a_webhook_only_the_host_is_shown(name: str) -> None:
    settings = load_settings({name: f"https://host:8443/{SECRET}?{SECRET}"})
    assert settings.shown(name) == "https://host:8443/***"
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"
