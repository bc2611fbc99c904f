"""What every sink promises, tried on real servers; and what is particular to each."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from driftline.alert_address import MailServer
from driftline.errors import SinkError
from driftline.monitor import alert as form
from driftline.monitor.mail import MailSink
from driftline.monitor.mail import message as mail_message
from driftline.monitor.sink import AlertSink
from driftline.monitor.slack import SlackSink, message
from driftline.monitor.webhook import WebhookSink
from tests.certificates import make_pair
from tests.monitor.examples import START_US, an_alert
from tests.monitor.receivers import SECRET, TIMEOUT_S, USER, HttpReceiver, MailReceiver, Mood, Receiver

MAKERS: dict[str, Callable[[], Receiver]] = {
    "webhook": HttpReceiver,
    "slack": lambda: HttpReceiver(SlackSink),
    "email": MailReceiver,
}


@pytest.fixture(params=MAKERS)
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    running = MAKERS[request.param]()
    yield running
    running.close()


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    running = HttpReceiver()
    yield running
    running.close()


def failure(receiver: Receiver) -> SinkError:
    with pytest.raises(SinkError) as caught:
        asyncio.run(receiver.sink.send(an_alert()))
    return caught.value


# -- all of them


def test_an_alert_arrives_once_under_its_id_with_all_that_a_person_needs(receiver: Receiver) -> None:
    alert = an_alert()
    asyncio.run(receiver.sink.send(alert))
    assert receiver.notices == [f"{alert.alert_id}.firing"]
    assert alert.page is not None
    for said in (alert.sentence, alert.key, alert.page, *alert.request_ids, "missing", "30 days", "psi", "seed-1-5f2a"):
        assert said in receiver.words(), said


def test_that_it_has_resolved_is_another_notice_of_the_same_alert(receiver: Receiver) -> None:
    alert = an_alert()
    asyncio.run(receiver.sink.send(alert))
    asyncio.run(receiver.sink.send(alert.resolved(START_US)))
    assert receiver.notices == [f"{alert.alert_id}.firing", f"{alert.alert_id}.resolved"]


@pytest.mark.parametrize("mood", ["is in trouble", "cuts"])
def test_a_receiver_in_trouble_may_take_it_later(receiver: Receiver, mood: Mood) -> None:
    receiver.mood = mood
    assert not failure(receiver).refused
    receiver.mood = "takes"
    asyncio.run(receiver.sink.send(an_alert()))


def test_a_receiver_that_refuses_an_alert_may_take_others(receiver: Receiver) -> None:
    receiver.mood = "refuses"
    error = failure(receiver)
    assert error.refused
    assert error.message.startswith("127.0.0.1 has answered ")


def test_a_receiver_that_hangs_is_given_up_in_time(receiver: Receiver) -> None:
    receiver.mood = "hangs"
    began = time.monotonic()
    assert not failure(receiver).refused
    assert time.monotonic() - began < TIMEOUT_S + 5


def test_where_nobody_listens_is_an_error_that_names_the_host(receiver: Receiver) -> None:
    receiver.close()
    error = failure(receiver)
    assert error.message == "127.0.0.1 cannot be reached: Connection refused"
    assert not error.refused
    receiver.close = lambda: None  # type: ignore[method-assign]  # it is closed


@pytest.mark.parametrize("mood", ["is in trouble", "refuses", "hangs", "cuts"])
def test_no_error_holds_a_secret_or_what_it_came_from(receiver: Receiver, mood: Mood) -> None:
    receiver.mood = mood
    error = failure(receiver)
    assert SECRET not in error.message
    assert error.__suppress_context__


def test_an_alert_that_has_nothing_but_a_sentence_arrives_too(receiver: Receiver) -> None:
    alert = msgspec.structs.replace(
        an_alert(), column=None, effect={}, bins=None, request_ids=(), profile=None, page=None
    )
    asyncio.run(receiver.sink.send(alert))
    assert alert.sentence in receiver.words()


# -- webhooks


def test_a_webhook_gets_the_alert_as_it_is_documented(http: HttpReceiver) -> None:
    asyncio.run(http.sink.send(an_alert()))
    assert form.decode(http.bodies[0]) == an_alert()
    assert http.headers[0]["Content-Type"] == "application/json"
    assert http.headers[0]["User-Agent"].startswith("driftline/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_not_an_alert_delivered_to_nobody(http: HttpReceiver, status: int) -> None:
    http.answer = (status, {"Location": http.url})
    assert str(status) in failure(http).message
    assert len(http.notices) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 408, 410, 429, 500, 502])
def test_an_answer_that_is_about_the_receiver_is_not_about_the_alert(http: HttpReceiver, status: int) -> None:
    http.answer = (status, {})
    assert not failure(http).refused


@pytest.mark.parametrize(
    ("said", "seconds"), [("7", 7.0), ("soon", None), ("-1", None), ("", None), ("9" * 400, 86_400.0), ("²", None)]
)
def test_a_receiver_may_say_when_to_come_again(http: HttpReceiver, said: str, seconds: float | None) -> None:
    http.answer = (429, {"Retry-After": said})
    assert failure(http).retry_after_s == seconds


def test_what_a_receiver_says_of_an_error_is_one_line(http: HttpReceiver) -> None:
    http.mood = "refuses"
    assert failure(http).message == "127.0.0.1 has answered 400: ok that is all"


def test_https_is_taken_from_whom_the_machine_trusts_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = make_pair(tmp_path)
    receiver = HttpReceiver(certificate=pair)
    try:
        assert "certificate is not trusted" in failure(receiver).message
        monkeypatch.setenv("SSL_CERT_FILE", str(pair.certificate))
        asyncio.run(receiver.sink.send(an_alert()))
        assert len(receiver.notices) == 1
    finally:
        receiver.close()


@pytest.mark.parametrize("host", ["nobody.invalid", "a" * 70 + ".example.org", "a..b"])
def test_a_name_that_is_none_is_an_error_without_the_address(host: str) -> None:
    server = MailServer(host, 25, None, None, "none")
    sinks: list[AlertSink] = [
        WebhookSink(f"https://{host}/{SECRET}", TIMEOUT_S),
        MailSink(server, "a@b.org", ["c@d.org"], TIMEOUT_S),
    ]
    for sink in sinks:
        with pytest.raises(SinkError, match=f"^{re.escape(host)} ") as caught:
            asyncio.run(sink.send(an_alert()))
        assert SECRET not in caught.value.message


# -- Slack


def test_slack_gets_what_its_limits_allow_and_nothing_that_it_would_take_for_markup() -> None:
    alert = an_alert()
    assert alert.bins is not None
    many = tuple(f"<!channel> & {number}" for number in range(1000))
    shares = tuple(0.001 for _ in many)
    alert = msgspec.structs.replace(
        alert,
        sentence="<!here> " * 1000,
        column="c" * 500,
        bins=form.Bins(labels=many, reference=shares, current=shares),
    )
    sent = message(alert)
    assert "<!" not in str(sent)
    assert "..." in str(sent)
    assert len(sent["blocks"]) <= 50
    for block in sent["blocks"]:
        texts = [block["text"]] if "text" in block else block.get("fields", []) + block.get("elements", [])
        assert all(0 < len(text["text"]) <= (150 if block["type"] == "header" else 3000) for text in texts)
        assert len(block.get("fields", [])) <= 10


# -- mail


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_mail_goes_by_tls_with_a_login_to_whom_the_machine_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    pair = make_pair(tmp_path)
    receiver = MailReceiver(certificate=pair, tls=tls)  # type: ignore[arg-type]  # the two that there are
    try:
        assert "not trusted" in failure(receiver).message
        assert receiver.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(pair.certificate))
        asyncio.run(receiver.sink.send(an_alert()))
        assert receiver.logins == [(USER.encode(), SECRET.encode())]
        assert len(receiver.notices) == 1
    finally:
        receiver.close()


def test_mail_to_a_server_without_tls_is_not_sent_in_clear_unasked() -> None:
    receiver = MailReceiver()
    try:
        server = receiver.sink._server._replace(tls="starttls")  # type: ignore[attr-defined]  # what a person would set
        receiver.sink._server = server  # type: ignore[attr-defined]
        assert "STARTTLS" in failure(receiver).message
        assert receiver.notices == []
    finally:
        receiver.close()


def test_one_recipient_whom_the_server_does_not_know_keeps_nothing_from_the_others() -> None:
    receiver = MailReceiver()
    try:
        receiver.nobody = {"a@example.org"}
        asyncio.run(receiver.sink.send(an_alert()))
        assert len(receiver.notices) == 1
        receiver.nobody = {"a@example.org", "b@example.org"}
        assert failure(receiver).message == "127.0.0.1 has answered 550: no such user"
    finally:
        receiver.close()


def test_a_mail_cannot_be_given_further_headers_by_a_column() -> None:
    alert = msgspec.structs.replace(an_alert(), column="x\r\nBcc: everybody@example.org")
    mail = mail_message(alert, "a@example.org", ["b@example.org"])
    assert mail["Bcc"] is None
    assert mail["Subject"] == "[driftline] Firing: drift of x Bcc: everybody@example.org (all)"


def test_the_mail_of_a_resolved_alert_answers_the_first() -> None:
    first, last = (mail_message(it, "a@b.org", ["c@d.org"]) for it in (an_alert(), an_alert().resolved(START_US)))
    assert last["In-Reply-To"] == first["Message-ID"]
