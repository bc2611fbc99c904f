"""The task in each API process that brings its outbox, and the orphans it adopts, to the log."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping

import structlog
from prometheus_client import Counter, Gauge

from driftline.errors import BrokerError
from driftline.outbox.orphans import adopt_orphans
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from driftline.transport.lane import Lane, Pace
from driftline.transport.sender import LogInfo, Sender

log = structlog.get_logger()

RELAYED = Counter("driftline_events_relayed_total", "Events handed to the broker; one sent again counts again.")
FAILURES = Counter("driftline_relay_failures_total", "Turns of the relay that ended in an unforeseen error.")
OUTBOX_BYTES = Gauge("driftline_outbox_bytes", "Bytes of outbox segments on disk.", multiprocess_mode="livesum")
OUTBOX_FILL = Gauge(
    "driftline_outbox_fill_ratio",
    "Share of outbox_max_bytes that is held by the process that holds most.",
    multiprocess_mode="livemax",
)
OUTBOX_OLDEST = Gauge(
    "driftline_outbox_oldest_seconds",
    "How long the oldest event that is not in the log has been waiting.",
    multiprocess_mode="livemax",
)

_TICK_S = 0.02
_IDLE_POLL_S = 0.25
_SURVEY_S = 1.0
_BROKER_AWAY_S = 0.5
_REST_S = 5.0
_LAST_TURN_S = 0.2


class Relay:
    """Sends what the outboxes of this machine hold, learns what is committed, and deletes that.

    Args:
        root: The outboxes; must exist.
        outbox: The one of this process.
        sender: Takes the batches.
        resend_after_s: Without progress for so long, a producer's events are sent again from what is committed.
    """

    def __init__(self, root: OutboxRoot, outbox: Outbox, sender: Sender, *, resend_after_s: float = 1.0) -> None:
        self._root = root
        self._outbox = outbox
        self._sender = sender
        self._pace = Pace(window_batches=sender.window_batches, resend_after_s=resend_after_s)
        self._lanes: dict[str, Lane] = {}
        self._obeyed: str | None = None
        self._epoch = ""
        self._away = ""
        self._stop_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._polled_at = self._surveyed_at = -_SURVEY_S

    async def run(self) -> None:
        """Works until :meth:`stop`; a broker that is away, or a disk that fails, is waited for."""
        self._task = asyncio.current_task()
        try:
            while not self._done():
                pause_s = _TICK_S
                try:
                    await self._turn()
                except (BrokerError, OSError) as error:
                    self._interrupted(error)
                    pause_s = _BROKER_AWAY_S
                except Exception:  # the outermost loop: no defect may stop the way to the log for good
                    FAILURES.inc()
                    log.exception("relay.failed")
                    pause_s = _BROKER_AWAY_S
                await asyncio.sleep(pause_s)
        finally:
            self._close()

    async def stop(self, flush_s: float) -> None:
        """Gives what has been appended a while to be committed, then ends :meth:`run`; the rest waits on disk.

        Args:
            flush_s: How long at most; a broker that does not answer is not waited for any longer.
        """
        self._stop_at = time.monotonic() + flush_s
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=flush_s + _LAST_TURN_S)
        # Again and again: redis-py sends with asyncio.wait_for, and that of Python 3.11 may swallow a cancellation.
        while not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_LAST_TURN_S)

    # -- one turn

    async def _turn(self) -> None:
        now = time.monotonic()
        if now - self._surveyed_at >= _SURVEY_S:
            self._surveyed_at = now
            await self._survey()
        outbox = self._outbox
        if outbox.started and outbox.producer not in self._lanes:
            self._lanes[outbox.producer] = Lane(self._root, outbox, self._pace)
        polls = any(lane.outstanding for lane in self._lanes.values()) or now - self._polled_at >= _IDLE_POLL_S
        if polls:
            self._polled_at = now
            await self._poll()
        if self._obeyed is not None and self._pace.window_batches:
            await self._send(self._obeyed)
        if polls and self._away:
            self._away = ""
            log.info("relay.resumed")

    async def _survey(self) -> None:
        """Adopts orphans, lets go of a retired outbox, and measures."""
        self._follow(self._root.log_id_durably(self._obeyed))
        for lane in list(self._lanes.values()):
            if lane.retired:
                self._lanes.pop(lane.producer).close()
        for orphan in adopt_orphans(self._root):
            self._lanes[orphan.producer] = Lane(self._root, orphan, self._pace)
        for lane in self._lanes.values():
            if lane.end is None:
                with self._apart(lane):
                    await asyncio.to_thread(lane.find_end)
        self._measure()

    def _measure(self) -> None:
        now, adopted_bytes, oldest_s = time.monotonic(), 0, 0.0
        for lane in self._lanes.values():
            with self._apart(lane):
                adopted_bytes += 0 if lane.own else lane.owner.held_bytes
                oldest_s = max(oldest_s, lane.oldest_age_s(now))
        self._outbox.adopted_bytes = adopted_bytes
        OUTBOX_BYTES.set(self._outbox.held_bytes)
        OUTBOX_FILL.set(self._outbox.fill_ratio)
        OUTBOX_OLDEST.set(oldest_s)

    async def _poll(self) -> None:
        asked = self._obeyed
        poll = await self._sender.poll(asked, list(self._lanes))
        if poll.epoch != self._epoch:
            self._epoch = poll.epoch
            self._restart()
        self._obey(poll.logs)
        if poll.committed is None or self._obeyed != asked:
            return
        for lane in self._working():
            with self._apart(lane):
                lane.acknowledge(poll.committed.get(lane.producer, 0))
                if not lane.own and lane.drained():
                    lane.remove()
                    del self._lanes[lane.producer]

    async def _send(self, log_id: str) -> None:
        for lane in self._working():
            if lane.stalled():
                lane.restart()
            if lane.restarting:
                await self._sender.withdraw(lane.producer)
                lane.restarting = False
            with self._apart(lane):
                for batch in lane.next_batches(log_id):
                    await self._sender.send(batch)
                    RELAYED.inc(batch.count)

    def _obey(self, logs: Mapping[str, LogInfo]) -> None:
        """Makes the first contact with a log, or follows the one obeyed to the log that replaces it.

        At the first contact only a single live log is obeyed: with several, which one these outboxes belong to is not
        for a program to guess.
        """
        if self._obeyed is None:
            live = [log_id for log_id, info in logs.items() if info.live]
            if len(live) == 1:
                self._obeyed = self._root.obey(live[0])
                log.info("log.obeyed", log=self._obeyed)
            elif live:
                log.warning("log.ambiguous", logs=live)
            return
        for log_id, info in logs.items():
            if self._obeyed in info.predecessors:
                log.info("log.succeeded", log=log_id, predecessor=self._obeyed)
                self._root.obey_successor(log_id)
                self._follow(log_id)
                return

    def _follow(self, log_id: str | None) -> None:
        """Forgets what another log has committed: this one may lack it."""
        if self._obeyed is not None and log_id != self._obeyed:
            for lane in self._lanes.values():
                lane.begin_anew()
        self._obeyed = log_id

    # -- ups and downs

    def _working(self) -> list[Lane]:
        now = time.monotonic()
        return [lane for lane in self._lanes.values() if now >= lane.rests_until]

    @contextlib.contextmanager
    def _apart(self, lane: Lane) -> Iterator[None]:
        """Lets a directory that cannot be read, or removed, rest for a while instead of holding up the others."""
        try:
            yield
        except OSError as error:
            lane.rests_until = time.monotonic() + _REST_S
            log.warning("outbox.failed", producer=lane.producer, error=str(error))

    def _restart(self) -> None:
        for lane in self._lanes.values():
            lane.restart()

    def _interrupted(self, error: BrokerError | OSError) -> None:
        if str(error) != self._away:
            self._away = str(error)
            log.warning("relay.interrupted", error=self._away)
        self._restart()

    def _done(self) -> bool:
        """Whether it was asked to stop, and either nothing is left to wait for or the time is up."""
        if self._stop_at is None:
            return False
        if not self._outbox.started or time.monotonic() >= self._stop_at:
            return True
        own = self._lanes.get(self._outbox.producer)
        if own is None or not own.drained():
            return False
        try:
            own.remove()
        except OSError as error:
            log.warning("outbox.not_removed", producer=own.producer, error=str(error))
        return True

    def _close(self) -> None:
        for lane in self._lanes.values():
            with contextlib.suppress(OSError):
                lane.close()
        self._lanes.clear()
