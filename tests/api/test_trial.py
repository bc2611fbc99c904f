import os
import signal

import pytest

from driftline.api.trial import try_apart
from driftline.errors import ModelError


def test_what_goes_well_apart_leaves_nothing_here() -> None:
    seen: list[int] = []
    try_apart(lambda: seen.append(os.getpid()))
    assert seen == []


def test_an_error_apart_is_the_same_error_here() -> None:
    def fail() -> None:
        raise ModelError("the weights of größe are missing")

    with pytest.raises(ModelError, match="the weights of größe are missing"):
        try_apart(fail)


def test_what_ends_the_process_is_an_error_with_its_cause() -> None:
    with pytest.raises(ModelError, match=f"signal {signal.SIGKILL:d}"):
        try_apart(lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(ModelError, match="exit code 1"):
        try_apart(lambda: 1 / 0)
