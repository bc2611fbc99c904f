from pathlib import Path

import pytest

from tests.redis_server import StartRedis
from tests.transport.world import World


@pytest.fixture(params=["local", "redis"])
def world(request: pytest.FixtureRequest, tmp_path: Path, start_redis: StartRedis) -> World:
    """An empty data directory, embedded and with a real Redis."""
    return World(tmp_path, request.param, start_redis() if request.param == "redis" else None)


@pytest.fixture
def redis_world(tmp_path: Path, start_redis: StartRedis) -> World:
    """An empty data directory with a real Redis."""
    return World(tmp_path, "redis", start_redis())
