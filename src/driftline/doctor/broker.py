"""Redis: whether it can be reached, and whether it is set up so that it does not make work."""

import asyncio
import re
from collections.abc import Iterator

from driftline.doctor.finding import Finding, Installation, size
from driftline.errors import BrokerError
from driftline.outbox.root import OutboxRoot
from driftline.transport.redis_facts import RedisFacts, redis_facts

_OLDEST = (5, 0)
_FULL_RATIO = 0.8
_APART_S = 1.0


def check_broker(at: Installation) -> Iterator[Finding]:
    """Yields what is found of the broker; nothing is written there."""
    if at.broker_url is None:
        yield Finding("broker", "ok", "none: embedded, the worker reads the outboxes itself")
        return
    try:
        facts = asyncio.run(redis_facts(at.broker_url, at.broker_timeout_s))
    except BrokerError as error:
        remedy = "is it running, and are address and password right? Predictions wait in the outboxes meanwhile"
        yield Finding("broker", "problem", error.message, remedy)
        return
    yield _version(facts)
    yield _memory(facts)
    yield _policy(facts)
    yield _persistence(facts)
    yield _clock(facts)
    yield _logs(at, facts)


def _version(facts: RedisFacts) -> Finding:
    text = f"Redis {facts.version}, answers in {facts.round_trip_s * 1000:.1f} ms"
    if tuple(map(int, re.findall(r"\d+", facts.version)[:2])) < _OLDEST:
        return Finding("broker", "problem", f"{text}: it has no streams", "Redis 5 or later, or Valkey")
    return Finding("broker", "ok", text)


def _memory(facts: RedisFacts) -> Finding:
    used, most = facts.used_memory_bytes, facts.max_memory_bytes
    text = f"{size(used)} used; {facts.entries:,} batches are on the way"
    if not most:
        return Finding("Redis memory", "ok", f"{text}; there is no maxmemory")
    text = f"{size(used)} of {size(most)} used; {facts.entries:,} batches are on the way"
    if used >= _FULL_RATIO * most:
        remedy = "raise maxmemory, or give Driftline a Redis of its own: it needs a few MiB for each API process"
        return Finding("Redis memory", "problem" if used >= most else "warning", text, remedy)
    return Finding("Redis memory", "ok", text)


def _policy(facts: RedisFacts) -> Finding:
    if facts.policy == "noeviction":
        return Finding("Redis eviction", "ok", "noeviction")
    text = f"{facts.policy}: when it is full it drops what is on the way, and that is sent again and again"
    return Finding("Redis eviction", "warning", text, "CONFIG SET maxmemory-policy noeviction, and in redis.conf")


def _persistence(facts: RedisFacts) -> Finding:
    if facts.append_only:
        how = f"appendonly, appendfsync {facts.append_fsync}" if facts.append_fsync else "appendonly"
        return Finding("Redis persistence", "ok", how)
    text = "none: nothing is lost by that, for the outboxes keep everything; after a restart it is sent again"
    return Finding("Redis persistence", "ok", text)


def _clock(facts: RedisFacts) -> Finding:
    if abs(facts.ahead_s) - facts.round_trip_s / 2 > _APART_S:
        text = f"its clock is {facts.ahead_s:+.1f} s from this machine's"
        return Finding("Redis clock", "warning", text, "keep all machines' clocks set with NTP")
    return Finding("Redis clock", "ok", f"{facts.ahead_s * 1000:+.0f} ms from this machine's")


def _logs(at: Installation, facts: RedisFacts) -> Finding:
    obeyed = OutboxRoot(at.outbox_dir).log_id()
    if obeyed is None and len(facts.logs) > 1:
        text = f"{len(facts.logs)} logs announce themselves, and the outboxes do not know which is theirs"
        return Finding("workers", "problem", text, "let only one worker use this Redis until the outboxes have met it")
    if not facts.logs:
        return Finding("workers", "warning", "none is heard of through Redis", "start one: driftline worker")
    if obeyed is not None and obeyed not in facts.logs:
        text = f"none is heard of that writes log {obeyed}, which the outboxes here obey"
        return Finding("workers", "warning", text, "start that one; if its log is lost, see driftline log replace")
    return Finding("workers", "ok", f"heard of: {', '.join(sorted(facts.logs))}")
