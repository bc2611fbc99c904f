"""The sockets that processes accept connections from, and how they are given up without losing one of them.

Each process has its own, so that the kernel spreads connections evenly (``SO_REUSEPORT``). Closing one resets the
connections in its queue; so they belong to the process that watches, and go from each process to its successor.
"""

import ctypes
import multiprocessing
import os
import socket
import struct
import sys
from contextlib import suppress
from typing import Final

from driftline.ports import bind, claim

BACKLOG: Final = 4096
_SO_ATTACH_FILTER: Final = 26
# Classic BPF over a segment's TCP header: load the byte of flags; if SYN is set, drop the segment; else let it pass.
_DROP_SYN: Final = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
)


class Handover:
    """What the process that watches shares with those that answer; can be handed to a new process.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        places: How many processes answer at once; each has a place, with a socket that its successor takes over.

    Raises:
        PortError: Nobody can listen there, or somebody does already.

    Attributes:
        said: What can be waited for until :meth:`who_serves` has an answer.
    """

    def __init__(self, host: str, port: int, places: int) -> None:
        claim(host, port)  # sockets that share a port would share it with somebody else's, too
        self._listeners = [bind(host, port, shared=True) for _ in range(places)]
        for listener in self._listeners:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.setblocking(False)
            listener.set_inheritable(True)
            listener.listen(BACKLOG)
        self.listener = self._listeners[0]
        self._address = self.listener.getsockname()
        self._ending = multiprocessing.Value("b", 0, lock=False)
        self.said, self._say = multiprocessing.Pipe(duplex=False)

    def take_place(self, place: int) -> socket.socket:
        """Returns the socket of a place, which from now on is this object's listener."""
        self.listener = self._listeners[place]
        return self.listener

    def close(self) -> None:
        """Gives up all sockets; to be called in the process that watches, when the others end."""
        for listener in self._listeners:
            listener.close()

    @property
    def ending(self) -> bool:
        """Whether the whole service stops, and not only the process that asks."""
        return bool(self._ending.value)

    def end(self) -> None:
        """Lets all processes know that the whole service stops; to be called before they are told to."""
        self._ending.value = 1

    def leave_place(self, place: int) -> None:
        """Has new connections go to the other places until a process serves at this one; who waits there is reset."""
        with suppress(OSError):  # only Linux can: elsewhere they wait
            self._listeners[place].shutdown(socket.SHUT_RD)

    def say_serving(self) -> None:
        """Says that this process serves, and lets connections in if its place was left."""
        self.listener.listen(BACKLOG)
        self._say.send_bytes(str(os.getpid()).encode())

    def who_serves(self) -> list[int]:
        """Returns the processes that have said so since this was last asked; does not wait."""
        pids = []
        while self.said.poll():
            pids.append(int(self.said.recv_bytes()))
        return pids

    def let_nobody_in(self) -> None:
        """Has the kernel answer no attempt to connect to this process any more; what has begun goes on.

        A client sends again what got no answer, and by then, the socket closed, it is refused. Without this, whoever is
        in the queue at the moment of closing would see a reset after its request. Only Linux has it.
        """
        if sys.platform != "linux":
            return
        program = ctypes.create_string_buffer(_DROP_SYN, len(_DROP_SYN))
        count = len(_DROP_SYN) // struct.calcsize("HBBI")
        with suppress(OSError):  # a sandbox that forbids it only takes away the nicety
            self.listener.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", count, ctypes.addressof(program))
            )
