"""Scikit-learn through skops: a file that names the types it is made of, and runs none of their code unasked."""

import skops.io

from driftline.errors import ModelError
from driftline.scoring.arrays import ArrayModel
from driftline.scoring.artifact import FileArtifact, artifact_bytes, artifact_table
from driftline.scoring.estimator import estimator_model
from driftline.scoring.package import Loading


class _Artifact(FileArtifact, frozen=True, kw_only=True):
    trusted: tuple[str, ...] = ()


def load(loading: Loading) -> ArrayModel:
    """Returns the model of a package whose runtime is ``skops``.

    Raises:
        ModelError: It holds types that neither skops nor the package trusts, or is no such model.
    """
    artifact = artifact_table(loading.package, _Artifact)
    content = artifact_bytes(loading.package, artifact)
    types = skops.io.get_untrusted_types(data=content)
    unknown = sorted(set(types) - set(artifact.trusted))
    if unknown:
        trusted = ", ".join(f'"{name}"' for name in sorted({*artifact.trusted, *unknown}))
        raise ModelError(
            f"{artifact.file} holds types that skops does not know to be harmless: {', '.join(unknown)}. Look at them; "
            f"if you trust their code, write trusted = [{trusted}] in [artifact]"
        )
    estimator = skops.io.loads(content, trusted=list(set(types)))
    return estimator_model(estimator, loading.package.schema)
