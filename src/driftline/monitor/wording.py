"""An alert in words, for people: what a mail and a Slack message have in common."""

import datetime as dt
import json
from typing import NamedTuple

from driftline.monitor.alert import Alert


class Fact(NamedTuple):
    """One line of what there is to know."""

    name: str
    text: str


def title(alert: Alert) -> str:
    """Returns the alert in a few words: ``Firing: drift of age (all)``."""
    what = alert.kind.replace("_", " ") + (f" of {alert.column}" if alert.column else "")
    return f"{alert.state.capitalize()}: {what} ({alert.scope})"


def facts(alert: Alert) -> list[Fact]:
    """Returns what there is to know beside the sentence, the most important first."""
    window, evidence = alert.window, alert.evidence
    found = [Fact("since", time_of(alert.since_us))]
    if alert.closed_us is not None:
        found.append(Fact("quiet since", time_of(alert.closed_us)))
    found.append(Fact("window", f"{time_of(window.start_us)} to {time_of(window.stop_us)}, {window.rows:,} rows"))
    if alert.effect:
        found.append(Fact("effect", ", ".join(effects(alert.effect))))
    sure = [evidence.detector]
    if evidence.p is not None:
        sure.append(f"p {evidence.p:.2g}")
    if evidence.bound is not None:
        sure.append(f"bound {evidence.bound:.2g}")
    found.append(Fact("evidence", ", ".join([*sure, evidence.budget])))
    if alert.profile is not None:
        found.append(Fact("compared with", alert.profile))
    return found


def effects(effect: dict[str, float | None]) -> list[str]:
    """Returns each effect size with its interval: ``psi 0.31 (0.24 to 0.4)``."""
    lines = []
    for name, value in effect.items():
        if name.endswith(("_low", "_high")) or value is None:
            continue
        low, high = effect.get(f"{name}_low"), effect.get(f"{name}_high")
        lines.append(f"{name} {value:.3g}" + ("" if low is None or high is None else f" ({low:.3g} to {high:.3g})"))
    return lines


def bin_lines(alert: Alert) -> list[str]:
    """Returns a line for each bin: its label, the reference's share, the window's; none if there are no bins."""
    if alert.bins is None:
        return []
    width = max((len(label) for label in alert.bins.labels), default=0)
    rows = zip(alert.bins.labels, alert.bins.reference, alert.bins.current, strict=True)
    return [f"{label:<{width}}  {reference:6.1%}  {current:6.1%}" for label, reference, current in rows]


def text(alert: Alert) -> str:
    """Returns all of the alert as plain text."""
    parts = [alert.sentence, "\n".join(f"{fact.name + ':':<15}{fact.text}" for fact in facts(alert))]
    if alert.page is not None:
        parts.append(alert.page)
    if alert.bins is not None:
        parts.append("\n".join(["Shares in the reference, and now:", *bin_lines(alert)]))
    if alert.request_ids:
        parts.append("\n".join(["Some of the predictions:", *alert.request_ids]))
    parts.append(f"{alert.service}, {json.dumps(alert.key)}, alert {alert.alert_id}")
    return "\n\n".join(parts) + "\n"


def time_of(us: int) -> str:
    """Returns a time for people: ``2026-11-25 21:00:00 UTC``."""
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)).strftime("%Y-%m-%d %H:%M:%S UTC")
