"""The constant reply on Granian: read the body, answer; for Granian's RSGI interface."""

from typing import Any

ANSWER = b'{"request_id":"019a2071-fc95-759e-a214-000000000000","probability":0.7649478037637648,"predicted_class":1}'
HEADERS = [("content-type", "application/json")]


async def reply(_scope: Any, protocol: Any) -> None:
    """Answers whatever is asked."""
    await protocol()
    protocol.response_bytes(200, HEADERS, ANSWER)
