"""What the page shows of what was measured."""

from bench_serve import page
from bench_serve.goals import goals
from bench_serve.ours import EMBEDDED, EMBEDDED_1
from bench_serve.replies import GRANIAN_1
from tests.bench_serve.figures import PEER, results, turns


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
    assert "**no**" not in page.goal_table(goals(found))
    found["memory"]["rss_mb"] = [100.0, 200.0]
    assert "| +100.0%, 200 MB | **no** |" in page.goal_table(goals(found))
    found["stacks"][EMBEDDED.name]["turns"][0]["lost"] = 3
    assert f"| 1.15 x | **no**: {EMBEDDED.name}, 3 events lost |" in page.goal_table(goals(found))


def test_what_was_not_measured_has_no_table_and_a_goal_that_says_so() -> None:
    found = results()
    del found["latency"]
    markdown = page.as_markdown(found)
    assert "Latency" not in markdown
    assert (
        "| p99 at half of saturation, against the constant reply's | <= 1.5 x | not measured | not measured |"
        in markdown
    )


def test_a_stack_that_failed_is_shown_with_the_reason() -> None:
    found = results()
    found["stacks"][PEER] |= {"turns": [None, None], "failures": ["round 1: it ended", "round 2: a | b\nc"]}
    shown = page.stacks(found["stacks"])
    assert f"| {PEER} | 64 | failed |" in shown
    assert shown.endswith(f"\n- {PEER}, round 1: it ended\n- {PEER}, round 2: a / b c")


def test_what_costs_less_at_one_connection_is_said_apart() -> None:
    found = results()["stacks"]
    found[EMBEDDED_1.name] = turns([50.0]) | {"connections": 1}
    found[GRANIAN_1.name] = turns([45.0]) | {"connections": 1}
    *_, many, _, one = page.loses(found).splitlines()
    assert GRANIAN_1.name not in many
    assert one == f"Less CPU a request than {EMBEDDED_1.name}: {GRANIAN_1.name}."


def test_a_file_from_before_turns_could_fail_can_be_read() -> None:
    found = results()
    for each in (*found["stacks"].values(), *found["latency"]["stacks"].values()):
        del each["failures"]
        for one in each["turns"]:
            one.pop("answers", None)
    assert page.as_markdown(found) == page.as_markdown(results())


def test_the_page_says_when_and_on_what_it_was_measured() -> None:
    note = page.note(results())
    assert "2026-11-26 (stacks) and 2026-11-27 (memory) on A processor" in note
    assert "in 11 minutes" in note
    assert "wrk 4.1.0; litserve 1.2." in note
