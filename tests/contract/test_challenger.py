from typing import Any

import pytest
from msgspec.structs import replace

from driftline.contract.challenger import rearranged, unfit
from driftline.contract.schema import Feature, ModelSchema

AGE = Feature("age", "float", range=(0, 120))
LAND = Feature("land", "category", categories=("AT", "CH"))
CHAMPION = ModelSchema(name="m", version="1", output="binary", features=(AGE, LAND))


def challenger(*features: Feature, **fields: Any) -> ModelSchema:
    return replace(CHAMPION, version="2", features=features or CHAMPION.features, **fields)


@pytest.mark.parametrize(
    "features",
    [
        (AGE, LAND),
        (LAND, AGE),
        (replace(AGE, range=None), replace(LAND, categories=None)),
        (replace(AGE, range=(-1, 130), nullable=True), replace(LAND, categories=("DE", "CH", "AT"))),
        (replace(AGE, role="context"), replace(LAND, log="drop")),
    ],
)
def test_it_may_take_more_in_another_order_and_score_other_features(features: tuple[Feature, ...]) -> None:
    assert unfit(CHAMPION, challenger(*features, threshold=0.1)) is None


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ((AGE,), "it does not take the feature land"),
        ((AGE, LAND, Feature("new", "int")), "it needs the feature new, which nobody sends"),
        ((replace(AGE, type="int"), LAND), "its feature age is a int, and not a float"),
        ((replace(AGE, range=(1, 120)), LAND), "its feature age has a narrower range"),
        ((replace(AGE, range=(0, 119)), LAND), "its feature age has a narrower range"),
        ((AGE, replace(LAND, categories=("AT", "DE"))), "its feature land lacks categories"),
    ],
)
def test_it_must_take_every_request(features: tuple[Feature, ...], reason: str) -> None:
    assert unfit(CHAMPION, challenger(*features)) == reason


def test_what_may_be_null_or_anything_must_be_that_for_it_too() -> None:
    loose = replace(CHAMPION, features=(replace(AGE, nullable=True), LAND))
    assert unfit(loose, challenger()) == "its feature age may not be null"
    loose = replace(CHAMPION, features=(replace(AGE, range=None), LAND))
    assert unfit(loose, challenger()) == "its feature age has a narrower range"
    loose = replace(CHAMPION, features=(AGE, replace(LAND, categories=None)))
    assert unfit(loose, challenger()) == "its feature land lacks categories"


def test_its_answers_have_the_same_members_and_classes() -> None:
    assert unfit(CHAMPION, challenger(output="regression")) == "its output is regression, and not binary"
    assert unfit(CHAMPION, challenger(labels=("no", "yes"))) == "its classes are no, yes, and not 0, 1"
    assert unfit(CHAMPION, challenger(labels=(0, 1))) is None


def test_values_come_into_its_order() -> None:
    assert list(rearranged(CHAMPION, challenger(LAND, AGE))((30, "AT"))) == ["AT", 30]
    assert list(rearranged(CHAMPION, challenger())((30, "AT"))) == [30, "AT"]
