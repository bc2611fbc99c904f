import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.headers import parse_request_id
from driftline.contract.request_ids import RequestIds, new_request_ids

NOW_NS = 1_800_000_000_123_456_789


# 2 ** 14 have a counter that goes on in the digits before the variant.
@pytest.mark.parametrize("count", [1, 2, 2**14 + 2])
def test_ids_are_version_7_of_their_time_and_ascend(count: int) -> None:
    ids = list(new_request_ids(count, NOW_NS))
    assert len(set(ids)) == count
    assert ids == sorted(ids)
    parsed = [uuid.UUID(each) for each in ids]
    assert list(map(str, parsed)) == ids
    assert {each.version for each in parsed} == {7}
    assert {each.variant for each in parsed} == {uuid.RFC_4122}
    assert {each.int >> 80 for each in parsed} == {NOW_NS // 1_000_000}
    assert parse_request_id(ids[0]) == ids[0]


def test_the_counter_goes_on_one_by_one_around_the_variant() -> None:
    parsed = [uuid.UUID(each).int for each in new_request_ids(2**14 + 2, NOW_NS)]
    counters = [(each >> 64 & 0xFFF) << 14 | (each >> 48 & 0x3FFF) for each in parsed]
    assert counters == list(range(counters[0], counters[0] + len(counters)))


def test_nobody_can_guess_the_next() -> None:
    ends = {each[24:] for _ in range(2) for each in new_request_ids(500, NOW_NS)}
    assert len(ends) == 1000
    # Each of the 48 bits is as often 0 as 1, but for 9 standard deviations.
    for bit in range(48):
        assert abs(sum(int(end, 16) >> bit & 1 for end in ends) - 500) < 143


@given(st.integers(0, 40), st.integers(-50, 50), st.integers(-50, 50))
def test_they_are_a_sequence_of_texts(count: int, start: int, stop: int) -> None:
    ids = new_request_ids(count, NOW_NS)
    texts = [json.loads(each) for each in ids.encoded]
    assert (list(ids), len(ids), ids[start:stop]) == (texts, count, texts[start:stop])
    assert [ids[at] for at in range(count)] == texts


def test_any_ids_can_be_told() -> None:
    assert list(RequestIds([b'"one"', b'"two"'])) == ["one", "two"]
