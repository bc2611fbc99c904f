"""The seam between a relay and whatever takes its batches to a log."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from driftline.transport.batch import Batch


class LogInfo(NamedTuple):
    """What a log says of itself.

    Attributes:
        life: Id of the worker's life that speaks for it.
        predecessors: The logs that it replaces.
        live: Whether it has been heard of in the last seconds.
    """

    life: str
    predecessors: frozenset[str]
    live: bool


class Poll(NamedTuple):
    """What is known at the other end now.

    Attributes:
        epoch: Changes when what was sent may be gone, such as the broker's run id.
        logs: The logs that have announced themselves, by id.
        committed: For each producer asked for, the seq below which everything is durably in the log; one without an
            entry has 0. None if the log that was asked for has not announced itself.
    """

    epoch: str
    logs: Mapping[str, LogInfo]
    committed: Mapping[str, int] | None


class Sender(Protocol):
    """Takes batches towards a log and learns what it has committed.

    Attributes:
        window_batches: How many batches may be under way for a producer; 0 if the worker reads the outboxes itself.
    """

    window_batches: int

    async def poll(self, log: str | None, producers: Collection[str]) -> Poll:
        """Returns what the log has committed.

        Args:
            log: The log obeyed, or None if there is none yet: then only ``logs`` is of interest.
            producers: Whose numbers are wanted.

        Raises:
            BrokerError: The other end cannot be asked.
        """

    async def send(self, batch: Batch) -> None:
        """Hands over one batch; nothing is promised.

        Raises:
            BrokerError: It may or may not have been taken.
        """

    async def withdraw(self, producer: str) -> None:
        """Takes back what was sent for a producer, by this process or an earlier one, and has not been read.

        Raises:
            BrokerError: The other end cannot be reached.
        """

    async def close(self) -> None:
        """Gives up connections and files."""
