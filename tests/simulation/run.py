"""Plays many schedules of the simulation, and says what was met in them.

python -m tests.simulation.run --seeds 20000 --processes 2
python -m tests.simulation.run --seeds 2000 --first-seed 1000000
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.schedule import Run, draw, play

_CHUNK = 50


def main() -> int:
    """Plays, and prints figures; 1 if the promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    began = time.monotonic()
    counts, crashed, met = Counter[str](), Counter[tuple[str, str]](), set[str]()
    boundaries, broken, virtual_s = 0, 0, 0.0
    starts = range(asked.first_seed, asked.first_seed + asked.seeds, _CHUNK)
    stop = asked.first_seed + asked.seeds
    with ProcessPoolExecutor(asked.processes) as pool:
        for runs in pool.map(_play, starts, (min(start + _CHUNK, stop) for start in starts)):
            for seed, run in runs:
                if run.violation is not None:
                    broken += 1
                    _say(f"python -m tests.simulation.replay {seed}: {run.violation}")
                counts.update(run.counts)
                crashed.update(run.crashed)
                met |= run.met
                boundaries, virtual_s = boundaries + run.boundaries, virtual_s + run.virtual_s
    took_s = time.monotonic() - began
    _say(f"{asked.seeds:,} schedules in {took_s:.0f} s, {asked.seeds / took_s:.1f}/s, {broken} broken")
    _say(
        f"{virtual_s / 3600:.1f} hours of virtual time, "
        f"{boundaries:,} boundaries, {sum(crashed.values()):,} deaths at one"
    )
    for line in _counted(counts):
        _say(line)
    died = {place for place, _ in crashed}
    _say(f"{len(met)} places in the code are boundaries, and at {len(died)} of them a process has died:")
    for place in sorted(met):
        hows = ", ".join(f"{how} {crashed[place, how]}" for how in ("before", "torn", "after") if crashed[place, how])
        _say(f"    {place:60} {hows or 'NEVER'}")
    return int(bool(broken))


def _play(first: int, stop: int) -> list[tuple[int, Run]]:
    return [(seed, play(draw(seed))) for seed in range(first, stop)]


def _counted(counts: Counter[str]) -> Iterator[str]:
    for name, count in counts.most_common():
        yield f"    {count:10,} {name}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
