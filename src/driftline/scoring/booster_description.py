"""What the files of XGBoost and LightGBM say of themselves."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from driftline.contract.schema import Output, Type
from driftline.errors import ModelError
from driftline.scoring.description import Description

_TYPES: Final[Mapping[str, Type]] = {"int": "int", "float": "float", "q": "float", "i": "bool", "c": "category"}


def describe_xgboost(artifact: Path) -> Description:
    """Returns what a model of XGBoost says.

    Raises:
        ModelError: It is none.
    """
    import xgboost  # noqa: PLC0415 (LightGBM's need it not)

    booster = xgboost.Booster()
    try:
        booster.load_model(artifact)
    except xgboost.core.XGBoostError as error:
        raise ModelError(f"{artifact} is no model of XGBoost: {str(error).splitlines()[0]}") from error
    learner = json.loads(booster.save_config())["learner"]
    classes = int(learner["learner_model_param"]["num_class"])
    output: Output = "regression"
    if learner["learner_train_param"]["objective"].startswith("binary:"):
        output = "binary"
    elif classes > 1:
        output = "multiclass"
    names = None if booster.feature_names is None else tuple(booster.feature_names)
    types = dict(zip(names or (), booster.feature_types or (), strict=False))
    return Description(
        names,
        booster.num_features(),
        output,
        tuple(range(classes)) if output == "multiclass" else (),
        {name: _TYPES[kind] for name, kind in types.items() if kind in _TYPES},
        {name: _xgboost_categories(booster, name) for name, kind in types.items() if kind == "c"},
    )


def _xgboost_categories(booster: Any, name: str) -> tuple[str, ...]:
    """Returns the categories that the model was trained with; of a file from before XGBoost kept them, none."""
    try:
        found = dict(booster.get_categories(export_to_arrow=True).to_arrow())[name]
    except Exception:  # noqa: BLE001 (an older XGBoost, or no pyarrow: then the sample has to tell)
        return ()
    texts = () if found is None else tuple(map(str, found.to_pylist()))
    return texts if all(map(str.isascii, texts)) else ()  # the ends of others are cut off (3.2)


def describe_lightgbm(artifact: Path) -> Description:
    """Returns what a model of LightGBM says.

    Raises:
        ModelError: It is none.
    """
    import lightgbm  # noqa: PLC0415 (XGBoost's need it not)

    try:
        booster = lightgbm.Booster(model_file=artifact)
    except lightgbm.basic.LightGBMError as error:
        raise ModelError(f"{artifact} is no model of LightGBM: {error}") from error
    names = tuple(booster.feature_name())
    header = dict(line.split("=", 1) for line in booster.model_to_string().splitlines() if "=" in line)
    classes = booster.num_model_per_iteration()
    output: Output = "regression"
    if header["objective"].startswith("binary"):
        output = "binary"
    elif classes > 1:
        output = "multiclass"
    # [low:high] is the span of a number; what has codes has them here, with colons.
    coded = [
        name for name, span in zip(names, header["feature_infos"].split(), strict=True) if span[0] not in {"[", "n"}
    ]
    # Those of a data frame come as text, in the order of the frame's codes; other codes come as they are.
    known = booster.pandas_categorical or []
    texts = dict(zip(coded, known, strict=True)) if len(coded) == len(known) else {}
    return Description(
        None if all(name == f"Column_{at}" for at, name in enumerate(names)) else names,
        len(names),
        output,
        tuple(range(classes)) if output == "multiclass" else (),
        dict.fromkeys(texts, "category"),
        {name: tuple(map(str, values)) for name, values in texts.items()},
    )
