"""Where things lie in a data folder."""

from pathlib import Path


def outbox_dir(data: Path) -> Path:
    """Returns the folder of all outboxes."""
    return data / "outbox"


def log_dir(data: Path) -> Path:
    """Returns the folder of the log."""
    return data / "logs"


def monitor_file(data: Path) -> Path:
    """Returns the file of the monitor's store."""
    return monitor_dir(data) / "monitor.sqlite"


def run_dir(data: Path) -> Path:
    """Returns the folder of what only matters while processes run; it may be deleted when none does."""
    return data / "run"


def keys_file(data: Path) -> Path:
    """Returns the file with the hashes of the API keys, unless another one is named."""
    return data / "keys.toml"


def hash_key_file(data: Path) -> Path:
    """Returns the file with the key that features are hashed with; it is there once a model has hashed any."""
    return data / "hash.key"


def monitor_dir(data: Path) -> Path:
    """Returns the folder of what the monitor has seen; all but its alerts can be made again from the log."""
    return data / "monitor"


def reference_file(data: Path) -> Path:
    """Returns the file with the reference profile, unless another one is named."""
    return data / "reference.json"
