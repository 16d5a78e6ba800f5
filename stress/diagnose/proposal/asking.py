"""Sends a sample request to a service again and again, with one value changed at a time, and looks into its stores."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from stress.config.placeholders import filled, from_environment
from stress.executors.asked import new_fresh
from stress.executors.observe import field as field_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from stress.diagnose.proposal.curl import Sample
    from stress.executors.live.deployment import Deployment
    from stress.executors.live.kube import Json

_SECONDS = 30.0
_ALIKE, _LOOK_SECONDS, _LONGEST = 3, 0.02, 1.5
"""How often a state must be seen alike to have come to rest, how often it is looked at, and for how long at most."""
_NOT_STATE = frozenset({"events", "events.events.k8s.io", "namespaces", "componentstatuses"})
"""Resources that hold nothing that a service answers about."""


class Reply(NamedTuple):
    """What came back: the status (0: none, the body says why), the headers in small letters, the body."""

    status: int
    headers: Mapping[str, str]
    body: str

    def field(self, path: str) -> object:
        """Read a dotted path in the body."""
        return field_of(self.body, path)


Name = tuple[str, ...]
"""What a value is called: its kind and key, and a part of it what it is called there.

Such as ``("hash", "schedule:7", "status")``, or ``("object", "configmaps", path)`` over the Kubernetes API.
"""
Content = dict[Name, object]
"""What the stores hold."""


@dataclass
class Round:
    """The same request several times, one after another: replies, and what the stores held before and after each."""

    fresh: str
    replies: list[Reply] = field(default_factory=list)
    states: list[Content] = field(default_factory=list)
    begun: float = field(default_factory=time.time)

    def grown(self, at: int) -> int:
        """Give how many names the stores hold that they did not hold before a request."""
        return len(self.states[at + 1].keys() - self.states[at].keys())


class Asker:
    """Sends requests to the first replica of a deployment whose gate is open."""

    def __init__(self, deployment: Deployment) -> None:
        """Take the deployment, which must have been entered."""
        self._deployment = deployment
        self._collections: list[tuple[str, str]] = []

    async def round(self, sample: Sample, times: int, fresh: str = "") -> Round:
        """Send a request several times; ``fresh`` is what ``{fresh}`` stands for in it."""
        found = Round(fresh or new_fresh())
        found.states.append(await self.content())
        for _ in range(times):
            found.replies.append(
                await send(self._deployment.replicas[1].url, sample, found.fresh, self._deployment.given)
            )
            found.states.append(await self._at_rest())
        return found

    async def _at_rest(self) -> Content:
        """Give what the stores hold once it does not change any more: a service may work on after its answer."""
        last, alike, until = await self.content(), 1, time.monotonic() + _LONGEST
        while alike < _ALIKE and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
            now = await self.content()
            alike = alike + 1 if now == last else 1
            last = now
        return last

    async def content(self) -> Content:
        """Read all that the stores hold."""
        found: Content = {}
        if self._deployment.target.stores.redis is not None:
            found |= await self._of_redis()
        if self._deployment.kube is not None:
            found |= await self._of_kubernetes()
        return found

    async def _of_redis(self) -> Content:
        store = self._deployment.store
        (keys,) = await store.ask([("KEYS", "*")])
        names = sorted(map(_text, cast("list[bytes]", keys)))
        types = await store.ask([("TYPE", name) for name in names]) if names else []
        kinds = [_text(kind) for kind in cast("list[bytes]", types)]
        known = [(kind, name) for name, kind in zip(names, kinds, strict=True) if kind in _READS]
        replies = await store.ask([(_READS[kind][0], name, *_READS[kind][1:]) for kind, name in known]) if known else []
        found: Content = {}
        for (kind, name), reply in zip(known, replies, strict=True):
            found |= {(kind, name, *inner): value for inner, value in _parts(kind, reply)}
        return found

    async def _of_kubernetes(self) -> Content:
        kube = self._deployment.kube
        assert kube is not None  # noqa: S101 - asked of such targets alone
        self._collections = self._collections or await _served(kube.call)
        found: Content = {}
        for resource, path in self._collections:
            _, answer = await kube.call("GET", path)
            for one in (answer or {}).get("items", ()):
                inside = f"/namespaces/{one['metadata']['namespace']}" if "namespace" in one["metadata"] else ""
                at = path.rindex("/")
                found["object", resource, f"{path[:at]}{inside}{path[at:]}/{one['metadata']['name']}"] = one
        return found


_READS = {
    "string": ("GET",),
    "hash": ("HGETALL",),
    "list": ("LRANGE", "0", "-1"),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", "0", "-1"),
    "stream": ("XLEN",),
}
"""How a value of each type is read."""


def _parts(kind: str, reply: object) -> list[tuple[tuple[str, ...], object]]:
    """Give the parts of a value, each with what it is called there."""
    if kind == "stream":
        return [((str(at),), "") for at in range(cast("int", reply))]
    if kind == "string":
        return [((), _text(cast("bytes", reply)))]
    if isinstance(reply, dict):
        return [((_text(name),), _text(value)) for name, value in cast("dict[bytes, bytes]", reply).items()]
    texts = [_text(one) for one in cast("list[bytes]", reply)]
    if kind == "hash":
        return [((name,), value) for name, value in zip(texts[::2], texts[1::2], strict=True)]
    if kind == "list":
        return [((str(at),), text) for at, text in enumerate(texts)]
    return [((text,), text) for text in texts]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


async def _served(call: Callable[[str, str], Awaitable[tuple[int, Json | None]]]) -> list[tuple[str, str]]:
    """Name the resources that an API server has, each with the path of all its objects."""
    _, groups = await call("GET", "/apis")
    others = (groups or {}).get("groups", ())
    versions = [(one["name"], f"/apis/{one['preferredVersion']['groupVersion']}") for one in others]
    found = []
    for group, path in (("", "/api/v1"), *versions):
        _, listed = await call("GET", path)
        for one in (listed or {}).get("resources", ()):
            name = f"{one['name']}.{group}" if group else one["name"]
            if "list" in one["verbs"] and "/" not in one["name"] and name not in _NOT_STATE:
                found.append((name, f"{path}/{one['name']}"))
    return found


async def send(url: str, sample: Sample, fresh: str, given: Mapping[str, str]) -> Reply:
    """Send a request to a service at a URL of this machine; what does not answer has status 0."""
    now = int(time.time())
    values = {**given, "fresh": fresh, "fingerprint": fresh, "unix": str(now), "now": _stamp(now)}
    query = urlencode([(name, filled(value, values)) for name, value in sample.query])
    whole = f"{url}{filled(sample.path, values)}" + (f"?{query}" if query else "")
    headers = {name: filled(from_environment(value), values) for name, value in sample.headers.items()}
    body = filled(sample.body, values).encode() if sample.body is not None else None
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(
                sample.method, URL(whole, encoded=True), headers=headers, data=body, allow_redirects=False
            ) as answer,
        ):
            lower = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, lower, (await answer.read()).decode("utf-8", "replace"))
    except TimeoutError:
        return Reply(0, {}, f"no answer within {_SECONDS:g} s")
    except aiohttp.ClientError as error:
        return Reply(0, {}, str(error) or type(error).__name__)


def _stamp(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
