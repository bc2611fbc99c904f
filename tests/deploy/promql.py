"""What PromQL expressions name, read with regular expressions that fit how ours are written."""

import itertools
import re

_NAME = re.compile(r"[a-zA-Z_:][\w:]*")
_SELECTOR = re.compile(r"(?<![\w:\"])(?:up|process_\w+|(?:job:)?driftline_[\w:]+)(?:\{[^}]*\})?")
_MATCHER = re.compile(r"(\w+)(=~|!~|!=|=)\"([^\"]*)\"")
_VARIABLES = {"$__rate_interval": "10s", "$__range": "1m"}


def plain(expression: str) -> str:
    """The expression with what Grafana would put in place of its variables."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def metrics(expression: str) -> set[str]:
    """The names of the metrics that it selects."""
    return {found[0] for selector in _SELECTOR.findall(expression) if (found := _NAME.match(selector))}


def selectors(expression: str) -> set[str]:
    """Its selectors, one for each word of an alternative: ``x{a=~"b|c"}`` is ``x{a="b"}`` and ``x{a="c"}``.

    So that each of them can be asked for: an alternative that does not exist would never be missed.
    """
    return {one for selector in _SELECTOR.findall(expression) for one in _spelt_out(selector)}


def _spelt_out(selector: str) -> list[str]:
    name = selector.partition("{")[0]
    matchers = _MATCHER.findall(selector)
    choices = [
        [f'{label}="{word}"' for word in value.split("|")] if operator == "=~" else [f'{label}{operator}"{value}"']
        for label, operator, value in matchers
    ]
    return [f"{name}{{{','.join(chosen)}}}" for chosen in itertools.product(*choices)]
