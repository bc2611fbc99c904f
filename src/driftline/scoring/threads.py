"""How many threads a library may use for one prediction: one, for the processes of the API share the processors."""

import threading
from collections.abc import Callable
from typing import Any

from threadpoolctl import threadpool_limits


def limit_threads() -> None:
    """Lets OpenMP and BLAS start no other threads for what this thread asks of them from now on."""
    threadpool_limits(limits=1)


def on_one_thread(ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns a function that does the same, while OpenMP and BLAS start no other threads.

    The limit holds from then on, for whatever else the process asks of them. To set it for one call and lift it again
    would take 11 microseconds.
    """
    bound = threading.local()  # OpenMP keeps its limit for each thread that asks

    def predict(encoded: Any) -> Any:
        if not hasattr(bound, "to_one"):
            limit_threads()
            bound.to_one = True
        return ask(encoded)

    return predict
