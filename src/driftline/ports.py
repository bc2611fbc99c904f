"""TCP ports: which are free, and what to say when one is not."""

import socket
from typing import NamedTuple

from driftline.errors import PortError


class Address(NamedTuple):
    """Where a server can listen: a numeric host, and a port that is not 0."""

    host: str
    port: int


def claim(host: str, port: int, flag: str = "--port") -> Address:
    """Returns where a server could listen at this moment: IPv4 if the host has it, and for port 0 one that is free.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        flag: The option that chooses another one.

    Raises:
        PortError: The port is taken or not ours to take, or the host is no address of this machine.
    """
    with bind(host, port, flag=flag) as listener:
        address = listener.getsockname()
        return Address(str(address[0]), int(address[1]))


def bind(host: str, port: int, *, shared: bool = False, flag: str = "--port") -> socket.socket:
    """Returns a TCP socket with an address, that does not listen yet: IPv4 if the host has it.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for one that is free.
        shared: Whether other sockets that say so, too, may have the same address.
        flag: The option that chooses another port.

    Raises:
        PortError: As :func:`claim`.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # localhost may be ::1 first, which is not what people type who type 127.0.0.1
        family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
        try:
            # As servers do: connections of a server just stopped, in TIME_WAIT, are no hindrance.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise PortError(
            f"cannot listen on {host} port {port}: {error.strerror}; {flag} and --host choose others"
        ) from error
    return listener
