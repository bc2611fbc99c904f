"""The process that watches: starts those that answer, and replaces them, one that died or all of them one by one.

Granian's own server with two methods exchanged: the socket they accept from, and how one process follows another.
"""

import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from granian._granian import SocketHolder
from granian.server.mp import MPServer

from driftline.api.handover import BACKLOG, Handover

log = structlog.get_logger()

START_S: Final = 30.0
_POLL_S: Final = 0.02


class Processes(MPServer):
    """The server of several processes.

    Args:
        handover: The socket, and what its processes tell each other.
        hung_up: Asked at SIGHUP: whether it came because the terminal is gone, and means the end.
        options: Granian's.
    """

    def __init__(self, handover: Handover, hung_up: Callable[[], bool], **options: Any) -> None:
        super().__init__("driftline", backlog=BACKLOG, **options)
        self._handover = handover
        self._hung_up = hung_up

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """SIGHUP: replaces the processes, or ends when nobody is there any more."""
        del args, kwargs
        if self._hung_up():
            self.interrupt_signal = True
        else:
            self.reload_signal = True
        self.main_loop_interrupt.set()

    def shutdown(self, exit_code: int = 0) -> None:
        """Ends the service."""
        self._handover.end()
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]

    def _init_shared_socket(self) -> None:
        """Nothing: each process is given the socket of its place."""

    def _drop_shared_socket(self) -> None:
        self._handover.close()

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:  # type: ignore[override]  # as MPServer has it
        listener = self._handover.take_place(idx)
        shape = (False, BACKLOG) if sys.platform == "linux" else (False,)
        holder = SocketHolder(listener.fileno(), *shape)  # type: ignore[call-arg]  # its stub is of another version
        vars(self).update(_ssp=None, _shd=holder, _sfd=listener.fileno(), _sso=listener)
        return super()._spawn_worker(idx, target, callback_loader)

    def _respawn_workers(self, workers: list[int], spawn_target: Any, target_loader: Any, delay: float = 0) -> None:
        """Replaces processes one by one: the new one serves before the old one is told to stop."""
        del delay  # how Granian hopes that the new one is ready
        for idx in workers:
            if self.interrupt_signal:
                return
            old: Any = self.wrks[idx]
            if not old.is_alive():
                super()._respawn_workers([idx], spawn_target, target_loader)
            elif not self._replace(idx, old, spawn_target, target_loader):
                return

    def _replace(self, idx: int, old: Any, spawn_target: Any, target_loader: Any) -> bool:
        new: Any = self._spawn_worker(idx=idx, target=spawn_target, callback_loader=target_loader)
        new.interrupt_by_parent = True  # until it serves, its death is no alarm: the old one is still there
        new.start()
        deadline = time.monotonic() + START_S
        while self._handover.serving_pid != new.inner.pid:
            if self.interrupt_signal:
                self.wrks.append(new)  # to be stopped with the others
                return False
            if not new.is_alive() or time.monotonic() > deadline:
                new.kill()
                new.join()
                log.error("api.not_replaced", exit_code=new.inner.exitcode)
                return False
            time.sleep(_POLL_S)
        new.interrupt_by_parent = False
        self.wrks[idx] = new
        old.terminate()
        old.join(self.workers_kill_timeout)
        if old.is_alive():
            old.kill()
            old.join()
        log.info("api.replaced", pid=old.inner.pid, by=new.inner.pid, signal=_signal_name(old.inner.exitcode))
        return True


def _signal_name(exit_code: int | None) -> str | None:
    return signal.Signals(-exit_code).name if exit_code is not None and exit_code < 0 else None
