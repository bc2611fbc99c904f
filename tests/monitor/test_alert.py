"""The JSON of an alert, which others build upon."""

import json
import math
import re
from pathlib import Path
from typing import get_args

import msgspec

from driftline.monitor.alert import Alert, Bins, Evidence, Kind, State, Window, decode, encode
from tests.monitor.examples import an_alert

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_the_page_shows_the_very_json_of_an_alert() -> None:
    [shown] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert json.loads(shown) == json.loads(encode(an_alert()))
    assert list(json.loads(shown)) == list(json.loads(encode(an_alert())))


def test_the_page_explains_every_field_and_kind_and_no_other() -> None:
    parts: dict[str, type[msgspec.Struct]] = {"window": Window, "evidence": Evidence, "bins": Bins}
    fields = {field.name for field in msgspec.structs.fields(Alert)}
    nested = {f"{outer}.{field.name}" for outer, inner in parts.items() for field in msgspec.structs.fields(inner)}
    section = PAGE.partition("## The JSON")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z_.]+)` \|", section, re.MULTILINE)) == fields | nested
    kinds = PAGE.partition("## Kinds")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", kinds, re.MULTILINE)) == set(get_args(Kind))


def test_the_names_of_the_fields_never_change() -> None:
    assert list(json.loads(encode(an_alert()))) == [
        *("alert_id", "service", "key", "kind", "state", "column", "scope", "since_us", "opened_us", "closed_us"),
        *("sentence", "effect", "evidence", "bins", "request_ids", "profile", "window", "page", "schema_version"),
    ]
    assert get_args(State) == ("firing", "resolved")


def test_an_alert_comes_back_from_its_json() -> None:
    assert decode(encode(an_alert())) == an_alert()


def test_an_effect_without_a_finite_value_is_null_and_comes_back() -> None:
    alert = msgspec.structs.replace(an_alert(), effect={"psi": math.inf, "js": math.nan, "ks": 0.5})
    assert decode(encode(alert)).effect == {"psi": None, "js": None, "ks": 0.5}
