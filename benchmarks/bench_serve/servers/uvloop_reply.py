"""The constant reply on uvloop and httptools, with nothing between them; its argument is the port."""

import asyncio
import sys

import httptools
import uvloop

from bench_serve.servers.granian_reply import ANSWER

RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)


class Reply(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps where to write to."""
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def data_received(self, data: bytes) -> None:
        """Reads what came."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Keeps what was sent, as every server has to."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answers whatever was asked."""
        self._body = b""
        self._transport.write(RESPONSE)  # type: ignore[attr-defined]  # of uvloop, which is not declared as one


async def serve(port: int) -> None:
    """Answers on a port of 127.0.0.1 until it is ended."""
    server = await asyncio.get_running_loop().create_server(Reply, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
