"""The HTTP side of every bundled Gateway: routes, validation and answers as the Gateway of 2026-01-01 has them."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from redis.exceptions import WatchError

from stress.gateways.protocols import protocol_named
from stress.gateways.store import Incoming, Outcome
from stress.signal import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from redis.asyncio import Redis
    from redis.asyncio.client import Pipeline

    from stress.gateways.store import Reply, Script

_OLDEST_SECONDS, _AHEAD_SECONDS, _MOST_BYTES = 300, 120, 102_400
_PROBLEMS = {
    400: "validation-error",
    405: "method-not-allowed",
    415: "unsupported-media-type",
    500: "internal-error",
}
_LABELS = ("pod", "deployment", "statefulset", "daemonset", "node", "service")


class RedisStore:
    """The store of a protocol on the wire: redis-py with the replies as the server gives them."""

    def __init__(self, client: Redis) -> None:
        """Use one client and its pool."""
        client.response_callbacks.clear()
        self._client = client

    def now(self) -> float:
        """Give the wall clock."""
        return time.time()

    async def call(self, *command: str) -> Reply:
        """Run one command."""
        reply: Reply = await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        return reply

    async def pipeline(self, *commands: tuple[str, ...]) -> list[Reply]:
        """Send commands in one write."""
        async with self._client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            replies: list[Reply] = await pipe.execute()
            return replies

    def script(self, script: Script, keys: Sequence[str], arguments: Sequence[str]) -> Awaitable[Reply]:
        """Run a script."""
        return self.call("EVAL", script.lua, str(len(keys)), *keys, *arguments)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RedisSession]:
        """Take a connection out of the pool, and give it back."""
        async with self._client.pipeline(transaction=True) as pipe:
            yield RedisSession(pipe)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class RedisSession:
    """A connection for one request alone."""

    def __init__(self, pipe: Pipeline) -> None:
        """Use the connection of a pipeline, which is not sent before ``execute``."""
        self._pipe = pipe

    async def call(self, *command: str) -> Reply:
        """Run one command at once."""
        if command[0] == "WATCH":
            return str(await self._pipe.watch(*command[1:]))
        reply: Reply = await self._pipe.immediate_execute_command(*command)  # type: ignore[no-untyped-call]
        return reply

    async def execute(self, *commands: tuple[str, ...]) -> list[Reply] | None:
        """Send MULTI, the commands and EXEC in one write; None when a watched key was touched."""
        self._pipe.multi()  # type: ignore[no-untyped-call]
        for command in commands:
            self._pipe.execute_command(*command)
        try:
            replies: list[Reply] = await self._pipe.execute()
        except WatchError:
            return None
        return replies


class Refusal(Exception):
    """A request that is answered with a problem document (RFC 9457)."""

    def __init__(self, status: int, detail: str) -> None:
        """Take the HTTP status and what to tell."""
        self.status, self.detail = status, detail
        super().__init__(detail)


def make_app(protocol: str, store: RedisStore) -> web.Application:
    """Build the application over one deduplication protocol."""
    deduplicate = protocol_named(protocol)

    async def prometheus(request: web.Request) -> web.Response:
        if request.method != "POST":
            raise Refusal(405, f"{request.method} is not allowed")
        signal = await _signal(request)
        outcome: Outcome = await deduplicate(store, signal)
        return web.json_response(_answer(outcome, signal.fingerprint), status=201 if outcome.created else 202)

    app = web.Application(middlewares=[_guard], client_max_size=10 * _MOST_BYTES)
    app.router.add_route("*", "/api/v1/signals/prometheus", prometheus)
    for path, status in (("/health", "healthy"), ("/healthz", "healthy"), ("/ready", "ready")):
        app.router.add_get(path, _state(status))
    return app


def _state(status: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def state(_: web.Request) -> web.Response:
        return web.json_response({"status": status})

    return state


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    identity = str(uuid.uuid4())
    try:
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            check_timestamp(request.headers.get("X-Timestamp"), time.time())
        answer = await handler(request)
    except Refusal as refusal:
        answer = _problem(refusal.status, refusal.detail, request.path, identity)
    except web.HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a protocol raises is a 500 to its client
        answer = _problem(500, f"Redis error: {error}", request.path, identity)
    answer.headers["X-Request-ID"] = identity
    return answer


def _problem(status: int, detail: str, instance: str, identity: str) -> web.Response:
    kind = _PROBLEMS[status]
    body = {
        "type": f"https://kubernaut.ai/problems/{kind}",
        "title": kind.replace("-", " ").title(),
        "detail": detail,
        "status": status,
        "instance": instance,
        "request_id": identity,
    }
    headers = {"Accept": "application/json"} if status == 415 else None  # noqa: PLR2004 - RFC 9110 section 15.5.16
    return web.Response(text=json.dumps(body), status=status, content_type="application/problem+json", headers=headers)


def check_timestamp(header: str | None, now: float) -> None:
    """Refuse a missing, malformed, old or early ``X-Timestamp`` (contract section 1.2).

    Raises:
        Refusal: with status 400.

    """
    if header is None or not header.isdigit():
        raise Refusal(400, "X-Timestamp must be Unix seconds")
    if now - int(header) > _OLDEST_SECONDS or int(header) - now > _AHEAD_SECONDS:
        raise Refusal(400, "X-Timestamp is too old or too far ahead")


async def _signal(request: web.Request) -> Incoming:
    if request.headers.get("Content-Type") and request.content_type != "application/json":
        raise Refusal(415, f"Content-Type {request.content_type} is not application/json")
    raw = await request.read()
    if len(raw) > _MOST_BYTES:
        raise Refusal(400, f"the body is larger than {_MOST_BYTES} bytes")
    try:
        webhook = json.loads(raw)
    except ValueError:
        raise Refusal(400, "the body is not JSON") from None
    labels = first_labels(webhook)
    kept = {key: value for key, value in labels.items() if key in _LABELS}
    namespace = labels.get("namespace") or labels.get("exported_namespace") or "default"
    signal = Signal(alertname=labels["alertname"], namespace=namespace, labels=kept)
    return Incoming(signal.fingerprint(""), signal.alertname, namespace)


def first_labels(webhook: object) -> dict[str, str]:
    """Give the labels of the first alert, the only one that is looked at.

    Raises:
        Refusal: with status 400 when there is no alert or it has no name.

    """
    alerts = webhook.get("alerts") if isinstance(webhook, dict) else None
    first = alerts[0] if isinstance(alerts, list) and alerts else None
    labels = first.get("labels") if isinstance(first, dict) else None
    if not isinstance(labels, dict):
        raise Refusal(400, "the webhook has no alerts")
    if not labels.get("alertname"):
        raise Refusal(400, "alertname is empty")
    return {str(key): str(value) for key, value in labels.items()}


def _answer(outcome: Outcome, fingerprint: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "status": "created" if outcome.created else "duplicate",
        "message": "record created" if outcome.created else "hit counted",
        "fingerprint": fingerprint,
        "duplicate": not outcome.created,
        "remediationRequestName": outcome.record,
    }
    if not outcome.created:
        body["metadata"] = {"count": outcome.count, "lastOccurrence": outcome.last_seen}
    return body
