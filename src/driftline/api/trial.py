"""Trying something in a process apart, so that this one stays as it is."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import Final

from driftline.errors import ModelError

_FAILED: Final = 1


def try_apart(action: Callable[[], object]) -> None:
    """Returns if an action goes well in a child of this process.

    Libraries of models start threads as they are loaded. The children of a process that has done so are forked without
    those threads, and wait for them for ever as soon as they score; so what forks does not load.

    Raises:
        ModelError: The action has raised it, or whatever it was has ended the child.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_the_child(action, reading, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said:
        message = said.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise ModelError(message or f"the process that tried to load the model ended with {_how(status)}")


def _be_the_child(action: Callable[[], object], reading: int, writing: int) -> None:
    code = _FAILED
    try:
        os.close(reading)
        action()
        code = 0
    except ModelError as error:
        os.write(writing, error.message.encode())
    except BaseException:  # noqa: BLE001 (nothing of the parent's must go on in the child)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit code {code}"
