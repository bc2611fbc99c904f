"""What is to be run."""

import random
from dataclasses import dataclass
from typing import Final, Literal

Transport = Literal["redis", "embedded"]

HISTORY: Final = "history.bin"
PLAN: Final = "plan.json"


@dataclass(frozen=True)
class Plan:
    """One run, but for what the machine allows.

    Attributes:
        seed: Draws the faults.
        transport: How events travel.
        minutes: How long there are faults.
        api_processes: How many processes answer requests.
        connections: How many clients ask, each one request at a time.
        rate: Requests a second, of all together, while the API keeps up.
        drain_within_s: How long everything that was accepted may take to get into the log when the faults are over.
    """

    seed: int
    transport: Transport
    minutes: float
    api_processes: int = 2
    connections: int = 8
    rate: float = 300.0
    drain_within_s: float = 300.0

    @property
    def outbox_sync(self) -> str:
        """The setting, drawn as well: both are promises."""
        return random.Random(f"outbox_sync {self.seed}").choice(("os", "always"))  # noqa: S311 (repeatable on purpose)
