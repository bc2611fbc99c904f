"""LightGBM's own text files, on one thread."""

from collections.abc import Sequence
from typing import Any, Final

import lightgbm

from driftline.contract.schema import Feature, ModelSchema
from driftline.errors import ModelError
from driftline.scoring.arrays import ArrayModel, category_codes, matrix_encoder
from driftline.scoring.artifact import FileArtifact, artifact_bytes, artifact_table, names_checked
from driftline.scoring.package import Loading
from driftline.scoring.threads import limit_threads, on_one_thread

_PROBABILITIES: Final = {"binary": ("binary", "cross_entropy"), "multiclass": ("multiclass", "multiclassova")}
_NOT_NUMBERS: Final = ("binary", "multiclass", "multiclassova", "none")


def load(loading: Loading) -> ArrayModel:
    """Returns the model of a package whose runtime is ``lightgbm``.

    Null is missing to it. A category is coded as in the data frame that the model was trained on, where the model
    says so, and by its place in the package's list where it does not.

    Raises:
        ModelError: It takes other features or gives something else than the package says.
    """
    package = loading.package
    schema = package.schema
    artifact = artifact_table(package, FileArtifact)
    text = artifact_bytes(package, artifact).decode("utf-8", "replace")
    limit_threads()
    booster = lightgbm.Booster(model_str=text)
    # LightGBM puts an underscore in the place of each blank.
    names_checked(_names(booster), tuple(feature.name.replace(" ", "_") for feature in schema.inputs))
    if booster.num_feature() != len(schema.inputs):
        raise ModelError(f"the model takes {booster.num_feature()} features, and the package {len(schema.inputs)}")
    _check_objective(text, schema)
    codes = category_codes(schema.inputs, _categories(booster, schema.inputs))
    return ArrayModel(schema, matrix_encoder(schema.inputs, codes=codes), on_one_thread(booster.predict))


def _names(booster: lightgbm.Booster) -> list[str] | None:
    names: list[str] = booster.feature_name()
    unnamed = [f"Column_{at}" for at in range(len(names))]
    return None if names == unnamed else names


def _check_objective(text: str, schema: ModelSchema) -> None:
    head = text.partition("\nTree=")[0].splitlines()
    objective = next((line.partition("=")[2].split()[0] for line in head if line.startswith("objective=")), "none")
    fit = _PROBABILITIES.get(schema.output)
    if objective not in fit if fit is not None else objective in _NOT_NUMBERS:
        wanted = f", for which it must be {' or '.join(fit)}" if fit is not None else ""
        raise ModelError(f"the model's objective is {objective}, and the package's output is {schema.output}{wanted}")


def _categories(booster: lightgbm.Booster, inputs: Sequence[Feature]) -> dict[str, Sequence[str] | None]:
    """Returns the categories of the data frame's columns in the order of their codes; empty without a data frame."""
    known: list[Any] = booster.pandas_categorical or []
    names = [feature.name for feature in inputs if feature.type == "category"]
    if known and len(known) != len(names):
        raise ModelError(f"the model has {len(known)} features of categories, and the package {len(names)}")
    return dict(zip(names, ([str(each) for each in categories] for categories in known), strict=False))
