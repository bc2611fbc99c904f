"""A progress bar on stderr for work that takes longer than a second."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AFTER_S = 1.0


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with (done, total) as often as one likes; the bar is shown after a second, on a terminal."""
    from rich.console import Console  # noqa: PLC0415 - slow to load
    from rich.progress import Progress  # noqa: PLC0415

    bar = Progress(console=Console(stderr=True), transient=True, disable=False)
    bar.disable = not bar.console.is_terminal
    task = bar.add_task(what, total=None)
    began = time.monotonic()

    def advance(done: int, total: int) -> None:
        if not bar.live.is_started:
            if time.monotonic() - began < AFTER_S:
                return
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        bar.stop()
