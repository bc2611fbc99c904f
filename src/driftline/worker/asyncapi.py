"""The AsyncAPI document of what the worker reads: ``python -m driftline.worker.asyncapi`` prints it."""

import sys

import yaml
from faststream.specification import AsyncAPI
from pydantic import BaseModel

from driftline import __version__
from driftline.contract import FeedbackEvent, event_class
from driftline.contract.package import seed_schema
from driftline.worker.stream import BatchEntry, Received, build

_REFERENCE = "#/components/schemas/{model}"


def document() -> str:
    """Returns the document as YAML, with a local Redis for its server and the events of the seed's model."""

    async def nothing(entries: list[Received]) -> None:
        """Takes the handler's place; nothing is ever read."""

    broker, _ = build("redis://localhost:6379", 5.0, nothing)
    specification = AsyncAPI(
        broker,
        title="Driftline events",
        version=__version__,
        description="How predictions and outcomes travel from the outboxes of the API processes to the log.",
        license={"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    ).to_specification()
    described = specification.to_jsonable()
    schemas = described["components"]["schemas"]
    events: list[type[BaseModel]] = [event_class(seed_schema()), FeedbackEvent]
    # FastStream knows the entry; what the lines in it are, only we can tell.
    schemas[BatchEntry.__name__]["properties"]["payload"]["contentSchema"] = {
        "oneOf": [{"$ref": _REFERENCE.format(model=event.__name__)} for event in events]
    }
    for event in events:
        schemas[event.__name__] = event.model_json_schema(ref_template=_REFERENCE)
        schemas.update(schemas[event.__name__].pop("$defs", {}))
    return str(yaml.safe_dump(described, sort_keys=False, width=120))


if __name__ == "__main__":
    sys.stdout.write(document())
