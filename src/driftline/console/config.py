"""What the console is told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ConsoleConfig:
    """Everything that the console has to know.

    Attributes:
        app_name: Name of the service, shown on every page.
        store: The monitor's file; need not be there yet.
        data: The data folder, for the reports that are made of it.
        log_dir: The log.
        outbox_dir: The directory of all outboxes.
        reports_dir: Where reports are kept.
        keys: The file with the API keys that are asked for; None asks for none.
        any_host: Whether it answers to whatever name it is asked by, as behind a proxy with a password. Without
            keys a page elsewhere could else have its own name lead here, and read what it likes.
        secure: Whether browsers reach it by HTTPS only.
    """

    app_name: str
    store: Path
    data: Path
    log_dir: Path
    outbox_dir: Path
    reports_dir: Path
    keys: Path | None = None
    any_host: bool = False
    secure: bool = False
