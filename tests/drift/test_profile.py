"""A profile survives its file, damaged ones are refused, and its pseudo-rows say what the reference cannot know."""

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy import stats

from driftline.drift.bins import STRANGE, CategoryBins, NumberBins
from driftline.drift.build import Named, build_profile, cut
from driftline.drift.layout import Values
from driftline.drift.profile import Column, Dispersion, Origin, Profile, decode_profile, encode_profile
from driftline.errors import ProfileError


def profile() -> Profile:
    draw = np.random.default_rng(1)
    named = [Named("a", "feature", "number"), Named("c", "feature", "category")]
    values: dict[str, Values] = {"a": draw.normal(size=500), "c": [str(value) for value in draw.integers(0, 4, 500)]}
    return build_profile("m", named, values, Origin("file", path="r.csv"), datetime(2026, 1, 2, tzinfo=UTC))


def test_it_comes_back_from_its_file_as_it_was() -> None:
    made = profile()
    assert decode_profile(encode_profile(made)) == made
    assert decode_profile(encode_profile(made)).profile_id == made.profile_id
    assert made.made_at == "2026-01-02T00:00:00Z"


@given(st.lists(st.floats(), min_size=1, max_size=12))
def test_any_floats_at_all_make_one_that_can_be_read(values: list[float]) -> None:
    named = [Named("a", "feature", "number")]
    made = build_profile("m", named, {"a": np.array(values * 200)}, Origin("file"))
    assert decode_profile(encode_profile(made)) == made
    assert np.isfinite(made.columns[0].sd)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (b"", "no profile"),
        (b"\xff\xfe", "no profile"),
        (b"[]", "no profile"),
        ({"profile_version": 2}, "profile_version"),
        ({"rows": 501}, "counts of a"),
        ({"rows": "many"}, "no profile"),
        ({"columns": []}, "at least one column"),
    ],
)
def test_a_damaged_one_is_refused(damage: bytes | dict[str, object], complaint: str) -> None:
    content = damage if isinstance(damage, bytes) else msgspec.json.encode(msgspec.to_builtins(profile()) | damage)
    with pytest.raises(ProfileError, match=complaint):
        decode_profile(content)


@pytest.mark.parametrize("edges", [[0.0, 2.0, 1.0], [0.0, 1.0, 1.0]])
def test_edges_that_do_not_rise_are_refused(edges: list[float]) -> None:
    column = Column("a", "feature", NumberBins(tuple(edges)), (0, 0, 250, 250, 0))
    with pytest.raises(ProfileError, match="do not rise"):
        decode_profile(encode_profile(replace(profile(), columns=(column,))))


def test_too_few_rows_are_no_reference() -> None:
    with pytest.raises(ProfileError, match="200 rows"):
        build_profile("m", [Named("a", "feature", "number")], {"a": np.zeros(199)}, Origin("file"))


def test_the_factor_is_the_larger_one_of_the_blocks_on_both_sides() -> None:
    column = Column(
        "a",
        "feature",
        CategoryBins(("x",)),
        (0, 0, 900),
        0.0,
        (Dispersion(50, 2.0), Dispersion(100, 5.0), Dispersion(200, 3.0)),
    )
    assert [column.factor(rows) for rows in (10, 50, 60, 150, 200, 10_000)] == [2.0, 2.0, 5.0, 5.0, 5.0, 5.0]


def shares(law: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if law.startswith("even"):
        count = int(law.removeprefix("even"))
        return np.full(count, 1 / count)
    weights = 1 / np.arange(1, 5_001) ** float(law.removeprefix("zipf"))
    return np.asarray(weights / weights.sum())


@pytest.mark.parametrize("rows", [200, 2_000, 10_000])
@pytest.mark.parametrize("law", ["even10", "even60", "even200", "even300", "even1000", "zipf1.0", "zipf1.5", "zipf2.0"])
def test_values_that_the_reference_happens_not_to_have_raise_no_false_alarm(law: str, rows: int) -> None:
    draw = np.random.default_rng(2)
    p = shares(law)
    for seen, risk in ((300, 1e-2), (300, 1e-5), (3_000, 1e-3)):
        chances = []
        for _ in range(40):
            drawn = draw.multinomial(rows, p)
            values = np.repeat(np.arange(len(p)), drawn).astype(str).tolist()
            column = cut([Named("c", "feature", "category")], [values])[0]
            assert isinstance(column.bins, CategoryBins)
            alpha, mass = float(column.alphas()[STRANGE]), column.mass()
            known = stats.betabinom(seen, alpha, mass - alpha)
            strange = 1 - p[[int(value) for value in column.bins.values]].sum()
            chances.append(stats.binom.sf(known.isf(risk), seen, strange))
        assert np.mean(chances) <= risk


def test_a_reference_larger_than_what_its_values_were_learnt_from_knows_how_many_are_new() -> None:
    known = Column("c", "feature", CategoryBins(("x",)), (0, 100, 1_900), cut_rows=1_000)
    assert known.alphas()[STRANGE] == 200
    assert known.mass() == 2_001


def test_values_known_beforehand_leave_no_room_for_others() -> None:
    assert Column("c", "feature", CategoryBins(("x", "y")), (0, 0, 299, 1)).alphas()[STRANGE] == 1
    assert Column("c", "feature", CategoryBins(("x", "y")), (0, 0, 299, 1), cut_rows=300).alphas()[STRANGE] == 2
