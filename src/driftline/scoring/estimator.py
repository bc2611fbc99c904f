"""A scikit-learn estimator, or what behaves like one, as a model; however it was stored."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator

from driftline.contract.schema import ModelSchema
from driftline.errors import ModelError
from driftline.scoring.arrays import ArrayModel, Encode, all_numbers, matrix_encoder, object_encoder
from driftline.scoring.artifact import names_checked
from driftline.scoring.frame import frame_encoder
from driftline.scoring.threads import on_one_thread

_BY_NAME: Final = frozenset({"ColumnTransformer", "FunctionTransformer"})
"""Estimators that may look at the names of columns, or at their types."""


def estimator_model(estimator: Any, schema: ModelSchema) -> ArrayModel:
    """Returns the model that a fitted estimator is.

    A classifier is asked for ``predict_proba``, a regressor for ``predict``, on one thread. What was fitted with
    names gets a data frame, except where only numbers go in and no part asks for names: those parts are then made to
    forget them, for a data frame of one row costs more than most models.

    Raises:
        ModelError: It gives no probabilities, or was fitted to other classes or features than the package's.
    """
    inputs = schema.inputs
    names = tuple(feature.name for feature in inputs)
    fitted_names = getattr(estimator, "feature_names_in_", None)
    names_checked(fitted_names, names)
    width = getattr(estimator, "n_features_in_", len(inputs))
    if width != len(inputs):
        raise ModelError(f"the model takes {width} features, and the package has {len(inputs)} inputs")
    ask = _classifier(estimator, schema) if schema.classes else _regressor(estimator)
    parts = list(_parts(estimator, set()))
    for part in parts:
        if getattr(part, "n_jobs", None) not in {None, 1}:
            part.n_jobs = 1
    encode: Encode
    if fitted_names is not None and not (all_numbers(inputs) and _forget_names(parts)):
        encode = frame_encoder(inputs)
    else:
        encode = matrix_encoder(inputs) if all_numbers(inputs) else object_encoder(inputs)
    return ArrayModel(schema, encode, on_one_thread(ask))


def _classifier(estimator: Any, schema: ModelSchema) -> Callable[[Any], Any]:
    if not hasattr(estimator, "predict_proba"):
        name = type(estimator).__name__
        raise ModelError(f"a {name} gives no probabilities (it has no predict_proba); CalibratedClassifierCV adds them")
    classes = tuple(np.asarray(estimator.classes_).tolist())
    if classes != schema.classes:
        raise ModelError(
            f"the model's classes are {', '.join(map(repr, classes))}, and the package's labels "
            f"{', '.join(map(repr, schema.classes))}: they must be the same, in this order"
        )
    ask: Callable[[Any], Any] = estimator.predict_proba
    return ask


def _regressor(estimator: Any) -> Callable[[Any], Any]:
    if hasattr(estimator, "predict_proba"):
        raise ModelError(f"a {type(estimator).__name__} is a classifier, and the package's output is a regression")
    if not hasattr(estimator, "predict"):
        raise ModelError(f"a {type(estimator).__name__} has no predict")
    ask: Callable[[Any], Any] = estimator.predict
    return ask


def _parts(whole: Any, seen: set[int]) -> Iterator[Any]:
    """Yields an estimator and all those that it is made of, fitted or not."""
    if id(whole) in seen:
        return
    seen.add(id(whole))
    inner: Sequence[Any] = ()
    if isinstance(whole, BaseEstimator):
        yield whole
        inner = list(vars(whole).values())
    elif isinstance(whole, dict):
        inner = list(whole.values())
    elif isinstance(whole, list | tuple):
        inner = whole
    elif isinstance(whole, np.ndarray) and whole.dtype == object:
        inner = whole.ravel().tolist()
    for each in inner:
        yield from _parts(each, seen)


def _forget_names(parts: Sequence[Any]) -> bool:
    """Returns whether no part asks for names; they have then forgotten those they were fitted with."""
    for part in parts:
        kind = type(part)
        own = not kind.__module__.startswith("sklearn.")
        if own or kind.__name__ in _BY_NAME or hasattr(part, "_sklearn_output_config"):
            return False
    for part in parts:
        vars(part).pop("feature_names_in_", None)
    return True
