"""Plays one schedule of the simulation and prints what happens, step by step.

python -m tests.simulation.replay 17
python -m tests.simulation.replay 17 --shrink                       with as few actions as still break the promise
python -m tests.simulation.replay 3 --without sync-before-commit
python -m tests.simulation.replay '{"setting":{...},"actions":[...]}'
"""

import argparse
import sys
from contextlib import nullcontext
from dataclasses import replace

from tests.simulation.ablations import ABLATIONS
from tests.simulation.schedule import Schedule, draw, play


def main() -> int:
    """Plays a schedule; 1 if the promise is broken in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schedule", help="a seed, or a schedule as JSON")
    parser.add_argument("--without", choices=[ablation.name for ablation in ABLATIONS], help="break a rule of the code")
    parser.add_argument("--shrink", action="store_true", help="leave out what the violation does not need")
    asked = parser.parse_args()
    ablation = next((each for each in ABLATIONS if each.name == asked.without), None)
    if asked.schedule.startswith("{"):
        schedule = Schedule.from_json(asked.schedule)
    else:
        schedule = draw(int(asked.schedule)) if ablation is None else ablation.draw(int(asked.schedule))
    with nullcontext() if ablation is None else ablation.applied():
        if asked.shrink:
            schedule = shrink(schedule)
        trace: list[str] = []
        run = play(schedule, trace)
    verdict = "the promise is kept" if run.violation is None else f"THE PROMISE IS BROKEN: {run.violation}"
    sys.stdout.write("\n".join([*trace, schedule.command, f"digest {run.digest:08x}", verdict, ""]))
    return 0 if run.violation is None else 1


def shrink(schedule: Schedule) -> Schedule:
    """Returns a schedule that breaks the promise with fewer actions, none of which can be left out."""
    index = 0
    while index < len(schedule.actions):
        fewer = replace(schedule, actions=schedule.actions[:index] + schedule.actions[index + 1 :])
        if play(fewer).violation is not None:
            schedule = fewer
        else:
            index += 1
    return schedule


if __name__ == "__main__":
    sys.exit(main())
