"""The models that are served, by name and version."""

from collections.abc import Iterable
from typing import Final

from driftline.api.served import Served
from driftline.contract.nearest import did_you_mean
from driftline.errors import ModelNotFoundError


class Roster:
    """Who answers.

    Args:
        served: At least one; the first is the default, and of each name the first version answers where none is named.
    """

    def __init__(self, served: Iterable[Served]) -> None:
        self._served: Final = tuple(served)

    def default(self) -> Served:
        """Returns the model that ``/predict`` asks."""
        return self._served[0]

    def find(self, name: str, version: str | None = None) -> Served:
        """Returns a version of a model, or the one that answers where none is named.

        Raises:
            ModelNotFoundError: There is none.
        """
        of_name = [each for each in self._served if each.schema.name == name]
        if not of_name:
            hint = did_you_mean(name, [each.schema.name for each in self._served])
            raise ModelNotFoundError(f"No model of this name is served{hint}")
        for each in of_name:
            if version in {None, each.schema.version}:
                return each
        raise ModelNotFoundError(f"This version of the model {name} is not served.")

    def all(self) -> tuple[Served, ...]:
        """Returns every version of every model."""
        return self._served
