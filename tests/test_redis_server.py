"""The Redis of the tests does what its name says; a fixture that lies would make other tests lie."""

import pytest
import redis

from tests.redis_server import RedisServer, StartRedis


def test_it_answers_and_keeps_its_port_over_a_kill(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.set("a", "1")
        first = client.info("server")["run_id"]
    redis_server.kill()
    assert not redis_server.running
    redis_server.start()
    with redis_server.client() as client:
        assert client.get("a") is None
        assert client.info("server")["run_id"] != first


def test_with_the_append_only_file_a_kill_loses_nothing(start_redis: StartRedis) -> None:
    server = start_redis(append_only="always")
    with server.client() as client:
        client.set("a", "1")
    server.kill()
    server.start()
    with server.client() as client:
        assert client.get("a") == b"1"


def test_a_password_is_asked_for(start_redis: StartRedis) -> None:
    server = start_redis(password="secret")
    with redis.Redis(host="127.0.0.1", port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with server.client() as client:
        assert client.ping()


def test_tls_is_spoken_and_its_certificate_checked(start_redis: StartRedis) -> None:
    server = start_redis(tls=True)
    assert server.url.startswith("rediss://")
    with server.client() as client:
        assert client.ping()
    with redis.Redis.from_url(f"redis://127.0.0.1:{server.port}/0") as plain, pytest.raises(redis.ConnectionError):
        plain.ping()


def test_a_frozen_server_keeps_connections_and_does_not_answer(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url, socket_timeout=2) as client:
        client.ping()
        redis_server.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        redis_server.thaw()
        assert client.ping()
