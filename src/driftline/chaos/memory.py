"""How much memory everything takes, looked at every second."""

import asyncio
from collections import Counter
from typing import Final

from driftline.chaos.installation import Installation
from driftline.chaos.processes import resident_bytes
from driftline.errors import BrokerError

_EVERY_S: Final = 1.0

PROCESS_MAX_BYTES: Final = 192 << 20
"""What a process of ours may take. Code and libraries take some 70 MiB, a window of batches 4 MiB for each outbox that
is being drained: the rest is room for other machines, and too little for an hour's leak of 120 bytes a request."""

BROKER_MAX_BYTES: Final = 64 << 20
"""What Redis may take: 16 outboxes with a window of 16 batches of 256 KiB each, and there are fewer at a time."""

BOUNDS: Final = {
    "api": PROCESS_MAX_BYTES,
    "api-process": PROCESS_MAX_BYTES,
    "worker": PROCESS_MAX_BYTES,
    "redis": BROKER_MAX_BYTES,
}


class Memory:
    """The most that was seen.

    Attributes:
        most_bytes: By what takes it: resident memory of one process, and what Redis says of its data and buffers.
    """

    def __init__(self) -> None:
        self.most_bytes: Counter[str] = Counter()

    @property
    def beyond(self) -> list[str]:
        """What took more than it may."""
        return [name for name, size in self.most_bytes.items() if size > BOUNDS[name]]

    async def watch(self, installation: Installation) -> None:
        """Looks until it is cancelled."""
        while True:
            api, worker = installation.processes["api"], installation.processes["worker"]
            self._note("api", [api.pid] if api.pid is not None else [])
            self._note("api-process", api.children())
            self._note("worker", worker.pids())
            await self._note_broker(installation)
            await asyncio.sleep(_EVERY_S)

    def _note(self, name: str, pids: list[int]) -> None:
        self.most_bytes |= Counter({name: max(resident_bytes(pids), default=0)})

    async def _note_broker(self, installation: Installation) -> None:
        if installation.broker is not None:
            try:
                self.most_bytes |= Counter(redis=await installation.broker.used_bytes())
            except BrokerError:  # it is being tormented
                return
