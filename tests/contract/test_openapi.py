from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no stubs

from driftline.contract.openapi import document, to_yaml
from driftline.contract.package import seed_schema
from driftline.contract.problems import FEEDBACK_CODES, PREDICT_CODES, PROBLEMS
from driftline.contract.schema import Feature, ModelSchema

COMMITTED = Path(__file__).parents[2] / "openapi.yaml"
DOCUMENT = document(seed_schema())


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from objects(each)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({"components": DOCUMENT["components"], "allOf": [schema]})


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
        *("/predict", "/predict/batch", "/feedback", "/health", "/health/live", "/health/ready", "/metrics")
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
        is_health = path.startswith(("/health", "/v2/health"))
        assert ("security" in operation) == is_health
        assert {"401", "429"} <= set(operation["responses"]) or is_health


def test_every_reference_leads_somewhere() -> None:
    references = [each["$ref"] for each in objects(DOCUMENT) if isinstance(each.get("$ref"), str)]
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_is_valid_and_accepts_its_own_examples(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    Draft202012Validator.check_schema(schema)
    for value in schema.get("examples", []):
        validator(schema).validate(value)


def test_every_example_is_what_its_schema_says() -> None:
    checked = 0
    for media in objects(DOCUMENT):
        if "schema" in media and isinstance(media.get("examples"), dict):
            Draft202012Validator.check_schema(media["schema"])
            for value in media["examples"].values():
                validator(media["schema"]).validate(value["value"])
                checked += 1
    assert checked > len(PREDICT_CODES)


def test_each_refusal_is_documented_under_its_status_and_no_other() -> None:
    for path, codes in (("/feedback", FEEDBACK_CODES), ("/predict", PREDICT_CODES)):
        responses = DOCUMENT["paths"][path]["post"]["responses"]
        for code in codes:
            content = responses[str(PROBLEMS[code].status)]["content"]["application/problem+json"]
            assert code in content["schema"]["allOf"][1]["properties"]["code"]["enum"]
            assert code in content["examples"]
    schema = responses["400"]["content"]["application/problem+json"]["schema"]
    wrong = responses["422"]["content"]["application/problem+json"]["examples"]["empty_body"]["value"]
    assert not validator(schema).is_valid(wrong)


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
