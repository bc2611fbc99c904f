"""Nothing of redis-py comes out of the transport but a BrokerError, whatever Redis does."""

import asyncio
import inspect
import ssl
from collections.abc import Awaitable, Callable, Iterator

import pytest
import redis.exceptions
from redis.asyncio.connection import Connection

from driftline.errors import BrokerError
from driftline.transport.batch import Batch
from driftline.transport.redis import STREAM, Acknowledgements, RedisSender, connect
from tests.redis_server import RedisServer, StartRedis
from tests.waiting import find_free_port

PRODUCER = "a" * 32
BATCH = Batch.of("log", PRODUCER, 0, 0, [b"{}"])

Call = Callable[[str], Awaitable[object]]


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


async def sender(url: str, call: Callable[[RedisSender], Awaitable[object]]) -> None:
    one = RedisSender(url, 0.3)
    try:
        await call(one)
    finally:
        await one.close()


async def acknowledgements(url: str, call: Callable[[Acknowledgements], Awaitable[object]]) -> None:
    client = connect(url, 0.3)
    try:
        await call(Acknowledgements(client, "log", "life", []))
    finally:
        await client.aclose()


CALLS: dict[str, Call] = {
    "poll": lambda url: sender(url, lambda one: one.poll("log", [PRODUCER])),
    "first poll": lambda url: sender(url, lambda one: one.poll(None, [])),
    "send": lambda url: sender(url, lambda one: one.send(BATCH)),
    "withdraw": lambda url: sender(url, lambda one: one.withdraw(PRODUCER)),
    "publish": lambda url: acknowledgements(url, lambda one: one.publish({PRODUCER: 1})),
    "announce": lambda url: acknowledgements(url, lambda one: one.announce()),
    "complete": lambda url: acknowledgements(url, lambda one: one.complete(1)),
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> Call:
    return CALLS[request.param]


def redis_errors() -> Iterator[type[Exception]]:
    """Every exception of redis-py that a call to a server may raise; there are some fifty."""
    for _, error in inspect.getmembers(redis.exceptions, inspect.isclass):
        if issubclass(error, redis.exceptions.RedisError):
            yield error


def make(error: type[Exception]) -> Exception:
    wanted = list(inspect.signature(error.__init__).parameters.values())[1:]
    needed = [one for one in wanted if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    made = error.__new__(error, "made for the test")
    Exception.__init__(made, "made for the test") if needed else error.__init__(made, "made for the test")
    return made


def test_there_are_errors_to_walk_through() -> None:
    names = {error.__name__ for error in redis_errors()}
    assert {"ConnectionError", "TimeoutError", "ResponseError", "DataError", "AuthenticationError"} <= names
    assert len(names) > 20


def test_every_exception_of_redis_py_becomes_a_broker_error(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: a real connection on which reading an answer raises it."""
    errors = [make(error) for error in redis_errors()]
    errors += [OSError("no route"), TimeoutError(), ConnectionResetError(), ssl.SSLError("handshake")]

    async def story() -> None:
        for error in errors:

            async def fail(*_: object, error: Exception = error, **__: object) -> None:
                raise error

            for name, one in CALLS.items():
                with monkeypatch.context() as patch:
                    patch.setattr(Connection, "read_response", fail)
                    with pytest.raises(BrokerError) as raised:
                        await one(redis_server.url)
                assert raised.value.message != "Redis: ", (name, error)

    run(story)


def test_a_redis_that_is_not_there(call: Call) -> None:
    async def story() -> None:
        with pytest.raises(BrokerError, match="Redis: "):
            await call(f"redis://127.0.0.1:{find_free_port()}/0")

    run(story)


def test_a_redis_that_is_frozen(redis_server: RedisServer, call: Call) -> None:
    redis_server.freeze()

    async def story() -> None:
        with pytest.raises(BrokerError, match="Redis: "):
            await call(redis_server.url)

    run(story)


def test_a_host_that_has_no_address(call: Call) -> None:
    async def story() -> None:
        with pytest.raises(BrokerError, match="Redis: "):
            await call("redis://no-such-host.invalid:6379/0")

    run(story)


def test_a_server_that_speaks_something_else(call: Call) -> None:
    async def story() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BrokerError, match="Redis: "):
            await call(f"redis://127.0.0.1:{port}/0")
        server.close()
        await server.wait_closed()

    run(story)


def test_a_password_that_is_wrong_or_missing_is_never_said(start_redis: StartRedis, call: Call) -> None:
    server = start_redis(password="s3cret")

    async def story() -> None:
        for url in (server.url.replace("s3cret", "wr0ng"), server.url.replace(":s3cret@", "")):
            with pytest.raises(BrokerError, match="Redis: ") as raised:
                await call(url)
            assert "s3cret" not in raised.value.message
            assert "wr0ng" not in raised.value.message

    run(story)


def test_a_user_who_may_do_nothing(redis_server: RedisServer, call: Call) -> None:
    with redis_server.client() as client:
        client.acl_setuser("nobody", enabled=True, passwords=["+pw"], commands=["-@all"])

    async def story() -> None:
        with pytest.raises(BrokerError, match="Redis: "):
            await call(redis_server.url.replace("redis://", "redis://nobody:pw@"))

    run(story)


@pytest.mark.parametrize("url", ["", "amqp://host", "http://host", "redis://host:no-port/0", "127.0.0.1:6379"])
def test_a_url_that_is_none_of_redis(url: str) -> None:
    with pytest.raises(BrokerError, match="not one of Redis"):
        RedisSender(url, 1.0)


# -- what is in the stream


def test_an_entry_whose_answer_was_lost_is_withdrawn_too(redis_server: RedisServer) -> None:
    """Frozen while the entry is sent: the sender hears nothing, and Redis takes it when it thaws."""

    async def story(one: RedisSender) -> None:
        await one.withdraw(PRODUCER)
        await one.send(BATCH)
        redis_server.freeze()
        with pytest.raises(BrokerError):
            await one.send(BATCH)
        redis_server.thaw()
        with redis_server.client() as client:
            assert client.xlen(STREAM) == 2
            await one.withdraw(PRODUCER)
            assert client.xlen(STREAM) == 0

    run(lambda: sender(redis_server.url, story))


def test_entries_whose_withdrawal_failed_are_withdrawn_by_the_next(redis_server: RedisServer) -> None:
    async def story(one: RedisSender) -> None:
        await one.withdraw(PRODUCER)
        await one.send(BATCH)
        with redis_server.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "-xdel")
            with pytest.raises(BrokerError):
                await one.withdraw(PRODUCER)
            client.execute_command("ACL", "SETUSER", "default", "+xdel")
            await one.withdraw(PRODUCER)
            assert client.xlen(STREAM) == 0

    run(lambda: sender(redis_server.url, story))


def test_the_entries_of_others_are_never_withdrawn(redis_server: RedisServer) -> None:
    async def story(one: RedisSender) -> None:
        with redis_server.client() as client:
            for number in range(200):
                other = Batch.of("log", "b" * 32, number, number, [b"{}"])
                await one.send(other if number % 3 else Batch.of("log", PRODUCER, 0, 0, [b"{}"]))
            client.xadd(STREAM, {"no": "batch"})
            await sender(redis_server.url, lambda later: later.withdraw(PRODUCER))
            assert client.xlen(STREAM) == 200 - 67 + 1

    run(lambda: sender(redis_server.url, story))
