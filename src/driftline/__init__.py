"""Serves a model over HTTP, keeps every prediction, and says when the world has drifted away from the model."""

__version__ = "0.1.0"
