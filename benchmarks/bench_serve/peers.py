"""Other stacks that serve the same model and tell Redis of each prediction, each in an environment of its own.

Among them is the service that Driftline grew out of.

``make bench`` makes the environments from ``requirements/bench-*.txt``; what runs in them is in
:mod:`bench_serve.servers`. Each stack has one process that scores, and what its documentation offers for speed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from bench_serve.replies import BENCHMARKS, finds_servers
from bench_serve.stacks import Place, Stack, published, stream_length
from stack import free_port

Command = Callable[[Place], Sequence[str]]
Environment = Callable[[Place], Mapping[str, str]]


class Peer(NamedTuple):
    """One of them.

    Attributes:
        stack: As it is measured.
        environment: The name behind ``.venv-bench-``.
        packages: Those whose versions the page names.
    """

    stack: Stack
    environment: str
    packages: tuple[str, ...]


def peers() -> list[Stack]:
    """Those that are installed, with their versions."""
    return [
        peer.stack._replace(version=", ".join(versions(place_of(peer.environment), peer.packages)))
        for peer in PEERS
        if (place_of(peer.environment) / ".installed").exists()
    ]


def place_of(environment: str) -> Path:
    """Where it is."""
    return BENCHMARKS.parent / f".venv-bench-{environment}"


def program(environment: str, name: str) -> str:
    """The path of one of its programs."""
    return str(place_of(environment) / "bin" / name)


def versions(environment: Path, packages: tuple[str, ...]) -> Iterator[str]:
    """Each package with its version."""
    paths = [str(path) for path in environment.glob("lib/python*/site-packages")]
    for package in packages:
        for found in distributions(name=package, path=paths):
            yield f"{package} {found.version}"


def job(place: Place) -> dict[str, str]:
    """What every one of them finds in its environment."""
    return {**finds_servers(place), "REDIS_URL": place.redis_url}


def on_uvicorn(place: Place, application: str = "bench_serve.servers.fastapi_service:app") -> list[str]:
    """FastAPI on uvicorn."""
    command = [program("fastapi", "uvicorn"), application, "--port", str(place.port)]
    return [*command, "--loop", "uvloop", "--http", "httptools", "--no-access-log"]


def seed_service(place: Place) -> list[str]:
    """The seed's service, likewise."""
    return on_uvicorn(place, "bench_serve.servers.seed_service:app")


def on_granian(place: Place) -> list[str]:
    """FastAPI on Granian."""
    command = [program("fastapi", "granian"), "bench_serve.servers.fastapi_service:app", "--port", str(place.port)]
    return [*command, "--interface", "asgi", "--http", "1", "--loop", "uvloop", "--workers", "1", "--no-ws"]


def mlserver(place: Place) -> list[str]:
    """MLServer; its environment says the rest."""
    return [program("mlserver", "mlserver"), "start", str(place.directory)]


def mlserver_environment(place: Place) -> dict[str, str]:
    """MLServer with no inference processes beside its own."""
    return {
        **job(place),
        "MLSERVER_DEBUG": "false",
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(place.port),
        "MLSERVER_GRPC_PORT": str(free_port()),
        "MLSERVER_METRICS_PORT": str(free_port()),
        "MLSERVER_MODEL_NAME": "seed",
        "MLSERVER_MODEL_IMPLEMENTATION": "bench_serve.servers.mlserver_service.Scorer",
    }


def litserve(place: Place) -> list[str]:
    """LitServe."""
    return [program("litserve", "python"), "-m", "bench_serve.servers.litserve_service", str(place.port)]


def bentoml(place: Place) -> list[str]:
    """BentoML."""
    command = [program("bentoml", "bentoml"), "serve", "bench_serve.servers.bentoml_service:Scorer"]
    return [*command, "--host", "127.0.0.1", "--port", str(place.port)]


def bentoml_environment(place: Place) -> dict[str, str]:
    """BentoML that keeps to its directory, and to itself."""
    return {**job(place), "BENTOML_HOME": str(place.directory / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"}


def ray_serve(place: Place) -> list[str]:
    """Ray Serve, with a Ray of its own."""
    command = [program("ray", "python"), "-m", "bench_serve.servers.ray_service"]
    return [*command, str(place.port), str(place.directory)]


def ray_environment(place: Place) -> dict[str, str]:
    """Ray Serve optimized for throughput, which keeps to its directory, and to itself."""
    return {
        **job(place),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    }


def sends(name: str, command: Command, environment: Environment = job) -> Stack:
    """A stack that adds an entry to the stream for each prediction."""
    return Stack(name, command, environment, redis=True, events=stream_length)


SEED = Stack("the seed's service", seed_service, job, redis=True, events=published)
PEERS = (
    Peer(sends("FastAPI on uvicorn", on_uvicorn), "fastapi", ("fastapi", "uvicorn")),
    Peer(sends("FastAPI on Granian", on_granian), "fastapi", ("fastapi", "granian")),
    Peer(sends("MLServer", mlserver, mlserver_environment), "mlserver", ("mlserver",)),
    Peer(sends("LitServe", litserve), "litserve", ("litserve",)),
    Peer(sends("BentoML", bentoml, bentoml_environment), "bentoml", ("bentoml",)),
    Peer(sends("Ray Serve", ray_serve, ray_environment), "ray", ("ray",)),
    Peer(SEED, "fastapi", ("fastapi", "uvicorn")),
)
