"""Which addresses of receivers of alerts there can be. They hold secrets, so no error quotes anything of one."""

import re
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

_URL_CHARACTERS: Final = re.compile(r"[\w.~:/?#\[\]@!$&'()*+,;=%-]*", re.ASCII)
_MAIL_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[\w.-]+")
_DEFAULT_PORTS: Final = {"smtp": 587, "smtps": 465}


class MailServer(NamedTuple):
    """A mail server to hand mails to.

    Attributes:
        host: Its name.
        port: Its port.
        user: Whom to log in as; None for no login.
        password: The password; None for no login.
        tls: ``starttls``, ``tls`` from the first byte, or ``none``.
    """

    host: str
    port: int
    user: str | None
    password: str | None
    tls: Literal["starttls", "tls", "none"]


def check_web_address(url: str) -> None:
    """Returns if this can be where alerts are posted to; nobody is asked.

    Raises:
        ValueError: It cannot.
    """
    if not _URL_CHARACTERS.fullmatch(url):
        raise ValueError("the address holds a character that must be percent-encoded, a space is %20")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("the address is not one like https://host/path") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the address must begin with https:// or http:// and a host")
    if parts.username is not None:
        raise ValueError("the address must not hold a user or password; receivers of webhooks take a token in the path")


def parse_mail_server(url: str) -> MailServer:
    """Returns the mail server of an address: ``smtp://user:password@host:587``, ``smtps://...``, ``smtp://host:25?tls=none``.

    Raises:
        ValueError: It is none.
    """
    if not _URL_CHARACTERS.fullmatch(url):
        raise ValueError(
            "the mail server's address holds a character that must be percent-encoded, as @ in a user, %40"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the mail server's address is not one like smtp://user:password@host:587") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("the mail server's address must begin with smtp:// or smtps:// and a host")
    if parts.path.strip("/") or parts.fragment:
        raise ValueError("nothing can stand behind the host and port in the mail server's address but ?tls=none")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("the mail server's address has a user without a password, or a password without a user")
    plain = parse_qs(parts.query, keep_blank_values=True) == {"tls": ["none"]}
    if parts.query and (not plain or parts.scheme == "smtps"):
        raise ValueError("the only parameter of a mail server's address is tls=none, with smtp://")
    if plain and parts.username is not None:
        raise ValueError("a password is not sent to a mail server without TLS")
    return MailServer(
        host=parts.hostname,
        port=port or _DEFAULT_PORTS[parts.scheme],
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        tls="none" if plain else "tls" if parts.scheme == "smtps" else "starttls",
    )


def mail_address(text: str) -> str:
    """Returns one mail address.

    Raises:
        ValueError: It is none, or there are several.
    """
    if not _MAIL_ADDRESS.fullmatch(text):
        raise ValueError("it must be one mail address")
    return text


def mail_addresses(text: str) -> list[str]:
    """Returns the mail addresses of a list with commas.

    Raises:
        ValueError: One of them is none, or there is none.
    """
    addresses = [address.strip() for address in text.split(",")]
    if not all(_MAIL_ADDRESS.fullmatch(address) for address in addresses):
        raise ValueError("it must be mail addresses, with commas between them")
    return addresses


def without_secret(url: str) -> str:
    """Returns an address for people: of what may be a secret, that is all but the scheme and the host, ``***``."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/***"
