"""How much is measured, cut into jobs for several processes; the same seeds give the same rows whatever the cut."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench_drift import scenarios
from bench_drift.defaults import Evidently, NannyML, Psi
from bench_drift.measure import Alarms, Delays, Detectors, count_alarms, time_to_alarm
from bench_drift.names import ADWIN, CHANGES, CREEPS, EVIDENTLY, KSWIN, MATCHED, NANNYML, NULLS, OURS, PSI
from bench_drift.ours import Driftline
from bench_drift.peers import Adwin, Kswin
from bench_drift.streams import SIZES, Size

SEED = 20261125
# The monitor's default: one false alarm in 30 days of windows of an hour.
BUDGET = 1 / (30 * 24)
PEERS: Detectors = {EVIDENTLY: Evidently, NANNYML: NannyML, PSI: Psi, ADWIN: Adwin, KSWIN: Kswin}
FIRST: Detectors = {OURS: partial(Driftline, BUDGET), **PEERS}
REPETITIONS_A_JOB = 20
# KSWIN takes a fifth of a millisecond for a row, and alarms every few hundred rows: a few repetitions say it all.
KSWIN_ROWS = 4000


@dataclass(frozen=True)
class Effort:
    """How much is measured at one size.

    Attributes:
        references: Streams without a change, each with a reference of its own.
        windows: Windows of each of these, at most.
        changes: Repetitions of each change.
        horizon: Windows after which a change counts as missed.
        creep_horizon: The same for a change that creeps.
        kswin: Streams and repetitions that KSWIN gets.
    """

    references: int
    windows: int
    changes: int
    horizon: int
    creep_horizon: int
    kswin: int


def matched(budget: float) -> Detectors:
    """Driftline at another budget."""
    return {MATCHED: partial(Driftline, budget)}


Efforts = Mapping[Size, Effort]
FULL: Efforts = {
    SIZES[0]: Effort(200, 100, 100, 100, 600, 5),
    SIZES[1]: Effort(200, 100, 100, 100, 600, 5),
    SIZES[2]: Effort(150, 100, 60, 60, 400, 5),
    SIZES[3]: Effort(50, 50, 30, 40, 200, 5),
}
SHORT: Efforts = {
    SIZES[0]: Effort(40, 50, 20, 40, 200, 2),
    SIZES[1]: Effort(40, 50, 20, 40, 200, 2),
    SIZES[2]: Effort(20, 40, 10, 20, 100, 2),
    SIZES[3]: Effort(4, 20, 4, 10, 40, 2),
}


@dataclass(frozen=True)
class Job:
    """Some repetitions of one scenario at one size.

    Attributes:
        name: The null or the change.
        size: Rows of reference and window.
        repetitions: Which ones; each has a seed of its own.
        windows: How many windows without a change, or until one counts as missed.
        detectors: Who sees them.
    """

    name: str
    size: Size
    repetitions: range
    windows: int
    detectors: Detectors

    def run(self) -> dict[str, Alarms] | dict[str, Delays]:
        """What was found, by detector."""
        return self.alarms() if self.name in NULLS else self.delays()

    def alarms(self) -> dict[str, Alarms]:
        """Alarms without a change."""
        found = {name: Alarms() for name in self.detectors}
        for repetition in self.repetitions:
            source = scenarios.null_source(self.name, self.size, repetition)
            rng = self.rng(repetition)
            for name, more in count_alarms(source, self.size, self.detectors, rng, self.windows).items():
                found[name].add(more)
        return found

    def delays(self) -> dict[str, Delays]:
        """Delays after a change."""
        found = {name: Delays() for name in self.detectors}
        for repetition in self.repetitions:
            source, change = scenarios.changed_source(self.name, self.size, repetition)
            rng = self.rng(repetition)
            for name, more in time_to_alarm(
                source, change, self.size, self.detectors, rng, horizon=self.windows
            ).items():
                found[name].add(more)
        return found

    def rng(self, repetition: int) -> np.random.Generator:
        """The random numbers of a repetition."""
        place = [*NULLS, *CHANGES].index(self.name)
        return np.random.default_rng([SEED, place, self.size.reference_rows, self.size.window_rows, repetition])


def null_jobs(efforts: Efforts, detectors: Detectors, size: Size) -> Iterator[Job]:
    """All nulls at a size; KSWIN sees some of them."""
    effort = efforts[size]
    quick = {name: make for name, make in detectors.items() if name != KSWIN}
    for name in NULLS:
        yield from jobs(name, size, effort.references, effort.windows, quick)
        if KSWIN in detectors:
            windows = max(1, KSWIN_ROWS // size.window_rows)
            yield from jobs(name, size, effort.kswin, windows, {KSWIN: detectors[KSWIN]})


def change_jobs(efforts: Efforts, detectors: Detectors, size: Size) -> Iterator[Job]:
    """All changes at a size; KSWIN sees some of them."""
    effort = efforts[size]
    quick = {name: make for name, make in detectors.items() if name != KSWIN}
    for name in CHANGES:
        horizon = effort.creep_horizon if name in CREEPS else effort.horizon
        yield from jobs(name, size, effort.changes, horizon, quick)
        if KSWIN in detectors:
            yield from jobs(name, size, effort.kswin, horizon, {KSWIN: detectors[KSWIN]})


def jobs(name: str, size: Size, repetitions: int, windows: int, detectors: Detectors) -> Iterator[Job]:
    """The repetitions in jobs of some."""
    make = partial(Job, name, size, windows=windows, detectors=detectors)
    for start in range(0, repetitions, REPETITIONS_A_JOB):
        yield make(range(start, min(start + REPETITIONS_A_JOB, repetitions)))
