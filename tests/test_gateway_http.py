"""The HTTP side of the bundled Gateways, over a real Valkey."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from stress.gateways.app import RedisStore, make_app
from stress.gateways.protocols import PROTOCOLS
from stress.stores.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATH = "/api/v1/signals/prometheus"
LABELS = {"alertname": "HighMemoryUsage", "namespace": "prod-payments", "pod": "payment-api-789"}


@pytest_asyncio.fixture
async def valkey() -> AsyncIterator[Redis]:
    """Start a real server."""
    server = Valkey()
    client = Redis.from_url(server.url, decode_responses=True, protocol=2)
    yield client
    await client.aclose()
    server.close()


def webhook(**labels: str) -> bytes:
    """Write a webhook of one alert."""
    return json.dumps({"alerts": [{"status": "firing", "labels": {**LABELS, **labels}}]}).encode()


def now(seconds: int = 0) -> dict[str, str]:
    """Give the headers of a good request."""
    return {"Content-Type": "application/json", "X-Timestamp": str(int(time.time()) + seconds)}


@pytest.mark.asyncio
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_one_after_another_every_gateway_is_right(valkey: Redis, protocol: str) -> None:
    """The first signal creates, the next two count to 2 and 3, all naming one record."""
    async with TestClient(TestServer(make_app(protocol, RedisStore(valkey)))) as client:
        answers = [await client.post(PATH, data=webhook(), headers=now()) for _ in range(3)]
        bodies = [await answer.json() for answer in answers]
    assert [answer.status for answer in answers] == [201, 202, 202], bodies
    assert [body.get("metadata", {}).get("count") for body in bodies] == [None, 2, 3]
    assert len({body["remediationRequestName"] for body in bodies}) == 1
    assert {body["fingerprint"][:16] for body in bodies} == {"b19ffa4bbcf2155c"}
    assert [(body["status"], body["duplicate"]) for body in bodies] == [("created", False)] + [("duplicate", True)] * 2
    assert all("X-Request-ID" in answer.headers for answer in answers)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("headers", "body", "status", "kind"),
    [
        ({}, webhook(), 400, "validation-error"),
        ({**now(), "X-Timestamp": "soon"}, webhook(), 400, "validation-error"),
        (now(-301), webhook(), 400, "validation-error"),
        (now(200), webhook(), 400, "validation-error"),
        ({**now(), "Content-Type": "text/plain"}, webhook(), 415, "unsupported-media-type"),
        (now(), b"{", 400, "validation-error"),
        (now(), b"[]", 400, "validation-error"),
        (now(), b'{"alerts": []}', 400, "validation-error"),
        (now(), webhook(alertname=""), 400, "validation-error"),
        (now(), webhook(pad="x" * 102_400), 400, "validation-error"),
    ],
)
async def test_bad_requests_get_a_problem_document(
    valkey: Redis, headers: dict[str, str], body: bytes, status: int, kind: str
) -> None:
    """Each rule of the request gate has its status and its problem type."""
    async with TestClient(TestServer(make_app("redis-atomic", RedisStore(valkey)))) as client:
        answer = await client.post(PATH, data=body, headers=headers)
        problem = json.loads(await answer.text())
    assert (answer.status, problem["status"], answer.content_type) == (status, status, "application/problem+json")
    assert problem["type"] == f"https://kubernaut.ai/problems/{kind}"
    assert (answer.headers.get("Accept") == "application/json") is (status == 415)


@pytest.mark.asyncio
async def test_other_methods_and_paths(valkey: Redis) -> None:
    """GET on the signal route is 405, an unknown path 404, and health and readiness answer."""
    async with TestClient(TestServer(make_app("redis-atomic", RedisStore(valkey)))) as client:
        assert [(await client.get(path)).status for path in (PATH, "/none", "/health", "/healthz", "/ready")] == [
            405,
            404,
            200,
            200,
            200,
        ]


@pytest.mark.asyncio
async def test_a_lost_store_is_a_500(valkey: Redis) -> None:
    """What a protocol raises reaches its client as an internal error."""
    store = RedisStore(valkey)
    await valkey.set("gw:dedup:x", "not a hash")
    async with TestClient(TestServer(make_app("redis-read-modify-write", store))) as client:
        created = await client.post(PATH, data=webhook(), headers=now())
        key = "gw:dedup:" + (await created.json())["fingerprint"]
        await valkey.set(key, "not a hash")
        assert (await client.post(PATH, data=webhook(), headers=now())).status == 500
