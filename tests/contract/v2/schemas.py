"""Schemas that the tests of this folder share."""

from typing import Any

from driftline.contract.schema import ModelSchema


def schema_of(*features: dict[str, Any], output: str = "binary", **members: Any) -> ModelSchema:
    return ModelSchema.from_mapping(
        {"name": "m", "version": "7", "output": output, "features": list(features), **members}
    )


NUMBERS = schema_of(
    {"name": "age", "type": "int"},
    {"name": "country", "type": "category", "role": "context", "categories": ["at", "de"]},
    {"name": "income", "type": "float", "nullable": True, "range": [0, 1e6]},
)
MIXED = schema_of(
    {"name": "age", "type": "int", "nullable": True},
    {"name": "member", "type": "bool"},
    {"name": "city", "type": "category"},
    output="multiclass",
    labels=["red", "green", "blue"],
)
ONE = schema_of({"name": "x", "type": "float"}, output="regression")
