"""What the page shows of what was measured."""

from bench_serve import page
from bench_serve.ours import EMBEDDED
from tests.bench_serve.figures import PEER, results


def test_a_figure_is_a_median_with_the_lowest_and_the_highest() -> None:
    markdown = page.as_markdown(results())
    assert f"| {EMBEDDED.name} | 64 | 9,000 (9,000 to 9,000) | 24.0 (11.0 to 46.0) |" in markdown
    assert "| logistic, 2 | 1.0 | 11.0 (10.0 to 12.0) | 10.0 | 11.0 x |" in markdown
    assert "| 10,000,321 | 104.0 |" in markdown
    assert "| 1.50 (1.50 to 1.50) | 9.00 (9.00 to 9.00) | 0.0% | 0.01 / 0.05 |" in markdown


def test_stacks_come_in_the_order_of_what_they_cost_and_those_that_cost_less_than_driftline_are_named() -> None:
    shown = page.stacks(results()["stacks"])
    places = [shown.index(f"| {name} ") for name in ("Granian, constant reply", EMBEDDED.name, PEER)]
    assert places == sorted(places)
    assert shown.splitlines()[-1].startswith("Less CPU a request than Driftline, embedded: Granian, constant reply; ")


def test_a_goal_that_is_missed_stands_out() -> None:
    found = results()
    assert "**no**" not in page.goal_table(found)
    found["memory"]["rss_mb"] = [100.0, 200.0]
    assert "| +100.0%, 200 MB | **no** |" in page.goal_table(found)


def test_what_was_not_measured_is_left_out() -> None:
    found = results()
    del found["latency"]
    markdown = page.as_markdown(found)
    assert "Latency" not in markdown
    assert "p99 at" not in markdown


def test_the_page_says_when_and_on_what_it_was_measured() -> None:
    note = page.note(results())
    assert "2026-11-26 and 2026-11-27 on A processor" in note
    assert "in 11 minutes" in note
    assert "wrk 4.1.0; Another product 1.2" in note
