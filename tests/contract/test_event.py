import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from driftline.contract import PredictionEvent, PredictResponse
from driftline.contract.checksum import with_checksum
from driftline.contract.event import SCHEMA_VERSION, encode, timestamp
from driftline.contract.outputs import outputs_of
from driftline.contract.package import seed_schema
from driftline.contract.request import RequestDecoder

SCHEMA = seed_schema()
OUTPUTS = outputs_of(SCHEMA)
KEYS = [
    "request_id",
    "features",
    "probability",
    "predicted_class",
    "timestamp",
    "schema_version",
    "kind",
    "producer",
    "seq",
    "model",
    "model_version",
    "trace_id",
    "traceparent",
    "client_request_id",
]
ID = "019ab2d1-6a3e-7c52-9f0e-2b61c1f3a9d4"
finite = st.floats(allow_nan=False, allow_infinity=False)


def event(first: float = 1.5, second: float = -0.7, probability: float = 0.75, client: str | None = None) -> Any:
    text = json.dumps(dict(zip(SCHEMA.names, (first, second), strict=True))).encode()
    features = RequestDecoder(SCHEMA).decode(text)
    at = timestamp(1_700_000_000_000_000_000)
    return OUTPUTS.event(
        ID, features, probability, 1, at, SCHEMA_VERSION, "prediction", "a" * 32, 7, "m", "1", None, None, client
    )


def test_a_line_has_its_keys_in_the_documented_order_and_no_newline() -> None:
    line = encode(event(client="one\ntwo"))
    assert list(json.loads(line)) == KEYS
    assert list(json.loads(line)["features"]) == list(SCHEMA.names)
    assert b"\n" not in line


def test_the_pydantic_class_describes_the_line() -> None:
    parsed = PredictionEvent.model_validate_json(with_checksum(encode(event())))
    assert list(type(parsed).model_fields) == [*KEYS, "crc32"]
    assert parsed.model_dump(mode="json", include={"seq", "model", "trace_id"}) == {
        "seq": 7,
        "model": "m",
        "trace_id": None,
    }


@given(finite, finite, st.floats(0, 1))
def test_numbers_are_the_same_to_the_byte_in_response_and_event_and_read_back_to_the_bit(
    first: float, second: float, probability: float
) -> None:
    line = encode(event(first, second, probability))
    response = encode(OUTPUTS.response(ID, probability, 1))
    token = response.partition(b'"probability":')[2].partition(b",")[0]
    assert b'"probability":' + token + b"," in line
    assert repr(json.loads(line)["probability"]) == repr(probability)
    assert [repr(value) for value in json.loads(line)["features"].values()] == [repr(first), repr(second)]
    PredictResponse.model_validate_json(response)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - the strategy takes naive bounds
def test_a_timestamp_is_rfc_3339_in_utc_with_microseconds(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    ns = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000 + 999
    text = timestamp(ns)
    assert text == moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
    assert datetime.fromisoformat(text) == moment
