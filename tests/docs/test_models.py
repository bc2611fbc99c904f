"""The page on model packages shows one that works, and names every key."""

import re
from pathlib import Path
from typing import get_args

from driftline.contract.outputs import outputs_of
from driftline.contract.package import Package, read_package
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import Feature, ModelSchema, Output, Type
from driftline.scoring import load_model

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## model.toml\n")[2].partition("\n## ")[0]


def shown(directory: Path) -> Package:
    [text] = re.findall(r"```toml\n(name = .*?)```", SECTION, re.DOTALL)
    (directory / "model.toml").write_text(text, encoding="utf-8")
    return read_package(directory)


def keys() -> list[set[str]]:
    """The keys that each table of keys describes."""
    tables = re.findall(r"^\| key \| is \|\n.*\n((?:\|.*\n)+)", SECTION, re.MULTILINE)
    return [
        {key for row in table.splitlines() for key in re.findall(r"`(\w+)`", row.split("|")[1])} for table in tables
    ]


def test_the_package_that_is_shown_is_one_and_its_model_answers_its_own_example(tmp_path: Path) -> None:
    package = shown(tmp_path)
    decoder = RequestDecoder(package.schema)
    row = decoder.inputs(decoder.make(*package.schema.example.values()))
    probability, predicted = outputs_of(package.schema).of(load_model(package).score_row(row))
    assert 0 < probability < 1
    assert predicted in package.schema.labels
    assert {feature.type for feature in package.schema.features} == set(get_args(Type))


def test_every_key_is_described_and_nothing_else_is() -> None:
    own = {"artifact", "sample", "expected", "max_batch_size", "max_batch_delay_ms"}
    assert keys() == [set(ModelSchema.__struct_fields__) | own, set(Feature.__struct_fields__)]


def test_every_type_and_output_has_its_row() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", SECTION, re.MULTILINE))
    assert rows >= {*get_args(Type), *get_args(Output), "keep", "hash", "drop"}
