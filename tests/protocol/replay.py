"""Prints what happens in one schedule, step by step.

python -m tests.protocol.replay 17 power
python -m tests.protocol.replay 763 --without sync-record-read
"""

import argparse
import sys

from tests.protocol.ablations import ABLATIONS, Ablation
from tests.protocol.model.rules import KEPT
from tests.protocol.model.schedule import POOLS


def main() -> int:
    """Plays a schedule; 1 if the promise is broken in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    parser.add_argument("pool", nargs="?", choices=POOLS, help="the faults; that of the ablation by default")
    parser.add_argument("--without", choices=[ablation.name for ablation in ABLATIONS], help="take a rule away")
    parser.add_argument("--transport", choices=["local", "redis"])
    parser.add_argument("--sync", choices=["os", "always"])
    asked = parser.parse_args()
    known = {ablation.name: ablation for ablation in ABLATIONS}
    found = known.get(asked.without, Ablation("none", KEPT, asked.pool or "all"))
    chosen = Ablation(
        found.name,
        found.rules,
        asked.pool or found.pool,
        asked.transport or found.transport,
        asked.sync or found.sync,
    )
    run = chosen.play(asked.seed, trace=True)
    verdict = "the promise is kept" if run.violation is None else f"THE PROMISE IS BROKEN: {run.violation}"
    sys.stdout.write("\n".join([*(run.world.stage.trace or ()), run.setting, verdict, ""]))
    return 0 if run.violation is None else 1


if __name__ == "__main__":
    sys.exit(main())
