"""The one metric that several stations count under the same name."""

from typing import Final

from prometheus_client import Counter

REFUSED: Final = Counter(
    "driftline_events_refused_total", "Requests and events that were not taken as they came.", ["reason"]
)
