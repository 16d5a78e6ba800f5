"""A small API server, the gate before it, and recordings of real ones."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import defaultdict
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import web

from stress.protocols.gate import Frame, Gate
from stress.protocols.kube.http import Part, ResponseParser
from stress.protocols.kube.parked import KubeFrame
from stress.protocols.kube.proxy import ApiServer, KubeProxy
from stress.protocols.kube.requests import KubeRules
from stress.protocols.kube.watches import Watches

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Sequence

RRS = "/apis/kubernaut.ai/v1alpha1/namespaces/prod/remediationrequests"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/prod/leases"
WATCH = f"{RRS}?watch=true&resourceVersion=1"
_PATIENCE = 20
"""Seconds after which what never comes is a failure instead of a test without end."""
FOLDER = Path(__file__).with_name("data")


def record(name: str, version: int, **more: object) -> dict[str, Any]:
    """Write an object as an API server has it."""
    about = {"name": name, "namespace": "prod", "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"kind": "RemediationRequest", "metadata": about, **more}


def refusal(code: int, reason: str, name: str) -> dict[str, Any]:
    """Write what an API server says when it refuses."""
    return {"kind": "Status", "status": "Failure", "reason": reason, "details": {"name": name}, "code": code}


def event(kind: str, read: dict[str, Any]) -> bytes:
    """Write an event of a watch as a line."""
    return json.dumps({"type": kind, "object": read}).encode() + b"\n"


async def loop_turns() -> AsyncIterator[None]:
    """Give every turn of the event loop, until it is known that what is waited for does not come."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            await asyncio.sleep(0)
            yield


class Api:
    """A small API server: objects with a version, and watches. ``seen`` are the requests that reached it."""

    def __init__(self) -> None:
        """Begin empty."""
        self.seen: list[str] = []
        self.sent: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.objects: dict[str, dict[str, Any]] = {}
        self.version = 1
        self.port = 0
        self.watchers: list[web.StreamResponse] = []
        self.silent = False
        self.hold: asyncio.Event | None = None
        self._changed = asyncio.Event()

    async def start(self, tls: ssl.SSLContext | None = None) -> int:
        """Listen; give the port."""
        app = web.Application(client_max_size=2**23)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self.runner = web.AppRunner(app, shutdown_timeout=0.01, keepalive_timeout=3600)
        await self.runner.setup()
        deployment = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=tls)
        await deployment.start()
        self.port = self.runner.addresses[0][1]
        return self.port

    async def until(self, count: int) -> None:
        """Wait until so many requests were seen."""
        while len(self.seen) < count:
            self._changed.clear()
            await self._changed.wait()

    async def tell(self, data: bytes) -> None:
        """Tell all who watch, in one chunk."""
        for watcher in self.watchers:
            await watcher.write(data)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.seen.append(f"{request.method} {request.path_qs}")
        self.sent.append(dict(request.headers))
        self._changed.set()
        if self.hold is not None:
            await self.hold.wait()
        if request.query.get("watch"):
            return await self._watch(request)
        return await self._one(request)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        self.watchers.append(response)
        self._changed.set()
        with suppress(asyncio.CancelledError, ConnectionError):
            await asyncio.Event().wait()
        return response

    async def _one(self, request: web.Request) -> web.Response:
        path, name = request.path.removesuffix("/status"), request.path.removesuffix("/status").rpartition("/")[2]
        found = self.objects.get(path)
        if request.method == "POST":
            return await self._create(path, json.loads(self.bodies[-1])["metadata"]["name"])
        if found is None:
            return self._list(path, name)
        if request.method == "PUT":
            if json.loads(self.bodies[-1])["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
                return web.json_response(refusal(409, "Conflict", name), status=409)
            return web.json_response(await self._write(path, "MODIFIED"))
        if request.method == "DELETE":
            await self._write(path, "DELETED")
            del self.objects[path]
            gone = {"kind": "Status", "status": "Success", "details": {"name": name, "uid": f"uid-{name}"}}
            return web.json_response(gone)
        return web.json_response(found)

    async def _create(self, path: str, name: str) -> web.Response:
        if f"{path}/{name}" in self.objects:
            return web.json_response(refusal(409, "AlreadyExists", name), status=409)
        return web.json_response(await self._write(f"{path}/{name}", "ADDED"), status=201)

    def _list(self, path: str, name: str) -> web.Response:
        items = [self.objects[key] for key in sorted(self.objects) if key.startswith(f"{path}/")]
        missing = not items and path not in (RRS, "/api")
        body = refusal(404, "NotFound", name) if missing else {"kind": "ThingList", "items": items}
        return web.json_response(body, status=404 if missing else 200)

    async def _write(self, path: str, kind: str) -> dict[str, Any]:
        self.version += 1
        read = self.objects[path] = record(path.rpartition("/")[2], self.version, status={"count": self.version})
        if not self.silent:
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self.tell(event(kind, read))))
        return read


class Wire:
    """Proxies of two replicas before a server, and a Gateway's client through each."""

    def __init__(self, port: int, rules: Sequence[str] = (), server: ApiServer | None = None) -> None:
        """Prepare both."""
        self.gate = Gate()
        self.watches = Watches(self.gate)
        self.server = server or ApiServer("127.0.0.1", port)
        rule = KubeRules(rules, show=["status.count"])
        self.proxies = [KubeProxy(self.gate, number, self.server, rule, self.watches) for number in (1, 2)]
        self.ports: list[int] = []
        self.clients: list[aiohttp.ClientSession] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self._waited_in_vain = False

    async def __aenter__(self) -> Self:
        """Listen. Who waits for what does not come is hung up on in the end, so that the test fails."""
        self._given_up = asyncio.get_running_loop().call_later(_PATIENCE, self._give_up)
        for proxy in self.proxies:
            self.ports.append(await proxy.start())
            base = f"http://127.0.0.1:{self.ports[-1]}"
            self.clients.append(aiohttp.ClientSession(base, auto_decompress=False))
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything."""
        self._given_up.cancel()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for writer in self.writers:
            writer.transport.abort()
        for client in self.clients:
            await client.close()
        for proxy in self.proxies:
            await proxy.close()
        assert not self._waited_in_vain

    def _give_up(self) -> None:
        self._waited_in_vain = True
        for writer in self.writers:
            writer.transport.abort()
        for channel in [channel for proxy in self.proxies for channel in proxy.channels]:
            channel.abort()

    def ask(self, method: str, path: str, body: object = None, replica: int = 1) -> asyncio.Task[tuple[int, Any]]:
        """Ask through a replica's proxy; the task gives status and body."""

        async def asking() -> tuple[int, Any]:
            async with self.clients[replica - 1].request(method, path, json=body) as response:
                return response.status, json.loads(await response.read())

        task = asyncio.create_task(asking())
        self.tasks.append(task)
        return task

    async def watch(self, path: str = WATCH, replica: int = 1) -> asyncio.StreamReader:
        """Open a watch through a replica's proxy; give its bytes, from the head of the reply on."""
        reader, writer = await self.connect(replica)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        return reader

    async def connect(self, replica: int = 1) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to a replica's proxy."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[replica - 1])
        self.writers.append(writer)
        return reader, writer

    async def shown(self, replica: int = 1) -> list[Frame]:
        """Wait until something of a replica arrived; park it and give the new frames."""
        async with asyncio.timeout(_PATIENCE):
            while not self.gate.unsettled(replica):
                await self.gate.signal.wait(self.gate.signal.count, 5)
        return self.gate.settle(replica)

    def heads(self) -> list[str]:
        """Name what can be released now."""
        return [f"{head.command} {head.effects[0].args[1].decode()}" for head in self.gate.heads()]

    async def release(self, command: str = "") -> KubeFrame:
        """Release the head of that name, or the only one."""
        (frame,) = (head for head in self.gate.heads() if command in ("", head.command))
        assert await self.gate.release(frame, 5)
        assert isinstance(frame, KubeFrame)
        return frame

    async def until_fault(self) -> str:
        """Wait for the gate's fault."""
        async with asyncio.timeout(_PATIENCE):
            while not self.gate.fault:
                await self.gate.signal.wait(self.gate.signal.count, 5)
        return self.gate.fault

    async def until_no_channel(self) -> None:
        """Wait until no connection is left."""
        async for _ in loop_turns():
            if not any(proxy.channels for proxy in self.proxies):
                return


@cache
def recorded(name: str) -> dict[int, tuple[bytes, bytes]]:
    """Read what each connection of a recording sent and was sent."""
    streams: dict[int, dict[str, bytearray]] = defaultdict(lambda: {">": bytearray(), "<": bytearray()})
    for line in (FOLDER / f"{name}.wire.ndjson").read_text().splitlines():
        read = json.loads(line)
        if "data" in read:
            streams[read["conn"]][read["dir"]] += base64.b64decode(read["data"])
    return {conn: (bytes(both[">"]), bytes(both["<"])) for conn, both in streams.items()}


def framed(data: bytes, requests: int) -> list[Part]:
    """Frame replies to so many GETs."""
    parser = ResponseParser()
    for _ in range(requests):
        parser.expect("GET")
    return parser.feed(data)
