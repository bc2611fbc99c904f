"""The load test: users who ask for predictions, and a check that every answer is in the log, exactly once.

    locust -f loadtest/locustfile.py --host http://localhost:8000          # web page on port 8089
    locust -f loadtest/locustfile.py --host http://localhost:8000 \\
        --headless -u 200 -r 20 -t 60s --csv loadtest/results/run

``PredictUser`` runs unless classes are named; add ``DriftingUser`` to make the inputs shift. The process ends with 0
if the claim holds, 1 if it is broken, 3 if the log could not be looked at. See docs/loadtest.md.
"""

import itertools
import json
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar

import gevent
from locust import FastHttpUser, between, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import EventHook
from locust.exception import StopUser
from locust.runners import STATE_INIT, STATE_STOPPED, LocalRunner
from rich.console import Console

from claim import Run, Verdict, WrongAnswerError, checked_id, judge, row_count
from inputs import Inputs, Shift

EXIT_CODES = {"holds": 0, "broken": 1, "not checked": 3}
# Users may finish the request they are in, so that no answer is cut off by the end of the run.
STOP_TIMEOUT_S = 10.0
SHOWN_IDS = 5


def listen(hook: EventHook, listener: Callable[..., None]) -> None:
    """Has Locust call ``listener`` whenever that event happens."""
    hook.add_listener(listener)  # type: ignore[no-untyped-call]  # Locust's hooks carry no types


def add_options(parser: LocustArgumentParser) -> None:
    """Adds Driftline's options to Locust's; those that shape the inputs can be set on the web page too."""
    parser.add_argument(
        "--data",
        default="data",
        env_var="DRIFTLINE_DATA",
        include_in_web_ui=False,
        help="Driftline's data directory, to look the answers up in its log; 'none' if it is on another machine",
    )
    parser.add_argument(
        "--log-wait",
        type=float,
        default=30.0,
        include_in_web_ui=False,
        help="Seconds the log may take to catch up at the end",
    )
    parser.add_argument(
        "--api-key",
        default="",
        env_var="API_KEY",
        include_in_web_ui=False,
        help="Key of a server that asks for one; better in API_KEY",
    )
    parser.add_argument("--seed", default="", env_var="LOADTEST_SEED", help="Makes every user's inputs repeatable")
    parser.add_argument(
        "--outcomes",
        type=float,
        default=0.1,
        env_var="LOADTEST_OUTCOMES",
        help="Share of predictions whose outcome is told by /feedback",
    )
    parser.add_argument("--shift-by", type=float, default=3.0, help="DriftingUser: what is added to feature_1")
    parser.add_argument("--shift-after", type=int, default=1000, help="DriftingUser: requests before the shift")


class LoadTest:
    """One Locust process: begins a run whenever a test starts, and judges it when the test has stopped."""

    def __init__(self, environment: Environment) -> None:
        assert environment.runner is not None
        assert environment.parsed_options is not None
        self._environment = environment
        self._runner = environment.runner
        self._options = environment.parsed_options
        self.outcomes_share: float = self._options.outcomes
        self._console = Console(stderr=True, highlight=False)
        self._start_row = 0
        self.verdict: Verdict | None = None
        self.stopping = False
        environment.stop_timeout = environment.stop_timeout or STOP_TIMEOUT_S
        if not self._options.user_classes:
            environment.user_classes[:] = [PredictUser]
        listen(environment.events.test_start, self._begin)
        listen(environment.events.test_stopping, self._stop_asking)
        listen(environment.events.test_stop, self._end)
        listen(environment.events.quitting, self._decide)
        listen(environment.events.quit, self._say_last)

    @property
    def _log_dir(self) -> Path | None:
        data = self._options.data
        return None if data == "none" else Path(data) / "logs"

    def _begin(self, **_: object) -> None:
        self.run = Run()
        self.stopping = False
        self._shift = Shift(self._options.shift_by, self._options.shift_after)
        self._user_numbers = itertools.count()
        self._start_row = 0 if self._log_dir is None else row_count(self._log_dir)
        if self._options.only_summary and sys.stderr.isatty():
            self._runner.greenlet.spawn(self._show_progress, self.run)

    def next_inputs(self, *, drifting: bool) -> Inputs:
        """The inputs of the next user of the run; drifting users share one shift."""
        return Inputs(self._options.seed, next(self._user_numbers), self._shift if drifting else None)

    def _show_progress(self, run: Run) -> None:
        began = time.monotonic()
        with self._console.status("") as status:
            while run is self.run and self._runner.state != STATE_STOPPED:
                elapsed_s = time.monotonic() - began
                status.update(f"{elapsed_s:.0f} s   {len(run.answered):,} answers   {run.failed:,} failures")
                time.sleep(0.5)  # Locust has made this gevent's

    def _stop_asking(self, **_: object) -> None:
        self.stopping = True

    def _end(self, **_: object) -> None:
        self.verdict = judge(self.run, self._log_dir, start_row=self._start_row, deadline_s=self._options.log_wait)
        prefix = self._options.csv_prefix
        if prefix:
            Path(f"{prefix}_verdict.json").write_text(json.dumps(self.verdict.as_dict(), indent=2) + "\n")
        if self._environment.web_ui is not None:
            self._say(self.verdict)

    def _decide(self, **_: object) -> None:
        if self._runner.state not in (STATE_INIT, STATE_STOPPED):
            self._runner.quit()  # interrupted: the users stop first, then the run is judged
        if self.verdict is not None and self.verdict.outcome != "holds":
            # Otherwise Locust's own rule stands, which knows of errors in this file too.
            self._environment.process_exit_code = EXIT_CODES[self.verdict.outcome]

    def _say_last(self, **_: object) -> None:
        if self.verdict is not None and self._environment.web_ui is None:
            self._say(self.verdict)

    def _say(self, verdict: Verdict) -> None:
        say = partial(self._console.print, soft_wrap=True)
        say("[bold]Every answer is in the log, exactly once?[/]")
        say(f"  {verdict.answers:>9,} answers, each with an id, the model's probability and its class")
        say(f"  {verdict.failures:>9,} failures")
        if verdict.unlogged:
            say(f"  {verdict.unlogged:>9,} more that said they could not be kept (Driftline-Logged: no)")
        if verdict.cut:
            say(f"  {verdict.cut:>9,} requests cut off by the end of the run; the log may have them or not")
        if verdict.outcomes:
            say(f"  {verdict.outcomes:>9,} outcomes told and taken")
        if verdict.lines is not None:
            say(f"  {verdict.lines:>9,} lines of this run in {self._log_dir}")
        examples = {"lost": verdict.lost, "repeated": verdict.repeated, "not answered": verdict.unasked}
        for name, ids in {**examples, "outcome lost": verdict.forgotten}.items():
            for request_id in ids[:SHOWN_IDS]:
                say(f"            {name}: {request_id}")
        colour = {"holds": "green", "broken": "red", "not checked": "yellow"}[verdict.outcome]
        say(f"[bold {colour}]{verdict.outcome.upper()}[/]{': ' if verdict.reasons else ''}{'; '.join(verdict.reasons)}")


def set_up(environment: Environment, **_: object) -> None:
    """Joins the check to Locust, for a run in one process."""
    if not isinstance(environment.runner, LocalRunner):
        # The answers would be spread over Locust's workers, whose last reports it may drop. Better no verdict at all.
        sys.exit("This load test judges a run in one process: leave out --processes, --master and --worker.")
    # Ctrl-C would be raised in whichever user is at work and kill that one; SIGTERM Locust takes in order.
    gevent.signal_handler(signal.SIGINT, signal.raise_signal, signal.SIGTERM)
    Asking.test = LoadTest(environment)


class Asking(FastHttpUser):
    """A user who asks for predictions with short pauses, checks each answer, and tells the outcomes of some."""

    abstract = True
    wait_time = between(0.1, 0.5)
    network_timeout = 30.0
    test: ClassVar[LoadTest]
    drifting: ClassVar[bool] = False

    def on_start(self) -> None:
        """Takes the next number of the run, which decides this user's inputs."""
        self.inputs = self.test.next_inputs(drifting=self.drifting)
        key = self.environment.parsed_options.api_key if self.environment.parsed_options else ""
        self.headers = {"X-API-Key": key} if key else {}

    @task
    def predict(self) -> None:
        """One prediction, and now and then what became of it."""
        if self.test.stopping:
            # Locust kills who is waiting, but one whose wait ends right now would be killed in a request.
            raise StopUser
        run = self.test.run
        features = self.inputs.next()
        with self.client.post(
            "/predict", json=features, headers={**self.headers, "X-Request-Id": run.mark()}, catch_response=True
        ) as answer:
            try:
                request_id = checked_id(answer.status_code, answer.content, features)
            except WrongAnswerError as error:
                run.failed += 1
                if answer.status_code:  # without one, Locust knows better what was wrong with the connection
                    answer.failure(str(error))
                return
        run.take(request_id, answer.headers)
        outcome = self.inputs.outcome(self.test.outcomes_share)
        if outcome is not None:
            self.tell(run, request_id, outcome)

    def tell(self, run: Run, request_id: str, outcome: int) -> None:
        """Tells an outcome."""
        feedback = {"request_id": request_id, "outcome": outcome}
        with self.client.post("/feedback", json=feedback, headers=self.headers, catch_response=True) as answer:
            if answer.status_code == HTTPStatus.OK:
                run.told.add(request_id)
            else:
                run.untaken += 1


class PredictUser(Asking):
    """The seed's user: two features, uniform in -5..5."""


class DriftingUser(Asking):
    """A user for whom the world changes: after a while ``feature_1`` is higher than it was."""

    drifting = True


listen(events.init_command_line_parser, add_options)
listen(events.init, set_up)
