"""Which of three growers is a wine from? Gradient boosting, as an ONNX graph.

The table is the Wine recognition data set, which scikit-learn brings along: 178 wines, 13 measurements of each.
"""

from pathlib import Path

import onnxruntime
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import train_test_split

from tables import write


def train(directory: Path) -> None:
    """Writes the model, the rows it was trained on, those it has not seen, and what it says of them."""
    table, target = load_wine(as_frame=True, return_X_y=True)
    seen, unseen, known, hidden = train_test_split(table, target, test_size=0.5, random_state=1)
    model = GradientBoostingClassifier(n_estimators=20, random_state=1).fit(seen, known)
    matrix = unseen.to_numpy("float32")
    graph = to_onnx(model, matrix[:1], options={"zipmap": False}).SerializeToString()
    (directory / "model.onnx").write_bytes(graph)
    answers = onnxruntime.InferenceSession(graph).run(["probabilities"], {"X": matrix})[0]
    write(directory, seen, known, unseen, hidden, answers)
