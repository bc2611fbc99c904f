"""Numbers, times and findings as people read them; each with its unit."""

import math
from datetime import UTC, datetime, timedelta
from typing import Final

US: Final = 1_000_000
EFFECTS: Final = {"psi": "PSI", "js": "Jensen-Shannon", "ks": "KS", "wasserstein": "Wasserstein"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
_HUNDREDTH: Final = 0.01
_TENTH: Final = 0.1

SAID: Final = {
    ("location", "up"): "Its values have moved up.",
    ("location", "down"): "Its values have moved down.",
    ("spread", "wider"): "Its values lie further apart.",
    ("spread", "narrower"): "Its values lie closer together.",
}
STATES: Final = {
    "alarm": "drift",
    "small": "small change",
    "quiet": "no drift",
    "reference": "part of the reference",
    "none": "not judged yet",
}
"""What each state is called; ``small`` is certain, and too small to matter."""


def moment(us: int | None, *, seconds: bool = True) -> str:
    """Returns a time of the UTC clock: ``25 Nov 2026 20:40:10 UTC``."""
    if us is None:
        return "-"
    form = "%-d %b %Y %H:%M:%S UTC" if seconds else "%-d %b %Y %H:%M UTC"
    return (_EPOCH + timedelta(microseconds=us)).strftime(form)


def rfc3339(us: int) -> str:
    """Returns a time for machines: ``2026-11-25T20:40:10Z``."""
    return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(start_us: int, stop_us: int) -> str:
    """Returns two times with what they share said once: ``25 Nov 2026 20:40:10 to 20:40:20 UTC``."""
    start, stop = (_EPOCH + timedelta(microseconds=us) for us in (start_us, stop_us))
    if start.date() == stop.date():
        return f"{start:%-d %b %Y %H:%M:%S} to {stop:%H:%M:%S} UTC"
    return f"{start:%-d %b %Y %H:%M} to {stop:%-d %b %Y %H:%M} UTC"


def duration(seconds: float) -> str:
    """Returns a length of time in its largest unit that fits: ``1 h``, ``90 min``, ``10 s``, ``2.5 ms``."""
    for size, unit in _UNITS:
        if seconds >= size and (seconds % size == 0 or seconds >= 2 * size):
            return f"{seconds / size:.3g} {unit}"
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.3g} ms"


def ago(us: int, now_us: int) -> str:
    """Returns how long ago something was, roughly: ``12 s ago``."""
    seconds = max(0, (now_us - us) // US)
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def count(number: float) -> str:
    """Returns a whole number with its thousands told apart."""
    return f"{number:,.0f}"


def rate(per_second: float) -> str:
    """Returns a rate with as many digits as mean something."""
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"  # noqa: PLR2004 - three digits


def percent(share: float | None) -> str:
    """Returns a share of rows: ``0 %``, ``0.12 %``, ``3.4 %``, ``62 %``."""
    if share is None:
        return "-"
    size = abs(share)
    if size == 0 or size >= _TENTH:
        return f"{share * 100:.0f} %"
    if size >= _HUNDREDTH:
        return f"{share * 100:.1f} %"
    return f"{share * 100:.2g} %"


def size(value: float | None) -> str:
    """Returns an effect size with three digits."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.3g}"


def probability(log_p: float) -> str:
    """Returns a probability by its natural logarithm, however small: ``0.04``, ``3e-12``, ``2e-868``."""
    if log_p > math.log(_HUNDREDTH):
        return f"{math.exp(log_p):.2g}"
    tenfold = log_p / math.log(10)
    exponent = math.floor(tenfold)
    digits = round(10 ** (tenfold - exponent))
    return f"1e{exponent + 1}" if digits == 10 else f"{digits}e{exponent}"  # noqa: PLR2004 - rounded up


def chance(p: float) -> str:
    """Returns a probability; 0 is one that is too small to be told from it."""
    return probability(math.log(p)) if p > 0 else "less than 1e-300"


def evidence(log_p: float, log_risk: float) -> str:
    """Returns how sure it is: ``p = 3e-12, an alarm below 2e-06``."""
    if not math.isfinite(log_risk):  # of a question that is not asked no answer can be too unlikely
        return "nothing speaks against it"
    return f"p = {probability(log_p)}; an alarm takes less than {probability(log_risk)}"


def said(question: str, label: str) -> str:
    """Returns what an answer of the detectors means, in one sentence."""
    if (question, label) in SAID:
        return SAID[question, label]
    less = label.startswith("less ")
    how = "Fewer" if less else "More"
    where = {
        "missing": "have no value",
        "below": "lie below the reference's lowest value",
        "above": "lie above the reference's highest value",
        "unseen": "have a value that the reference has not",
    }.get(question, _where(label.removeprefix("less ")))
    return f"{how} rows than expected {where}."


def _where(label: str) -> str:
    low, between, high = label.partition(" to ")
    return f"lie between {low} and {high}" if between else f"have the value {label}"


def number(value: float) -> str:
    """Returns a value of a feature with four digits, or all of its whole ones."""
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e9 else f"{value:.4g}"  # noqa: PLR2004
