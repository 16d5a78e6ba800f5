"""A service that interprets the program it finds in a request: ``service.py PORT STORE_PORT REPLICA KIND CONNECTIONS``.

KIND is ``asyncio`` or ``threads``. CONNECTIONS is ``pool`` (one for all requests: each write takes a connection out of
it and gives it back with the reply, as clients do) or ``request`` (a new one for each request).
"""

from __future__ import annotations

import asyncio
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from program import Run, plain, run
from redis.asyncio.connection import ConnectionPool as AsyncPool
from redis.connection import ConnectionPool
from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection as AsyncConnection
    from redis.connection import AbstractConnection

PORT, STORE_PORT, REPLICA, KIND, CONNECTIONS = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]
STORE = {"host": "127.0.0.1", "port": STORE_PORT, "protocol": 2, "max_connections": 100}


def asked(body: bytes) -> Run:
    """Begin what a request asks for: replica n does what the n-th request of the program does."""
    labels = json.loads(body)["alerts"][0]["labels"]
    return run(json.loads(labels["program"])[REPLICA - 1], labels["pod"])


def answer(replies: list[object]) -> bytes:
    """Write an answer."""
    return json.dumps({"replies": json.dumps(replies)}).encode()


class Threaded(BaseHTTPRequestHandler):
    """Serves each client in a thread of its own."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body go out together
    pool = ConnectionPool(**STORE)

    def do_GET(self) -> None:
        """Be ready."""
        self._send(b"{}")

    def do_POST(self) -> None:
        """Run a program."""
        self._send(answer(self._run(asked(self.rfile.read(int(self.headers["Content-Length"]))))))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _run(self, request: Run) -> list[object]:
        pool = self.pool if CONNECTIONS == "pool" else ConnectionPool(**STORE)
        connection, write = None, next(request)
        try:
            while True:
                connection = connection or pool.get_connection()
                connection.send_packed_command(connection.pack_commands(write.commands))
                replies = [self._reply(connection) for _ in write.commands]
                if not write.hold:
                    pool.release(connection)
                    connection = None
                write = request.send(replies)
        except StopIteration as ended:
            return list(ended.value)
        finally:
            if pool is not self.pool:
                pool.disconnect()

    @staticmethod
    def _reply(connection: AbstractConnection) -> object:
        try:
            return plain(connection.read_response())
        except ResponseError as error:
            return plain(error)


class Looping:
    """Serves all clients in one event loop."""

    def __init__(self) -> None:
        """Make the pool."""
        self._pool = AsyncPool(**STORE)

    async def serve(self) -> None:
        """Serve for ever."""
        server = await asyncio.start_server(self._client, "127.0.0.1", PORT)
        await server.serve_forever()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                body = await reader.readexactly(length)
                text = answer(await self._run(asked(body))) if head.startswith(b"post") else b"{}"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _run(self, request: Run) -> list[object]:
        pool = self._pool if CONNECTIONS == "pool" else AsyncPool(**STORE)
        connection, write = None, next(request)
        try:
            while True:
                connection = connection or await pool.get_connection()
                await connection.send_packed_command(connection.pack_commands(write.commands))
                replies = [await self._reply(connection) for _ in write.commands]
                if not write.hold:
                    await pool.release(connection)
                    connection = None
                write = request.send(replies)
        except StopIteration as ended:
            return list(ended.value)
        finally:
            if pool is not self._pool:
                await pool.disconnect()

    @staticmethod
    async def _reply(connection: AsyncConnection) -> object:
        try:
            return plain(await connection.read_response())
        except ResponseError as error:
            return plain(error)


if KIND == "threads":
    ThreadingHTTPServer(("127.0.0.1", PORT), Threaded).serve_forever()
else:
    asyncio.run(Looping().serve())
