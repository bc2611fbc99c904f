"""How far will diabetes progress in a year? A regression: a random forest, saved by skops.

The table is the one of Efron, Hastie, Johnstone and Tibshirani, "Least angle regression", Annals of Statistics 32
(2004), which scikit-learn brings along: 442 patients, 10 measurements of each.
"""

from pathlib import Path

import skops.io
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import train_test_split

from tables import write


def train(directory: Path) -> None:
    """Writes the model, the rows it was trained on, those it has not seen, and what it says of them."""
    table, target = load_diabetes(as_frame=True, return_X_y=True, scaled=False)
    seen, unseen, known, hidden = train_test_split(table, target, test_size=0.4, random_state=1)
    model = RandomForestRegressor(50, random_state=1).fit(seen, known)
    skops.io.dump(model, directory / "model.skops")
    write(directory, seen, known, unseen, hidden, model.predict(unseen))
