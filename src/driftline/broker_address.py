"""Which addresses of a broker there can be."""

import re
from urllib.parse import parse_qs, urlsplit

BROKER_SCHEMES = ("redis", "rediss", "unix")
BROKER_PARAMETERS = (
    "db",
    "username",
    "password",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_cert_reqs",
    "ssl_check_hostname",
)
"""Parameters of redis-py's that mean the same whatever Driftline does with the connection."""
_URL_CHARACTERS = re.compile(r"[\w.~:/?#\[\]@!$&'()*+,;=%-]*", re.ASCII)


def check_broker_address(url: str) -> None:
    """Returns if this can be the address of a broker; nobody is asked.

    Raises:
        ValueError: It cannot. The message quotes nothing of it: wherever it is wrong, the password may be what stands
            there.
    """
    if not _URL_CHARACTERS.fullmatch(url):
        raise ValueError("the broker's address holds a character that must be percent-encoded, a space is %20")
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in BROKER_SCHEMES:
        raise ValueError("the broker's address must begin with redis://, rediss:// or unix://")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(
            "the broker's address is not one like redis://:password@host:6379/0 "
            "(in a password, characters such as / @ # are written as %2F %40 %23)"
        ) from None
    if scheme == "unix" and not parts.path.strip("/"):
        raise ValueError("the broker's address lacks a path, as in unix:///run/redis.sock")
    database = parts.path.strip("/")
    if scheme != "unix" and database and not database.isdecimal():
        raise ValueError(
            "what stands behind the host in the broker's address must be the number of a database, as in /0"
        )
    for parameter in parse_qs(parts.query, keep_blank_values=True):
        if parameter not in BROKER_PARAMETERS:
            raise ValueError(
                f"the broker's address has a parameter that there is not; those are {', '.join(BROKER_PARAMETERS)}"
            )
    if scheme != "unix" and not parts.hostname:
        raise ValueError("the broker's address lacks a host, as in redis://localhost:6379/0")
