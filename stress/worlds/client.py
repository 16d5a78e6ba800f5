"""The client of one actor: one warmed connection to its replica, one request, one answer."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stress.target import Target

_KEEP_ALIVE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Raw:
    """What came back: an HTTP status (0: none, and ``error`` says why) and the body."""

    status: int
    body: bytes
    error: str = ""

    def field(self, path: str | None) -> object:
        """Read a dotted path in a JSON body; None where it is not there."""
        if not path:
            return None
        try:
            value: object = json.loads(self.body)
        except ValueError:
            return None
        for word in path.split("."):
            value = value.get(word) if isinstance(value, dict) else None
        return value


class Client:
    """Sends requests of one actor down one connection."""

    def __init__(self, url: str, seconds: float) -> None:
        """Open no connection yet; ``seconds`` is how long an answer may take."""
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=seconds),
            auto_decompress=True,
        )

    async def warm(self, path: str) -> None:
        """Open the connection by asking for a path; whatever is answered is fine."""
        await self._ask("GET", path, None, {})

    async def send(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Raw:
        """Send one signal and wait for its answer."""
        stamped = {"Content-Type": "application/json", "X-Timestamp": str(int(time.time())), **headers}
        return await self._ask("POST", target.request.path, body, stamped)

    async def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Raw:
        try:
            async with self._session.request(method, self._url + path, data=body, headers=headers) as answer:
                return Raw(answer.status, await answer.read())
        except TimeoutError:
            return Raw(0, b"", "no answer in time")
        except aiohttp.ClientError as error:
            return Raw(0, b"", str(error) or type(error).__name__)

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()
