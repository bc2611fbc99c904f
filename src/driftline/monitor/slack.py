"""Posts alerts to Slack's incoming webhooks, and to what understands the same."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from driftline.monitor import wording
from driftline.monitor.alert import Alert
from driftline.monitor.webhook import post

# Slack's limits, beyond which it answers 400 invalid_blocks.
_HEADER_CHARACTERS: Final = 150
_SECTION_CHARACTERS: Final = 3000
_FIELD_CHARACTERS: Final = 2000


class SlackSink:
    """Posts each alert as a message with blocks. Slack cannot tell a repetition: one that is sent twice is seen twice.

    Args:
        url: Of the incoming webhook; holds a secret, so it is in no error.
        timeout_s: As for :class:`~driftline.monitor.webhook.WebhookSink`.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s

    async def send(self, alert: Alert) -> None:
        """Returns when Slack has answered with a 2xx.

        Raises:
            SinkError: It has not.
        """
        await post(
            self._url, msgspec.json.encode(message(alert)), {"Idempotency-Key": alert.notice_id}, self._timeout_s
        )


def message(alert: Alert) -> dict[str, Any]:
    """Returns the message in Slack's form: https://docs.slack.dev/reference/block-kit/blocks."""
    title = wording.title(alert)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:_HEADER_CHARACTERS], "emoji": False}},
        _section(_escaped(alert.sentence)),
        {
            "type": "section",
            "fields": [
                _markdown(f"*{fact.name}*\n{_escaped(fact.text)}"[:_FIELD_CHARACTERS]) for fact in wording.facts(alert)
            ],
        },
    ]
    if alert.bins is not None:
        blocks.append(_preformatted("Shares in the reference, and now", wording.bin_lines(alert)))
    if alert.request_ids:
        blocks.append(_preformatted("Some of the predictions", alert.request_ids))
    if alert.page is not None:
        blocks.append(_section(f"<{_escaped(alert.page)}|Show it>"))
    blocks.append({"type": "context", "elements": [_markdown(_escaped(f"{alert.service}, {alert.key}"))]})
    return {"text": _escaped(f"{title}: {alert.sentence}")[:_SECTION_CHARACTERS], "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _markdown(text[:_SECTION_CHARACTERS])}


def _preformatted(title: str, lines: Sequence[str]) -> dict[str, Any]:
    """Lines as they stand, as many as there is room for."""
    kept: list[str] = []
    room = _SECTION_CHARACTERS - len(title) - 20
    for line in map(_escaped, lines):
        room -= len(line) + 1
        if room < 0:
            kept.append("...")
            break
        kept.append(line)
    return _section("\n".join([f"*{title}*", "```", *kept, "```"]))


def _markdown(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
