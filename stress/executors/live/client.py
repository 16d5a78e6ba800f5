"""The client of one actor: one warmed connection to its replica, one request, one answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp

from stress.config.placeholders import filled
from stress.executors.observe import field as field_of
from stress.protocols.acknowledge import acknowledge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stress.config.signal import Signal
    from stress.config.target_parts import RequestForm
    from stress.executors.fingerprint import Marks
    from stress.processes.replicas import Replica

_KEEP_ALIVE_SECONDS = 3600.0


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


class Form:
    """What is sent: a scenario's signal as a target wants it. What does not change between requests is made once."""

    def __init__(self, signal: Signal, request: RequestForm, body: str | None, marks: Marks) -> None:
        """Take the signal, and the text of the body that the target names (None: the signal's own)."""
        self.path = filled(request.path, {"adapter": signal.adapter})
        self._signal, self._body, self._marks = signal, body, marks
        given = {name.lower() for name in request.headers}
        usual = {"Content-Type": "application/json", "X-Timestamp": "{unix}"}
        self._headers = {name: text for name, text in usual.items() if name.lower() not in given} | request.headers
        self._correlated = (marks.header or "").lower() in given

    def fill(self, fresh: str, fingerprint: str, actor: str) -> tuple[bytes, dict[str, str]]:
        """Give body and headers of one request, sent now."""
        now = time.time()
        stamp = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        values = {"fresh": fresh, "fingerprint": fingerprint, "unix": str(int(now)), "now": stamp}
        own = {name: filled(text, values) for name, text in self._headers.items()}
        mark = {} if self._correlated else self._marks.correlation(fresh, actor)
        body = self._signal.body(fresh) if self._body is None else filled(self._body, values).encode()
        return body, {**mark, **own}


class Client:
    """Sends requests of one actor down one connection.

    ``answering`` while the head of an answer is here and its end is not; ``hung_up`` since `hang_up` ended a request.
    """

    def __init__(self, replica: Replica, path: str, seconds: float) -> None:
        """Open no connection yet; signals go to ``path``, and an answer may take ``seconds``."""
        self.answering = self.hung_up = False
        self._asking: asyncio.Task[Any] | None = None
        self._replica = replica
        self._signals = replica.url + path
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=seconds),
            auto_decompress=True,
        )

    async def warm(self, path: str) -> None:
        """Open the connection by asking for a path; whatever is answered is fine."""
        await self._ask("GET", self._replica.url + path, None, {})

    async def send(self, body: bytes, headers: Mapping[str, str]) -> Raw:
        """Send one signal and wait for its answer."""
        return await self._ask("POST", self._signals, body, headers)

    def hang_up(self) -> None:
        """End the request that is under way, and its connection with it."""
        if self._asking is not None:
            self.hung_up = True
            self._asking.cancel()

    async def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Raw:
        self._asking, self.hung_up = asyncio.current_task(), False
        try:
            async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
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
