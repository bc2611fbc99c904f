"""The AsyncAPI document of what the worker reads: ``python -m driftline.worker.asyncapi`` prints it."""

import sys

from faststream.specification import AsyncAPI

from driftline import __version__
from driftline.worker.stream import Received, build


def document() -> str:
    """Returns the document as YAML, with a local Redis for its server."""

    async def nothing(entries: list[Received]) -> None:
        """Takes the handler's place; nothing is ever read."""

    broker, _ = build("redis://localhost:6379", 5.0, nothing)
    specification = AsyncAPI(
        broker,
        title="Driftline events",
        version=__version__,
        description="How predictions travel from the outboxes of the API processes to the log.",
        license={"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    ).to_specification()
    return str(specification.to_yaml())


if __name__ == "__main__":
    sys.stdout.write(document())
