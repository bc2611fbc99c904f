"""API keys: drawn here, shown once, kept as hashes in a file that says who may ask.

A key is ``driftline_ID_SECRET``. The id is no secret: it finds the entry, so that what is compared in constant time is
one hash and not as many as there are keys. The secret has 256 random bits, so a plain SHA-256 hides it: there is no
dictionary to try, and a slow hash would only make each request slow.
"""

import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from driftline.durable import lock_directory, make_directory, write_durably
from driftline.errors import KeysError

MAX_KEYS: Final = 4096
MAX_RATE_PER_S: Final = 1_000_000.0
_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 4
_PRIVATE: Final = 0o600
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID: Final = re.compile(r"[0-9a-f]{8}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final = {"name", "id", "sha256", "created", "rate_per_s"}
_NOBODYS: Final = sha256(b"").digest()
_HEAD: Final = """\
# The API keys of Driftline, as hashes: `driftline keys add NAME` and `driftline keys revoke NAME` write this file, and
# running servers read it again within a second. What is not here is not let in.
"""


class Key(NamedTuple):
    """Who may ask.

    Attributes:
        name: What people call it.
        id: The part of the key that is no secret: 8 hexadecimal digits.
        digest: SHA-256 of the whole key.
        created: When it was drawn, as in RFC 3339.
        rate_per_s: Most requests a second; None for as many as it likes.
    """

    name: str
    id: str
    digest: bytes
    created: str
    rate_per_s: float | None = None

    @property
    def slot(self) -> int:
        """Its place among :data:`MAX_KEYS`, which it shares with no other key of its file."""
        return _slot(self.id)


def read_keys(path: Path) -> dict[str, Key]:
    """Returns the keys in a file by their names.

    Raises:
        KeysError: It cannot be read, or is not what :func:`add_key` writes.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KeysError(f"there is no file {path}; `driftline keys add NAME` makes it") from None
    except OSError as error:
        raise KeysError(f"the API keys in {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KeysError(f"{path} is not a file of API keys: {error}") from error
    entries = document.pop("key", [])
    if document or not isinstance(entries, list):
        raise KeysError(f"{path} is not a file of API keys: it must hold [[key]] tables and nothing else")
    keys: dict[str, Key] = {}
    slots: set[int] = set()
    for number, entry in enumerate(entries, 1):
        try:
            key = _parsed(entry)
        except ValueError as error:
            raise KeysError(f"key {number} in {path} is wrong: {error}") from None
        if key.name in keys or key.slot in slots:
            raise KeysError(f"key {number} in {path} has the name, or the place, of another one")
        keys[key.name] = key
        slots.add(key.slot)
    return keys


def add_key(path: Path, name: str, rate_per_s: float | None = None) -> str:
    """Returns a new key, after its hash is in the file: nobody can learn it from there.

    Raises:
        KeysError: The name or the rate cannot be, there is a key of that name, or the file cannot be used.
        OSError: The disk refuses.
    """
    if not _NAME.fullmatch(name):
        raise KeysError(
            f"{name!r} is no name for a key: letters, digits and . _ - (at most 64, a letter or digit first)"
        )
    if rate_per_s is not None and not 0 < rate_per_s <= MAX_RATE_PER_S:
        raise KeysError(f"the rate must be above 0 and at most {MAX_RATE_PER_S:,.0f} requests a second")
    if not path.parent.is_dir():
        make_directory(path.parent)
    with _Locked(path.parent):
        keys = read_keys(path) if path.exists() else {}
        if name in keys:
            raise KeysError(f"there is a key {name} already; to replace it, add one by another name, then revoke it")
        token, key = _draw(name, rate_per_s, taken={each.slot for each in keys.values()})
        _write(path, [*keys.values(), key])
    return token


def revoke_key(path: Path, name: str) -> None:
    """Removes a key from the file.

    Raises:
        KeysError: There is none of that name, or the file cannot be used.
        OSError: The disk refuses.
    """
    if not path.exists():
        raise KeysError(f"there is no file {path}, so there is no key to revoke")
    with _Locked(path.parent):
        keys = read_keys(path)
        if name not in keys:
            raise KeysError(f"there is no key {name} in {path}")
        _write(path, [key for key in keys.values() if key.name != name])


def find_key(keys: Mapping[bytes, Key], token: bytes) -> Key | None:
    """Returns whose key this is, or None; how long that takes tells nothing of any secret.

    Args:
        keys: All keys by their ids.
        token: What a client has sent.
    """
    parts = token.split(b"_", 2)
    key = keys.get(parts[1]) if len(parts) == 3 else None  # noqa: PLR2004 - driftline, id, secret
    known = hmac.compare_digest(sha256(token).digest(), _NOBODYS if key is None else key.digest)
    return key if known else None


def by_id(keys: Iterable[Key]) -> dict[bytes, Key]:
    """Returns keys by their ids, as they come in a header."""
    return {key.id.encode(): key for key in keys}


class _Locked:
    """Two commands at once must not each write what only one of them knows."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fd: int | None = None

    def __enter__(self) -> None:
        self._fd = lock_directory(self._directory)
        if self._fd is None:
            raise KeysError(f"another command is at work in {self._directory}; try again")

    def __exit__(self, *_: object) -> None:
        if self._fd is not None:
            os.close(self._fd)


def _draw(name: str, rate_per_s: float | None, taken: set[int]) -> tuple[str, Key]:
    if len(taken) >= MAX_KEYS:
        raise KeysError(f"there are {MAX_KEYS} keys, which is as many as there may be; revoke one first")
    key_id = secrets.token_hex(_ID_BYTES)
    while _slot(key_id) in taken:
        key_id = secrets.token_hex(_ID_BYTES)
    token = f"driftline_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return token, Key(name, key_id, sha256(token.encode()).digest(), created, rate_per_s)


def _slot(key_id: str) -> int:
    return int(key_id, 16) % MAX_KEYS


def _parsed(entry: object) -> Key:
    if not isinstance(entry, dict) or not set(entry) <= _FIELDS:
        raise ValueError(f"its fields must be among {', '.join(sorted(_FIELDS))}")
    name, key_id, digest, created = (str(entry.get(field, "")) for field in ("name", "id", "sha256", "created"))
    if not _NAME.fullmatch(name):
        raise ValueError("its name")
    if not _ID.fullmatch(key_id):
        raise ValueError("its id must be 8 hexadecimal digits")
    if not _SHA256.fullmatch(digest):
        raise ValueError("its sha256 must be 64 hexadecimal digits")
    rate = entry.get("rate_per_s")
    if rate is not None and (
        isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= MAX_RATE_PER_S
    ):
        raise ValueError(f"its rate_per_s must be a number above 0 and at most {MAX_RATE_PER_S:.0f}")
    return Key(name, key_id, bytes.fromhex(digest), created, None if rate is None else float(rate))


def _write(path: Path, keys: Iterable[Key]) -> None:
    owner = (path if path.exists() else path.parent).stat()
    write_durably(path, "\n".join([_HEAD, *map(_toml, keys)]).encode(), mode=_PRIVATE)
    if os.geteuid() == 0:  # the server, which may be another user's, is to be able to read it
        os.chown(path, owner.st_uid, owner.st_gid)


def _toml(key: Key) -> str:
    # Names, ids, hashes and times hold nothing that TOML would have escaped.
    lines = [
        "[[key]]",
        f'name = "{key.name}"',
        f'id = "{key.id}"',
        f'sha256 = "{key.digest.hex()}"',
        f'created = "{key.created}"',
    ]
    if key.rate_per_s is not None:
        lines.append(f"rate_per_s = {key.rate_per_s!r}")
    return "\n".join(lines) + "\n"
