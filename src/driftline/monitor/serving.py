"""Which model package is watched: the one that answers ``/predict``, also when another one takes its place."""

from collections.abc import Callable

import structlog

from driftline.contract.package import Package
from driftline.errors import ModelError

log = structlog.get_logger()


class Serving:
    """The package that is watched.

    Args:
        read: Returns the one that answers now; no model is loaded.

    Attributes:
        package: The last one that could be read.

    Raises:
        ModelError: It cannot be told which it is.
    """

    def __init__(self, read: Callable[[], Package]) -> None:
        self._read = read
        self._trouble = ""
        self.package = read()

    def changed(self) -> bool:
        """Looks again; returns whether another version, model or declaration has taken over.

        A folder that cannot be read, such as one that is just being written, changes nothing, and is said once.
        """
        try:
            found = self._read()
        except (ModelError, OSError) as error:
            trouble = error.message if isinstance(error, ModelError) else str(error)
            if trouble != self._trouble:
                log.warning("model.unreadable", error=trouble, watched=_named(self.package))
            self._trouble = trouble
            return False
        self._trouble = ""
        before, self.package = self.package, found
        if (before.schema, before.path) == (found.schema, found.path):
            return False
        log.info("model.followed", before=_named(before), now=_named(found))
        return True


def _named(package: Package) -> str:
    return f"{package.schema.name} {package.schema.version}"
