"""XGBoost's own files, JSON or UBJSON, on one thread."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec
import numpy as np
import xgboost
from numpy.typing import NDArray

from driftline.contract.schema import ModelSchema
from driftline.errors import ModelError
from driftline.scoring.arrays import ArrayModel, category_codes, matrix_encoder
from driftline.scoring.artifact import FileArtifact, artifact_bytes, artifact_table, names_checked
from driftline.scoring.package import Loading
from driftline.scoring.threads import limit_threads, on_one_thread

_PROBABILITIES: Final = {"binary": "binary:logistic", "multiclass": "multi:softprob"}
_CLASSES: Final = ("binary:", "multi:")


def load(loading: Loading) -> ArrayModel:
    """Returns the model of a package whose runtime is ``xgboost``.

    Null is missing to it. A category is coded as in the data frame that the model was trained on, where the model
    says so, and by its place in the package's list where it does not. Trees after the best iteration are not used.

    Raises:
        ModelError: It takes other features or gives something else than the package says.
    """
    package = loading.package
    schema = package.schema
    artifact = artifact_table(package, FileArtifact)
    limit_threads()  # nthread holds for what the booster does, not for its being loaded
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(artifact_bytes(package, artifact)))
    booster.set_param({"nthread": 1, "device": "cpu"})
    names = tuple(feature.name for feature in schema.inputs)
    names_checked(booster.feature_names, names)
    if booster.num_features() != len(names):
        raise ModelError(f"the model takes {booster.num_features()} features, and the package has {len(names)} inputs")
    learner = msgspec.json.decode(bytes(booster.save_raw("json")), type=_Raw).learner
    _check_objective(learner.objective.name, schema)
    codes = category_codes(schema.inputs, dict(zip(names, _categories(learner.gradient_booster), strict=False)))
    return ArrayModel(schema, matrix_encoder(schema.inputs, np.float32, codes), on_one_thread(_ask(booster)))


def _ask(booster: xgboost.Booster) -> Callable[[Any], Any]:
    best = booster.attr("best_iteration")
    trees = (0, 0) if best is None else (0, int(best) + 1)

    def predict(matrix: NDArray[np.float32]) -> Any:
        return booster.inplace_predict(matrix, iteration_range=trees, validate_features=False)

    return predict


def _check_objective(objective: str, schema: ModelSchema) -> None:
    fit = _PROBABILITIES.get(schema.output)
    if objective != fit if fit is not None else objective.startswith(_CLASSES):
        wanted = f", for which it must be {fit}" if fit is not None else ""
        raise ModelError(f"the model's objective is {objective}, and the package's output is {schema.output}{wanted}")


class _Encoding(msgspec.Struct):
    offsets: list[int] = []
    values: list[Any] = []


class _Categories(msgspec.Struct):
    enc: list[_Encoding] = []


class _Trees(msgspec.Struct):
    cats: _Categories = msgspec.field(default_factory=_Categories)


class _GradientBooster(msgspec.Struct):
    model: _Trees = msgspec.field(default_factory=_Trees)
    gbtree: "_GradientBooster | None" = None  # of a booster with dropout (DART)


class _Objective(msgspec.Struct):
    name: str


class _Learner(msgspec.Struct):
    gradient_booster: _GradientBooster
    objective: _Objective


class _Raw(msgspec.Struct):
    learner: _Learner


def _categories(booster: _GradientBooster) -> list[Sequence[str] | None]:
    """Returns the categories of each feature in the order of their codes; None where the model knows of none.

    See "Categorical encoding" in XGBoost's documentation: texts are kept as their bytes and where each begins.
    """
    known: list[Sequence[str] | None] = []
    for encoding in (booster.gbtree or booster).model.cats.enc:
        if not encoding.offsets or min(encoding.values, default=0) < 0:
            known.append(None)  # of texts beyond ASCII it cuts the ends off (3.2), for it counts characters as bytes
            continue
        text = bytes(encoding.values)
        known.append([text[a:b].decode() for a, b in pairwise(encoding.offsets)])
    return known
