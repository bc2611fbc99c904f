"""Which addresses of receivers there can be; an error quotes nothing of one."""

import pytest

from driftline.alert_address import (
    MailServer,
    check_web_address,
    mail_addresses,
    parse_mail_server,
    without_secret,
)

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.org", MailServer("mail.example.org", 587, None, None, "starttls")),
        ("smtps://u:p@h", MailServer("h", 465, "u", "p", "tls")),
        ("smtp://me%40example.org:p%2Fw%20d@h:2525", MailServer("h", 2525, "me@example.org", "p/w d", "starttls")),
        ("smtp://localhost:25?tls=none", MailServer("localhost", 25, None, None, "none")),
        ("smtp://[::1]:25/?tls=none", MailServer("::1", 25, None, None, "none")),
    ],
)
def test_a_mail_servers_address_says_all_there_is_to_know(url: str, server: MailServer) -> None:
    assert parse_mail_server(url) == server


@pytest.mark.parametrize(
    "url",
    [
        f"http://u:{SECRET}@h",
        f"{SECRET}",
        f"smtp://u:{SECRET}@",
        f"smtp://u:{SECRET}@h:port",
        f"smtp://u:{SECRET}@h:99999",
        f"smtp://u:{SECRET} x@h",
        f"smtp://u:{SECRET}/x@h",
        f"smtp://u:{SECRET}#x@h",
        f"smtp://{SECRET}@h",
        f"smtp://u:{SECRET}@h?tls=none",
        f"smtps://h?tls={SECRET}",
        "smtps://h?tls=none",
        "smtp://h?tls=maybe",
        "smtp://[::1",
        "",
    ],
)
def test_another_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match="mail server") as caught:
        parse_mail_server(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://hooks.slack.com/services/T/B/x", "http://127.0.0.1:1/?token=x", "https://[::1]"]
)
def test_web_addresses_are_taken_as_they_are(url: str) -> None:
    check_web_address(url)


@pytest.mark.parametrize(
    "url",
    [
        f"file:///{SECRET}",
        f"ftp://h/{SECRET}",
        f"{SECRET}.example.org/x",
        f"https:///{SECRET}",
        f"https://u:{SECRET}@h/",
        f"https://h:port/{SECRET}",
        f"https://h/{SECRET} x",
        f"https://h/{SECRET}\r\nX-Header: y",
        "",
    ],
)
def test_what_is_no_web_address_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match="the address") as caught:
        check_web_address(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", [f"https://h:8443/{SECRET}?{SECRET}#{SECRET}", f"https://u:{SECRET}@h:8443"])
def test_for_people_an_address_is_its_host(url: str) -> None:
    assert without_secret(url) == "https://h:8443/***"


def test_mail_addresses_stand_between_commas() -> None:
    assert mail_addresses("a@example.org, b.c+d@example.org") == ["a@example.org", "b.c+d@example.org"]


@pytest.mark.parametrize("text", ["", ",", "a", "a@b,", "a b@c", "<a@b>", "a@b\nBcc: c@d", "a@b;c@d", "A <a@b>"])
def test_what_is_no_list_of_mail_addresses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="mail addresses"):
        mail_addresses(text)
