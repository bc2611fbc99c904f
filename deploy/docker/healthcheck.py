"""The health check of the containers: ends with 0 if ``/health/ready`` on this port answers 200.

usage: python -I -S healthcheck.py PORT

It is run every few seconds, so it loads nothing but a socket: an HTTP client would cost five times as much.
"""

import socket
import sys

TIMEOUT_S = 2.0
ENOUGH_BYTES = 4096
REQUEST = b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n"


def problem(port: int) -> str:
    """Returns what is wrong, for the health log of the engine; nothing if it is ready."""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
            connection.sendall(REQUEST)
            answer = b""
            while len(answer) < ENOUGH_BYTES and (received := connection.recv(ENOUGH_BYTES)):
                answer += received
    except OSError as error:
        return f"port {port}: {error}"
    head, _, body = answer.partition(b"\r\n\r\n")
    return "" if head.split(b" ")[1:2] == [b"200"] else (body or head or b"no answer").decode(errors="replace")


if __name__ == "__main__":
    sys.exit(problem(int(sys.argv[1])) or None)
