"""What schemathesis has to be told to ask for more than it knows of itself."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def in_lines(_: object, value: Any) -> bytes:
    """An array is lines, an item each; what is none goes in one line as it would stand in an array: as none."""
    lines = value if isinstance(value, list) else [[value]]
    return "".join(f"{json.dumps(item)}\n" for item in lines).encode()


@schemathesis.deserializer("application/x-ndjson", "application/jsonl")
def of_lines(_: object, response: Any) -> Any:
    return [json.loads(line) for line in response.content.splitlines()]
