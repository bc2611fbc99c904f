"""Models to be served in tests."""

from driftline.api.roster import Roster
from driftline.api.served import Served
from driftline.contract.package import read_package, seed_package
from driftline.scoring import Model, load_model


def seed(model: Model | None = None) -> Served:
    """The seed's model, or another one of the same schema."""
    package = read_package(seed_package())
    return Served(package, model or load_model(package))


def seed_roster() -> Roster:
    return Roster([seed()])
