"""What the first page says: how things stand, in one sentence, and what it rests on."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from driftline.console import figures, words
from driftline.console.alerts import firing_by_cause
from driftline.console.reading import Reading, Standing, VerdictRow, WindowRow
from driftline.drift.profile import FEWEST_ROWS, Profile
from driftline.monitor.judge import ALL

TRAFFIC_HOURS: Final = (1, 6, 24)
NOW_S: Final = 60
MOST_CARDS: Final = 48
_ORDER: Final = {"alarm": 0, "small": 1, "quiet": 2, "reference": 3, "none": 4}


class Status(NamedTuple):
    """The one sentence, and how it is meant.

    Attributes:
        tone: ``bad``, ``good``, ``waiting`` or ``unknown``.
        headline: The sentence.
        detail: What to know or to do about it.
        command: A command that helps, if there is one.
    """

    tone: str
    headline: str
    detail: str = ""
    command: str = ""


class Card(NamedTuple):
    """One column at a glance."""

    name: str
    role: str
    state: str
    sentence: str
    verdict: VerdictRow | None
    bars: list[figures.Bar]


def overview(reading: Reading, now_us: int, hours: int) -> dict[str, Any]:
    """Returns what the page shows."""
    standing = reading.standing()
    windows = reading.windows(ALL, figures.SPARK_WINDOWS)
    verdicts = reading.verdicts(windows)
    cards = cards_of(standing.profile, windows, verdicts)
    rows = reading.traffic(now_us - hours * 3600 * words.US)
    recent = [row for row in rows if row.at_us > rows[-1].at_us - NOW_S * words.US] if rows else []
    fresh = bool(recent) and now_us - recent[-1].at_us < 2 * NOW_S * words.US
    points = figures.traffic_points(rows)
    causes, followers = firing_by_cause(reading)
    return {
        "standing": standing,
        "status": status_of(standing, windows, cards),
        "caveats": caveats(standing),
        "causes": causes,
        "followers": followers,
        "window": windows[-1] if windows else None,
        "windows": windows,
        "cards": cards[:MOST_CARDS],
        "more": cards[MOST_CARDS:],
        "traffic": figures.traffic_of(recent) if fresh else None,
        "traffic_end_us": rows[-1].at_us if rows else None,
        "points": points,
        "traffic_trouble": reading.meta("traffic_trouble"),
        "charts": figures.traffic_charts(points) if points else {},
        "hours": hours,
        "hours_choices": TRAFFIC_HOURS,
        "now_us": now_us,
    }


def status_of(standing: Standing, windows: Sequence[WindowRow], cards: Sequence[Card]) -> Status:
    """Returns how things stand; of what is not known it is said that it is not."""
    if standing.phase == "no_log":
        return Status("unknown", "There is no log yet.", "It begins with the first prediction that is kept.")
    if standing.phase == "unfit_reference":
        return Status("bad", "The reference cannot be used.", standing.trouble)
    if standing.profile is None:
        return _no_reference(standing)
    return _judged(standing, windows, cards) if windows else _waits(standing)


def _judged(standing: Standing, windows: Sequence[WindowRow], cards: Sequence[Card]) -> Status:
    if windows[-1].state == "reference":
        detail = f"Windows so far are of rows that the reference is made of. The next one has {_waiting(standing)}."
        return Status("waiting", "Nothing to compare with the reference yet.", detail)
    if windows[-1].state == "earlier":
        detail = f"Another version of the model has taken over. The next window has {_waiting(standing)}."
        return Status("waiting", "Nothing of this version to judge yet.", detail)
    drifted = [card.name for card in cards if card.state == "alarm"]
    if drifted:
        named = ", ".join(drifted[:3]) + (f" and {len(drifted) - 3} more" if len(drifted) > 3 else "")  # noqa: PLR2004
        columns = "columns has" if len(drifted) == 1 else "columns have"
        return Status("bad", f"{len(drifted)} of {len(cards)} {columns} drifted.", named)
    detail = ""
    if 0 < standing.waiting_rows < standing.min_rows:
        detail = f"The next window has {_waiting(standing)}."
    return Status("good", "No drift in the last window.", detail)


def _waits(standing: Standing) -> Status:
    if standing.waiting_rows >= standing.min_rows:
        return Status("waiting", "The first window is not over yet.", f"It has {_waiting(standing)}.")
    return Status("waiting", f"Waiting for rows: {_waiting(standing)}.", "Nothing has been judged yet.")


def _no_reference(standing: Standing) -> Status:
    wanted = int(standing.plan.get("reference_rows", "0"))
    rows = words.count(standing.log_rows)
    if wanted and standing.log_rows < wanted:
        return Status(
            "waiting",
            "No reference yet.",
            f"The log has {rows} rows; its first {words.count(wanted)} will stand in for one. To choose others:",
            f"driftline reference build --first {wanted}",
        )
    if standing.log_rows < FEWEST_ROWS:
        detail = f"One needs {FEWEST_ROWS} rows or more, and the log has {rows}."
        return Status("waiting", "No reference yet.", detail)
    proposed = min(standing.log_rows, 10_000)
    detail = f"The log has {rows} rows. To take the first {words.count(proposed)} of them for the reference:"
    return Status("unknown", "No reference yet.", detail, f"driftline reference build --first {proposed}")


def _waiting(standing: Standing) -> str:
    rows = words.count(standing.waiting_rows)
    return (
        f"{rows} of {words.count(standing.min_rows)} rows"
        if standing.waiting_rows < standing.min_rows
        else f"{rows} rows"
    )


def caveats(standing: Standing) -> list[Status]:
    """Returns what takes from the trust that the verdicts deserve."""
    found = []
    profile = standing.profile
    if profile is None:
        return []
    if standing.provisional:
        found.append(
            Status(
                "waiting",
                "The reference is provisional.",
                f"The first {words.count(profile.rows)} rows of the log stand in for one: what was wrong from the "
                "beginning is not seen. To keep it, or to make another of a file or of other rows:",
                f"driftline reference build --first {profile.rows}",
            )
        )
    if not profile.origin.in_order:
        found.append(
            Status(
                "waiting",
                "The guarantee on false alarms is void.",
                "The reference's rows are not in the order of time, so how much neighbours resemble each other cannot "
                "be told; if they do, there are more alarms than the budget says.",
            )
        )
    if standing.phase == "catching_up":
        behind = words.count(standing.log_rows - standing.position_row)
        found.append(Status("waiting", "Catching up.", f"{behind} rows of the log are still to be read."))
    return found


def cards_of(
    profile: Profile | None, windows: Sequence[WindowRow], verdicts: dict[str, list[VerdictRow]]
) -> list[Card]:
    """Returns a card for each column of the reference, those that have drifted first."""
    if profile is None:
        return []
    cards = []
    for column in profile.columns:
        own = verdicts.get(column.name, [])
        last = own[-1] if own and own[-1].window == windows[-1].window else None
        state = last.state if last else windows[-1].state if windows and windows[-1].state == "reference" else "none"
        sentence = words.said(last.question, last.label) if last and last.state != "quiet" else ""
        cards.append(Card(column.name, column.role, state, sentence, last, figures.spark(windows, own)))
    return sorted(cards, key=lambda card: (_ORDER[card.state], -(card.verdict.strength if card.verdict else 0)))
