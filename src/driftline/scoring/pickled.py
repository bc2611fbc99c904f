"""Scikit-learn through pickle or joblib: loading such a file runs whatever code is in it."""

import io
import pickle

import joblib

from driftline.errors import ModelError
from driftline.scoring.arrays import ArrayModel
from driftline.scoring.artifact import FileArtifact, artifact_bytes, artifact_table
from driftline.scoring.estimator import estimator_model
from driftline.scoring.package import Loading


def load(loading: Loading) -> ArrayModel:
    """Returns the model of a package whose runtime is ``pickle`` or ``joblib``.

    Raises:
        ModelError: It may not be loaded, or is no such model.
    """
    artifact = artifact_table(loading.package, FileArtifact)
    content = artifact_bytes(loading.package, artifact)
    if not loading.allow_pickle:
        raise ModelError(
            f"loading {artifact.file} runs whatever code is in it, as this server: with --allow-pickle, if you trust "
            "whoever made it; a skops file needs no such trust"
        )
    pickled = artifact.runtime == "pickle"
    estimator = pickle.loads(content) if pickled else joblib.load(io.BytesIO(content))  # noqa: S301 (allowed)
    return estimator_model(estimator, loading.package.schema)
