"""The client of one actor: one warmed connection to its replica, one request, one answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp

from stress.config.placeholders import filled, from_environment
from stress.executors.observe import field as field_of
from stress.protocols.acknowledge import acknowledge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stress.config.signal import Signal
    from stress.config.target_parts import RequestForm
    from stress.executors.fingerprint import Marks
    from stress.processes.replicas import Replica

_KEEP_ALIVE_SECONDS = 3600.0
_WITHOUT_BODY = ("GET", "HEAD", "DELETE")


@dataclass(frozen=True, slots=True)
class Raw:
    """What came back: an HTTP status (0: none, and ``error`` says why), the body and the headers."""

    status: int
    body: bytes
    error: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def field(self, path: str | None) -> object:
        """Read a dotted path in a JSON body; None where it is not there."""
        return field_of(self.body, path)


class Sent(NamedTuple):
    """One request: its method, where it goes below the address of its replica, the body (None: none), the headers."""

    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]


class Form:
    """What is sent: a scenario's signal as a target wants it. What does not change between requests is made once."""

    def __init__(
        self, signal: Signal, request: RequestForm, body: str | None, marks: Marks, given: Mapping[str, str]
    ) -> None:
        """Take the signal, the text of the body that the target names (None: the signal's own, if any), more values."""
        self._request, self._signal, self._body, self._marks = request, signal, body, marks
        self._given = given
        self._bare = body is None and request.method in _WITHOUT_BODY
        named = {name.lower() for name in request.headers}
        usual = {"X-Timestamp": "{unix}"} | ({} if self._bare else {"Content-Type": "application/json"})
        self._headers = {name: text for name, text in usual.items() if name.lower() not in named} | {
            name: from_environment(text) for name, text in request.headers.items()
        }
        self._correlated = (marks.header or "").lower() in named

    def fill(self, fresh: str, fingerprint: str, actor: str) -> Sent:
        """Give one request, sent now."""
        now = time.time()
        stamp = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        values = {"fresh": fresh, "fingerprint": fingerprint, "unix": str(int(now)), "now": stamp, **self._given}
        own = {name: filled(text, values) for name, text in self._headers.items()}
        mark = {} if self._correlated else self._marks.correlation(fresh, actor)
        body = self._signal.body(fresh) if self._body is None else filled(self._body, values).encode()
        return Sent(self._request.method, self._path(values), None if self._bare else body, {**mark, **own})

    def _path(self, values: Mapping[str, str]) -> str:
        """Give path and query; what a placeholder stands for is one piece of a path, whatever characters it has."""
        values = {**values, "adapter": self._signal.adapter}
        path = filled(self._request.path, {name: quote(value, safe="") for name, value in values.items()})
        query = urlencode({name: filled(text, values) for name, text in self._request.query.items()}, quote_via=quote)
        return f"{path}{'&' if '?' in path else '?'}{query}" if query else path


class Client:
    """Sends requests of one actor down one connection.

    ``answering`` while the head of an answer is here and its end is not; ``hung_up`` since `hang_up` ended a request.
    """

    def __init__(self, replica: Replica, seconds: float) -> None:
        """Open no connection yet; an answer may take ``seconds``."""
        self.answering = self.hung_up = False
        self._asking: asyncio.Task[Any] | None = None
        self._replica = replica
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=seconds),
            auto_decompress=True,
        )

    async def warm(self, path: str) -> Raw:
        """Open the connection by asking for a path; whatever is answered is fine."""
        return await self._ask(Sent("GET", path, None, {}))

    async def send(self, sent: Sent) -> Raw:
        """Send one signal and wait for its answer."""
        return await self._ask(sent)

    def hang_up(self) -> None:
        """End the request that is under way, and its connection with it."""
        if self._asking is not None:
            self.hung_up = True
            self._asking.cancel()

    async def _ask(self, sent: Sent) -> Raw:
        self._asking, self.hung_up = asyncio.current_task(), False
        asking = self._session.request(
            sent.method, self._replica.url + sent.path, data=sent.body, headers=sent.headers, allow_redirects=False
        )
        try:
            async with asking as answer:
                self.answering = True
                if answer.connection is not None:  # servers that write head and body apart, as the JDK's, wait for this
                    acknowledge(answer.connection.transport)
                return Raw(answer.status, await answer.read(), headers=answer.headers)
        except asyncio.CancelledError:
            if not self.hung_up or self._asking is None:
                raise
            self._asking.uncancel()
            return Raw(0, b"", "its client hung up")
        except TimeoutError:
            return Raw(0, b"", "no answer in time")
        except aiohttp.ClientError as error:
            self._replica.check()
            return Raw(0, b"", str(error) or type(error).__name__)
        finally:
            self.answering, self._asking = False, None

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()
