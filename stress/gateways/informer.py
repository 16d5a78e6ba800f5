"""A cache of all objects of a resource that a watch keeps up to date, as client-go's informers do.

LIST of any version, WATCH from there; once more from the beginning when the watch ends or what it needs is forgotten.
"""

from __future__ import annotations

import asyncio
import copy
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stress.gateways.kubeapi import Json, Resource

_PAUSE_SECONDS = 0.2
"""How long to wait after a failure before the list is asked for again."""


class Informer:
    """The cache. ``synced`` is set once it was filled."""

    def __init__(self, session: aiohttp.ClientSession, resource: Resource) -> None:
        """Begin empty; `start` fills it."""
        self.synced = asyncio.Event()
        self._session, self._resource = session, resource
        self._objects: dict[tuple[str, str], Json] = {}
        self._index: dict[tuple[str, str], dict[str, Json]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to list and watch."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the watch."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def list(self, namespace: str, fingerprint: str) -> list[Json]:
        """Give copies of the objects of a fingerprint, by name."""
        return [copy.deepcopy(one) for _, one in sorted(self._index.get((namespace, fingerprint), {}).items())]

    def get(self, namespace: str, name: str) -> Json | None:
        """Give a copy of an object; None where it is not known."""
        return copy.deepcopy(self._objects.get((namespace, name)))

    async def _run(self) -> None:
        while True:
            try:
                version = await self._fill()
                self.synced.set()
                async for event in self._events(version):
                    if not self._take_in(event):
                        break
            except (aiohttp.ClientError, OSError, ValueError, KeyError):
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _fill(self) -> str:
        """Put what there is in the place of what was known; give the version of it."""
        async with self._session.get(f"{self._resource.path()}?resourceVersion=0", raise_for_status=True) as answer:
            listed = json.loads(await answer.read())
        self._objects.clear()
        self._index.clear()
        for one in listed["items"]:
            self._put(one)
        return str(listed["metadata"]["resourceVersion"])

    async def _events(self, version: str) -> AsyncIterator[Json]:
        """Watch from a version until the server ends it."""
        path = f"{self._resource.path()}?watch=true&allowWatchBookmarks=true&resourceVersion={version}"
        async with self._session.get(path, raise_for_status=True) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line:
                        yield json.loads(line)

    def _take_in(self, event: Json) -> bool:
        """Bring the cache up to date; false where the watch can't go on."""
        kind, one = event["type"], event["object"]
        if kind in ("ADDED", "MODIFIED"):
            self._put(one)
        elif kind == "DELETED":
            self._drop(_key(one))
        return bool(kind != "ERROR")

    def _put(self, one: Json) -> None:
        key = _key(one)
        self._drop(key)
        self._objects[key] = one
        self._index.setdefault(_place(one), {})[key[1]] = one

    def _drop(self, key: tuple[str, str]) -> None:
        old = self._objects.pop(key, None)
        if old is not None:
            place = _place(old)
            of_fingerprint = self._index[place]
            del of_fingerprint[key[1]]
            if not of_fingerprint:
                del self._index[place]


def _key(one: Json) -> tuple[str, str]:
    return one["metadata"]["namespace"], one["metadata"]["name"]


def _place(one: Json) -> tuple[str, str]:
    """Give where the index has an object: its namespace and fingerprint."""
    return one["metadata"]["namespace"], str((one.get("spec") or {}).get("signalFingerprint", ""))
