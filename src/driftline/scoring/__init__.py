"""A model package in, a score out; knows no HTTP and no event."""

from driftline.scoring.model import Model
from driftline.scoring.package import load_package, seed_package

__all__ = ["Model", "load_package", "seed_package"]
