"""Writes what is secret in the Compose stack into its private volume; ``init`` runs it at each ``docker compose up``.

A password that the environment names (``REDIS_PASSWORD``, ``GRAFANA_PASSWORD``) wins; else the one that is in the
volume stays; else one is drawn. A Redis that is running with another one is told. Receivers of alerts are those that
the environment names, and no others. It refuses to let others than this machine in (``DRIFTLINE_BIND``) where nobody
has said whether they need a key (``DRIFTLINE_AUTH``). With ``--check`` it only says whether what the environment names
can be used.

    broker             for Driftline: DRIFTLINE_BROKER_FILE
    redis.conf         for Redis
    redis-password     for the health check of Redis
    grafana-password   for Grafana, which has a user of its own and so must be let read it
    alert-webhook      for the monitor: DRIFTLINE_ALERT_WEBHOOK_FILE; an empty file is no receiver
    alert-slack        the same: DRIFTLINE_ALERT_SLACK_FILE
    alert-smtp         the same: DRIFTLINE_ALERT_SMTP_FILE
"""

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from driftline.alert_address import check_web_address, parse_mail_server

DIRECTORY = Path("/secrets")
REDIS = "redis:6379/0"
DRAWN_BYTES = 32
ANSWER_TIMEOUT_S = 2.0
RECEIVERS: dict[str, Callable[[str], object]] = {
    "alert-webhook": check_web_address,
    "alert-slack": check_web_address,
    "alert-smtp": parse_mail_server,
}
LOOPBACK = ("", "127.0.0.1", "::1", "[::1]", "localhost")


class PasswordError(Exception):
    """A password cannot be used; the message does not say it."""


class ReceiverError(Exception):
    """A receiver of alerts cannot be one; the message does not say its address."""


class OpenError(Exception):
    """The API would be open to others, and nobody has said that it should."""


def write(directory: Path, environment: Mapping[str, str]) -> None:
    """Makes the files in ``directory`` say what they should.

    Raises:
        PasswordError: A password that was named cannot be used.
        ReceiverError: A receiver of alerts that was named cannot be one.
        OpenError: Others may come in, and nobody has said how; or they need keys, and there are none.
        OSError: The volume refuses.
    """
    named_redis, named_grafana = check(environment)
    if environment.get("DRIFTLINE_AUTH") == "keys" and not (directory / "keys.toml").exists():
        raise OpenError("DRIFTLINE_AUTH is keys, and there are none; draw one: docker compose run --rm keys add NAME")
    before = kept(directory / "redis-password")
    redis = named_redis or before or drawn()
    grafana = named_grafana or kept(directory / "grafana-password") or drawn()
    if before not in {"", redis}:
        tell_redis(before, redis)
    put(directory / "broker", address(redis) + "\n", 0o600)
    put(directory / "redis.conf", f"requirepass {quoted(redis)}\n", 0o600)
    put(directory / "grafana-password", grafana, 0o444)
    for name, receiver in receivers(environment).items():
        put(directory / name, f"{receiver}\n", 0o600)
    # Last: as long as the old one stands here, the next run does all of it again.
    put(directory / "redis-password", redis, 0o600)


def check(environment: Mapping[str, str]) -> tuple[str, str]:
    """Returns the passwords that the environment names, of Redis and of Grafana; an empty text where it names none.

    Raises:
        PasswordError: One of them cannot be used.
        ReceiverError: A receiver of alerts that it names cannot be one.
        OpenError: Others may come in, and nobody has said how.
    """
    receivers(environment)
    bind, auth = environment.get("DRIFTLINE_BIND", ""), environment.get("DRIFTLINE_AUTH", "")
    if auth not in {"", "keys", "none"}:
        raise OpenError(f"DRIFTLINE_AUTH is {auth}; it must be keys or none")
    if not auth and bind not in LOOPBACK:
        raise OpenError(
            f"DRIFTLINE_BIND={bind} lets others in, and nobody has said how. DRIFTLINE_AUTH=keys asks them for a key "
            "(draw one: docker compose run --rm keys add NAME), DRIFTLINE_AUTH=none lets everybody in"
        )
    return named("REDIS_PASSWORD", environment), named("GRAFANA_PASSWORD", environment)


def receivers(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the addresses of the receivers of alerts, each by the name of its file; an empty text for none.

    Raises:
        ReceiverError: One of them cannot be an address.
    """
    found = {}
    for name, checked in RECEIVERS.items():
        variable = "DRIFTLINE_" + name.upper().replace("-", "_")
        found[name] = environment.get(variable, "")
        try:
            _ = found[name] and checked(found[name])
        except ValueError as problem:
            raise ReceiverError(f"{variable}: {problem}") from None
    return found


def named(variable: str, environment: Mapping[str, str]) -> str:
    """Returns the password in a variable; an empty text if there is none."""
    password = environment.get(variable, "")
    if not password.isprintable():
        raise PasswordError(f"{variable} holds a character that cannot be printed")
    return password


def kept(path: Path) -> str:
    """Returns the password in a file; an empty text if there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def drawn() -> str:
    """Returns a new password."""
    return secrets.token_urlsafe(DRAWN_BYTES)


def address(password: str) -> str:
    """Returns the address of the broker."""
    return f"redis://:{quote(password, safe='')}@{REDIS}"


def quoted(password: str) -> str:
    """Returns it as Redis' configuration wants it: in hexadecimal, where nothing has a meaning of its own."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in password.encode()) + '"'


def tell_redis(before: str, password: str) -> None:
    """Changes the password of the Redis that is running, if one is: it reads its file only when it starts."""
    from redis import Redis, RedisError  # noqa: PLC0415 - needed only when a password has changed

    try:
        with Redis.from_url(address(before), socket_timeout=ANSWER_TIMEOUT_S, protocol=2) as client:
            client.config_set("requirepass", password)
    except RedisError as error:
        print(f"init: no running Redis was told of the new password ({type(error).__name__})")  # noqa: T201


def put(path: Path, content: str, mode: int) -> None:
    """Replaces a file in one step; there is no moment in which more may read it than ``mode`` says."""
    temporary = path.with_name(f".{path.name}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["--check"]:
            check(os.environ)
        else:
            write(DIRECTORY, os.environ)
    except (PasswordError, ReceiverError, OpenError, OSError) as problem:
        sys.exit(f"init: {problem}")
