"""Other stacks that serve the same model and tell Redis of each prediction, each in an environment of its own."""

from bench_serve.stacks import Stack


def peers() -> list[Stack]:
    """Those that are installed."""
    return []
