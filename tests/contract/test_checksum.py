import json
import zlib

from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.checksum import all_with_checksum, claims_checksum, crc32, vouched, with_checksum

EVENT = b'{"request_id":"01a2","seq":7,"client_request_id":"12345678"}'


def test_the_checksum_is_the_last_member_and_of_what_stands_before_it() -> None:
    line = with_checksum(EVENT)
    assert json.loads(line) == {**json.loads(EVENT), "crc32": f"{zlib.crc32(EVENT[:-1]):08x}"}
    assert line.startswith(EVENT[:-1] + b',"crc32":"')
    assert (vouched(line), claims_checksum(line)) == (True, True)


def test_a_line_without_one_neither_vouches_nor_claims_to() -> None:
    assert (vouched(EVENT), claims_checksum(EVENT)) == (False, False)
    assert (vouched(b""), claims_checksum(b"")) == (False, False)


def test_no_byte_can_be_changed_without_being_noticed() -> None:
    line = with_checksum(EVENT)
    for place in range(len(line)):
        for bit in range(8):
            changed = bytearray(line)
            changed[place] ^= 1 << bit
            assert not vouched(bytes(changed)), place


def test_a_damaged_name_of_the_checksum_does_not_make_a_line_one_from_before_there_were_any() -> None:
    line = with_checksum(EVENT)
    start = line.rindex(b"crc32")
    for place in range(start, start + 5):
        changed = bytearray(line)
        changed[place] ^= 1
        assert claims_checksum(bytes(changed))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_do_not_vouch(line: bytes) -> None:
    assert not vouched(line)


@given(st.lists(st.binary(max_size=60)))
def test_many_get_what_each_gets_alone(bodies: list[bytes]) -> None:
    assert all_with_checksum(bodies) == [with_checksum(body + b"}") for body in bodies]


@given(st.binary(max_size=2000), st.integers(0, 2**32 - 1))
def test_the_checksum_is_zlibs(content: bytes, start: int) -> None:
    assert crc32(content) == zlib.crc32(content)
    assert crc32(content, start) == zlib.crc32(content, start)
