"""A batch comes through a stream entry as it went in, and what is no batch is none."""

from hypothesis import assume, given
from hypothesis import strategies as st

from driftline.transport.batch import Batch
from driftline.transport.redis import decode_batch, encode_batch

PRODUCER = "a" * 32
EVENTS = st.lists(st.binary(max_size=30).map(lambda event: event.replace(b"\n", b"\r")), max_size=8)
NUMBERS = st.integers(0, (1 << 62) - 1)

Fields = dict[bytes, bytes]


def as_redis_gives_it(batch: Batch) -> Fields:
    """The fields as they come back: bytes, whatever was given."""
    encoded = encode_batch(batch).items()
    return {str(name).encode(): value if isinstance(value, bytes) else str(value).encode() for name, value in encoded}


@given(events=EVENTS, base=NUMBERS, ahead=st.integers(0, 1 << 40))
def test_a_batch_comes_back_as_it_was_sent(events: list[bytes], base: int, ahead: int) -> None:
    batch = Batch.of("log", PRODUCER, base, base + ahead, events)
    assert batch.well_formed()
    assert decode_batch(as_redis_gives_it(batch)) == batch
    assert batch.stop_seq == base + ahead + len(events)
    assert batch.events(batch.first_seq) == events


@given(events=EVENTS, skipped=st.integers(0, 10))
def test_the_events_from_a_seq_on_are_the_last_ones(events: list[bytes], skipped: int) -> None:
    assume(skipped <= len(events))
    assert Batch.of("log", PRODUCER, 5, 7, events).events(7 + skipped) == events[skipped:]


@given(events=EVENTS)
def test_an_empty_event_is_a_tombstone_wherever_it_stands(events: list[bytes]) -> None:
    assert Batch.of("log", PRODUCER, 0, 0, events).has_tombstones() == (b"" in events)


@given(
    base=st.integers(-2, 3),
    first=st.integers(-2, 3),
    count=st.integers(-2, 3),
    payload=st.sampled_from([b"", b"\n", b"a", b"a\n", b"a\nb", b"a\n\nb"]),
)
def test_numbers_that_contradict_each_other_or_the_payload_are_no_batch(
    base: int, first: int, count: int, payload: bytes
) -> None:
    events = payload.split(b"\n") if count else []
    right = 0 <= base <= first and count == len(events) and (count > 0 or not payload)
    batch = Batch("log", PRODUCER, base, first, count, payload)
    assert batch.well_formed() == right
    assert decode_batch(as_redis_gives_it(batch)) == (batch if right else None)


def test_a_number_that_the_log_cannot_record_is_no_batch() -> None:
    for numbers in ((1 << 63, 1 << 63), (0, 1 << 63), (0, (1 << 63) - 1)):
        assert not Batch.of("log", PRODUCER, *numbers, [b"a"]).well_formed()


@given(
    fields=st.dictionaries(
        st.sampled_from([b"log", b"producer", b"base_seq", b"first_seq", b"count", b"payload", b"other"]),
        st.one_of(st.binary(max_size=20), st.integers(-5, 5).map(lambda number: str(number).encode())),
    )
)
def test_whatever_stands_in_a_stream_is_a_well_formed_batch_or_none(fields: Fields) -> None:
    batch = decode_batch(fields)
    assert batch is None or batch.well_formed()


def test_a_missing_field_is_no_batch_and_another_one_more_is() -> None:
    fields = as_redis_gives_it(Batch.of("log", PRODUCER, 0, 0, [b"a"]))
    for name in fields:
        assert decode_batch({key: value for key, value in fields.items() if key != name}) is None
    assert decode_batch({**fields, b"of a later version": b"x"}) is not None
    assert decode_batch({**fields, b"count": b"9" * 5000}) is None
