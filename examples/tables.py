"""What every example leaves behind beside its model: tables, so that what follows is the same for each."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def write(directory: Path, seen: pd.DataFrame, unseen: pd.DataFrame, hidden: Any, answers: Any) -> None:
    """Writes the tables of an example.

    Args:
        directory: Where.
        seen: What the model was trained on: ``sample.csv``.
        unseen: What it was not: ``requests.jsonl``, a request a line.
        hidden: The outcomes of those: ``outcomes.json``.
        answers: What the library itself says of them: ``answers.json``.
    """
    seen.to_csv(directory / "sample.csv", index=False)
    rows = unseen.astype(object).where(unseen.notna(), None).to_dict("records")
    (directory / "requests.jsonl").write_text("".join(f"{json.dumps(row, default=_plain)}\n" for row in rows))
    (directory / "outcomes.json").write_text(json.dumps(_listed(hidden)))
    (directory / "answers.json").write_text(json.dumps(_listed(answers)))


def _listed(values: Any) -> Sequence[Any]:
    listed: Sequence[Any] = np.asarray(values).tolist()
    return listed


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's own."""
    return value.item()
