"""TCP ports: which are free, and what to say when one is not."""

import socket

from driftline.errors import DriftlineError


class PortError(DriftlineError):
    """Nothing can listen on an address."""

    code = "port_taken"


def resolve_port(host: str, port: int) -> int:
    """The port to listen on: the one asked for, or for 0 one that is free.

    Raises:
        PortError: The host is no address of this machine.
    """
    return port or check_port(host, 0)


def check_port(host: str, port: int) -> int:
    """The port, if a server could listen there now.

    Only a moment's answer, but it gives a clear error before much is started.

    Raises:
        PortError: The port is taken or not ours to take, or the host is no address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            # As servers do: connections of a server just stopped, in TIME_WAIT, are no hindrance.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            number: int = listener.getsockname()[1]
            return number
    except OSError as error:
        raise PortError(
            f"cannot listen on {host} port {port}: {error.strerror}; --port and --host choose others"
        ) from None
