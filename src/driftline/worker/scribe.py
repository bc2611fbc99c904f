"""Takes batches into the log, one commit for all that came together."""

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence

import structlog
from prometheus_client import Counter, Gauge

from driftline.contract.metrics import REFUSED
from driftline.errors import LogDamagedError, LogUnavailableError
from driftline.eventlog.writer import LogWriter
from driftline.transport.batch import Batch
from driftline.worker.intake import Intake, decide
from driftline.worker.scrub import RECORD_DAMAGED

log = structlog.get_logger()

COMMITTED = Counter("driftline_events_committed_total", "Events that are durably in the log.")
LOG_BYTES = Gauge("driftline_log_bytes", "Committed bytes of the log.")
FAILURES = Counter("driftline_log_failures_total", "Appends and commits that failed.")

# Made at once: an alarm on the rise of a counter does not see one that is born with its first count.
for _reason in ("seen", "early", "gap", "damaged", "malformed"):
    REFUSED.labels(_reason)

_HOPELESS = (FileExistsError, NotADirectoryError, PermissionError)
_RETRY_S = 0.5
_STANDBY_POLL_S = 0.5
_DAMAGED_POLL_S = 5.0
"""A look at a damaged log reads all of its record."""
_REMIND_S = 60.0


class Scribe:
    """The log's writer as a receiver sees it.

    Its blocking work is done in a thread, one commit at a time, so that the loop stays free to answer.

    Args:
        writer: The log; opened here.

    Attributes:
        life: Random id of this life of the worker; acknowledgements of an earlier one say nothing.
    """

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._busy = asyncio.Lock()
        self.life = uuid.uuid4().hex
        self._stage = "starting"
        self._trouble = ""
        self._unusable = False
        self._told_at = 0.0
        self._append_refused = False
        self._source = ""

    @property
    def reason(self) -> str:
        """Why nothing is being taken now; empty while it is."""
        return self._trouble or self._stage or self._source

    @property
    def opened(self) -> bool:
        """Whether this worker has the log."""
        return not self._stage

    def source_away(self, why: str) -> None:
        """Is told by the receiver why what it receives from cannot be reached; an empty string if it can."""
        self._source = why

    @property
    def log_id(self) -> str:
        """The id of the log."""
        return self._writer.log_id

    @property
    def segment(self) -> int:
        """The number of the log's segment that is appended to."""
        return self._writer.segment

    @property
    def predecessors(self) -> frozenset[str]:
        """The logs that it replaces."""
        return self._writer.predecessors

    @property
    def committed(self) -> Mapping[str, int]:
        """For each producer, the seq below which everything is durably in the log."""
        return self._writer.committed

    async def open(self) -> None:
        """Takes the log; waits as a standby while another worker has it, and while the disk is full or failing.

        It waits for a damaged log, too, and does not hold it meanwhile: ending would take nothing but its health and
        metrics away, and whoever started it may end with it, though the API could answer.

        Raises:
            LogUnavailableError: Its directory cannot be one, or is not ours to write.
        """
        waiting = False
        while not await self._try_open():
            if not waiting and not self._trouble:
                waiting, self._stage = True, "standby: another process has the log"
                log.info("worker.standby", log_dir=str(self._writer.log_dir))
            await asyncio.sleep(_DAMAGED_POLL_S if self._unusable else _STANDBY_POLL_S)
        self._stage = ""
        LOG_BYTES.set(self._writer.size_bytes)
        log.info("log.opened", log=self.log_id, rows=self._writer.rows)

    async def _try_open(self) -> bool:
        self._unusable = False
        try:
            opened = await asyncio.to_thread(self._writer.try_open)
        except LogUnavailableError as error:
            if isinstance(error.__cause__, _HOPELESS):
                raise
            FAILURES.inc()  # a full disk at the start is waited for, as one later on is
            self._unavailable(error)
            return False
        except LogDamagedError as error:
            self._found_damaged(error)
            return False
        self._trouble = ""
        if opened:
            RECORD_DAMAGED.set(0)
        return opened

    async def take(self, batches: Sequence[Batch]) -> None:
        """Commits what these batches bring; afterwards :attr:`committed` says how far each producer is.

        A disk that refuses leaves the log as it was committed, and whoever sent these batches will send them again.

        Raises:
            LogDamagedError: After a failure the log was found damaged; nothing can go on.
        """
        async with self._busy:
            started = time.monotonic()
            try:
                intake = await asyncio.to_thread(self._take, batches)
            except LogUnavailableError as error:
                FAILURES.inc()
                # Of a log that could not be opened again, what keeps it from that is the reason, not that it is closed.
                if self._writer.is_open or not self._trouble:
                    self._unavailable(error)
                self._append_refused = True
                await asyncio.sleep(_RETRY_S)
                await self._recover()
                return
            if intake.committed:
                self._append_refused = False
                self._available()
            if intake.lines:
                log.debug("log.committed", events=intake.lines, seconds=round(time.monotonic() - started, 4))

    async def check(self) -> None:
        """Returns if the log is still where it was opened, so that whoever is idle notices too.

        Raises:
            LogDamagedError: It was removed or replaced; nothing can go on.
        """
        async with self._busy:
            try:
                await asyncio.to_thread(self._writer.check_in_place)
            except LogUnavailableError as error:
                self._unavailable(error)
                await self._recover()

    async def close(self) -> None:
        """Gives up the log after the commit under way."""
        async with self._busy:
            self._stage = "stopping"
            await asyncio.to_thread(self._writer.close)

    def _take(self, batches: Sequence[Batch]) -> Intake:
        intake = decide(batches, self._writer.committed)
        if intake.committed:
            self._writer.append(
                b"".join(intake.payload), intake.lines, intake.committed, intake.gaps, intake.tombstones
            )
        self._count(intake)
        return intake

    def _count(self, intake: Intake) -> None:
        COMMITTED.inc(intake.lines)
        LOG_BYTES.set(self._writer.size_bytes)
        REFUSED.labels("seen").inc(intake.seen)
        REFUSED.labels("early").inc(intake.early)
        REFUSED.labels("damaged").inc(len(intake.tombstones))
        for gap in intake.gaps:
            REFUSED.labels("gap").inc(gap.stop_seq - gap.first_seq)
            log.error("log.gap", producer=gap.producer, first_seq=gap.first_seq, stop_seq=gap.stop_seq)

    async def _recover(self) -> None:
        try:
            await asyncio.to_thread(self._writer.recover)
        except LogUnavailableError as error:
            self._unavailable(error)
        else:
            # A disk that is full may well be read, and cut: what shows that there is room is an append.
            if not self._append_refused:
                self._available()

    def _found_damaged(self, error: LogDamagedError) -> None:
        RECORD_DAMAGED.set(1)
        now = time.monotonic()
        if self._trouble != error.message or now - self._told_at >= _REMIND_S:
            self._told_at = now
            log.error("log.unusable", error=error.message, meanwhile="what is answered waits in the outboxes")
        self._unusable, self._trouble = True, error.message

    def _available(self) -> None:
        if self._trouble:
            log.info("log.recovered", rows=self._writer.rows)
        self._trouble = ""

    def _unavailable(self, error: LogUnavailableError) -> None:
        if not self._trouble:
            log.error("log.unavailable", error=error.message)
        self._trouble = error.message
