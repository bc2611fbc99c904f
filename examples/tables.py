"""What every example leaves behind beside its model: tables, so that what follows is the same for each."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def write(directory: Path, seen: pd.DataFrame, known: Any, unseen: pd.DataFrame, hidden: Any, answers: Any) -> None:  # noqa: PLR0917
    """Writes the tables of an example.

    Args:
        directory: Where.
        seen: What the model was trained on: ``sample.csv``.
        known: The outcomes of those, in its column ``outcome``.
        unseen: What it was not: ``requests.jsonl``, a request a line.
        hidden: The outcomes of those: ``outcomes.json``.
        answers: What the library itself says of them: ``answers.json``.
    """
    seen.assign(outcome=known).to_csv(directory / "sample.csv", index=False)
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
