"""The templates, with the words that they are written in."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from driftline.console import words

HERE: Final = Path(__file__).parent
STATIC_DIR: Final = HERE / "static"
_FILTERS: Final = (
    "chance",
    "count",
    "duration",
    "moment",
    "number",
    "percent",
    "probability",
    "rate",
    "rfc3339",
    "size",
)


def make_environment(app_name: str, *, guarded: bool) -> Environment:
    """Returns what renders pages; all that is put into them is escaped.

    Args:
        app_name: Name of the service.
        guarded: Whether there is a log-in, and so a way out.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(words, name) for name in _FILTERS}
    environment.globals |= {
        "app_name": app_name,
        "guarded": guarded,
        "ago": words.ago,
        "effects": words.EFFECTS,
        "evidence": words.evidence,
        "said": words.said,
        "span": words.span,
        "states": words.STATES,
    }
    return environment
