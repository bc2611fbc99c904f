"""A line that is put together from its parts is, to the byte, the event encoded at once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.api.keeper import Origin
from driftline.contract.checksum import all_with_checksum, with_checksum
from driftline.contract.event import SCHEMA_VERSION, encode, timestamp
from driftline.contract.line import after_seq, before_seq, bodies
from driftline.contract.logged import logged_features
from driftline.contract.outputs import outputs_of
from driftline.contract.package import read_package
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import ModelSchema
from tests.api.models import LOAN

OUTPUT = 'output = "binary"\nthreshold = 0.4\nlabels = ["repaid", "default"]'
OTHERS = {
    "binary": OUTPUT,
    "multiclass": 'output = "multiclass"\nlabels = ["a", "b\\"c", "\u00e9"]',
    "regression": 'output = "regression"',
}
KEY = b"k" * 32
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
shares = st.floats(0, 1)
ORIGINS = st.tuples(*[st.none() | texts] * 3)
ROWS = st.tuples(
    st.floats(0, 1e6),
    st.integers(1, 480),
    st.integers(-(1 << 53), 1 << 53),
    st.booleans(),
    st.sampled_from(["AT", None]),
    texts,
    texts,
    st.none() | st.integers(18, 200),
)


@pytest.fixture(scope="module", params=OTHERS)
def schema(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelSchema:
    """Features of all types, kept, hashed and dropped; for each kind of output."""
    folder = tmp_path_factory.mktemp(request.param)
    head, _, _ = LOAN.partition("[artifact]")
    text = head.replace(OUTPUT, OTHERS[request.param]) + '[artifact]\nruntime = "python"\nclass = "model:Model"\n'
    (folder / "model.toml").write_text(text, encoding="utf-8")
    (folder / "model.py").write_text("")
    return read_package(folder).schema


def scores(schema: ModelSchema) -> st.SearchStrategy[Any]:
    if schema.output == "multiclass":
        return st.tuples(*[shares] * len(schema.classes))
    return shares if schema.output == "binary" else st.floats(allow_nan=False, allow_infinity=False)


@given(drawn=st.data())
def test_a_line_is_the_event_encoded_at_once_with_its_checksum(schema: ModelSchema, drawn: st.DataObject) -> None:
    outputs, logged, make = outputs_of(schema), logged_features(schema, KEY), RequestDecoder(schema).make
    at, producer = timestamp(drawn.draw(st.integers(0, 1 << 61))), drawn.draw(st.text("0123456789abcdef", min_size=1))
    first = drawn.draw(st.integers(0, 1 << 53))
    model, version = drawn.draw(texts), drawn.draw(texts)
    told, kept, after, whole = [], [], [], []
    for seq in range(first, first + drawn.draw(st.integers(1, 3))):
        features = logged(make(*drawn.draw(ROWS)))
        request_id, origin = drawn.draw(st.text("0123456789abcdef-", min_size=1)), Origin(*drawn.draw(ORIGINS))
        values = outputs.of(drawn.draw(scores(schema)))
        told.append((request_id, encode(outputs.response(request_id, *values))))
        kept.append(encode(features))
        after.append(after_seq(model, version, origin))
        event = outputs.event(
            request_id, features, *values, at, SCHEMA_VERSION, "prediction", producer, seq, model, version, *origin
        )
        whole.append(with_checksum(encode(event)))
    before = before_seq(at, "prediction", producer)
    assert all_with_checksum(bodies(told, kept, first, before, after)) == whole
