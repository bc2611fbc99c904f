"""Each caller gets its own row's score, whoever else asks, goes away or fails; and nobody waits without need."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.package import Package, read_package, seed_package
from driftline.contract.schema import Row, Score
from driftline.errors import InputError, ScoringError, ScoringTimeoutError
from driftline.scoring.linear import WeightedSum
from driftline.scoring.logistic import LogisticModel
from driftline.scoring.together import Together, together_of
from tests.clock import run


class Doubling:
    """Scores the double of what it is given, fails at negative rows, and notes what was scored together."""

    max_batch_size = 8

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []

    def score(self, rows: Sequence[Row]) -> Sequence[Score]:
        self.batches.append([row[0] for row in rows])
        if any(row[0] < 0 for row in rows):  # type: ignore[operator]
            raise ScoringError("negative")
        return [2.0 * row[0] for row in rows]  # type: ignore[operator]

    def score_row(self, row: Row) -> Score:
        return self.score([row])[0]


class Elsewhere(Doubling):
    """The same, in what stands for other processes: a batch takes a second."""

    def __init__(self, processes: int = 1) -> None:
        super().__init__()
        self.processes = processes

    async def score_async(self, rows: Sequence[Row]) -> Sequence[Score]:
        scores = self.score(rows)
        await asyncio.sleep(1)
        return scores

    def close(self) -> None: ...


async def ask(together: Together, *values: float) -> list[Any]:
    asked = [asyncio.create_task(together.score_row((value,))) for value in values]
    return await asyncio.gather(*asked, return_exceptions=True)


def test_who_asks_in_the_same_turn_is_scored_together() -> None:
    model = Doubling()
    assert run(ask(Together(model, 8), 1, 2, 3)) == [2, 4, 6]
    assert model.batches == [[1, 2, 3]]


def test_who_asks_alone_waits_for_nobody() -> None:
    model = Doubling()

    async def main() -> float:
        assert await ask(Together(model, 8), 1) == [2]
        return asyncio.get_running_loop().time()

    assert run(main()) == 0


def test_a_batch_is_no_longer_than_it_may_be() -> None:
    model = Doubling()
    assert run(ask(Together(model, 2), 1, 2, 3, 4, 5)) == [2, 4, 6, 8, 10]
    assert model.batches == [[1, 2], [3, 4], [5]]


@given(
    st.lists(st.tuples(st.integers(-2, 9), st.integers(0, 3), st.booleans()), min_size=1, max_size=12),
    st.integers(1, 4),
    st.sampled_from([0.0, 1.5]),
    st.booleans(),
)
def test_each_caller_gets_its_own_score_or_its_own_error_whoever_goes_away(
    calls: list[tuple[int, int, bool]], max_rows: int, delay_s: float, elsewhere: bool
) -> None:
    model = Elsewhere(max_rows) if elsewhere else Doubling()
    together = Together(model, max_rows, delay_s)

    async def call(value: int, at_s: int, goes: bool) -> Any:
        await asyncio.sleep(at_s)
        asked = asyncio.create_task(together.score_row((float(value),)))
        if goes:
            await asyncio.sleep(0)
            asked.cancel()
        return (await asyncio.gather(asked, return_exceptions=True))[0]

    async def main() -> list[Any]:
        return await asyncio.gather(*(call(*each) for each in calls))

    for (value, _, goes), answer in zip(calls, run(main()), strict=True):
        if goes and isinstance(answer, asyncio.CancelledError):
            continue
        if value < 0:
            assert isinstance(answer, ScoringError)
        else:
            assert answer == 2 * value
    assert max(map(len, model.batches), default=0) <= max_rows


def test_the_first_waits_for_others_no_longer_than_it_is_told() -> None:
    model = Doubling()
    together = Together(model, 8, delay_s=0.005)

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        ends = []

        async def call(value: float, at_s: float) -> None:
            await asyncio.sleep(at_s)
            await together.score_row((value,))
            ends.append(round(loop.time(), 6))

        await asyncio.gather(call(1, 0), call(2, 0.003), call(3, 0.006))
        return ends

    assert run(main()) == [0.005, 0.005, 0.011]
    assert model.batches == [[1, 2], [3]]


def test_a_full_batch_does_not_wait() -> None:
    model = Doubling()

    async def main() -> float:
        await ask(Together(model, 2, delay_s=60), 1, 2)
        return asyncio.get_running_loop().time()

    assert run(main()) == 0


def test_who_comes_while_a_batch_is_elsewhere_is_in_the_next() -> None:
    model = Elsewhere()
    together = Together(model, 8)

    async def main() -> float:
        first = asyncio.create_task(together.score_row((1.0,)))
        await asyncio.sleep(0.5)
        rest = asyncio.create_task(ask(together, 2, 3))
        await asyncio.gather(first, rest)
        return asyncio.get_running_loop().time()

    assert run(main()) == 2
    assert model.batches == [[1], [2, 3]]


def test_who_waits_is_shared_out_among_the_processes_that_are_free() -> None:
    model = Elsewhere(processes=2)
    together = Together(model, 3)

    async def main() -> float:
        first = asyncio.create_task(ask(together, 1, 2, 3))
        await asyncio.sleep(0.5)
        rest = asyncio.create_task(ask(together, 4, 5, 6, 7, 8, 9, 10))
        assert await first == [2, 4, 6]
        assert await rest == [8, 10, 12, 14, 16, 18, 20]
        return asyncio.get_running_loop().time()

    assert run(main()) == 3
    assert model.batches[:2] == [[1, 2], [3]]
    assert sorted(map(len, model.batches[2:])) == [1, 3, 3]


def test_who_has_gone_is_not_scored() -> None:
    model = Doubling()
    together = Together(model, 8, delay_s=1)

    async def main() -> None:
        asked = [asyncio.create_task(together.score_row((value,))) for value in (1.0, 2.0)]
        await asyncio.sleep(0.5)
        asked[0].cancel()
        assert await asked[1] == 4

    run(main())
    assert model.batches == [[2]]


def test_scores_that_are_too_few_are_nobodys() -> None:
    class Short(Doubling):
        def score(self, rows: Sequence[Row]) -> Sequence[Score]:
            return super().score(rows)[: 1 if len(rows) > 1 else None]

    assert run(ask(Together(Short(), 8), 1, 2)) == [2, 4]


def test_a_batch_that_takes_too_long_is_everybodys_error_and_is_not_scored_again() -> None:
    class Slow(Elsewhere):
        async def score_async(self, rows: Sequence[Row]) -> Sequence[Score]:
            await super().score_async(rows)
            raise ScoringTimeoutError("slow")

    model = Slow()
    answers = run(ask(Together(model, 8), 1, 2, 3))
    assert [type(answer) for answer in answers] == [ScoringTimeoutError] * 3
    assert model.batches == [[1, 2, 3]]


def test_more_callers_than_may_wait_are_refused_at_once_and_whoever_goes_makes_room() -> None:
    model = Elsewhere()
    together = Together(model, 1, most_callers=3)

    async def main() -> float:
        first: list[Any] = [asyncio.create_task(together.score_row((value,))) for value in (1.0, 2.0)]
        first.append(asyncio.create_task(together.score_elsewhere(model, [(3.0,), (4.0,)])))
        await asyncio.sleep(0.5)
        for refused in (together.score_row((5.0,)), together.score_elsewhere(model, [(5.0,)])):
            with pytest.raises(InputError) as caught:
                await refused
            assert caught.value.reason == "overloaded"
        refused_at = asyncio.get_running_loop().time()
        first[1].cancel()
        await asyncio.sleep(0)
        assert await together.score_row((6.0,)) == 12
        assert await first[0] == 2
        assert await first[2] == [6, 8]
        return refused_at

    assert run(main()) == 0.5
    assert all(5.0 not in batch for batch in model.batches)


def test_nobody_is_refused_by_a_model_that_makes_nobody_wait() -> None:
    assert run(ask(Together(Doubling(), 8, most_callers=1), 1, 2, 3)) == [2, 4, 6]


# -- who decides


def package(**own: Any) -> Package:
    return read_package(seed_package())._replace(**own)


def test_a_model_that_gains_nothing_is_called_directly() -> None:
    assert together_of(package(), LogisticModel(WeightedSum(0.0, [1.0, 1.0]))) is None


def test_a_model_that_gains_says_so_and_the_package_has_the_last_word() -> None:
    assert together_of(package(), Doubling()) is not None
    assert together_of(package(max_batch_size=1), Doubling()) is None
    assert together_of(package(max_batch_size=4), LogisticModel(WeightedSum(0.0, [1.0, 1.0]))) is not None


def test_what_is_computed_elsewhere_is_awaited_even_alone() -> None:
    assert together_of(package(max_batch_size=1), Elsewhere()) is not None


@pytest.mark.parametrize("error", [ScoringError("no"), RuntimeError("bug")])
def test_whatever_a_model_raises_reaches_who_asked(error: Exception) -> None:
    class Failing(Doubling):
        def score(self, rows: Sequence[Row]) -> Sequence[Score]:
            raise error

    assert run(ask(Together(Failing(), 8), 1, 2)) == [error, error]


@pytest.mark.parametrize("base", [Doubling, Elsewhere])
@pytest.mark.parametrize("kind", [GeneratorExit, SystemExit, StopAsyncIteration, StopIteration])
def test_what_would_mean_something_else_to_a_caller_reaches_it_as_an_error(
    kind: type[BaseException], base: type[Doubling]
) -> None:
    if (kind, base) == (StopIteration, Elsewhere):
        pytest.skip("no coroutine can raise it")

    class Failing(base):  # type: ignore[misc, valid-type]
        def score(self, rows: Sequence[Row]) -> Sequence[Score]:
            raise kind

    for answer in run(ask(Together(Failing(), 8), 1, 2)):
        assert isinstance(answer, ScoringError)
        assert answer.message == f"the model raises {kind.__name__}"


def test_nobody_is_left_waiting_when_the_loop_ends_between_two_rows_of_a_batch_that_failed() -> None:
    class NoBatch(Elsewhere):
        async def score_async(self, rows: Sequence[Row]) -> Sequence[Score]:
            if len(rows) > 1:
                raise ScoringError("no batch")
            return await super().score_async(rows)

    together = Together(NoBatch(), 8)

    async def main() -> list[Any]:
        before = asyncio.all_tasks()
        asked = [asyncio.create_task(together.score_row((value,))) for value in (1.0, 2.0, 3.0)]
        await asyncio.sleep(0.5)
        (scoring,) = asyncio.all_tasks() - before - set(asked)
        scoring.cancel()
        return await asyncio.gather(*asked, return_exceptions=True)

    assert [type(answer) for answer in run(main())] == [asyncio.CancelledError] * 3
