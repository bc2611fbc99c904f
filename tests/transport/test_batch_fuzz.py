"""Whatever comes through the broker: a batch that agrees with itself, or none; and no error."""

from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.transport.batch import Batch
from driftline.transport.redis import decode_batch, encode_batch
from driftline.worker.intake import decide
from tests.mutations import MUTATIONS, Mutation, mutated

NUMBERS = st.one_of(st.integers(-5, 300), st.integers(-(1 << 70), 1 << 70))
GOOD = Batch.of("a" * 32, "b" * 32, 3, 5, [b'{"seq":5}', b"", b'{"seq":7}'])


def check(batch: Batch) -> None:
    """A batch that is taken for one can be worked with, and the log is never asked for what it cannot hold."""
    assert 0 <= batch.base_seq <= batch.first_seq <= batch.stop_seq < 1 << 63
    events = batch.events(batch.first_seq)
    assert len(events) == batch.count
    assert batch.has_tombstones() == (b"" in events)
    for committed in (0, batch.base_seq, batch.first_seq, batch.first_seq + 1, batch.stop_seq):
        intake = decide([batch, batch], {batch.producer: committed})
        taken = intake.lines + len(intake.tombstones)
        assert taken <= batch.count
        assert b"".join(intake.payload).count(b"\n") == intake.lines
        assert all(stop >= committed for stop in intake.committed.values())
        assert all(gap.first_seq < gap.stop_seq for gap in intake.gaps)


@settings(max_examples=300)
@given(
    field=st.sampled_from([b"log", b"producer", b"base_seq", b"first_seq", b"count", b"payload"]),
    mutations=MUTATIONS,
    dropped=st.booleans(),
)
def test_a_mutated_stream_entry_is_a_batch_that_agrees_with_itself_or_none(
    field: bytes, mutations: list[Mutation], dropped: bool
) -> None:
    fields = {
        str(name).encode(): value if isinstance(value, bytes) else str(value).encode()
        for name, value in encode_batch(GOOD).items()
    }
    assert decode_batch(fields) == GOOD
    fields[field] = mutated(fields[field], mutations)
    if dropped:
        del fields[field]
    batch = decode_batch(fields)
    if batch is not None:
        check(batch)


@settings(max_examples=300)
@given(NUMBERS, NUMBERS, NUMBERS, st.lists(st.sampled_from([b"", b"x", b"\r", b"\x00"]), max_size=6))
def test_numbers_that_contradict_each_other_or_the_payload_are_no_batch(
    base_seq: int, first_seq: int, count: int, events: list[bytes]
) -> None:
    batch = Batch("a" * 32, "b" * 32, base_seq, first_seq, count, b"\n".join(events))
    if batch.well_formed():
        check(batch)
