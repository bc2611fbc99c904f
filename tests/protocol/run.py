"""Plays many schedules: with all rules, and with each taken away.

python -m tests.protocol.run --schedules 5000        so many of each pool, and a fifth of that for each ablation
python -m tests.protocol.run --record                finds the seeds that the tests use, and writes recorded.json
"""

import argparse
import json
import sys
import time
from collections import Counter

from tests.protocol.ablations import ABLATIONS, RECORDED, Ablation
from tests.protocol.model.rules import KEPT
from tests.protocol.model.schedule import POOLS

_SEEDS_KEPT = 3
_SEEDS_FOR_VARIETY = 400
_SEEDS_TRIED = 20_000
_COUNTED = {
    "answered": "answered events",
    "power cut": "power cuts",
    "killed": "kills",
    "stopped": "clean stops",
    "wipe": "wipes of the broker",
    "restored": "restores of the log",
    "replace_log": "replacements of it",
    "first contact": "first contacts, some by two processes at once",
    "first contact with a stranger": "of them with a stranger",
    "overlooked": "of them while the home log's worker ran",
}


def main() -> int:
    """Plays, and prints rates; 1 if a promise was broken with all rules kept, or kept without one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=1000, help="of each pool")
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    parser.add_argument("--record", action="store_true")
    asked = parser.parse_args()
    if asked.record:
        return _record()
    broken = _play_pools(asked.schedules, asked.first_seed)
    missed = _play_ablations(asked.schedules // 5, asked.first_seed)
    return 1 if broken or missed else 0


def _play_pools(schedules: int, first_seed: int) -> int:
    broken, counts = 0, Counter[str]()
    for pool in POOLS:
        ablation, began = Ablation("none", KEPT, pool), time.monotonic()
        found: list[str] = []
        for seed in range(first_seed, first_seed + schedules):
            run = ablation.play(seed)
            witness = run.world.stage.witness
            counts.update(witness.counts)
            counts["answered"] += len(witness.answered)
            if run.violation is not None:
                found.append(f"\n    python -m tests.protocol.replay {seed} {pool}: {run.violation}")
        broken += len(found)
        _say(
            f"{pool:16} {schedules:6} schedules {len(found):3} broken, {time.monotonic() - began:5.0f} s"
            + "".join(found)
        )
    _say(f"all rules: {schedules * len(POOLS):,} schedules, {broken} broken; in them")
    for key, what in _COUNTED.items():
        _say(f"    {counts[key]:9,} {what}")
    return broken


def _play_ablations(schedules: int, first_seed: int) -> int:
    missed = 0
    for ablation in ABLATIONS:
        harms = Counter[str]()
        for seed in range(first_seed, first_seed + schedules):
            violation = ablation.play(seed).violation
            if violation is not None:
                harms[violation.harm.name] += 1
        missed += not harms and not ablation.rare
        shown = ", ".join(f"{harm} {count}" for harm, count in harms.most_common())
        _say(f"without {ablation.name:28} {sum(harms.values()):6} of {schedules} broken: {shown}")
    return missed


def _record() -> int:
    recorded: dict[str, dict[str, str]] = {}
    for ablation in ABLATIONS:
        found: dict[str, str] = {}
        for seed in range(_SEEDS_TRIED):
            violation = ablation.play(seed).violation
            if violation is not None and (len(found) < _SEEDS_KEPT or violation.harm.name not in found.values()):
                found[str(seed)] = violation.harm.name
            if len(found) >= _SEEDS_KEPT and seed >= _SEEDS_FOR_VARIETY:
                break
        _say(f"{ablation.name:28} {found}")
        recorded[ablation.name] = found
    RECORDED.write_text(json.dumps(recorded, indent=2) + "\n")
    return 0 if all(recorded.values()) else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
