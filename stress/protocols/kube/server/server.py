"""The server on a loopback port of its own: HTTP/1.1, plain, in the loop of its caller."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

from aiohttp import web

from stress.protocols.kube.server import patches, reviews, views
from stress.protocols.kube.server.requests import Answer, Request, Router
from stress.protocols.kube.server.status import Refused
from stress.protocols.kube.server.storage import encode
from stress.protocols.kube.server.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from stress.protocols.kube.server.resources import Resource
    from stress.protocols.kube.server.status import Json
    from stress.protocols.kube.server.watching import Watch

_HOST = "127.0.0.1"
_LARGEST = 3 * 1024 * 1024
"""The largest body that is taken, in bytes: the limit of a kube-apiserver."""
_BOOKMARK_SECONDS = 60.0
_KEEP_OPEN_SECONDS = 3600.0
_SERVER = "gateway-stress"


class KubeServer:
    """A Kubernetes API server with nothing in it but the namespaces of every cluster.

    ``tokens`` are the bearer tokens that reviews find good, by their text; None: all are. ``clock`` gives the time that
    objects are stamped with, in seconds since 1970.
    """

    def __init__(
        self, tokens: Mapping[str, reviews.User] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Make it; `start` opens the port."""
        self.verbs = Verbs(clock)
        self.port = 0
        self._router = Router(self.verbs, tokens, _HOST)
        self._runner: web.ServerRunner | None = None
        self._watches: set[Watch] = set()

    @property
    def url(self) -> str:
        """Its address, once it is started."""
        return f"http://{_HOST}:{self.port}"

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen on a free port, or on the one given.

        Raises:
            OSError: when that is taken.

        """
        # A watch whose client leaves is cancelled, or it would listen for ever. Connections stay open, as a client that
        # sends just when one is closed is shown a fault that no real server would have shown it.
        handler = web.Server(
            self._handle, access_log=None, handler_cancellation=True, keepalive_timeout=_KEEP_OPEN_SECONDS
        )
        runner = web.ServerRunner(handler, shutdown_timeout=0.5)
        await runner.setup()
        deployment = web.TCPSite(runner, _HOST, port)
        self._runner = runner
        await deployment.start()
        self.port = runner.addresses[0][1]
        self._router.address = f"{_HOST}:{self.port}"

    async def stop(self) -> None:
        """End all watches and close the port. What is stored stays readable."""
        for watch in tuple(self._watches):
            watch.close()
            watch.news()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def install(self, manifest: Json) -> Json:
        """Create an object of any kind, a CustomResourceDefinition above all, or replace the one of its name.

        Raises:
            Refused: when it is not valid, or of a kind that is not served.

        """
        resource = self.resource_of(manifest)
        metadata = manifest.get("metadata") or {}
        namespace = (metadata.get("namespace") or "default") if resource.namespaced else ""
        key = (namespace, metadata.get("name", ""))
        by = self.verbs.writer(_SERVER)
        old = self.verbs.storage.of(resource).items.get(key)
        if old is None:
            return self.verbs.create(resource, namespace, manifest, by).value
        newest = {**manifest, "metadata": {**metadata, "resourceVersion": str(old.version)}}
        return self.verbs.update(resource, key, newest, "", by)[0].value

    def resource_of(self, manifest: Json) -> Resource:
        """Give the resource that an object is of, by its kind and version.

        Raises:
            Refused: when none is served.

        """
        kind, version = manifest.get("kind"), manifest.get("apiVersion")
        for resource in self.verbs.resources.values():
            if (resource.kind, resource.api_version) == (kind, version):
                return resource
        raise Refused(404, "NotFound", f"no kind {kind} in {version} is served")

    def resource(self, name: str) -> Resource:
        """Give a resource by its plural name and group: ``leases.coordination.k8s.io``, ``pods``.

        Raises:
            Refused: when none is served.

        """
        for resource in self.verbs.resources.values():
            if resource.qualified == name:
                return resource
        raise Refused(404, "NotFound", f"no resource {name} is served")

    def objects(self, name: str, namespace: str = "") -> list[Json]:
        """Read the objects of a resource, of one namespace or of all, past the wire. They must not be changed."""
        return [stored.value for stored in self.verbs.storage.of(self.resource(name)).sorted(namespace)]

    def read(self, name: str, namespace: str, object_name: str) -> Json | None:
        """Read one object past the wire, None if it is not there. It must not be changed."""
        found = self.verbs.storage.of(self.resource(name)).items.get((namespace, object_name))
        return None if found is None else found.value

    def patch(self, name: str, namespace: str, object_name: str, patch: Json, *, sub: str = "") -> Json:
        """Change an object (or its status, with ``sub`` "status") by a merge patch, past the wire.

        Raises:
            Refused: when it is not there, or what comes out is not valid.

        """
        key = (namespace, object_name)
        change = patches.Patch(patches.MERGE, patch)
        return self.verbs.patch(self.resource(name), key, change, sub, self.verbs.writer(_SERVER))[0].value

    def delete(self, name: str, namespace: str, object_name: str) -> bool:
        """Delete an object past the wire, as a request without preconditions would; tell whether it was there."""
        try:
            self.verbs.delete(self.resource(name), (namespace, object_name), {}, self.verbs.writer(_SERVER))
        except Refused:
            return False
        return True

    def answer(self, request: Request) -> Answer | Watch:
        """Answer one request past the wire, as it would be answered on it."""
        return self._router.answer(request)

    def compact(self) -> None:
        """Forget the history: who watches from an older version is notified that it is gone."""
        self.verbs.storage.compact()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = request.headers
        try:
            body = await _body(request) if request.can_read_body else b""
        except Refused as refused:
            return web.Response(body=encode(refused.status), status=refused.code, content_type=views.JSON)
        found = self._router.answer(
            Request(
                request.method,
                request.path,
                request.query if request.query_string else {},
                headers.get("Accept", ""),
                headers.get("Content-Type", ""),
                headers.get("User-Agent", ""),
                body,
            )
        )
        if isinstance(found, Answer):
            return web.Response(
                body=found.body, status=found.status, headers={**found.headers, "Content-Type": found.kind}
            )
        return await self._stream(request, found)

    async def _stream(self, request: web.BaseRequest, watch: Watch) -> web.StreamResponse:
        """Send what a watch shows until it ends, its time is over, or the client leaves."""
        response = web.StreamResponse(headers={"Content-Type": views.JSON})
        response.enable_chunked_encoding()
        news = asyncio.Event()
        watch.news = news.set
        self._watches.add(watch)
        loop = asyncio.get_running_loop()
        end = None if watch.seconds is None else loop.time() + watch.seconds
        try:
            await response.prepare(request)
            while True:
                news.clear()
                if lines := watch.take():
                    await response.write(lines)
                if watch.ended or (end is not None and loop.time() >= end):
                    break
                await self._wait(watch, news, _BOOKMARK_SECONDS if end is None else end - loop.time())
            await response.write_eof()
        finally:
            watch.close()
            self._watches.discard(watch)
        return response

    async def _wait(self, watch: Watch, news: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(min(seconds, _BOOKMARK_SECONDS)):
                await news.wait()
        except TimeoutError:
            if watch.bookmarks:
                watch.bookmark()


async def _body(request: web.BaseRequest) -> bytes:
    """Read a body, but not one that is too large.

    Raises:
        Refused: when it is.

    """
    parts, size = [], 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > _LARGEST:
            raise Refused(413, "RequestEntityTooLarge", f"Request entity too large: limit is {_LARGEST}")
        parts.append(part)
    return b"".join(parts)
