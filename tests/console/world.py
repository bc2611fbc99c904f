"""A log with a past, and the monitor's store as the monitor itself makes it of that log."""

import random
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from driftline.contract.checksum import with_checksum
from driftline.contract.event import timestamp
from driftline.contract.schema import Feature, ModelSchema
from driftline.eventlog.writer import LogWriter
from driftline.monitor.alarms import Alarms
from driftline.monitor.fold import Slicing
from driftline.monitor.follow import Follower, Plan
from driftline.monitor.store import FILE_NAME, MonitorStore
from driftline.monitor.telling import Teller
from tests.eventlog.lines import PRODUCER

US: Final = 1_000_000
WIDTH_US: Final = 10 * US
NAMES: Final = ("age", "income", "balance", "tenure_months", "orders_30d", "<script>alert('x')</script>")

Values = Callable[[random.Random, int, int], Mapping[str, float]]
"""Makes one row's features, given the window and the number of windows."""


def quiet(draw: random.Random, window: int, windows: int) -> dict[str, float]:
    del window, windows
    return {
        "age": round(min(max(draw.gauss(41, 11), 18), 90), 1),
        "income": round(draw.lognormvariate(10.4, 0.45), 0),
        "balance": round(draw.gauss(1200, 800), 2),
        "tenure_months": round(draw.expovariate(1 / 30), 1),
        "orders_30d": float(min(int(draw.expovariate(1 / 2)), 12)),
        NAMES[5]: round(draw.random(), 4),
    }


def drifting(draw: random.Random, window: int, windows: int) -> dict[str, float]:
    """Income moves up in the last third; the others stay as they are."""
    row = quiet(draw, window, windows)
    if window * 3 >= windows * 2:
        row["income"] = round(row["income"] * 1.25, 0)
    return row


class World:
    """A data folder with a log that this process writes, and a monitor of it.

    Args:
        data: The folder.
        now_us: About when the last window has ended.
        reference_rows: Rows that stand in for a reference.
        names: The model's features.
    """

    def __init__(
        self,
        data: Path,
        now_us: int,
        *,
        reference_rows: int = 2000,
        names: tuple[str, ...] = NAMES,
        min_rows: int = 200,
    ) -> None:
        self.data = data
        self.now_us = now_us // WIDTH_US * WIDTH_US
        self.schema = ModelSchema(
            name="churn",
            version="7",
            output="binary",
            threshold=0.5,
            features=tuple(Feature(name, "float", example=1.0) for name in names),
        )
        self.writer = LogWriter(data / "logs")
        assert self.writer.try_open()
        self.made: list[tuple[str, int, float]] = []
        self._seq = 0
        self._draw = random.Random(5)
        (data / "monitor").mkdir()
        self.store_path = data / "monitor" / FILE_NAME
        self.store = MonitorStore(self.store_path, create=True)
        plan = Plan(Slicing(width_us=WIDTH_US), min_rows, 30.0, 0.05, None, reference_rows)
        teller = Teller(
            self.store,
            self._alarms,
            log_dir=data / "logs",
            days_a_false_alarm=plan.days_a_false_alarm,
            page=lambda _scope, _column: None,
            clock_us=lambda: self.now_us,
        )
        self.follower = Follower(
            data / "logs",
            self.store,
            self.schema,
            data / "reference.json",
            plan,
            tell=teller.tell,
            clock_us=lambda: self.now_us,
        )

    def _alarms(self, log_id: str) -> Alarms:
        return Alarms(
            self.store.connection,
            log_id=log_id,
            service="churn",
            sinks=["webhook"],
            close_after=3,
            clock_us=lambda: self.now_us,
        )

    @property
    def request_ids(self) -> list[str]:
        """Of all predictions, in the order of the log."""
        return [request_id for request_id, *_ in self.made]

    def close(self) -> None:
        self.follower.close()
        self.store.close()
        self.writer.close()

    def predict(self, windows: int, rows: int, values: Values = quiet) -> None:
        """Writes so many windows of so many predictions each, the last of which ends now."""
        start_us = self.now_us // WIDTH_US * WIDTH_US - windows * WIDTH_US
        for window in range(windows):
            lines = [
                self._line(start_us + window * WIDTH_US + at * WIDTH_US // rows, values(self._draw, window, windows))
                for at in range(rows)
            ]
            self.writer.append(b"".join(line + b"\n" for line in lines), rows, {PRODUCER: self._seq})

    def tell(self, share: float, after_us: int) -> None:
        """Tells what became of a share of the predictions, each so long after it was made."""
        chosen = [it for it in self.made if self._draw.random() < share]
        lines = []
        for request_id, made_us, probability in chosen:
            event = {
                "request_id": request_id,
                "outcome": int(self._draw.random() < probability),
                "at": timestamp((made_us + after_us) * 1000),
                "timestamp": timestamp((made_us + after_us) * 1000),
                "schema_version": 1,
                "kind": "feedback",
                "producer": PRODUCER,
                "seq": self._seq,
            }
            self._seq += 1
            lines.append(with_checksum(msgspec.json.encode(event)))
        self.writer.append(b"".join(line + b"\n" for line in lines), len(lines), {PRODUCER: self._seq})

    def watch(self) -> None:
        """Lets the monitor read all there is."""
        while self.follower.step():
            pass
        now_us, self.now_us = self.now_us, self.now_us + 3 * US
        self.follower.step()  # nothing has come for a while: it is the clock that says which windows are over
        self.now_us = now_us

    def traffic(self, minutes: int) -> None:
        """Writes down traffic as the monitor samples it, every five seconds up to now."""
        draw = self._draw
        rows = [
            (
                *(self.now_us - at * 5 * US, 5.0, round(draw.gauss(3000, 90)), 12 if at % 97 == 40 else 0, 0),
                *(draw.gauss(0.0011, 0.00005), draw.gauss(0.0042, 0.0004)),
            )
            for at in range(minutes * 12)
        ]
        with self.store.transaction():
            self.store.connection.executemany("INSERT OR REPLACE INTO traffic VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def _line(self, us: int, features: Mapping[str, float]) -> bytes:
        tail = self._draw.getrandbits(74)
        number = (us // 1000) << 80 | 0x7 << 76 | (tail >> 62) << 64 | 0b10 << 62 | tail & ((1 << 62) - 1)
        request_id = str(uuid.UUID(int=number))
        probability = min(max(0.2 + features.get("age", 0.0) / 200 + features.get("income", 0.0) / 4e5, 0.0), 1.0)
        self.made.append((request_id, us, probability))
        event: dict[str, Any] = {
            "request_id": request_id,
            "features": dict(features),
            "probability": probability,
            "predicted_class": int(probability >= 0.5),
            "timestamp": timestamp(us * 1000),
            "schema_version": 1,
            "kind": "prediction",
            "producer": PRODUCER,
            "seq": self._seq,
            "model": "churn",
            "model_version": "7",
            "trace_id": None,
            "traceparent": None,
            "client_request_id": None,
        }
        self._seq += 1
        return with_checksum(msgspec.json.encode(event))
