"""Which species is an iris? A Python class of one's own, in ``neighbours.py``.

The table is Fisher's, which scikit-learn brings along: 150 flowers, 4 measurements of each.
"""

import shutil
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

from iris.neighbours import Neighbours
from tables import write


def train(directory: Path) -> None:
    """Writes the model, the rows it was trained on, those it has not seen, and what it says of them."""
    table, target = load_iris(as_frame=True, return_X_y=True)
    seen, unseen, known, hidden = train_test_split(table, target, test_size=0.5, random_state=1)
    shutil.copy(Path(__file__).with_name("neighbours.py"), directory)
    write(directory, seen, known, unseen, hidden, ())
    answers = Neighbours(directory).predict(unseen.to_numpy())
    write(directory, seen, known, unseen, hidden, answers)
