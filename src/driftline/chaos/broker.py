"""A Redis of our own: how it is set up, and the few things that are asked of it directly."""

import secrets
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from driftline.errors import BrokerError

_TIMEOUT_S = 2.0


class Broker:
    """One Redis server's place on disk and on the network; whoever runs it is another.

    Args:
        program: The server.
        folder: Its own; made here.
        port: Of 127.0.0.1.
    """

    def __init__(self, program: str, folder: Path, port: int) -> None:
        self.port = port
        self._folder = folder
        self._password = secrets.token_urlsafe(16)
        folder.mkdir()
        config = folder / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(
            f'bind 127.0.0.1\nport {port}\nrequirepass {self._password}\ndir {folder}\nsave ""\n'
            "appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n",
            encoding="utf-8",
        )
        self.command = (program, str(config))

    def url(self, port: int) -> str:
        """Returns the address under which it is reached by way of a port."""
        return f"redis://:{self._password}@127.0.0.1:{port}/0"

    def forget(self) -> int:
        """Deletes what it has on disk, while it does not run; returns how many bytes that were."""
        files = [path for path in self._folder.rglob("*") if path.is_file() and path.name != "redis.conf"]
        size = sum(path.stat().st_size for path in files)
        for path in files:
            path.unlink()
        return size

    async def ready(self) -> bool:
        """Whether it answers, and has read what it had on disk."""
        try:
            await self.used_bytes()
        except BrokerError:
            return False
        return True

    async def used_bytes(self) -> int:
        """Returns how much memory its data and buffers take.

        Raises:
            BrokerError: It is away or refuses; likewise below.
        """
        async with _Connection(self) as redis:
            return int((await redis.info("memory"))["used_memory"])

    async def flush(self) -> int:
        """Deletes all that it holds; returns how many keys that were."""
        async with _Connection(self) as redis:
            keys = int(await redis.dbsize())
            await redis.flushall()
            return keys

    async def limit(self, max_bytes: int) -> None:
        """Lets it refuse whatever would need more memory than this; 0 sets no limit."""
        async with _Connection(self) as redis:
            await redis.config_set("maxmemory", max_bytes)

    def connect(self) -> Redis:
        """Returns a client that asks once and waits for no longer than two seconds."""
        return Redis.from_url(
            self.url(self.port),
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )


class _Connection:
    def __init__(self, broker: Broker) -> None:
        self._redis = broker.connect()

    async def __aenter__(self) -> Redis:
        return self._redis

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        await self._redis.aclose()
        if isinstance(error, RedisError | OSError):
            raise BrokerError(
                f"Redis on port {self._redis.connection_pool.connection_kwargs['port']}: {error}"
            ) from error
