"""The log as it lies on its volume: counted from outside, by nothing that belongs to Driftline."""

import json
import time
from collections import Counter
from collections.abc import Iterable

from deploy.e2e.machine import Machine
from deploy.e2e.steps import CheckError

VOLUMES = "/var/lib/docker/volumes"
FOLDER = f"{VOLUMES}/driftline_log/_data"
POLL_S = 0.5
SETTLE_S = 1.0


class EventLog:
    """Reads the log's files on the machine.

    Args:
        machine: Where the volume is.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def counts(self) -> Counter[str]:
        """How often each prediction stands in the log. A last line that is still being written does not count.

        Raises:
            CheckError: A whole line is not JSON.
        """
        text = self._machine.run(f"cat {FOLDER}/segments/*.jsonl 2>/dev/null || true", quiet=True)
        try:
            events = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
            return Counter(event["request_id"] for event in events if event.get("kind") != "feedback")
        except (ValueError, KeyError) as error:
            raise CheckError(f"a line of the log is not an event: {error}") from error

    def has_once(self, request_ids: Iterable[str], within_s: float = 20) -> int:
        """How many ids there are, once the log has all of them, each in one line.

        Raises:
            CheckError: One is missing after ``within_s``, or stands there twice.
        """
        wanted = set(request_ids)
        deadline = time.monotonic() + within_s
        while (counts := self.counts()).keys() < wanted or not wanted <= counts.keys():
            if time.monotonic() > deadline:
                missing = len(wanted - counts.keys())
                raise CheckError(f"{missing:,} of {len(wanted):,} answered predictions are not in the log")
            time.sleep(POLL_S)
        time.sleep(SETTLE_S)  # what is logged twice comes late
        twice = [request_id for request_id, times in self.counts().items() if times > 1]
        if twice:
            raise CheckError(f"{len(twice):,} predictions are in the log more than once, such as {twice[0]}")
        return len(wanted)
