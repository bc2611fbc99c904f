"""What is not known is said to be not known; each state has its words."""

from collections.abc import Callable
from pathlib import Path

import httpx

from tests.console.conftest import config_of, served
from tests.console.world import World

MakeWorld = Callable[..., World]


def first_page(world: World) -> str:
    world.watch()
    with served(config_of(world.data)) as address:
        return httpx.get(address).raise_for_status().text


def test_before_the_monitor_has_begun(tmp_path: Path) -> None:
    with served(config_of(tmp_path)) as address:
        answer = httpx.get(address)
    assert answer.status_code == 503
    assert "The monitor has not begun yet." in answer.text


def test_a_log_that_is_too_short_for_a_reference_says_how_many_rows_it_takes(make_world: MakeWorld) -> None:
    world = make_world(reference_rows=0)
    world.predict(1, 57)
    page = first_page(world)
    assert "No reference yet." in page
    assert "One needs 200 rows or more, and the log has 57." in page


def test_without_a_reference_the_first_rows_are_proposed_with_the_command(make_world: MakeWorld) -> None:
    world = make_world(reference_rows=0)
    world.predict(2, 300)
    page = first_page(world)
    assert "No reference yet." in page
    assert "driftline reference build --first 600" in page


def test_a_reference_that_will_come_by_itself_is_announced(make_world: MakeWorld) -> None:
    world = make_world(reference_rows=2000)
    world.predict(1, 300)
    assert "its first 2,000 will stand in for one" in first_page(world)


def test_a_provisional_reference_is_called_one(make_world: MakeWorld) -> None:
    world = make_world(reference_rows=600)
    world.predict(6, 300)
    page = first_page(world)
    assert "The reference is provisional." in page
    assert "rows 0 to 600 of the log" in page


def test_windows_of_the_reference_itself_are_not_compared_with_it(make_world: MakeWorld) -> None:
    world = make_world(reference_rows=600)
    world.predict(2, 300)
    page = first_page(world)
    assert "Nothing to compare with the reference yet." in page
    assert "part of the reference" in page


def test_a_window_that_lacks_rows_says_how_many(make_world: MakeWorld) -> None:
    world = make_world(reference_rows=300, min_rows=500)
    world.predict(1, 357)
    page = first_page(world)
    assert "Waiting for rows: 357 of 500 rows." in page


def test_a_reference_that_cannot_be_read_is_named_with_the_reason(make_world: MakeWorld) -> None:
    world = make_world()
    world.predict(1, 300)
    (world.data / "reference.json").write_text("{}")
    page = first_page(world)
    assert "The reference cannot be used." in page
    assert "it is no profile" in page


def test_no_traffic_is_said_and_not_drawn_as_zero(make_world: MakeWorld) -> None:
    world = make_world(reference_rows=600)
    world.predict(6, 300)
    page = first_page(world)
    assert "No traffic was measured in the last 1 h." in page
    assert "chart-traffic" not in page
