"""Data frames of rows, for models that were fitted with one and look at the names or types of its columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftline.contract.schema import Feature, Row
from driftline.scoring.arrays import Encode


def frame_encoder(inputs: Sequence[Feature]) -> Encode:
    """Returns what makes a pandas data frame of rows, with the types that pandas reads from a file.

    Whole numbers that may be missing are floats there, and a missing value is NaN whatever its type.
    """
    names = [feature.name for feature in inputs]
    if all(feature.type == "float" for feature in inputs):
        index = pd.Index(names)
        return lambda rows: pd.DataFrame(np.array(rows, dtype=np.float64), columns=index, copy=False)
    dtypes = [_dtype(feature) for feature in inputs]

    def encode(rows: Sequence[Row]) -> pd.DataFrame:
        columns = zip(names, dtypes, zip(*rows, strict=True), strict=True)
        return pd.DataFrame({name: _column(values, dtype) for name, dtype, values in columns}, copy=False)

    return encode


def _dtype(feature: Feature) -> Any:
    if feature.type == "category":
        return object
    if feature.type == "bool":
        return object if feature.nullable else np.bool_
    return np.float64 if feature.nullable or feature.type == "float" else np.int64


def _column(values: Sequence[Any], dtype: Any) -> NDArray[Any]:
    if dtype is object:
        return np.array([np.nan if value is None else value for value in values], dtype=object)
    return np.array(values, dtype=dtype)
