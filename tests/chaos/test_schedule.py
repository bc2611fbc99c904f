"""The schedule is a function of seed, time and abilities, and of nothing else."""

import itertools
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.chaos.schedule import RECIPES, Ability, Recipe, draw, possible

ALL: frozenset[Ability] = frozenset({"redis", "limits", "mounts"})
abilities = st.frozensets(st.sampled_from(sorted(ALL)))


def test_the_same_seed_draws_the_same_faults_in_another_process() -> None:
    code = "from driftline.chaos.schedule import draw; print(draw(42, 600, {'redis', 'mounts'}))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == repr(draw(42, 600, {"mounts", "redis"}))


def test_another_seed_draws_others() -> None:
    assert draw(1, 600, ALL) != draw(2, 600, ALL)


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    short, long = draw(7, 60, ALL), draw(7, 600, ALL)
    untouched = [fault for fault in short if fault.at_s + fault.lasts_s < 60]
    assert untouched == [fault for fault in long[: len(short)] if fault.at_s + fault.lasts_s < 60]


@given(st.integers(0, 2**64), st.floats(0, 400), abilities)
def test_faults_come_in_order_and_are_over_in_time(seed: int, seconds: float, able: frozenset[Ability]) -> None:
    faults = draw(seed, seconds, able)
    starts = [fault.at_s for fault in faults]
    assert starts == sorted(starts)
    assert all(fault.at_s + fault.lasts_s <= seconds + 0.02 for fault in faults)
    assert all(0 <= fault.pick <= 1 for fault in faults)


@given(st.integers(0, 2**32), abilities)
def test_only_what_the_machine_allows_is_drawn_and_all_of_it_soon(seed: int, able: frozenset[Ability]) -> None:
    recipes = possible(able)
    assert {ability for recipe in recipes for ability in recipe.needs} == able
    drawn = draw(seed, 400, able)[: len(recipes)]
    assert sorted((fault.kind, fault.target) for fault in drawn) == sorted((each.kind, each.target) for each in recipes)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.kind}-{recipe.target}")
def test_each_lasts_as_long_as_its_recipe_says(recipe: Recipe) -> None:
    lasted = {
        fault.lasts_s
        for fault in draw(3, 2000, ALL)[:400]
        if (fault.kind, fault.target) == (recipe.kind, recipe.target) and fault.at_s < 1900
    }
    same = [each for each in RECIPES if (each.kind, each.target) == (recipe.kind, recipe.target)]
    assert min(each.shortest_s for each in same) - 0.01 <= min(lasted)
    assert max(lasted) <= max(each.longest_s for each in same) + 0.01


def test_faults_overlap() -> None:
    faults = draw(3, 600, ALL)
    overlaps = sum(b.at_s < a.at_s + a.lasts_s for a, b in itertools.pairwise(faults))
    assert overlaps > len(faults) / 5
