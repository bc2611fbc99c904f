"""A model package in, a score out; knows no HTTP and no event."""

from driftline.scoring.model import AsyncModel, GainsTogether, Model
from driftline.scoring.package import Loading, load_model, load_package, seed_package

__all__ = ["AsyncModel", "GainsTogether", "Loading", "Model", "load_model", "load_package", "seed_package"]
