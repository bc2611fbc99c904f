"""Which species is a penguin? XGBoost, with missing values and with categories.

The table, ``penguins.csv`` beside this file, is that of Gorman, Williams and Fraser, "Ecological sexual dimorphism and
environmental variability within a community of Antarctic penguins (genus Pygoscelis)", PLoS ONE 9 (2014), in the form
of Horst, Hill and Gorman, "palmerpenguins" (CC0): 344 penguins of three species on three islands, with gaps.
"""

from pathlib import Path

import pandas as pd
import xgboost
from sklearn.model_selection import train_test_split

from tables import write


def train(directory: Path) -> None:
    """Writes the model, the rows it was trained on, those it has not seen, and what it says of them."""
    table = pd.read_csv(Path(__file__).with_name("penguins.csv"))
    target = table.pop("species")
    coded = table.astype({"island": "category", "sex": "category"})
    species = sorted(target.unique())
    seen, unseen = train_test_split(coded, test_size=0.4, random_state=1, stratify=target)
    model = xgboost.XGBClassifier(n_estimators=20, max_depth=3, enable_categorical=True)
    model.fit(seen, target[seen.index].map(species.index))
    model.save_model(directory / "model.json")
    write(
        directory,
        seen,
        target[seen.index].map(species.index),
        unseen,
        target[unseen.index].map(species.index),
        model.predict_proba(unseen),
    )
