"""What of the features is logged: each as it came, as a keyed hash, or not at all."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from driftline.contract.schema import ModelSchema

HASH_BYTES: Final = 16


def logged_features(schema: ModelSchema, key: bytes) -> Callable[[msgspec.Struct], msgspec.Struct]:
    """Returns what makes the features of an event of those of a request.

    A feature that is dropped is missing there; one that is hashed is 32 hexadecimal digits, the same for the same
    value under the same key; null stays null.

    Args:
        schema: What the model takes.
        key: At most 64 bytes, known to nobody who may read the log: without one, a value with few possible values is
            found by trying them.
    """
    kept = [(at, feature) for at, feature in enumerate(schema.features) if feature.log != "drop"]
    if all(feature.log == "keep" for feature in schema.features):
        return as_they_came
    attributes = {f"feature{at}": feature.name for at, feature in kept}
    made: Callable[..., msgspec.Struct] = msgspec.defstruct(
        "LoggedFeatures", [(name, Any) for name in attributes], rename=attributes, frozen=True, gc=False
    )
    places = [(at, feature.log == "hash") for at, feature in kept]

    def logged(features: msgspec.Struct) -> msgspec.Struct:
        values = astuple(features)
        return made(*(hashed(values[at], key) if secret else values[at] for at, secret in places))

    return logged


def as_they_came(features: msgspec.Struct) -> msgspec.Struct:
    """Returns what is logged where everything is."""
    return features


def needs_key(schema: ModelSchema) -> bool:
    """Whether anything is hashed."""
    return any(feature.log == "hash" for feature in schema.features)


def hashed(value: object, key: bytes) -> str | None:
    """Returns the keyed hash of a value (BLAKE2b, RFC 7693, over its JSON); None for None."""
    if value is None:
        return None
    return blake2b(msgspec.json.encode(value), digest_size=HASH_BYTES, key=key).hexdigest()
