import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.contract.package import read_package
from driftline.errors import ModelError, ScoringError, ScoringTimeoutError
from driftline.scoring import AsyncModel, load_model
from driftline.scoring.pool import PoolModel
from tests.scoring.packages import floats, write_package
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

SOURCE = """
import os
import signal
import time
from pathlib import Path

ECHO, SLEEP, DIE, DIE_ONCE, RAISE, PID, MEET, HANG = range(8)


class Model:
    def __init__(self, package: Path) -> None:
        self.package = package
        if (package / "broken").exists():
            raise RuntimeError("broken")

    def predict(self, matrix):
        for what, value in matrix.tolist():
            if what == SLEEP:
                time.sleep(value)
            elif what == DIE:
                os.kill(os.getpid(), signal.SIGKILL)
            elif what == DIE_ONCE:
                try:
                    (self.package / "died").touch(exist_ok=False)
                except FileExistsError:
                    continue
                os.kill(os.getpid(), signal.SIGKILL)
            elif what == MEET:
                (self.package / f"met-{value}").touch()
                while not (self.package / f"met-{1 - value}").exists():
                    time.sleep(0.001)
            elif what == HANG:
                with (self.package / "hung").open("a") as hung:
                    print(os.getpid(), file=hung)
                while True:
                    pass
            elif what == RAISE:
                raise ValueError(value)
        return [float(os.getpid()) if what == PID else value for what, value in matrix.tolist()]
"""
ECHO, SLEEP, DIE, DIE_ONCE, RAISE, PID, MEET, HANG = map(float, range(8))


def make_package(folder: Path) -> Path:
    artifact = {"runtime": "python", "class": "model:Model", "cpu_bound": True, "processes": 2}
    package = write_package(folder, "regression", floats(["what", "value"]), artifact)
    (package / "model.py").write_text(SOURCE)
    return package


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsyncModel]:
    """One that all tests share which leave it as usable as it was: that is what they claim."""
    model = load_model(read_package(make_package(tmp_path_factory.mktemp("package"))))
    assert isinstance(model, AsyncModel)
    yield model
    model.close()


def pid(pool: AsyncModel) -> int:
    return int(float(str(pool.score_row((PID, 0.0)))))


def running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_event_loop_goes_on_while_the_processes_score_side_by_side(pool: AsyncModel) -> None:
    async def both() -> tuple[list[object], int]:
        turns, done = 0, False

        async def turn() -> None:
            nonlocal turns
            while not done:
                turns += 1
                await asyncio.sleep(0.001)

        turning = asyncio.create_task(turn())
        calls = [[(MEET, 0.0)], [(MEET, 1.0)], [(SLEEP, 0.3)]]  # the first two end only if both are under way
        scores = await asyncio.gather(*map(pool.score_async, calls))
        done = True
        await turning
        return list(scores), turns

    scores, turns = asyncio.run(both())
    assert scores == [[0.0], [1.0], [0.3]]
    assert turns > 5


def test_more_calls_than_processes_each_get_their_own_rows(pool: AsyncModel) -> None:
    async def many() -> list[object]:
        return list(await asyncio.gather(*(pool.score_async([(ECHO, float(n)), (ECHO, -1.0)]) for n in range(200))))

    assert asyncio.run(many()) == [[float(n), -1.0] for n in range(200)]


def test_a_call_whose_process_dies_is_made_once_more_and_the_others_do_not_notice(pool: AsyncModel) -> None:
    async def calls() -> list[object]:
        rows = [[(DIE_ONCE, 7.0)], *([(ECHO, float(n))] for n in range(20))]
        return list(await asyncio.gather(*map(pool.score_async, rows)))

    assert asyncio.run(calls()) == [[7.0], *([float(n)] for n in range(20))]


def test_a_row_that_kills_every_process_is_an_error_and_the_next_is_scored(pool: AsyncModel) -> None:
    async def calls() -> list[object]:
        rows = [[(DIE, 0.0)], *([(ECHO, float(n))] for n in range(20))]
        return list(await asyncio.gather(*map(pool.score_async, rows), return_exceptions=True))

    first, *others = asyncio.run(calls())
    assert isinstance(first, ScoringError)
    assert others == [[float(n)] for n in range(20)]
    with pytest.raises(ScoringError, match="have died at the same rows"):
        pool.score_row((DIE, 0.0))
    assert pool.score_row((ECHO, 3.0)) == 3.0


def test_a_process_that_was_killed_while_it_had_nothing_to_do_is_replaced(pool: AsyncModel) -> None:
    first = pid(pool)
    os.kill(first, signal.SIGKILL)
    assert asyncio.run(_four(pool)) == [[0.0], [1.0], [2.0], [3.0]]
    assert pid(pool) != first


async def _four(pool: AsyncModel) -> list[object]:
    return [await pool.score_async([(ECHO, float(n))]) for n in range(4)]


def test_signals_to_the_whole_group_leave_the_processes_alone(pool: AsyncModel) -> None:
    process = pid(pool)
    os.kill(process, signal.SIGTERM)
    os.kill(process, signal.SIGINT)
    assert pid(pool) == process


def test_what_the_class_raises_is_an_error_of_that_call_alone(pool: AsyncModel) -> None:
    process = pid(pool)
    with pytest.raises(ScoringError, match=r"the model raises ValueError at model\.py:\d+$"):
        pool.score_row((RAISE, 0.0))
    assert pid(pool) == process


def test_a_caller_that_gives_up_leaves_the_processes_and_no_answer_for_the_next(pool: AsyncModel) -> None:
    async def processes() -> set[str]:
        return set(map(str, await asyncio.gather(*(pool.score_async([(PID, 0.0)]) for _ in range(2)))))

    async def calls() -> list[object]:
        before = await processes()
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pool.score_async([(SLEEP, 1.0)]), 0.05)
        scores: list[object] = list(await asyncio.gather(*(pool.score_async([(ECHO, float(n))]) for n in range(10))))
        assert await processes() <= before  # one may still be busy
        return scores

    assert asyncio.run(calls()) == [[float(n)] for n in range(10)]


def test_closing_ends_the_processes_and_what_waits_fails(tmp_path: Path) -> None:
    pool = PoolModel(read_package(make_package(tmp_path)), 1, 30.0)
    process = pid(pool)

    async def close() -> object:
        call = asyncio.create_task(pool.score_async([(SLEEP, 60.0)]))
        await asyncio.sleep(0.01)  # long enough to be asked, and all orders end in the same way
        pool.close()
        pool.close()
        return (await asyncio.gather(call, return_exceptions=True))[0]

    assert isinstance(asyncio.run(close()), ScoringError)
    assert not running(process)
    with pytest.raises(ScoringError, match="have been ended"):
        pool.score_row((ECHO, 0.0))


def test_a_model_that_nobody_holds_any_more_ends_its_process(tmp_path: Path) -> None:
    pool = PoolModel(read_package(make_package(tmp_path)), 1, 30.0)
    process = pid(pool)
    del pool
    wait_until(lambda: not running(process))


def test_a_call_that_takes_too_long_is_an_error_at_once_and_the_next_has_a_new_process(tmp_path: Path) -> None:
    pool = PoolModel(read_package(make_package(tmp_path)), 1, 0.5)  # less than it takes to load

    async def calls() -> list[object]:
        rows = [[(HANG, 0.0)], *([(ECHO, float(n))] for n in range(3))]
        return list(await asyncio.gather(*map(pool.score_async, rows), return_exceptions=True))

    first, *others = asyncio.run(calls())
    assert isinstance(first, ScoringTimeoutError)
    assert first.message == "the model takes longer than 0.5 s to score"
    assert others == [[0.0], [1.0], [2.0]]
    (hung,) = (tmp_path / "hung").read_text().split()  # one: it was not tried again
    assert not running(int(hung))
    pool.close()


BUSY_PROGRAM = """
import asyncio
import sys
from pathlib import Path

from driftline.contract.package import read_package
from driftline.scoring.pool import PoolModel

pool = PoolModel(read_package(Path(sys.argv[1])), 1, 30.0)
asyncio.run(pool.score_async([(float(sys.argv[2]), 0.0)]))
"""


def test_a_process_that_never_ends_scoring_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUSY_PROGRAM, str(make_package(tmp_path)), str(HANG)]
    with subprocess.Popen(command) as parent:
        process = int(wait_until((tmp_path / "hung").read_text))
        assert running(process)
        parent.kill()
    try:
        wait_until(lambda: not running(process))
    finally:
        if running(process):
            os.kill(process, signal.SIGKILL)


PROGRAM = """
import os
import signal
import sys
from pathlib import Path

from driftline.contract.package import read_package
from driftline.scoring.pool import PoolModel

pool = PoolModel(read_package(Path(sys.argv[1])), 1, 30.0)
row = (float(sys.argv[2]), 0.0)
before = pool.score_row(row)
if (child := os.fork()) == 0:
    pool.close()
    os._exit(0)
os.waitpid(child, 0)
print(before, pool.score_row(row), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_with_the_one_that_started_them_and_not_with_a_copy_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(make_package(tmp_path)), str(PID)]
    killed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    process, same = map(float, killed.stdout.split())
    assert process == same
    wait_until(lambda: not running(int(process)))


def test_a_class_that_cannot_be_made_is_an_error_of_the_package_and_later_of_the_call(tmp_path: Path) -> None:
    package = read_package(make_package(tmp_path))
    pool = PoolModel(package, 1, 30.0)
    (tmp_path / "broken").touch()
    with pytest.raises(ScoringError, match="model:Model cannot be made: RuntimeError: broken"):
        asyncio.run(pool.score_async([(DIE, 0.0)]))
    pool.close()
    with pytest.raises(ModelError, match="model:Model cannot be made: RuntimeError: broken"):
        PoolModel(package, 1, 30.0)
