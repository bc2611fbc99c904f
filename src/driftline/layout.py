"""Where things lie in a data folder."""

from pathlib import Path


def outbox_dir(data: Path) -> Path:
    """Returns the folder of all outboxes."""
    return data / "outbox"


def log_dir(data: Path) -> Path:
    """Returns the folder of the log."""
    return data / "logs"


def run_dir(data: Path) -> Path:
    """Returns the folder of what only matters while processes run; it may be deleted when none does."""
    return data / "run"


def keys_file(data: Path) -> Path:
    """Returns the file with the hashes of the API keys, unless another one is named."""
    return data / "keys.toml"
