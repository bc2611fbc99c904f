"""What is kept of a stream of rows."""

from hypothesis import given
from hypothesis import strategies as st

from driftline.report.sample import Drawn, First, Last, Sample

counts, limits = st.integers(0, 200), st.integers(1, 50)


def filled(sample: Sample[int], count: int) -> Sample[int]:
    for number in range(count):
        sample.append(number)
    assert sample.seen == count
    return sample


@given(counts, limits)
def test_first_and_last_keep_the_ends(count: int, limit: int) -> None:
    everything = list(range(count))
    assert filled(First(limit), count).items() == everything[:limit]
    assert filled(Last(limit), count).items() == everything[-limit:]


@given(counts, limits)
def test_what_is_drawn_is_in_order_and_without_repetition(count: int, limit: int) -> None:
    drawn = filled(Drawn(limit), count).items()
    assert drawn == sorted(set(drawn))
    assert len(drawn) == min(count, limit)
    assert set(drawn) <= set(range(count))


def test_what_is_drawn_is_the_same_every_time() -> None:
    assert filled(Drawn(10), 1000).items() == filled(Drawn(10), 1000).items()


def test_what_is_drawn_comes_from_everywhere_alike() -> None:
    drawn = filled(Drawn(10_000), 100_000).items()
    tenths = [sum(number // 10_000 == tenth for number in drawn) for tenth in range(10)]
    assert all(900 < count < 1100 for count in tenths)  # 3.3 standard deviations
