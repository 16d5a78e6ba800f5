"""The HTTP side of every bundled Gateway: routes and answers as the Gateway of 2026-01-01 has them (contract 1)."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web
from redis.exceptions import RedisError

from stress.gateways.intake import ADAPTERS, Refusal, check_media_type, read_body
from stress.gateways.kubeapi import ApiError
from stress.gateways.kubestore import KubeStore
from stress.gateways.problems import ANSWERED, STORE, guard
from stress.gateways.protocols import kube_protocol_named, protocol_named
from stress.gateways.store import stamp
from stress.gateways.wire_store import RedisStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stress.gateways.store import Incoming, Outcome

    Deduplicating = Callable[[Incoming], Awaitable[Outcome]]

__all__ = ["STOPPING", "KubeStore", "RedisStore", "make_app"]

STOPPING = web.AppKey("stopping", list[bool])
"""Whether the Gateway is being shut down: then it is not ready any more."""


def make_app(protocol: str, store: RedisStore | KubeStore) -> web.Application:
    """Build the application over one deduplication protocol, and a store of the kind that it wants."""
    app = web.Application(middlewares=[guard])
    app[STOPPING], app[ANSWERED] = [False], Counter()
    app[STORE] = "Redis" if isinstance(store, RedisStore) else "Kubernetes API"
    deduplicate = _over(protocol, store)
    for adapter, (read, most) in ADAPTERS.items():
        app.router.add_route("*", f"/api/v1/signals/{adapter}", _signals(read, most, deduplicate))
    app.router.add_get("/health", _healthy)
    app.router.add_get("/healthz", _healthy)
    app.router.add_get("/ready", _ready(store))
    app.router.add_get("/metrics", _metrics)
    return app


def _over(protocol: str, store: RedisStore | KubeStore) -> Deduplicating:
    if isinstance(store, RedisStore):
        return partial(protocol_named(protocol), store)
    return partial(kube_protocol_named(protocol), store)


def _signals(
    read: Callable[[bytes], Incoming], most: int | None, deduplicate: Deduplicating
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def signals(request: web.Request) -> web.Response:
        check_media_type(request.headers.get(hdrs.CONTENT_TYPE))
        body = await read_body(request, most)
        if request.method != hdrs.METH_POST:
            raise Refusal(405, f"{request.method} is not allowed", {hdrs.ALLOW: hdrs.METH_POST})
        signal = read(body)
        outcome = await deduplicate(signal)
        if outcome.busy:
            raise Refusal(409, "a request for this signal is in flight", {hdrs.RETRY_AFTER: "1"})
        return web.json_response(_answer(outcome, signal), status=201 if outcome.created else 202)

    return signals


async def _healthy(_: web.Request) -> web.Response:
    return web.json_response({"status": "healthy", "timestamp": stamp(time.time())})


async def _metrics(request: web.Request) -> web.Response:
    """Give how many answers had each status, in the text format of Prometheus."""
    name = "gateway_http_responses_total"
    counts = [f'{name}{{status="{status}"}} {count}' for status, count in sorted(request.app[ANSWERED].items())]
    return web.Response(text="\n".join([f"# TYPE {name} counter", *counts, ""]))


def _ready(store: RedisStore | KubeStore) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def ready(request: web.Request) -> web.Response:
        if request.app[STOPPING][0]:
            raise Refusal(503, "the Gateway is shutting down")
        try:
            await store.probe()
        except (RedisError, ApiError, TimeoutError) as error:
            raise Refusal(503, f"{request.app[STORE]} is not reachable: {error}") from error
        return web.json_response({"status": "ready"})

    return ready


def _answer(outcome: Outcome, signal: Incoming) -> dict[str, Any]:
    body: dict[str, Any] = {
        "status": "created" if outcome.created else "duplicate",
        "message": "record created" if outcome.created else "hit counted",
        "fingerprint": signal.fingerprint,
        "duplicate": not outcome.created,
        "remediationRequestName": outcome.record,
        "remediationRequestNamespace": signal.namespace,
    }
    if not outcome.created:
        body["metadata"] = {
            "count": outcome.count,
            "remediationRequestRef": f"{signal.namespace}/{outcome.record}",
            **({"firstOccurrence": outcome.first_seen} if outcome.first_seen else {}),
            "lastOccurrence": outcome.last_seen,
        }
    return body
