"""What an all-knowing observer writes down, to judge the run by."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Witness:
    """Notes that no process can read.

    Attributes:
        where: For every event begun, its producer and seq.
        answered: Events whose append returned: the client has its 200.
        excused: Events that the API machine's disk lost in a way the promise excludes.
        damaged: Events whose record was damaged on disk.
        restored_away: Events that were in the log before it was restored or replaced, and are not in what it is now.
        counts: How often what happened, for statistics.
        api_power_cuts: Power cuts of the API machine.
        deepest: Most entries that relays had in the stream for one producer.
    """

    where: dict[int, tuple[str, int]] = field(default_factory=dict)
    answered: dict[int, None] = field(default_factory=dict)
    excused: set[int] = field(default_factory=set)
    damaged: set[int] = field(default_factory=set)
    restored_away: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    api_power_cuts: int = 0
    deepest: int = 0

    def begin(self, producer: str, seq: int) -> int:
        """Returns a new event, about to get this number."""
        event = len(self.where) + 1
        self.where[event] = (producer, seq)
        return event

    def answer(self, *events: int) -> None:
        self.answered.update(dict.fromkeys(events))
