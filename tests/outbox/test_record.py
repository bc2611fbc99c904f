"""A record comes back as it went in, or not at all."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.outbox.record import (
    HEADER_BYTES,
    MAGIC,
    PAYLOAD_MAX_BYTES,
    Record,
    decode,
    decode_run,
    encode,
    encode_all,
    find_next,
    needed,
)

SEQS = st.integers(0, (1 << 64) - 1)
PAYLOADS = st.binary(max_size=300)


@given(seq=SEQS, payload=PAYLOADS, before=st.binary(max_size=50), behind=st.binary(max_size=50))
def test_what_is_encoded_is_decoded_wherever_it_lies(seq: int, payload: bytes, before: bytes, behind: bytes) -> None:
    record = encode(seq, payload)
    start = len(before)
    assert decode(before + record + behind, start) == Record(seq, payload, start + len(record))


@given(seq=SEQS, payload=PAYLOADS, behind=st.binary(max_size=400), flip=st.integers(1, 255), where=st.floats(0, 1))
def test_a_changed_byte_is_noticed_anywhere(seq: int, payload: bytes, behind: bytes, flip: int, where: float) -> None:
    record = bytearray(encode(seq, payload))
    record[min(int(where * len(record)), len(record) - 1)] ^= flip
    assert decode(bytes(record) + behind, 0) is None


@given(first=st.integers(0, 1 << 60), payloads=st.lists(PAYLOADS, max_size=5))
def test_many_are_encoded_as_one_by_one(first: int, payloads: list[bytes]) -> None:
    one_by_one = b"".join(map(encode, range(first, first + len(payloads)), payloads))
    records = encode_all(first, iter(payloads))
    assert (b"".join(records.parts), records.events) == (one_by_one, len(payloads))


def test_every_single_flipped_bit_of_a_record_is_noticed() -> None:
    record = encode(7, b'{"a":1}')
    for place, bit in itertools.product(range(len(record)), range(8)):
        damaged = bytearray(record)
        damaged[place] ^= 1 << bit
        assert decode(bytes(damaged), 0) is None, (place, bit)


@given(seq=SEQS, payload=PAYLOADS, cut=st.integers(1, 400))
def test_a_record_that_is_cut_short_is_none(seq: int, payload: bytes, cut: int) -> None:
    record = encode(seq, payload)
    assert decode(record[: max(0, len(record) - cut)], 0) is None


@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.just(MAGIC),
            PAYLOADS.map(lambda payload: encode(3, payload)),
            PAYLOADS.map(lambda payload: encode(4, payload)[:-1]),
        ),
        max_size=6,
    ),
    start=st.integers(0, 60),
)
def test_the_next_record_is_the_first_place_where_one_can_be_decoded(pieces: list[bytes], start: int) -> None:
    buffer = b"".join(pieces)
    places = [place for place in range(start, len(buffer)) if decode(buffer, place) is not None]
    assert find_next(buffer, start) == (places[0] if places else None)


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_text_holds_the_magic_so_an_event_is_never_taken_for_a_record(text: str) -> None:
    assert MAGIC not in text.encode()


def test_the_magic_is_no_valid_utf8() -> None:
    with pytest.raises(UnicodeDecodeError):
        MAGIC.decode()


@given(payload=PAYLOADS, held=st.integers(0, 400))
def test_a_record_says_how_many_bytes_it_needs_as_soon_as_its_header_is_there(payload: bytes, held: int) -> None:
    record = encode(1, payload)
    assert needed(record[:held], 0) == (len(record) if held >= HEADER_BYTES else HEADER_BYTES)


def test_a_length_that_no_event_has_is_not_waited_for() -> None:
    header = MAGIC + b"\0" * 12
    assert needed(header + (PAYLOAD_MAX_BYTES + 1).to_bytes(4, "little"), 0) == HEADER_BYTES
    assert needed(b"\0" * HEADER_BYTES, 0) == HEADER_BYTES


@given(
    payloads=st.lists(PAYLOADS, max_size=5),
    steps=st.lists(st.sampled_from([1, 1, 1, 2]), min_size=5, max_size=5),
    flip=st.integers(0, 255),
    where=st.floats(0, 1),
    most=st.integers(0, 6),
)
def test_a_run_is_what_is_decoded_one_by_one_until_a_record_is_damaged_or_a_seq_is_missing(
    payloads: list[bytes], steps: list[int], flip: int, where: float, most: int
) -> None:
    seqs = itertools.accumulate(steps, initial=7)
    buffer = bytearray(b"before" + b"".join(map(encode, seqs, payloads)))
    buffer[min(int(where * len(buffer)), len(buffer) - 1)] ^= flip
    del buffer[len(buffer) - flip // 8 :]
    expected: list[bytes] = []
    end = len(b"before")
    while len(expected) < most and (found := decode(bytes(buffer), end)) and found.seq == 7 + len(expected):
        expected.append(found.payload)
        end = found.end
    assert decode_run(bytes(buffer), len(b"before"), 7, most) == (expected, end)
