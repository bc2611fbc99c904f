"""The one door to Evidently: columns in, scores and a page out, and none of its errors."""

import math
import os
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from driftline.errors import DriftlineError, ReportError
from driftline.report.columns import Column, Type, Value

if TYPE_CHECKING:
    import pandas as pd

EXTRA = "the report needs Evidently, which is not installed: pip install 'driftline[report]'"

DriftsWhen = Literal["below", "at_or_above"]


@dataclass(frozen=True)
class Score:
    """What Evidently says of one column.

    Attributes:
        name: The column's.
        type: Its type.
        method: How it was compared, in Evidently's words.
        score: The result: a p-value or a distance.
        threshold: What the score is held against.
        drifts_when: On which side of the threshold the score means drift: a p-value below, a distance at or above.
        drifted: Whether it does.
    """

    name: str
    type: Type
    method: str
    score: float
    threshold: float
    drifts_when: DriftsWhen
    drifted: bool


@dataclass(frozen=True)
class Comparison:
    """What Evidently says of all columns together.

    Attributes:
        drift: Its verdict on the dataset: whether the share has reached the threshold.
        share: Drifted columns by columns, in 0..1.
        threshold: The share that means drift.
        scores: One a column, in their order.
        html: Its page, whole.
        versions: Of the libraries that took part.
    """

    drift: bool
    share: float
    threshold: float
    scores: tuple[Score, ...]
    html: str
    versions: dict[str, str]


def compare(columns: Sequence[Column]) -> Comparison:
    """Returns Evidently's data drift report with its default methods and thresholds.

    The first call in a process loads Evidently: 3 to 4 seconds and 270 MB.

    Raises:
        ReportError: Evidently is not installed, raises anything at all, or has no score for a column.
    """
    with translated():
        os.environ["DO_NOT_TRACK"] = "1"  # read when it is loaded, and again at each event it would send
        try:
            import evidently  # noqa: PLC0415 - slow to load, and of an extra
            import pandas as pd  # noqa: PLC0415
            from evidently.presets import DataDriftPreset  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ReportError(f"{EXTRA} ({error.name} is missing)") from error

        labels = [harmless(column.name) for column in columns]
        of_type = {
            kind: [label for label, column in zip(labels, columns, strict=True) if column.type == kind]
            for kind in ("numerical", "categorical")
        }
        definition = evidently.DataDefinition(
            numerical_columns=of_type["numerical"], categorical_columns=of_type["categorical"]
        )
        reference, current = (
            evidently.Dataset.from_pandas(
                pd.DataFrame(
                    {
                        label: _series(getattr(column, side).values, column.type)
                        for label, column in zip(labels, columns, strict=True)
                    }
                ),
                data_definition=definition,
            )
            for side in ("reference", "current")
        )
        # Without include_tests there are scores, but no verdict.
        snapshot = evidently.Report([DataDriftPreset()], include_tests=True).run(current, reference)
        return _comparison(
            dict(zip(labels, columns, strict=True)),
            snapshot.dict(),
            snapshot.get_html_str(as_iframe=False),
            {"evidently": evidently.__version__, "pandas": pd.__version__},
        )


@contextmanager
def translated() -> Iterator[None]:
    """Lets nothing of Evidently out, neither its warnings nor its errors, some of which are no ``Exception``.

    Raises:
        ReportError: Something else was raised.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DriftlineError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        # Not str(error): that of some of them raises, too.
        reason = traceback.format_exception_only(error)[-1].strip()
        raise ReportError(f"Evidently could not compare the windows: {reason}") from error


def harmless(text: str) -> str:
    """Returns text that Evidently may put into its page: it writes it into a script as it is, ``</script>`` and all."""
    return text.replace("<", "\u2039")


def _series(values: Sequence[Value], kind: Type) -> "pd.Series[Any]":
    import pandas as pd  # noqa: PLC0415 - of an extra

    if kind == "numerical":
        return pd.Series(values, dtype="float64")
    return pd.Series([None if value is None else harmless(str(value)) for value in values], dtype="object")


def _comparison(columns: dict[str, Column], found: dict[str, Any], html: str, versions: dict[str, str]) -> Comparison:
    """Reads Evidently's own dictionary: ``metrics`` has the numbers, ``tests`` the verdicts."""
    verdicts = {test["metric_config"]["metric_id"]: str(test["status"].value) for test in found["tests"]}
    total, *singles = found["metrics"]
    by_label = {metric["config"]["column"]: metric for metric in singles}
    scores = []
    for label, column in columns.items():
        metric = by_label[label]
        method, score = metric["config"]["method"], float(metric["value"])
        verdict = verdicts[metric["id"]]
        if verdict not in {"SUCCESS", "FAIL"} or not math.isfinite(score):
            raise ReportError(f"Evidently has no score for {column.name}")
        scores.append(
            Score(
                name=column.name,
                type=column.type,
                method=method,
                score=score,
                threshold=float(metric["config"]["threshold"]),
                drifts_when="below" if method.endswith("p_value") else "at_or_above",
                drifted=verdict == "FAIL",
            )
        )
    return Comparison(
        drift=verdicts[total["id"]] == "FAIL",
        share=float(total["value"]["share"]),
        threshold=float(total["config"]["drift_share"]),
        scores=tuple(scores),
        html=html,
        versions=versions,
    )
