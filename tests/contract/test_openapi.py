import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no stubs

from driftline.contract.examples import feedback_refusals, refusals
from driftline.contract.feedback import Outcomes
from driftline.contract.json_schema import asked
from driftline.contract.openapi import document, to_yaml
from driftline.contract.openapi_models import places_of
from driftline.contract.outputs import outputs_of
from driftline.contract.package import seed_schema
from driftline.contract.problems import FEEDBACK_CODES, PROBLEMS
from driftline.contract.schema import MOST_EXACT, Feature, ModelSchema
from tests.contract.schemas import ALL_TYPES, OF_EACH_OUTPUT, SCORES

COMMITTED = Path(__file__).parents[2] / "openapi.yaml"
DOCUMENT = document(seed_schema())
OPEN = ("/health", "/v2/health", "/ping")


SEVERAL = places_of([ALL_TYPES, *OF_EACH_OUTPUT.values()], [ALL_TYPES, *OF_EACH_OUTPUT.values()])
DOCUMENTS = {
    "the seed's": DOCUMENT,
    "all types": document(ALL_TYPES),
    **{name: document(schema) for name, schema in OF_EACH_OUTPUT.items()},
    "several": document(ALL_TYPES, SEVERAL),
}


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from objects(each)


def validator(schema: dict[str, Any], of: dict[str, Any] = DOCUMENT) -> Draft202012Validator:
    return Draft202012Validator({"components": of["components"], "allOf": [schema]})


def operations() -> list[dict[str, Any]]:
    return [
        operation for path in DOCUMENT["paths"].values() for method, operation in path.items() if method != "parameters"
    ]


def test_the_committed_document_is_the_one_the_code_makes() -> None:
    remedy = "run: .venv/bin/python -m driftline.contract.openapi > openapi.yaml"
    assert COMMITTED.read_text() == to_yaml(DOCUMENT), remedy


def test_the_document_survives_yaml() -> None:
    assert yaml.safe_load(to_yaml(DOCUMENT)) == DOCUMENT


def test_it_is_openapi_3_1_with_one_operation_for_each_route() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert {path for path in DOCUMENT["paths"] if not path.startswith("/v2")} == {
        *("/predict", "/predict/batch", "/feedback", "/health", "/health/live", "/health/ready", "/metrics"),
        *("/models", "/models/seed/predict", "/models/seed/versions/1/predict", "/invocations", "/ping", "/version"),
    }
    ids = [operation["operationId"] for operation in operations()]
    assert len(ids) == len(set(ids))
    for operation in operations():
        for response in operation["responses"].values():
            assert response["description"]


def test_health_alone_needs_no_key_and_the_others_may_go_without_where_none_is_asked_for() -> None:
    named: list[dict[str, list[str]]] = [{name: []} for name in DOCUMENT["components"]["securitySchemes"]]
    assert len(named) == 2
    assert DOCUMENT["security"] == [*named, {}]
    assert document(seed_schema(), keys_needed=True)["security"] == named
    for path, item in DOCUMENT["paths"].items():
        operation = item[next(reversed(item))]
        assert ("security" in operation) == path.startswith(OPEN)
        assert {"401", "429"} <= set(operation["responses"]) or path.startswith(OPEN)


def test_every_reference_leads_somewhere() -> None:
    references = [each["$ref"] for each in objects(DOCUMENT) if isinstance(each.get("$ref"), str)]
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_schema_is_valid_and_accepts_its_own_examples(name: str) -> None:
    made = DOCUMENTS[name]
    for schema in made["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
        for value in schema.get("examples", []):
            validator(schema, made).validate(value)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_example_is_what_its_schema_says(name: str) -> None:
    made = DOCUMENTS[name]
    checked = 0
    for media in objects(made):
        if "schema" in media and isinstance(media.get("examples"), dict):
            Draft202012Validator.check_schema(media["schema"])
            for value in media["examples"].values():
                validator(media["schema"], made).validate(value["value"])
                checked += 1
    assert checked > len(FEEDBACK_CODES)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_refusal_is_documented_under_its_status_and_no_other(name: str) -> None:
    schema = {"all types": ALL_TYPES, "several": ALL_TYPES, **OF_EACH_OUTPUT}.get(name, seed_schema())
    outcomes = Outcomes.of([ALL_TYPES, *OF_EACH_OUTPUT.values()] if name == "several" else [schema])
    for path, answers in (("/feedback", feedback_refusals(outcomes)), ("/predict", refusals(schema))):
        responses = DOCUMENTS[name]["paths"][path]["post"]["responses"]
        told = []
        for status, response in responses.items():
            content = response["content"].get("application/problem+json", {"examples": {}})
            assert all(PROBLEMS[code].status == int(status) for code in content["examples"])
            if content["examples"]:
                assert content["schema"]["allOf"][1]["properties"]["code"]["enum"] == list(content["examples"])
            told += content["examples"]
        assert sorted(told) == sorted(answers)
    schema_of_400 = responses["400"]["content"]["application/problem+json"]["schema"]
    wrong = responses["422"]["content"]["application/problem+json"]["examples"]["empty_body"]["value"]
    assert not validator(schema_of_400).is_valid(wrong)


def test_the_document_follows_the_schema_of_the_model() -> None:
    schema = ModelSchema(
        name="credit",
        version="3",
        output="binary",
        threshold=0.5,
        features=(Feature("age of applicant", "float", example=41.0),),
    )
    made = document(schema)
    assert set(made["components"]["schemas"]["PredictRequest"]["properties"]) == {"age of applicant"}
    assert seed_schema().names[0] not in to_yaml(made)


def test_what_a_feature_takes_and_what_becomes_of_it_is_told() -> None:
    request = DOCUMENTS["all types"]["components"]["schemas"]["PredictRequest"]["properties"]
    told = {name: {key: value for key, value in each.items() if key != "title"} for name, each in request.items()}
    assert told == {
        "amount": {"type": "number", "minimum": -0.5, "maximum": 1e6, "examples": [0.0]},
        "months": {"type": "integer", "minimum": 1, "maximum": MOST_EXACT, "examples": [1]},
        "seats": {"type": ["integer", "null"], "minimum": -MOST_EXACT, "maximum": MOST_EXACT, "examples": [0]},
        "paid": {"type": "boolean", "examples": [False]},
        "plan": {"type": "string", "enum": ["basic", 'say "pro"', ""], "examples": ["basic"]},
        "country": {
            "type": ["string", "null"],
            "maxLength": 1000,
            "examples": ["a"],
            "description": "Context: logged and watched, not scored.",
        },
    }
    schemas = DOCUMENTS["regression"]["components"]["schemas"]
    sent, logged = schemas["PredictRequest"]["properties"], schemas["Features"]["properties"]
    assert sent["months"]["description"] == "Not logged."
    assert sent["say class"]["description"] == "Logged as a keyed hash."
    assert sent["age"]["description"] == "Context: not scored. Logged as a keyed hash."
    assert set(logged) == set(sent) - {"months"}
    assert logged["say class"]["type"] == ["string", "null"]
    assert logged["say class"]["pattern"] == logged["age"]["pattern"] == "^[0-9a-f]{32}$"


def test_a_nullable_choice_has_null_among_its_values() -> None:
    feature = Feature("plan", "category", nullable=True, categories=("a", "b"))
    assert asked(feature)["enum"] == ["a", "b", None]


def test_an_end_that_is_open_is_no_bound_for_json_has_no_infinity() -> None:
    told = asked(Feature("x", "float", range=(0.5, math.inf)))
    assert told == {"title": "x", "type": "number", "minimum": 0.5, "examples": [0.5]}


def test_the_document_of_several_models_takes_the_outcomes_of_all() -> None:
    feedback = DOCUMENTS["several"]["components"]["schemas"]["Feedback"]
    for outcome in (0, True, "leaves", "class0", 3, 0.25):
        validator(feedback).validate({**feedback["examples"][0], "outcome": outcome})
    assert not validator(feedback).is_valid({**feedback["examples"][0], "outcome": "goes"})


def test_each_model_that_is_served_is_described_where_it_answers() -> None:
    made = DOCUMENTS["several"]
    assert len(SEVERAL) == 2 * (1 + len(OF_EACH_OUTPUT))
    for path, schema in SEVERAL.items():
        operation = made["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        asked_for = validator(body, made)
        asked_for.validate(schema.example)
        assert not asked_for.is_valid({**schema.example, "other": 1})
        [example] = made["components"]["schemas"][answer["$ref"].rpartition("/")[2]]["examples"]
        validator(answer, made).validate(example)
        score = SCORES.get(next((name for name, each in OF_EACH_OUTPUT.items() if each == schema), "binary"), 0.5)
        outputs = outputs_of(schema)
        assert set(example) == set(msgspec.to_builtins(outputs.response("id", *outputs.of(score))))
    assert "/models/a%20number/versions/1/predict" in SEVERAL
    names = made["components"]["schemas"]
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in names), "OpenAPI allows no others"
