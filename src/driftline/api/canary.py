"""Which rows are the canary's: by a hash, so that the same row, or whoever a feature names, always gets the same."""

from hashlib import blake2b
from typing import Final

import msgspec
from msgspec.structs import astuple

from driftline.api.served import Served
from driftline.contract.request import Features
from driftline.contract.roster_file import Canary

_BYTES: Final = 8
_BITS: Final = 53  # a float holds so many exactly, so none is rounded up to 1


def is_canarys(asked: Served, features: Features, plan: Canary) -> bool:
    """Whether a row is one of the canary's share; a greater share has the same rows and more.

    Args:
        asked: The version that serves.
        features: The row.
        plan: Which version is the canary, its share, and what decides.
    """
    if plan.by is None:
        value: object = list(asked.decoder.inputs(features))
    else:
        value = astuple(features)[asked.schema.names.index(plan.by)]
    return place_of(asked.schema.name, plan.version, value) < plan.share


def place_of(model: str, version: str, value: object) -> float:
    """Returns a number from 0 to below 1, evenly spread over values and the same for the same value.

    It is the first 53 bits of BLAKE2b (RFC 7693) with 8 bytes, divided by 2 ** 53; over the JSON, without spaces, of
    model, version and value. The version is in it so that not the same few try every canary.
    """
    told = msgspec.json.encode((model, version, value))
    number = int.from_bytes(blake2b(told, digest_size=_BYTES).digest(), "big") >> (8 * _BYTES - _BITS)
    return number / (1 << _BITS)
