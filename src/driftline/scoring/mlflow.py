"""An MLflow model folder: as the estimator that is in it where there is one, otherwise as MLflow calls it (pyfunc)."""

from typing import Any

import mlflow.pyfunc
import numpy as np
from sklearn.base import BaseEstimator

from driftline.contract.schema import ModelSchema
from driftline.errors import ModelError
from driftline.scoring.arrays import ArrayModel, Encode, matrix_encoder
from driftline.scoring.artifact import FileArtifact, artifact_table, check_sha256, inside, names_checked, sha256_of
from driftline.scoring.estimator import estimator_model
from driftline.scoring.frame import frame_encoder
from driftline.scoring.package import Loading
from driftline.scoring.threads import on_one_thread


def load(loading: Loading) -> ArrayModel:
    """Returns the model of a package whose runtime is ``mlflow``; its ``file`` is the folder with ``MLmodel`` in it.

    An estimator is asked for probabilities where the package's output has classes, for MLflow itself asks for the class
    alone. Any other model must give probabilities by itself.

    Raises:
        ModelError: It may not be loaded, or takes or gives something else than the package says.
    """
    package = loading.package
    artifact = artifact_table(package, FileArtifact)
    folder = inside(package, artifact.file)
    if not (folder / "MLmodel").is_file():
        raise ModelError(f"{folder} is no MLflow model: there is no MLmodel in it")
    check_sha256(folder, sha256_of(folder), artifact.sha256)
    if not loading.allow_pickle:
        raise ModelError(
            f"MLflow runs whatever code is in {artifact.file} to load it, as this server: with --allow-pickle, if you "
            "trust whoever made it"
        )
    model = mlflow.pyfunc.load_model(str(folder))
    encode = _encoder(model.metadata.get_input_schema(), package.schema)
    try:
        raw = model.get_raw_model()
    except NotImplementedError:  # a PythonModel has none
        raw = None
    if isinstance(raw, BaseEstimator):
        return estimator_model(raw, package.schema)
    return ArrayModel(package.schema, encode, on_one_thread(model.predict))


def _encoder(signature: Any, schema: ModelSchema) -> Encode:
    """Returns what makes of rows what the model's signature asks for."""
    inputs = schema.inputs
    if signature is None:
        return frame_encoder(inputs)
    if signature.is_tensor_spec():
        if len(signature.inputs) != 1 or len(signature.inputs[0].shape) != 2:  # noqa: PLR2004
            raise ModelError(f"the model's signature takes {signature}, and a package rows of numbers")
        return matrix_encoder(inputs, signature.inputs[0].type)
    names_checked(signature.input_names(), tuple(feature.name for feature in inputs))
    frame = frame_encoder(inputs)
    # MLflow takes no wider type than its signature names: an int64 is refused where it says integer.
    narrow = {
        column.name: column.type.to_numpy()
        for column, feature in zip(signature.inputs, inputs, strict=True)
        if column.type.to_numpy() in {np.dtype(np.int32), np.dtype(np.float32)} and not feature.nullable
    }
    return (lambda rows: frame(rows).astype(narrow)) if narrow else frame
