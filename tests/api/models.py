"""Models to be served in tests."""

from pathlib import Path

from driftline.api.roster import Roster
from driftline.api.served import Served
from driftline.contract.package import Package, read_package, seed_package
from driftline.scoring import Model, load_model


def seed(model: Model | None = None) -> Served:
    """The seed's model, or another one of the same schema."""
    package = read_package(seed_package())
    return Served(package, model or load_model(package))


def load_served(package: Package) -> Served:
    """As a server does it, but for the check."""
    return Served(package, load_model(package))


def seed_roster() -> Roster:
    return Roster([seed()])


LOAN = """
name = "loan"
version = "7"
output = "binary"
threshold = 0.4
labels = ["repaid", "default"]

[[features]]
name = "amount"
type = "float"
range = [0.0, 1e6]

[[features]]
name = "months"
type = "int"
range = [1, 480]

[[features]]
name = "open loans"
type = "int"

[[features]]
name = "employed"
type = "bool"

[[features]]
name = "country"
type = "category"
categories = ["AT", "CH", "DE"]
role = "context"
nullable = true

[[features]]
name = "branch"
type = "category"
role = "context"

[[features]]
name = "customer"
type = "category"
role = "context"
log = "hash"

[[features]]
name = "age"
type = "int"
role = "context"
range = [18, inf]
nullable = true
log = "drop"

[artifact]
runtime = "logistic"
bias = -1.0
weights = { amount = 0.00001, months = 0.01, "open loans" = 0.3, employed = -0.8 }
"""
"""A model with features of all types: scored and not, kept, hashed and dropped."""


def loan(directory: Path) -> Path:
    """Writes the package of that model, and returns its folder."""
    directory.mkdir()
    (directory / "model.toml").write_text(LOAN, encoding="utf-8")
    return directory


def write_package(folder: Path, version: str, *, name: str = "credit", bias: float = 0.0, extra: str = "") -> Path:
    """Writes a package of a logistic model with two features, ``income`` and, not scored, ``customer``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(f"""\
name = "{name}"
version = "{version}"
output = "binary"
{extra}

[[features]]
name = "income"
type = "float"

[[features]]
name = "customer"
type = "category"
role = "context"

[artifact]
runtime = "logistic"
bias = {bias!r}
weights = {{ income = 1.0 }}
""")
    return folder
