"""What a scikit-learn estimator says of itself, however it was stored."""

import pickle
from pathlib import Path
from typing import Any

from driftline.errors import ModelError
from driftline.scoring.description import Description, labels_of


def describe_estimator(runtime: str, artifact: Path, *, allow_pickle: bool, trusted: tuple[str, ...]) -> Description:
    """Returns what an estimator says.

    Raises:
        ModelError: The file holds what is not trusted, or cannot be read.
    """
    if runtime != "skops" and not allow_pickle:
        raise ModelError(
            f"loading {artifact} runs whatever code is in it, as you: with --allow-pickle, if you trust whoever made "
            "it; skops.io.dump writes files that need no such trust"
        )
    try:
        estimator = _skops(artifact, trusted) if runtime == "skops" else _pickled(runtime, artifact)
    except (ModelError, ImportError):
        raise
    except Exception as error:  # whatever a file says that is none
        raise ModelError(f"{artifact} cannot be read: {' '.join(str(error).split())}") from error
    names = getattr(estimator, "feature_names_in_", None)
    width = getattr(estimator, "n_features_in_", None)
    classes = getattr(estimator, "classes_", ())
    classes = labels_of(classes.tolist() if hasattr(classes, "tolist") else classes)
    return Description(
        None if names is None else tuple(map(str, names)),
        None if width is None else int(width),
        "regression" if not classes else "binary" if len(classes) == 2 else "multiclass",  # noqa: PLR2004
        classes,
        artifact={"trusted": list(trusted)} if trusted else {},
    )


def _skops(artifact: Path, trusted: tuple[str, ...]) -> Any:
    import skops.io  # noqa: PLC0415 (a pickle needs none)

    found = skops.io.get_untrusted_types(file=artifact)
    unknown = sorted(set(found) - set(trusted))
    if unknown:
        options = " ".join(f"--trust {name}" for name in unknown)
        raise ModelError(
            f"{artifact} holds types that skops does not know to be harmless: {', '.join(unknown)}. Loading them runs "
            f"their code; if you trust it: {options}"
        )
    return skops.io.load(artifact, trusted=list(found))


def _pickled(runtime: str, artifact: Path) -> Any:
    if runtime == "pickle":
        return pickle.loads(artifact.read_bytes())  # noqa: S301 (allowed)
    import joblib  # noqa: PLC0415 (a pickle needs none)

    return joblib.load(artifact)
