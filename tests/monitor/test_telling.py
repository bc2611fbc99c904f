"""Who is told of what a window shows, and in which words; on real logs, with the real detectors."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from driftline.monitor.alarms import Alarms
from driftline.monitor.alert import Alert
from driftline.monitor.delivery import DeliveryQueue
from driftline.monitor.follow import Follower
from driftline.monitor.history import AlertHistory
from driftline.monitor.store import FILE_NAME, MonitorStore
from driftline.monitor.telling import Teller
from tests.monitor.conftest import PLAN
from tests.monitor.logs import SCHEMA, START_US, US, Event, PredictionLog, events


class Told:
    """A log that is followed to its end, minute by minute, and what came of it."""

    def __init__(self, folder: Path, found: Sequence[Event]) -> None:
        self.store = MonitorStore(folder / FILE_NAME, create=True)
        self.now_us = START_US
        teller = Teller(
            self.store,
            self._alarms,
            log_dir=folder / "logs",
            days_a_false_alarm=30,
            page=lambda scope, column: f"https://console/{scope}/{column}",
            clock_us=lambda: self.now_us,
        )
        with PredictionLog(folder / "logs") as log:
            follower = Follower(
                folder / "logs", self.store, SCHEMA, folder / "reference.json", PLAN,
                tell=teller.tell, clock_us=lambda: self.now_us,
            )  # fmt: skip
            by_minute: dict[int, list[Event]] = {}
            for each in found:
                by_minute.setdefault(minute_of(each), []).append(each)
            for minute in sorted(by_minute):
                log.add(by_minute[minute])
                for later_s in (60, 63, 66):
                    self.now_us = START_US + (minute * 60 + later_s) * US
                    while follower.step():
                        pass
            follower.close()

    def _alarms(self, log_id: str) -> Alarms:
        return Alarms(
            self.store.connection, log_id=log_id, service="driftline", sinks=["webhook"], close_after=3,
            clock_us=lambda: self.now_us,
        )  # fmt: skip

    @property
    def notices(self) -> list[Alert]:
        """What waits to be sent, in order."""
        return [delivery.alert for delivery in DeliveryQueue(self.store.connection).waiting()]

    @property
    def alerts(self) -> list[Alert]:
        return AlertHistory(self.store.connection).recent(100)


def minute_of(event: Event) -> int:
    hours, minutes = int(event["timestamp"][11:13]), int(event["timestamp"][14:16])
    days = int(event["timestamp"][8:10]) - 23
    return (days * 24 + hours - 21) * 60 + minutes


def quiet_then(shift: float, *, quiet_s: int = 1500, shifted_s: int = 600, after_s: int = 0) -> list[Event]:
    """Two rows a second; for a while the first feature is shifted."""
    found = events(2 * quiet_s, every_s=0.5)
    found += events(2 * shifted_s, first_s=quiet_s, every_s=0.5, seed=1, shift=shift)
    found += events(2 * after_s, first_s=quiet_s + shifted_s, every_s=0.5, seed=2)
    return [{**each, "request_id": str(number)} for number, each in enumerate(found)]


def test_one_notice_is_sent_of_a_feature_and_of_what_follows_from_it(tmp_path: Path) -> None:
    told = Told(tmp_path, quiet_then(1.5))
    (notice,) = told.notices
    assert (notice.state, notice.column, notice.scope) == ("firing", "feature_1", "all")
    assert notice.sentence.startswith("feature_1 has moved up: ")
    assert {alert.column for alert in told.alerts} == {"feature_1", "probability", "predicted_class"}
    assert (notice.since_us - START_US) // US in range(1440, 1561)
    assert notice.page == "https://console/all/feature_1"


def test_a_notice_has_the_effect_the_evidence_the_bins_and_ten_predictions(tmp_path: Path) -> None:
    found = quiet_then(1.5)
    (notice,) = Told(tmp_path, found).notices
    examples = [found[int(request_id)] for request_id in notice.request_ids]
    assert len(examples) == 10
    assert all(minute_of(each) >= 24 and each["features"]["feature_1"] > 1 for each in examples)
    for name in ("moved", "psi", "js", "ks", "wasserstein"):
        low, size, high = (notice.effect[f"{name}{end}"] for end in ("_low", "", "_high"))
        assert low is not None
        assert size is not None
        assert high is not None
        assert low <= high
        assert size > 0
    assert notice.evidence.p is not None
    assert notice.evidence.bound is not None
    assert notice.evidence.p < notice.evidence.bound
    assert notice.bins is not None
    assert sum(notice.bins.reference) == pytest.approx(1)
    assert sum(notice.bins.current) == pytest.approx(1)
    assert notice.profile is not None


def test_when_it_is_over_that_is_told_too(tmp_path: Path) -> None:
    told = Told(tmp_path, quiet_then(1.5, after_s=900))
    assert [notice.state for notice in told.notices] == ["firing", "resolved"]
    assert AlertHistory(told.store.connection).firing() == []


def test_nothing_is_told_of_a_quiet_log(tmp_path: Path) -> None:
    assert Told(tmp_path, quiet_then(0.0)).alerts == []


def test_outputs_that_change_by_themselves_are_told_of_with_that(tmp_path: Path) -> None:
    found = quiet_then(0.0)
    for each in found[3000:]:  # as another version of the model might give
        each["probability"] = each["probability"] ** 0.3
    notices = Told(tmp_path, found).notices
    assert [notice.column for notice in notices] == ["probability"]
    assert notices[0].sentence.endswith("; no feature has changed.")
