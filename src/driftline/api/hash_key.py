"""The key that features are hashed with: made by the first server whose model hashes any, and shared by all others."""

import re
import secrets
from pathlib import Path
from typing import Final

from driftline.contract.logged import needs_key
from driftline.contract.schema import ModelSchema
from driftline.durable import create_durably, make_directory
from driftline.errors import ModelError

KEY_BYTES: Final = 32
_HEX: Final = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}")


def hash_key(file: Path | None, schema: ModelSchema) -> bytes:
    """Returns the key for the features of a model; for one that hashes none it is empty, and no file is looked at.

    Args:
        file: Holds the key, 64 hexadecimal digits. Where there is none it is made, so that all processes that come to
            it at once have the same.
        schema: What the model takes, and what of it is hashed.

    Raises:
        ModelError: Features are to be hashed, and the file can neither be read nor made, or holds no key.
    """
    if not needs_key(schema):
        return b""
    if file is None:
        raise ModelError(f"the model {schema.name} hashes features, and there is no file for the key")
    try:
        if not file.exists():
            make_directory(file.parent)
            create_durably(file, f"{secrets.token_hex(KEY_BYTES)}\n".encode(), mode=0o600)
        text = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ModelError(
            f"the model {schema.name} hashes features, and their key {file} cannot be made or read: {error.strerror}; "
            f"put {2 * KEY_BYTES} random hexadecimal digits there (openssl rand -hex {KEY_BYTES})"
        ) from error
    except UnicodeDecodeError:
        text = ""
    if not _HEX.fullmatch(text):
        raise ModelError(f"{file} holds no key: it must be {2 * KEY_BYTES} hexadecimal digits")
    return bytes.fromhex(text)
