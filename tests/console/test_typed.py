"""The pages of a model of many classes, and of one that gives a number."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from driftline.contract.schema import ModelSchema
from driftline.monitor.fold import Slicing
from driftline.monitor.follow import Follower, Plan
from driftline.monitor.store import FILE_NAME, MonitorStore
from tests.console.conftest import OpenPage, config_of, served
from tests.console.test_accessibility import violations
from tests.monitor.logs import LABELS, MANY, NUMBER, START_US, US, Event, PredictionLog, feedback, mixed


class Shown(NamedTuple):
    """A console, and the predictions that it shows."""

    address: str
    made: list[Event]

    def page(self, path: str, **query: str) -> str:
        """The text of a page."""
        return httpx.get(f"{self.address}{path}", params=query).raise_for_status().text


def shown(folder: Path, schema: ModelSchema) -> Iterator[Shown]:
    """600 predictions, all of the last minutes with a plan that nobody had, and what became of half of them."""
    made = [*mixed(schema, 540), *mixed(schema, 60, first=540, plan="old")]
    with PredictionLog(folder / "logs") as log:
        log.add(made)
        log.add(
            feedback(each, each["prediction"] + 2 if schema is NUMBER else LABELS[at % 3])
            for at, each in enumerate(made[::2])
        )
        log.add([feedback(made[1], "nobody")])
    (folder / "monitor").mkdir()
    with MonitorStore(folder / "monitor" / FILE_NAME, create=True) as store:
        now_us = START_US + 603 * US
        plan = Plan(Slicing(width_us=60 * US), 20, 30.0, 0.05, "country", 500)
        follower = Follower(folder / "logs", store, schema, folder / "r.json", plan, clock_us=lambda: now_us)
        while follower.step():
            pass
        now_us += 3 * US
        follower.step()
        follower.close()
    with served(config_of(folder)) as address:
        yield Shown(address, made)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    yield from shown(tmp_path_factory.mktemp("many"), MANY)


@pytest.fixture(scope="module")
def number(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    yield from shown(tmp_path_factory.mktemp("number"), NUMBER)


def test_quality_of_many_classes_is_told_by_class(many: Shown) -> None:
    page = many.page("/quality")
    for said in ("Balanced accuracy", "By class", "What was taken for what", "was unsure", "Mean F1 of the classes"):
        assert said in page
    assert "1 outcome is nothing that this model can predict." in page
    assert "only of models of two classes" in page
    assert "Estimated" not in page
    assert "Are scores probabilities?" not in page
    assert "country=DE" in page


def test_quality_of_numbers_is_their_errors(number: Shown) -> None:
    page = number.page("/quality")
    assert "Mean absolute error over time" in page
    assert "By class" not in page
    bias = page.split("Bias", 1)[1].split("</tr>", 1)[0]
    assert "<strong>-2</strong>" in bias


def test_a_prediction_shows_what_the_model_gave_and_what_came(many: Shown, number: Shown) -> None:
    made = many.made[2]
    page = many.page("/predictions", id=made["request_id"])
    assert f'{made["predicted_class"]}<span class="unit">class' in page
    outcome = LABELS[1]
    assert f"{outcome}, {'as' if made['predicted_class'] == outcome else 'not as'} predicted" in page
    page = number.page("/predictions", id=number.made[2]["request_id"])
    assert '<span class="unit">predicted</span>' in page
    assert "; predicted was " in page
    assert ">false<" in page or ">true<" in page


def test_columns_of_each_type_have_their_pages(many: Shown) -> None:
    overview = many.page("/")
    assert "probabilities.<wbr>stay" in overview
    assert "1 of 11 columns has drifted." in overview
    assert "More rows than expected have a value that the reference has not." in many.page("/columns", name="plan")
    assert "output, a number" in many.page("/columns", name="probabilities.stay")
    assert "a category" in many.page("/columns", name="member")


def test_axe_finds_nothing_here_either(many: Shown, number: Shown, open_page: OpenPage) -> None:
    page = open_page(f"{many.address}/quality", viewport={"width": 390, "height": 900})
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.goto(f"{number.address}/predictions?id={number.made[2]['request_id']}")
    assert violations(page) == []
    page.goto("about:blank")
