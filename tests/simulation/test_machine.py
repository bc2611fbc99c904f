"""Hypothesis looks for a schedule that breaks the promise, and would make it as short as it can be."""

from collections.abc import Callable
from contextlib import ExitStack

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.simulation.engine.witness import Violation
from tests.simulation.lives import Setting
from tests.simulation.schedule import Action, Schedule, act, possible, world_of

WAITS_S = (0.0, 0.01, 0.1, 0.5, 1.5)


class Delivery(RuleBasedStateMachine):
    """Real processes in a simulated world; each rule lets time pass, and then something happens."""

    @initialize(
        transport=st.sampled_from(["local", "redis"]),
        sync=st.sampled_from(["always", "os"]),
        seed=st.integers(0, 1 << 32),
    )
    def begin(self, transport: str, sync: str, seed: int) -> None:
        self.schedule = Schedule(Setting(seed, transport, sync, 600, 1200), ())  # type: ignore[arg-type]
        self.stack = ExitStack()
        self.world = self.stack.enter_context(world_of(self.schedule.setting))
        self.broken = False
        self.world.begin()

    @rule(after_s=st.sampled_from(WAITS_S), number=st.integers(0, 1 << 32))
    def requests(self, after_s: float, number: int) -> None:
        self._do(Action(after_s, "requests", number))

    @rule(after_s=st.sampled_from(WAITS_S), number=st.integers(0, 1 << 32), choice=st.data())
    def fault(self, after_s: float, number: int, choice: st.DataObject) -> None:
        self._do(Action(after_s, choice.draw(st.sampled_from(possible(self.schedule.setting))), number))

    def teardown(self) -> None:
        if not hasattr(self, "stack"):
            return
        with self.stack:
            if not self.broken:
                self._watched(self.world.settle)

    def _do(self, action: Action) -> None:
        self.schedule = Schedule(self.schedule.setting, (*self.schedule.actions, action))

        def go_on() -> None:
            self.world.run(action.after_s)
            act(self.world, action)

        self._watched(go_on)

    def _watched(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Violation:
            self.broken = True
            note(f"see: {self.schedule.command}")
            raise


Delivery.TestCase.settings = settings(max_examples=60, stateful_step_count=20)
TestDelivery = Delivery.TestCase
