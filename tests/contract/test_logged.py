import json
import re
from hashlib import blake2b
from typing import Any

import pytest

from driftline.contract.event import encode
from driftline.contract.logged import hashed, logged_features, needs_key
from driftline.contract.package import seed_schema
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import ModelSchema
from tests.contract.schemas import OF_EACH_OUTPUT

KEY = b"k" * 32
SCHEMA = OF_EACH_OUTPUT["regression"]
ROW: dict[str, Any] = {"amount": 1.5, "months": 7, "say class": "Erika", "feature7": None, "age": 41}


def logged(key: bytes = KEY, schema: ModelSchema = SCHEMA, **changes: Any) -> dict[str, Any]:
    features = RequestDecoder(schema).decode(json.dumps(ROW | changes).encode())
    return dict(json.loads(encode(logged_features(schema, key)(features))))


def test_each_feature_is_kept_hashed_or_missing_as_its_package_says() -> None:
    assert logged() == {
        "amount": 1.5,
        "say class": hashed("Erika", KEY),
        "feature7": None,
        "age": hashed(41, KEY),
    }


def test_a_hash_is_32_hexadecimal_digits_of_the_values_json_under_the_key() -> None:
    assert hashed("Erika", KEY) == blake2b(b'"Erika"', digest_size=16, key=KEY).hexdigest()
    assert re.fullmatch("[0-9a-f]{32}", logged()["age"])


def test_the_same_value_has_the_same_hash_however_it_was_written_and_another_key_another_one() -> None:
    assert logged(age=41.0)["age"] == logged()["age"]
    assert logged(age=42)["age"] != logged()["age"]
    assert logged(b"other")["age"] != logged()["age"]


def test_the_text_of_a_number_is_not_the_number() -> None:
    assert hashed("41", KEY) != hashed(41, KEY)


def test_null_stays_null() -> None:
    changes: dict[str, Any] = {"say class": None}
    assert logged(**changes)["say class"] is None


def test_what_is_scored_is_what_came_and_not_what_is_logged() -> None:
    decoder = RequestDecoder(SCHEMA)
    assert list(decoder.inputs(decoder.decode(json.dumps(ROW).encode()))) == [1.5, 7, "Erika"]


def test_where_all_is_kept_nothing_is_made_anew_and_no_key_is_needed() -> None:
    features = RequestDecoder(seed_schema()).decode(json.dumps(seed_schema().example).encode())
    assert logged_features(seed_schema(), b"")(features) is features
    assert not needs_key(seed_schema())
    assert needs_key(SCHEMA)


@pytest.mark.parametrize("log", ["hash", "drop"])
def test_of_a_single_feature_it_works_too(log: str) -> None:
    declared = {"name": "x", "type": "int", "log": log}
    schema = ModelSchema.from_mapping({"name": "m", "version": "1", "output": "regression", "features": [declared]})
    features = RequestDecoder(schema).decode(b'{"x":1}')
    told = json.loads(encode(logged_features(schema, KEY)(features)))
    assert told == ({"x": hashed(1, KEY)} if log == "hash" else {})
