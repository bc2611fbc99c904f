"""The delivery protocol keeps its promise whatever fails, and each of its rules is needed for that."""

import json
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest

from tests.protocol.ablations import ABLATIONS, RECORDED, Ablation
from tests.protocol.model.faults import FAULTS, FLAWS
from tests.protocol.model.rules import KEPT, Harm, Rules
from tests.protocol.model.schedule import POOLS, play

SCHEDULES = 250
BUDGET = 20_000
"""Without a rule, the promise must break within so many schedules."""

each_ablation = pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda ablation: ablation.name)


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(RECORDED.read_text())
    return found


@pytest.mark.parametrize("pool", POOLS)
def test_the_promise_is_kept(pool: str) -> None:
    for seed in range(SCHEDULES):
        violation = play(seed, pool).violation
        assert violation is None, f"{violation}; see: python -m tests.protocol.replay {seed} {pool}"


@each_ablation
def test_without_a_rule_the_promise_is_broken(ablation: Ablation, recorded: dict[str, dict[str, str]]) -> None:
    assert recorded[ablation.name]
    for seed, harm in recorded[ablation.name].items():
        assert int(seed) < BUDGET
        violation = ablation.play(int(seed)).violation
        assert violation is not None, f"kept; see: python -m tests.protocol.replay {seed} --without {ablation.name}"
        assert violation.harm is Harm[harm]


@each_ablation
def test_with_that_rule_the_same_schedule_keeps_it(ablation: Ablation, recorded: dict[str, dict[str, str]]) -> None:
    for seed in recorded[ablation.name]:
        run = play(int(seed), ablation.pool, transport=ablation.transport, sync=ablation.sync)
        assert run.violation is None


def test_every_rule_is_taken_away_by_an_ablation() -> None:
    changed = {
        rule.name
        for a in ABLATIONS
        for rule in fields(Rules)
        if getattr(a.rules, rule.name) != getattr(KEPT, rule.name)
    }
    assert changed == {rule.name for rule in fields(Rules)}


def test_every_harm_is_shown_by_an_ablation(recorded: dict[str, dict[str, str]]) -> None:
    assert {harm for seeds in recorded.values() for harm in seeds.values()} == {harm.name for harm in Harm}


def test_every_fault_happens_and_much_is_answered_and_adopted() -> None:
    counts = Counter[str]()
    for pool in ("all", "short-log", "outbox-restore"):
        for seed in range(60):
            witness = play(seed, pool).world.stage.witness
            counts.update(witness.counts)
            counts["answered"] += len(witness.answered)
    assert {*FAULTS, *FLAWS} <= {name for names in POOLS.values() for name in names}
    assert [fault for fault in FAULTS if not counts[fault]] == []
    assert counts["answered"] > 1000
    assert counts["adopted"] > 100


def test_a_schedule_replays_exactly() -> None:
    first, second = (play(7, "all", trace=True).world.stage.trace for _ in range(2))
    assert first
    assert first == second


def test_the_document_names_every_ablation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    assert [ablation.name for ablation in ABLATIONS if f"`{ablation.name}`" not in text] == []
