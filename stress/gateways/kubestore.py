"""The Kubernetes API of a protocol on the wire: an HTTP client, and the objects as the server gives them."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote

import aiohttp

from stress.gateways.informer import Informer
from stress.gateways.kubeapi import NOT_FOUND, RECORDS, ApiError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from types import TracebackType

    from stress.gateways.kubeapi import Json, Resource
    from stress.gateways.kubeconfig import Cluster

_KEEP_OPEN_SECONDS = 3600.0
_PROBE_SECONDS = 5.0
"""How long the server may take to show that it is there (contract section 1.1)."""
_SYNC_SECONDS = 10.0
_REFUSED = 400


class Pod(NamedTuple):
    """Which Gateway this is: its number among the replicas, and the namespace of its leases."""

    replica: int
    namespace: str


class KubeStore:
    """One client and its connections, with a cache of the records where ``cached`` asks for it."""

    def __init__(self, cluster: Cluster, pod: Pod, *, cached: bool) -> None:
        """Take who is asked and who asks; `__aenter__` opens it."""
        self.identity, self.namespace = f"gateway-{pod.replica}", pod.namespace
        self._cluster = cluster
        self._cached = cached
        self._apart: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Open it; a cache begins to fill."""
        headers = {"Accept": "application/json", "User-Agent": self.identity}
        if self._cluster.token:
            headers["Authorization"] = f"Bearer {self._cluster.token}"
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_OPEN_SECONDS, ssl=self._cluster.tls or True)
        self._session = aiohttp.ClientSession(
            self._cluster.url, connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=None)
        )
        self._informer = Informer(self._session, RECORDS) if self._cached else None
        if self._informer is not None:
            self._informer.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close it."""
        if self._informer is not None:
            await self._informer.stop()
        await asyncio.gather(*self._apart, return_exceptions=True)
        await self._session.close()

    async def probe(self) -> None:
        """Ask whether the server is there, for no longer than five seconds, and wait for the cache to be filled.

        Raises:
            ApiError: when it is not there, or refuses.
            TimeoutError: when it does not answer in time, or the cache is not filled.

        """
        async with asyncio.timeout(_PROBE_SECONDS):
            await self._ask("GET", "/version")
        if self._informer is not None:
            async with asyncio.timeout(_SYNC_SECONDS):
                await self._informer.synced.wait()

    def now(self) -> float:
        """Give the wall clock."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def unique(self) -> str:
        """Give the clock in hex, behind two digits that keep it from looking like a number."""
        return f"a0{(time.time_ns() >> 17) & 0xFFFFFFFF:08x}"

    def holder(self) -> str:
        """Give the Gateway's identity and a random part."""
        return f"{self.identity}-{uuid.uuid4().hex}"

    async def apart(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something to its end although the request may be cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)
        await asyncio.shield(task)

    async def list(self, resource: Resource, namespace: str, field: str, value: str) -> Sequence[Json]:
        """List the objects of a namespace in which a field has a value."""
        path = f"{resource.path(namespace)}?fieldSelector={quote(f'{field}={value}')}"
        items: Sequence[Json] = (await self._ask("GET", path))["items"]
        return items

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Read an object."""
        return await self._ask("GET", resource.path(namespace, name))

    async def create(self, resource: Resource, body: Json) -> Json:
        """Create an object."""
        return await self._ask("POST", resource.path(body["metadata"]["namespace"]), body)

    async def update(self, resource: Resource, body: Json) -> Json:
        """Put an object in the place of another version."""
        return await self._ask("PUT", _path(resource, body), body)

    async def update_status(self, resource: Resource, body: Json) -> Json:
        """Put a status in the place of another version's."""
        return await self._ask("PUT", _path(resource, body, "status"), body)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "", version: str = "") -> None:
        """Delete an object, if it is the one that is meant."""
        only = {key: text for key, text in (("uid", uid), ("resourceVersion", version)) if text}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": only} if only else None
        await self._ask("DELETE", resource.path(namespace, name), options)

    async def cached_list(self, namespace: str, fingerprint: str) -> Sequence[Json]:
        """List the records of a fingerprint out of the cache."""
        return self._cache.list(namespace, fingerprint)

    async def cached_get(self, namespace: str, name: str) -> Json:
        """Read a record out of the cache.

        Raises:
            ApiError: when it is not in it.

        """
        found = self._cache.get(namespace, name)
        if found is None:
            raise ApiError(404, NOT_FOUND, f'{RECORDS.plural}.{RECORDS.group} "{name}" not found')
        return found

    @property
    def _cache(self) -> Informer:
        assert self._informer is not None  # noqa: S101 - opened with one for the protocols that read it
        return self._informer

    async def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """Send one request.

        Raises:
            ApiError: when the server refuses, or gives no answer (status 0).

        """
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(method, path, data=data, headers=headers) as answer:
                raw = await answer.read()
                return _read(answer.status, raw)
        except (aiohttp.ClientError, OSError) as error:
            raise ApiError(0, "", f"no answer: {error}") from error


def _path(resource: Resource, body: Json, subresource: str = "") -> str:
    metadata = body["metadata"]
    return resource.path(metadata["namespace"], metadata["name"], subresource)


def _read(status: int, raw: bytes) -> Json:
    """Read an answer.

    Raises:
        ApiError: when it is a refusal, or no object.

    """
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if status < _REFUSED and isinstance(found, dict):
        return found
    reported: Json = found if isinstance(found, dict) else {"message": raw.decode("utf-8", "replace").strip()}
    raise ApiError(status, str(reported.get("reason", "")), str(reported.get("message", "")))
