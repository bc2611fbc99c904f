"""What is written is what is read."""

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.schema import Feature, ModelSchema
from driftline.offline.model_toml import model_toml

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
names = st.text(
    st.characters(categories=["L", "N", "P", "S"], exclude_characters='"\\', include_characters=" "),
    min_size=1,
    max_size=20,
).filter(str.isprintable)
floats = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def features(draw: Any) -> Feature:
    kind = draw(st.sampled_from(["float", "int", "bool", "category"]))
    categories = draw(st.none() | st.lists(texts, min_size=1, max_size=3, unique=True).map(tuple))
    values: dict[str, Any] = {"float": floats, "int": st.integers(-100, 100), "bool": st.booleans(), "category": texts}
    example = draw(st.none() | values[kind])
    if kind == "category" and categories is not None:
        example = categories[0]
    return Feature(
        draw(names),
        kind,
        role=draw(st.sampled_from(["input", "context"])),
        nullable=draw(st.booleans()),
        categories=categories if kind == "category" else None,
        example=example,
    )


@given(
    st.lists(features(), min_size=1, max_size=4, unique_by=lambda it: it.name),
    st.lists(texts, min_size=2, max_size=3, unique=True),
    st.dictionaries(texts, floats | st.integers(-5, 5) | st.booleans() | texts | st.lists(texts), max_size=4),
    texts,
)
def test_a_schema_survives(made: list[Feature], labels: list[str], artifact: dict[str, Any], note: str) -> None:
    made = [Feature("an input", "float"), *(it for it in made if it.name != "an input")]
    schema = ModelSchema(name="m", version="1", output="multiclass", labels=tuple(labels), features=tuple(made))
    text = model_toml(schema, {"sample": "s"}, {"weights": artifact}, head=note, notes={made[-1].name: note})
    read = tomllib.loads(text)
    assert read.pop("artifact") == {"weights": artifact}
    assert read.pop("sample") == "s"
    assert ModelSchema.from_mapping(read) == schema
