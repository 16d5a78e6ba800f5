"""Sends a sample request to a service again and again, with one value changed at a time, and looks into its stores."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from stress.config.placeholders import filled, from_environment
from stress.executors.asked import new_fresh
from stress.executors.observe import field as field_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stress.diagnose.proposal.curl import Sample
    from stress.executors.live.deployment import Deployment
    from stress.protocols.looked import Content

_SECONDS = 30.0
_ALIKE, _LOOK_SECONDS, _LONGEST = 3, 0.02, 1.5
"""How often a state must be seen alike to have come to rest, how often it is looked at, and for how long at most."""


class Reply(NamedTuple):
    """What came back: the status (0: none, the body says why), the headers in small letters, the body."""

    status: int
    headers: Mapping[str, str]
    body: str

    def field(self, path: str) -> object:
        """Read a dotted path in the body."""
        return field_of(self.body, path)


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
        for store in self._deployment.stores.values():
            found |= await store.content()
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
