"""Stand-ins for base images, under the real images' names: nothing in the project has to know."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.e2e.commands import Shell

SCRIPT = Path(__file__).with_name("standins.sh")
TIMEOUT_S = 600

_CERTIFICATES = "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"
# The official images have these variables too.
_PYTHON = (_CERTIFICATES, "ENV PYTHONUNBUFFERED=1", 'CMD ["python3"]')
_REDIS = (
    'ENTRYPOINT ["docker-entrypoint.sh"]',
    'CMD ["redis-server"]',
    "WORKDIR /data",
    "VOLUME /data",
    "EXPOSE 6379",
)
_PROMETHEUS = ("USER 65534:65534", 'ENTRYPOINT ["prometheus"]', "WORKDIR /prometheus", "EXPOSE 9090")
_CLEAN = ("ENV container=docker", 'CMD ["/sbin/init"]')


@dataclass(frozen=True)
class StandIn:
    """An image made of Debian packages.

    Attributes:
        name: The image's name, which is the real image's.
        kind: What ``standins.sh`` makes.
        suite: The Debian it is made from.
        changes: Lines of a Dockerfile on top.
    """

    name: str
    kind: str
    suite: str
    changes: tuple[str, ...]

    def make(self, shell: Shell, cache: Path) -> None:
        """Imports the image; its root file system is made unless the cache has it.

        Raises:
            CommandError: It cannot be made.
        """
        root = cache / f"{self.kind}-{self.suite}.tar"
        if not root.exists():
            shell.run(SCRIPT, self.kind, self.suite, root, timeout_s=TIMEOUT_S)
        changes = [argument for change in self.changes for argument in ("--change", change)]
        shell.run("docker", "import", *changes, root, self.name, timeout_s=TIMEOUT_S)


def python(name: str) -> StandIn:
    """Debian 13's Python 3.13, as ``python:3.13*``."""
    return StandIn(name, "python", "trixie", _PYTHON)


def redis(name: str) -> StandIn:
    """Debian 12's Redis 7.0, as ``redis:7*``."""
    return StandIn(name, "redis", "bookworm", _REDIS)


def prometheus(name: str) -> StandIn:
    """Debian 13's Prometheus 2.53, as ``prom/prometheus:*``."""
    return StandIn(name, "prometheus", "trixie", _PROMETHEUS)


def clean(debian: int) -> StandIn:
    """A machine with systemd, sshd, sudo and Python for Ansible, and nothing else."""
    return StandIn(f"clean:debian{debian}", "clean", {12: "bookworm", 13: "trixie"}[debian], _CLEAN)


def make_all(images: list[StandIn], shell: Shell, cache: Path) -> None:
    """Makes them side by side.

    Raises:
        CommandError: One cannot be made.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for made in [pool.submit(image.make, shell, cache) for image in images]:
            made.result()
