import math
from pathlib import Path

import pytest

from driftline.api.canary import place_of
from driftline.api.lineup import draw_up
from driftline.api.roster import Roster
from driftline.contract.request import Features
from driftline.contract.roster_file import Canary, Entry, RosterFile, write_roster_file
from tests.api.models import load_served, write_package

ROWS = 4000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for version in ("1", "2"):
        write_package(tmp_path / version, version, bias=float(version))
    return tmp_path


def split(folder: Path, share: float, by: str | None = None) -> Roster:
    entry = Entry(version="1", canary=Canary("2", share, by))
    write_roster_file(folder, RosterFile(models={"credit": entry}))
    return Roster.of(draw_up(folder, load_served))


def row(roster: Roster, income: float, customer: str) -> Features:
    return roster.default().decoder.make(income, customer)


def answered(roster: Roster, income: float, customer: str) -> str:
    served, features = roster.chosen(roster.default(), row(roster, income, customer))
    assert served.score(features).values[0] == pytest.approx(1 / (1 + math.exp(-income - float(served.schema.version))))
    return served.schema.version


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_share_of_the_canary_is_the_one_that_was_asked_for(folder: Path, share: float) -> None:
    roster = split(folder, share)
    canarys = sum(answered(roster, float(number), "x") == "2" for number in range(ROWS))
    # Six standard deviations of a binomial count: it is a fixed hash of fixed rows, and this says that it spreads them.
    assert abs(canarys - share * ROWS) < 6 * math.sqrt(ROWS * share * (1 - share))


def test_whoever_a_feature_names_always_gets_the_same_version(folder: Path) -> None:
    roster = split(folder, 0.5, by="customer")
    by_customer = {
        customer: {answered(roster, float(income), customer) for income in range(20)}
        for customer in map(str, range(100))
    }
    assert {len(versions) for versions in by_customer.values()} == {1}
    assert len(set(map(frozenset, by_customer.values()))) == 2


def test_a_greater_share_only_moves_rows_to_the_canary(folder: Path) -> None:
    taken: set[int] = set()
    for share in (0.01, 0.1, 0.3, 1.0):
        roster = split(folder, share, by="customer")
        more = {number for number in range(500) if answered(roster, 0.0, str(number)) == "2"}
        assert taken < more
        taken = more
    assert len(taken) == 500


def test_without_a_feature_the_inputs_decide_and_the_context_does_not(folder: Path) -> None:
    roster = split(folder, 0.5)
    for income in range(50):
        assert len({answered(roster, float(income), customer) for customer in map(str, range(10))}) == 1


def test_each_canary_has_rows_of_its_own() -> None:
    first, second = ({n for n in range(1000) if place_of("m", version, n) < 0.1} for version in ("2", "3"))
    assert len(first & second) < len(first) / 2


def test_the_hash_is_the_one_that_is_documented() -> None:
    # From BLAKE2b of ["credit","2","c-17"], as `b2sum --length 64` gives it.
    assert place_of("credit", "2", "c-17") == 0.026560551232125307


def test_who_is_asked_by_version_answers(folder: Path) -> None:
    roster = split(folder, 1.0)
    second = roster.find("credit", "2")
    assert roster.chosen(second, row(roster, 0.0, "x"))[0] is second


def test_a_canary_with_other_features_in_another_order_gets_them_in_its_own(folder: Path) -> None:
    package = folder / "2" / "model.toml"
    head, income, customer = package.read_text().split("[[features]]")
    customer, artifact = customer.split("[artifact]")
    package.write_text(f"{head}[[features]]{customer}[[features]]{income}[artifact]{artifact}")
    roster = split(folder, 1.0)
    assert roster.find("credit", "2").schema.names == ("customer", "income")
    assert answered(roster, 3.0, "x") == "2"
