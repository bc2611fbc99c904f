"""``driftline alerts`` beside a monitor: list, silence, test."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.monitor.store import FILE_NAME
from tests.cli.conftest import Run
from tests.monitor.examples import connect, judged, make_alarms
from tests.monitor.receivers import SECRET, HttpReceiver, MailReceiver
from tests.waiting import find_free_port

KEY = "all/feature_1/drift"


@pytest.fixture
def firing(tmp_path: Path) -> None:
    """A monitor with one alert that is firing, and nobody who has been told."""
    (tmp_path / "data" / "monitor").mkdir(parents=True)
    database = connect(tmp_path / "data" / "monitor" / FILE_NAME)
    make_alarms(database, lambda: time.time_ns() // 1000, "webhook").observe(judged(0, True))
    database.close()


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    server = HttpReceiver()
    yield server
    server.close()


@pytest.mark.usefixtures("firing")
def test_the_list_has_what_is_firing_silenced_and_waiting(ask: Run) -> None:
    assert ask("alerts", "silence", "*/feature_1/*", "--for", "2h", "--reason", "it is known").returncode == 0
    shown = ask("alerts", "list").stdout
    assert re.search(rf"^{KEY}  since 20\d\d-\d\d-\d\d \d\d:00:00 UTC  \(silenced\)$", shown, re.MULTILINE)
    assert "  feature_1 is higher than in the reference" in shown
    assert re.search(r"^\*/feature_1/\*  silenced until .+ UTC: it is known$", shown, re.MULTILINE)
    document = json.loads(ask("alerts", "list", "--json").stdout)
    assert [alert["key"] for alert in document["firing"]] == [KEY]
    assert [(it["pattern"], it["reason"]) for it in document["silences"]] == [("*/feature_1/*", "it is known")]
    assert document["silences"][0]["until_us"] - document["silences"][0]["made_us"] == 7_200_000_000


@pytest.mark.usefixtures("firing")
def test_a_silence_says_what_it_covers_and_can_be_lifted_once(ask: Run) -> None:
    finished = ask("alerts", "silence", KEY)
    assert re.fullmatch(rf"{KEY} is silenced until .+ UTC; alerts it covers now: 1\n", finished.stderr)
    assert ask("alerts", "silence", KEY, "--lift").returncode == 0
    assert "silenced" not in ask("alerts", "list").stdout
    again = ask("alerts", "silence", KEY, "--lift")
    assert (again.returncode, again.stderr) == (1, f"there is no silence {KEY}\n")


@pytest.mark.usefixtures("firing")
@pytest.mark.parametrize("span", ["", "2", "h", "0h", "-1h", "2 h", "1.5h", "9999999d"])
def test_a_span_that_is_none_is_exit_code_2(ask: Run, span: str) -> None:
    finished = ask("alerts", "silence", KEY, f"--for={span}")
    assert finished.returncode == 2
    assert "a number and a unit" in finished.stderr


@pytest.mark.parametrize("arguments", [("list",), ("silence", KEY)], ids=" ".join)
def test_where_no_monitor_has_run_is_exit_code_3(ask: Run, arguments: tuple[str, ...]) -> None:
    finished = ask("alerts", *arguments)
    assert finished.returncode == 3
    assert re.fullmatch(r"driftline: there is no .+monitor\.sqlite: .+ \(monitor_failed\)\n", finished.stderr)


@pytest.mark.parametrize("arguments", [("list",), ("silence", KEY)], ids=" ".join)
def test_a_file_that_is_no_database_is_one_line(ask: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "data" / "monitor").mkdir(parents=True)
    (tmp_path / "data" / "monitor" / FILE_NAME).write_text("not a database, whatever it is called" * 50)
    finished = ask("alerts", *arguments)
    assert finished.returncode == 3
    assert re.fullmatch(r"driftline: cannot use .+monitor\.sqlite: .+ \(monitor_failed\)\n", finished.stderr)


def test_a_test_alert_reaches_every_receiver(ask: Run, receiver: HttpReceiver) -> None:
    slack, mail = HttpReceiver(), MailReceiver()
    try:
        port = mail.sink._server.port  # type: ignore[attr-defined]  # where it listens
        finished = ask(
            *("alerts", "test"),
            DRIFTLINE_ALERT_WEBHOOK=receiver.url,
            DRIFTLINE_ALERT_SLACK=slack.url,
            DRIFTLINE_ALERT_EMAIL_TO="a@example.org,b@example.org",
            DRIFTLINE_ALERT_SMTP=f"smtp://127.0.0.1:{port}?tls=none",
        )
    finally:
        slack.close()
        mail.close()
    assert finished.returncode == 0
    assert finished.stdout.splitlines() == ["webhook  sent", "slack    sent", "email    sent"]
    assert receiver.documents()[0]["kind"] == "test"
    assert slack.documents()[0]["blocks"]
    assert (mail.mails[0]["From"], mail.mails[0]["To"]) == ("a@example.org", "a@example.org, b@example.org")


def test_a_test_that_fails_says_why_without_the_secret(ask: Run, receiver: HttpReceiver) -> None:
    receiver.answer = (404, {})
    port = find_free_port()
    finished = ask(
        *("alerts", "test"),
        DRIFTLINE_ALERT_WEBHOOK=receiver.url,
        DRIFTLINE_ALERT_SLACK=f"http://127.0.0.1:{port}/{SECRET}",
    )
    assert finished.returncode == 1
    assert finished.stdout.splitlines() == [
        "webhook  failed  127.0.0.1 has answered 404: ok that is all",
        "slack    failed  127.0.0.1 cannot be reached: Connection refused",
    ]
    assert SECRET not in finished.stdout + finished.stderr


def test_a_test_without_a_receiver_says_what_to_set(ask: Run) -> None:
    finished = ask("alerts", "test")
    assert finished.returncode == 2
    assert "alert_webhook" in finished.stderr


def test_no_secret_of_a_receiver_is_shown_or_in_an_error(ask: Run) -> None:
    good = {
        "DRIFTLINE_ALERT_WEBHOOK": f"https://hooks.example.org/{SECRET}?t={SECRET}",
        "DRIFTLINE_ALERT_SLACK": f"https://hooks.slack.com/services/{SECRET}",
        "DRIFTLINE_ALERT_SMTP": f"smtp://user:{SECRET}@mail.example.org:587",
    }
    shown = ask("config", "--json", **good)
    assert json.loads(shown.stdout)["alert_webhook"]["value"] == "https://hooks.example.org/***"
    assert json.loads(shown.stdout)["alert_slack"]["value"] == "https://hooks.slack.com/***"
    assert json.loads(shown.stdout)["alert_smtp"]["value"] == "smtp://***@mail.example.org:587"
    bad = ask("config", **{name: f"{SECRET}:{value}" for name, value in good.items()})
    assert bad.returncode == 2
    assert len(bad.stderr.splitlines()) == 3
    assert SECRET not in shown.stdout + shown.stderr + bad.stdout + bad.stderr
