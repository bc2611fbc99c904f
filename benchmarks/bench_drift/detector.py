"""What a drift detector is to the benchmark: one column, a reference, then windows."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]


class Detector(Protocol):
    """One detector, watching one column. It resets itself after an alarm, as its library advises.

    Attributes:
        by_row: It sees row after row, and alarms within a window; else it judges whole windows.
        forgets: It remembers next to nothing from window to window, so the windows before a change need not be shown.
    """

    by_row: bool
    forgets: bool

    def fit(self, reference: Rows, window_rows: int, *, categorical: bool) -> None:
        """Learns what is normal.

        Args:
            reference: The rows to compare with, in their order; categories as whole numbers.
            window_rows: How many rows a window will have.
            categorical: Whether the numbers stand for categories.
        """

    def observe(self, window: Rows) -> int:
        """How many rows of this window it had seen when it first alarmed; 0 if it did not."""

    def state_bytes(self) -> int:
        """What has to be kept of it between two windows."""
