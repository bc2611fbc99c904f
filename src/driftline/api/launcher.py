"""What Granian is used for in the process that watches: to make those that answer, from all its options.

Its own loop, which starts and watches them, is not: it ends the service when a process dies twice. See processes.py.
"""

import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any

from granian._granian import SocketHolder
from granian.server.mp import MPServer

from driftline.api.handover import BACKLOG, Handover
from driftline.api.signals import let_signals_end_us


class Launcher(MPServer):
    """Makes the processes that answer.

    Args:
        handover: The sockets, and what the processes tell each other.
        load: Returns the application; called in each new process.
        options: Granian's.
    """

    def __init__(self, handover: Handover, load: Callable[[], Any], **options: Any) -> None:
        super().__init__("driftline", backlog=BACKLOG, **options)
        self._handover = handover
        self._target: Any = None
        self.serve(target_loader=load, wrap_loader=False)

    def new_process(self, place: int) -> BaseProcess:
        """Returns a process that will answer at that place when it is started."""
        listener = self._handover.take_place(place)
        shape = (False, BACKLOG) if sys.platform == "linux" else (False,)
        holder = SocketHolder(listener.fileno(), *shape)  # type: ignore[call-arg]  # its stub is of another version
        vars(self).update(_ssp=None, _shd=holder, _sfd=listener.fileno(), _sso=listener)
        process: BaseProcess = self._spawn_worker(place, *self._target).inner
        return process

    def _serve(self, spawn_target: Any, target_loader: Any) -> None:
        """Keeps what processes are made of; Granian's ``serve`` calls it once it has looked over its options."""
        self._target = partial(_begin, spawn_target), target_loader


def _begin(spawn_target: Callable[..., None], *arguments: Any) -> None:
    let_signals_end_us()
    spawn_target(*arguments)
