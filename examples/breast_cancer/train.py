"""Is a tumour malignant? A scikit-learn pipeline, saved by skops.

The table is the Breast Cancer Wisconsin (Diagnostic) data set, which scikit-learn brings along: 569 tumours, 30
measurements of each.
"""

from pathlib import Path

import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tables import write


def train(directory: Path) -> None:
    """Writes the model, the rows it was trained on, those it has not seen, and what it says of them."""
    table, target = load_breast_cancer(as_frame=True, return_X_y=True)
    seen, unseen, known, hidden = train_test_split(table, target, test_size=0.4, random_state=1)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(seen, known)
    skops.io.dump(model, directory / "model.skops")
    write(directory, seen, known, unseen, hidden, model.predict_proba(unseen)[:, 1])
