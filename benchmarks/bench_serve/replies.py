"""The limits: servers that read a request and answer with the same bytes each time, and so do nothing of the work."""

import sys
from pathlib import Path

from bench_serve.servers.granian_reply import ANSWER
from bench_serve.stacks import Place, Stack
from stack import installed

BENCHMARKS = Path(__file__).resolve().parents[1]
# Debian puts it where only root looks.
NGINX = ("nginx", "/usr/sbin/nginx")
NGINX_CONF = """\
daemon off;
worker_processes 1;
pid {place.directory}/nginx.pid;
error_log {place.directory}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_requests 1000000000;
    client_body_temp_path {place.directory}/body;
    proxy_temp_path {place.directory}/proxy;
    fastcgi_temp_path {place.directory}/fastcgi;
    uwsgi_temp_path {place.directory}/uwsgi;
    scgi_temp_path {place.directory}/scgi;
    server {{
        listen 127.0.0.1:{place.port};
        location / {{ return 200 '{answer}'; }}
    }}
}}
"""


def finds_servers(_: Place) -> dict[str, str]:
    """The environment of a process that runs one of :mod:`bench_serve.servers`."""
    return {"PYTHONPATH": str(BENCHMARKS)}


def granian(place: Place) -> list[str]:
    """Granian with one process, set as the stack that serves FastAPI on it."""
    command = [installed("granian"), "--interface", "rsgi", "--host", "127.0.0.1", "--port", str(place.port)]
    command += ["--http", "1", "--loop", "uvloop", "--workers", "1", "--no-ws", "--no-log"]
    return [*command, "bench_serve.servers.granian_reply:reply"]


def uvloop(place: Place) -> list[str]:
    """Uvloop and httptools."""
    return [sys.executable, "-m", "bench_serve.servers.uvloop_reply", str(place.port)]


def nginx(place: Place) -> list[str]:
    """Nginx with one process; it throws the body away."""
    conf = place.directory / "nginx.conf"
    conf.write_text(NGINX_CONF.format(place=place, answer=ANSWER.decode()))
    return [installed(*NGINX), "-e", str(place.directory / "nginx.log"), "-c", str(conf)]


GRANIAN = Stack("Granian, constant reply", granian, finds_servers)
GRANIAN_256 = GRANIAN._replace(name="Granian, constant reply, 256", connections=256)
GRANIAN_1 = GRANIAN._replace(name="Granian, constant reply, 1", connections=1)
UVLOOP = Stack("uvloop and httptools, constant reply", uvloop, finds_servers)
NGINX_REPLY = Stack("nginx, constant reply", nginx)
REPLIES = (GRANIAN, UVLOOP, NGINX_REPLY, GRANIAN_256, GRANIAN_1)
