"""The models that are served, by name and version; which those are may change while requests are answered."""

from collections.abc import Iterable

from driftline.api.canary import is_canarys
from driftline.api.lineup import Challenger, Lineup
from driftline.api.served import Served
from driftline.contract.request import Features
from driftline.errors import ModelNotFoundError


class Roster:
    """Who answers now. A request asks it once, and keeps what it gets: that stays what it is.

    Args:
        served: At least one; the first is the default, and of each name the first version answers where none is named.

    Attributes:
        lineup: All of it, replaced in one step.
    """

    def __init__(self, served: Iterable[Served]) -> None:
        self.lineup = Lineup.of(served)

    @classmethod
    def of(cls, lineup: Lineup) -> "Roster":
        """Returns a roster that begins with this lineup."""
        roster = cls(())
        roster.lineup = lineup
        return roster

    def default(self) -> Served:
        """Returns the model that ``/predict`` asks."""
        return next(iter(self.lineup.models.values())).serving

    def find(self, name: str | None, version: str | None = None) -> Served:
        """Returns a version of a model, or the one that answers where none is named; the default without a name.

        Raises:
            ModelNotFoundError: There is none.
        """
        if name is None:
            return self.default()
        model = self.lineup.find(name)
        if version is None:
            return model.serving
        try:
            return model.versions[version]
        except KeyError:
            raise ModelNotFoundError(f"This version of the model {name} is not served.") from None

    def chosen(self, asked: Served, features: Features) -> tuple[Served, Features]:
        """Returns who answers a row for which no version is named: the canary, if it is the canary's.

        Args:
            asked: As :meth:`default` or :meth:`find` gives it.
            features: The row.
        """
        model = self.lineup.models.get(asked.schema.name)
        if model is None or model.split is None or model.serving is not asked:
            return asked, features
        split = model.split
        if not is_canarys(asked, features, split.plan):
            return asked, features
        return split.challenger.served, split.challenger.features(features)

    def shadows(self, answered: Served) -> tuple[Challenger, ...]:
        """Returns who scores beside what a version has answered."""
        model = self.lineup.models.get(answered.schema.name)
        return model.shadows if model is not None and model.serving is answered else ()

    def all(self) -> tuple[Served, ...]:
        """Returns every version of every model."""
        return tuple(served for model in self.lineup.models.values() for served in model.versions.values())
