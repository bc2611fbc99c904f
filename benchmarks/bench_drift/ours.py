"""Driftline's own detectors, as the monitor runs them, on one column."""

from bench_drift.detector import Rows
from driftline.drift.build import Named, build_profile
from driftline.drift.layout import Layout, Values
from driftline.drift.profile import Origin
from driftline.drift.scan import Scan


class Driftline:
    """Both detectors of ``driftline.drift.scan`` under one budget; certainty only, without a least size of the change.

    The monitor does not reset them after an alarm: their reference stays what it is. So an alarm that lasts counts in
    every window.

    Args:
        false_alarms_a_window: The budget.
    """

    by_row = False
    forgets = False

    def __init__(self, false_alarms_a_window: float) -> None:
        self.budget = false_alarms_a_window

    def fit(self, reference: Rows, window_rows: int, *, categorical: bool) -> None:
        """Makes a profile of the reference, rows in their order; ``window_rows`` is not asked for."""
        del window_rows
        self.categorical = categorical
        named = Named("x", "feature", "category" if categorical else "number")
        profile = build_profile("bench", [named], {"x": self.values(reference)}, Origin("file", in_order=True))
        self.layout = Layout(profile.columns)
        self.scan = Scan(profile.columns, self.budget)

    def observe(self, window: Rows) -> int:
        """All rows of the window if it alarms, else 0."""
        evidence = self.scan.observe(self.layout.count([self.values(window)]))
        return len(window) if evidence[0].alarm else 0

    def state_bytes(self) -> int:
        """What is written down after each window."""
        return len(self.scan.dump())

    def values(self, rows: Rows) -> Values:
        """The rows as the monitor has them: categories are text."""
        return [str(int(code)) for code in rows.tolist()] if self.categorical else rows
