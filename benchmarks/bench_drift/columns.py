"""Real columns, from files that come inside two wheels: NannyML's data sets (never imported, only read) and River's.

scikit-learn's data sets are left out: the longest has 1,797 rows, too few for a reference and some windows. So is
NannyML's `synthetic_sample`: its numbers are those of the car loans under other names.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet
from river import datasets

from bench_drift.detector import Rows

NANNYML = {
    "employment": ("employment_MA_reference.pq", "employment_MA_analysis.pq"),
    "credit card": ("mc_reference.csv", "mc_analysis.csv"),
    "car price": ("regression_synthetic_reference.csv", "regression_synthetic_analysis.csv"),
    "car loan": ("synthetic_car_loan_reference.csv", "synthetic_car_loan_analysis.csv"),
    "housing": ("california_housing_reference.csv", "california_housing_analysis.csv"),
}
NO_MEASUREMENT = {"id", "timestamp", "year", "period"}
CONTINUOUS_SHARE = 0.2
APART = (0.05, 0.15)


@dataclass(frozen=True)
class Column:
    """A column in the order in which it was written down.

    Attributes:
        name: The data set's and its own.
        rows: Its numbers; categories as their places in the alphabet.
        categorical: Whether they are categories.
    """

    name: str
    rows: Rows
    categorical: bool

    @cached_property
    def continuous(self) -> bool:
        """Whether hardly any value stands there often."""
        return not self.categorical and len(np.unique(self.rows)) >= CONTINUOUS_SHARE * len(self.rows)

    @cached_property
    def pair(self) -> tuple[float, float] | None:
        """The two categories whose shares differ by nearly a tenth; ``None`` if there are none."""
        if not self.categorical:
            return None
        values, counts = np.unique(self.rows, return_counts=True)
        shares = counts / len(self.rows)
        apart = np.abs(np.abs(shares[:, None] - shares[None, :]) - np.mean(APART))
        one, other = np.unravel_index(int(np.argmin(apart)), apart.shape)
        if not APART[0] <= abs(shares[one] - shares[other]) <= APART[1]:
            return None
        return float(values[one]), float(values[other])


@cache
def real_columns() -> tuple[Column, ...]:
    """All columns that are measurements, none of them constant, without missing values."""
    found = [*nannyml_columns(), *river_columns()]
    return tuple(column for column in found if np.ptp(column.rows) > 0)


def nannyml_columns() -> Iterator[Column]:
    """The columns that reference and analysis share, one after the other: so they lie in the order of their times."""
    spec = importlib.util.find_spec("nannyml")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("NannyML's wheel is not here; make bench-drift puts it there")
    folder = Path(spec.origin).parent / "datasets" / "data"
    for name, files in NANNYML.items():
        before, after = (read(folder / file) for file in files)
        for column in before.column_names:
            if column in after.column_names and column not in NO_MEASUREMENT:
                chunks = [*before[column].cast(plain(before[column].type)).chunks]
                chunks += after[column].cast(plain(after[column].type)).chunks
                yield from numbers(f"{name}: {column}", pa.chunked_array(chunks))


def read(file: Path) -> pa.Table:
    """The table of a file of either kind."""
    return parquet.read_table(file) if file.suffix == ".pq" else csv.read_csv(file)


def plain(kind: pa.DataType) -> pa.DataType:
    """The type without its dictionary, whole numbers as floats."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.float64() if pa.types.is_integer(kind) else kind


def numbers(name: str, values: pa.ChunkedArray) -> Iterator[Column]:
    """The column as numbers, if nothing is missing in it and it is no date."""
    if values.null_count:
        return
    if pa.types.is_floating(values.type):
        yield Column(name, values.to_numpy().astype(np.float64), categorical=False)
    elif pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
        codes = np.unique(values.to_numpy().astype(str), return_inverse=True)[1]
        yield Column(name, codes.astype(np.float64), categorical=True)


def river_columns() -> Iterator[Column]:
    """River's longest data sets that come with it."""
    for name, dataset in {
        "shuttle": datasets.Shuttle(),
        "bananas": datasets.Bananas(),
        "segments": datasets.ImageSegments(),
    }.items():
        rows = [features for features, _ in dataset]
        for key in rows[0]:
            values = np.array([row[key] for row in rows], dtype=np.float64)
            yield Column(f"{name}: {key}", values, categorical=False)
