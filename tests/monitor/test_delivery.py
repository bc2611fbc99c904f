"""The queue: what waits, in which order, how long, and what becomes of it."""

import sqlite3

import pytest
from prometheus_client import REGISTRY

from driftline.monitor import delivery as module
from driftline.monitor.delivery import GIVE_UP_AFTER_US, LONGEST_WAIT_US, DeliveryQueue
from tests.monitor.examples import START_US, Clock, an_alert


@pytest.fixture
def queue(database: sqlite3.Connection) -> DeliveryQueue:
    return DeliveryQueue(database)


def take(queue: DeliveryQueue, now_us: int, sink: str = "webhook") -> module.Delivery:
    found = queue.next(sink, now_us)
    assert found is not None
    return found


def test_a_notice_waits_for_each_sink_by_itself(queue: DeliveryQueue) -> None:
    queue.put(an_alert(), ["webhook", "email"], START_US)
    queue.delivered(take(queue, START_US), START_US + 5)
    assert queue.next("webhook", START_US) is None
    assert take(queue, START_US, "email").alert == an_alert()
    assert queue.next("slack", START_US) is None
    assert [(it.sink, it.state, it.delivered_us, it.attempts) for it in queue.of(an_alert().alert_id)] == [
        ("webhook", "delivered", START_US + 5, 1),
        ("email", "waiting", None, 0),
    ]


def test_a_notice_that_is_put_again_is_not_sent_again(queue: DeliveryQueue) -> None:
    queue.put(an_alert(), ["webhook"], START_US)
    queue.delivered(take(queue, START_US), START_US)
    queue.put(an_alert(), ["webhook"], START_US)
    assert queue.next("webhook", START_US) is None


def test_the_longest_waiting_comes_first(queue: DeliveryQueue) -> None:
    for number in range(3):
        queue.put(an_alert(number), ["webhook"], START_US)
    for number in range(3):
        found = take(queue, START_US)
        assert found.alert == an_alert(number)
        queue.delivered(found, START_US)


def test_a_failure_is_recorded_and_the_receiver_left_alone_for_a_while(queue: DeliveryQueue) -> None:
    queue.put(an_alert(0), ["webhook", "email"], START_US)
    queue.put(an_alert(1), ["webhook"], START_US)
    assert queue.failed(take(queue, START_US), "it is away", START_US, 5_000_000, alone=False)
    assert queue.next("webhook", START_US + 4_999_999) is None
    assert take(queue, START_US, "email").attempts == 0
    again = take(queue, START_US + 5_000_000)
    assert (again.alert, again.attempts, again.last_error) == (an_alert(0), 1, "it is away")


def test_one_that_the_receiver_refuses_does_not_keep_the_others_back(queue: DeliveryQueue) -> None:
    queue.put(an_alert(0), ["webhook"], START_US)
    queue.put(an_alert(1), ["webhook"], START_US)
    queue.failed(take(queue, START_US), "not that", START_US, 5_000_000, alone=True)
    assert take(queue, START_US).alert == an_alert(1)


def test_that_an_alert_has_resolved_is_not_said_before_that_it_was_firing(queue: DeliveryQueue) -> None:
    queue.put(an_alert(), ["webhook"], START_US)
    queue.put(an_alert().resolved(START_US), ["webhook"], START_US)
    queue.failed(take(queue, START_US), "not that", START_US, 5_000_000, alone=True)
    assert queue.next("webhook", START_US) is None
    queue.delivered(take(queue, START_US + 5_000_000), START_US)
    assert take(queue, START_US).alert.state == "resolved"


def test_what_waits_for_days_is_sent_and_after_a_week_it_is_given_up(queue: DeliveryQueue) -> None:
    queue.put(an_alert(), ["webhook"], START_US)
    now_us = START_US
    while queue.failed(take(queue, now_us), "away", now_us, LONGEST_WAIT_US, alone=False):
        now_us += LONGEST_WAIT_US
    assert now_us - START_US == GIVE_UP_AFTER_US
    assert queue.waiting() == []
    [given_up] = queue.of(an_alert().alert_id)
    assert (given_up.state, given_up.last_error, given_up.attempts) == ("given_up", "away", 7 * 24 + 1)


def test_no_receiver_can_have_us_wait_longer_than_an_hour(queue: DeliveryQueue) -> None:
    queue.put(an_alert(), ["webhook"], START_US)
    queue.failed(take(queue, START_US), "later", START_US, 10 * LONGEST_WAIT_US, alone=False)
    assert queue.next("webhook", START_US + LONGEST_WAIT_US - 1) is None
    assert queue.next("webhook", START_US + LONGEST_WAIT_US) is not None


def test_a_clock_that_is_set_back_does_not_stop_the_queue(queue: DeliveryQueue) -> None:
    queue.put(an_alert(), ["webhook"], START_US)
    queue.failed(take(queue, START_US), "later", START_US, LONGEST_WAIT_US, alone=False)
    assert queue.next("webhook", START_US - 1) is not None


def test_a_full_queue_gives_up_what_comes_next_and_says_so(
    queue: DeliveryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given_up() -> float:
        return (
            REGISTRY.get_sample_value("driftline_alert_deliveries_total", {"sink": "webhook", "result": "given_up"})
            or 0.0
        )

    monkeypatch.setattr(module, "MOST_WAITING", 2)
    before = given_up()
    for number in range(3):
        queue.put(an_alert(number), ["webhook", "email"], START_US)
    assert [it.alert for it in queue.waiting() if it.sink == "webhook"] == [an_alert(0), an_alert(1)]
    [last, _] = queue.of(an_alert(2).alert_id)
    assert (last.state, last.last_error) == ("given_up", "2 were waiting before it")
    assert given_up() == before + 1


def test_a_failure_recorded_within_a_transaction_of_the_caller_is_the_callers(
    queue: DeliveryQueue, database: sqlite3.Connection, clock: Clock
) -> None:
    queue.put(an_alert(), ["webhook"], START_US)
    database.execute("BEGIN IMMEDIATE")
    queue.failed(take(queue, START_US), "away", START_US, 1, alone=False)
    database.execute("ROLLBACK")
    assert take(queue, START_US).attempts == 0
