"""The detectors: each window, and the last windows taken together, held against the fixed reference.

The **sudden** detector asks of each window, the **slow** one of the last 2, 3, 4, 6 and 8 windows, and of six and eight
blocks of 2, 4, 8 ... 128 windows, each time a block is complete. All ask the same questions
(:mod:`driftline.drift.questions`) of summed counts, and each answer is the tail of a known law
(:mod:`driftline.drift.tails`). The expected number of false alarms is the sum of the risks, whatever the dependence
between windows, spans, columns and questions: that is the whole of the guarantee, and nothing is assumed for it but
that rows are exchangeable with the reference's, or as dependent as the reference's own blocks were seen to be
(:mod:`driftline.drift.dispersion`).

As the reference stays what it is, a shift that creeps in is not learnt as the new normal; it is seen when the span that
is long enough has gone by. A change that is over is forgotten, so that long spans which still hold it raise no alarm.
Compare the scan statistics of Siegmund and Venkatraman, "Using the generalized likelihood ratio statistic for
sequential detection of a change-point", Annals of Statistics 23 (1995).
"""

import zlib
from collections import deque
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.drift.exam import Answer, Exam
from driftline.drift.layout import Layout
from driftline.drift.profile import Column
from driftline.drift.questions import Questions
from driftline.drift.since import is_over

LEVELS: Final = 8
BLOCKS: Final = 8
SHORT_SPANS: Final = (2, 3, 4, 6, 8)
LONG_SPANS: Final = (6, 8)
SUDDEN_SHARE: Final = 0.25
SLOW_TESTS_A_WINDOW: Final = len(SHORT_SPANS) + sum(len(LONG_SPANS) / 2**level for level in range(1, LEVELS))

LASTING: Final = 0.5
"""Strength from which on evidence is looked at more closely: what was an alarm may go on with as much."""

Detector = Literal["sudden", "slow"]


class Evidence(NamedTuple):
    """What speaks most against a column's being as the reference.

    Attributes:
        detector: Which one.
        answer: To which question, and how unlikely.
        windows: Windows that were taken together, the last one being the latest.
        rows: Rows in them.
    """

    detector: Detector
    answer: Answer
    windows: int
    rows: int

    @property
    def asked_again_in(self) -> int:
        """Windows until a span of this length is complete again; what was found stands until then."""
        return max(self.windows // max(LONG_SPANS), 1) if self.windows > max(SHORT_SPANS) else 1

    @property
    def alarm(self) -> bool:
        """Whether it is more than chance may do, within the budget."""
        return self.answer.strength >= 1


class Scan:
    """Both detectors, for all columns of a stream of windows.

    Args:
        columns: The reference's.
        false_alarms_a_window: The budget: expected alarms of all columns together, in a window without any change.

    Attributes:
        forgotten: Indexes of the columns of which the last window has shown that a change is over.
    """

    def __init__(self, columns: Sequence[Column], false_alarms_a_window: float) -> None:
        self.layout = Layout(columns)
        questions = self._questions = Questions(columns, self.layout)
        sudden, slow = risks(false_alarms_a_window, len(columns))
        self._sudden = Exam(questions, sudden)
        self._slow = Exam(questions, slow)
        self._levels: list[deque[NDArray[np.int64]]] = [deque(maxlen=BLOCKS) for _ in range(LEVELS)]
        self._windows = 0
        self.forgotten: frozenset[int] = frozenset()

    @property
    def state_bytes(self) -> int:
        """Bytes of counts that are kept."""
        return sum(block.nbytes for level in self._levels for block in level)

    def observe(self, counts: NDArray[np.int64]) -> list[Evidence]:
        """Returns the strongest evidence against each column, and by it whether this window raises an alarm.

        Args:
            counts: Of one window, by the layout of the columns.
        """
        rows = np.add.reduceat(counts, self.layout.starts).tolist()
        strongest = [
            Evidence("sudden", answer, 1, held) for answer, held in zip(self._sudden.take(counts), rows, strict=True)
        ]
        over: set[int] = set()
        for windows, blocks in self._spans(counts):
            summed = np.sum(blocks, axis=0)
            rows = np.add.reduceat(summed, self.layout.starts).tolist()
            for at, answer in enumerate(self._slow.take(summed)):
                if answer.strength <= strongest[at].answer.strength:
                    continue
                if answer.strength >= LASTING and is_over(self._questions, at, answer, np.stack(blocks)):
                    over.add(at)
                else:
                    strongest[at] = Evidence("slow", answer, windows, rows[at])
        self.forgotten = frozenset(at for at in over if not strongest[at].alarm)
        for at in self.forgotten:
            self._forget(at)
        return strongest

    def _forget(self, column: int) -> None:
        """Takes what came before the latest window out of the spans to come, so that what is over is not found again.

        It can only make alarms fewer: the budget holds.
        """
        start = int(self.layout.starts[column])
        own = slice(start, start + self._questions.columns[column].bins.count)
        latest = self._levels[0][-1]
        for blocks in self._levels:
            for at, block in enumerate(blocks):
                if block is not latest:
                    blocks[at] = block.copy()
                    blocks[at][own] = 0

    def _spans(self, counts: NDArray[np.int64]) -> list[tuple[int, list[NDArray[np.int64]]]]:
        """Takes a window in, and returns the longer spans that are to be asked about now, as the blocks they are of."""
        self._windows += 1
        block = counts
        spans: list[tuple[int, list[NDArray[np.int64]]]] = []
        for level, blocks in enumerate(self._levels):
            blocks.append(block)
            held = list(blocks)
            taken = [span for span in (LONG_SPANS if level else SHORT_SPANS) if span <= len(held)]
            spans += [(span << level, held[-span:]) for span in taken]
            if self._windows % (2 << level):
                break
            block = held[-1] + held[-2]
        return spans

    def dump(self) -> bytes:
        """Returns all that the scan remembers, for :meth:`load`."""
        levels = [[block.astype("<i8").tobytes() for block in level] for level in self._levels]
        return zlib.compress(msgspec.msgpack.encode((self._windows, levels)), level=1)

    def load(self, content: bytes) -> None:
        """Takes up where a scan of the same columns was when it was dumped."""
        self._windows, levels = msgspec.msgpack.decode(zlib.decompress(content), type=tuple[int, list[list[bytes]]])
        for level, blocks in zip(self._levels, levels, strict=True):
            level.extend(np.frombuffer(block, "<i8").astype(np.int64, copy=False) for block in blocks)


def risks(false_alarms_a_window: float, columns: int) -> tuple[float, float]:
    """Returns what one look at one column may cost of the budget: the sudden detector's, and the slow one's."""
    risk = false_alarms_a_window / columns
    return risk * SUDDEN_SHARE, risk * (1 - SUDDEN_SHARE) / SLOW_TESTS_A_WINDOW
