"""The HTTP side of the bundled Gateways, over a real Valkey."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
import time
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from stress.config.gateways import REDIS_PROTOCOLS
from stress.config.signal import Signal
from stress.core.errors import Unavailable, UsageFault
from stress.gateways.app import STOPPING, RedisStore, make_app
from stress.gateways.intake import Refusal, check_media_type, check_timestamp, kubernetes_event, prometheus
from stress.gateways.serve import serve
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PATH, EVENTS = "/api/v1/signals/prometheus", "/api/v1/signals/kubernetes-event"
LABELS = {"alertname": "HighMemoryUsage", "namespace": "prod-payments", "pod": "payment-api-789"}
NOW = 1_767_246_065


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    """Start a real server once."""
    found = Valkey()
    yield found
    found.close()


@pytest_asyncio.fixture
async def valkey(server: Valkey) -> AsyncIterator[Redis]:
    """Empty the server, and connect as a bundled Gateway does."""
    async with Redis.from_url(server.url, decode_responses=True, protocol=2) as client:
        await client.flushdb()
        yield client


@asynccontextmanager
async def gateway(valkey: Redis, protocol: str = "redis-atomic") -> AsyncIterator[TestClient[Any, Any]]:
    """Serve a bundled Gateway."""
    async with TestClient(TestServer(make_app(protocol, RedisStore(valkey)))) as client:
        yield client


def webhook(**labels: object) -> bytes:
    """Write a webhook of one alert."""
    return json.dumps({"alerts": [{"status": "firing", "labels": {**LABELS, **labels}}]}).encode()


def event(**changes: object) -> bytes:
    """Write an event of an OOM-killed pod."""
    about = {"kind": "Pod", "namespace": "production", "name": "payment-api-789"}
    return json.dumps({"type": "Warning", "reason": "OOMKilled", "involvedObject": about, **changes}).encode()


def now(seconds: int = 0) -> dict[str, str]:
    """Give the headers of a good request."""
    return {"Content-Type": "application/json", "X-Timestamp": str(int(time.time()) + seconds)}


REPEATING = [name for name in REDIS_PROTOCOLS if name.startswith("redis-idempotency-key")]
"""Those that give the first answer again instead of counting."""


@pytest.mark.asyncio
@pytest.mark.parametrize("protocol", REPEATING)
async def test_a_key_has_one_effect_and_its_first_answer_again(valkey: Redis, protocol: str) -> None:
    """Three requests are answered alike, 201; one that is in flight is 409, with a time to come back."""
    async with gateway(valkey, protocol) as client:
        answers = [await client.post(PATH, data=webhook(), headers=now()) for _ in range(3)]
        bodies = [await answer.json() for answer in answers]
        effects, keys = await valkey.keys("gw:effect:*"), await valkey.keys("gw:idem:*")
        counted = [await valkey.hget(name, "count") for name in effects]
        await valkey.set(keys[0], "working")
        busy = await client.post(PATH, data=webhook(), headers=now())
    assert [answer.status for answer in answers] == [201, 201, 201]
    assert (bodies[1:], counted, len(keys)) == ([bodies[0]] * 2, ["1"], 1)
    assert (busy.status, busy.headers["Retry-After"]) == (409, "1")


@pytest.mark.asyncio
@pytest.mark.parametrize("protocol", [name for name in REDIS_PROTOCOLS if name not in REPEATING])
async def test_one_after_another_every_gateway_is_right(valkey: Redis, protocol: str) -> None:
    """The first signal creates, the next two count to 2 and 3, all naming one record and when it was first seen."""
    before = int(time.time())
    async with gateway(valkey, protocol) as client:
        answers = [await client.post(PATH, data=webhook(), headers=now()) for _ in range(3)]
        bodies = [await answer.json() for answer in answers]
    after = int(time.time())
    name = bodies[0]["remediationRequestName"]
    assert [answer.status for answer in answers] == [201, 202, 202], bodies
    assert [sorted(body) for body in bodies] == [
        ["duplicate", "fingerprint", "message", "remediationRequestName", "remediationRequestNamespace", "status"],
        *[[*("duplicate", "fingerprint", "message", "metadata"), *sorted(bodies[0])[3:]]] * 2,
    ]
    assert {(body["remediationRequestName"], body["remediationRequestNamespace"]) for body in bodies} == {
        (name, "prod-payments")
    }
    assert name.startswith("rr-b19ffa4bbcf2")
    assert {body["fingerprint"][:16] for body in bodies} == {"b19ffa4bbcf2155c"}
    assert [(body["status"], body["duplicate"]) for body in bodies] == [("created", False)] + [("duplicate", True)] * 2
    reported = [body["metadata"] for body in bodies[1:]]
    assert [(one["count"], one["remediationRequestRef"]) for one in reported] == [
        (2, f"prod-payments/{name}"),
        (3, f"prod-payments/{name}"),
    ]
    assert all(before <= seconds(one["lastOccurrence"]) <= after for one in reported)
    if protocol == "redis-read-modify-write":
        assert ["firstOccurrence" in one for one in reported] == [False, False]
    else:
        assert len({one["firstOccurrence"] for one in reported}) == 1
        assert before <= seconds(reported[0]["firstOccurrence"]) <= after


def seconds(text: str) -> float:
    """Read RFC 3339."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


@pytest.mark.asyncio
async def test_names_are_those_of_the_contract(valkey: Redis) -> None:
    """A record named by the second is ``rr-``, twelve digits of the fingerprint, and Unix seconds."""
    async with gateway(valkey, "redis-named-by-second") as client:
        body = await (await client.post(PATH, data=webhook(), headers=now())).json()
    assert re.fullmatch(r"rr-b19ffa4bbcf2-\d{10}", body["remediationRequestName"])
    assert abs(int(body["remediationRequestName"][-10:]) - time.time()) < 5


@pytest.mark.asyncio
async def test_an_event_is_a_signal_of_its_own(valkey: Redis) -> None:
    """An event creates and counts as an alert does, under the fingerprint of reason, namespace, kind and name."""
    about = Signal(adapter="kubernetes-event", namespace="production", name="{fresh}")
    async with gateway(valkey) as client:
        answers = [await client.post(about.path, data=about.body("f"), headers=now()) for _ in range(2)]
        bodies = [await answer.json() for answer in answers]
    assert [answer.status for answer in answers] == [201, 202]
    assert {body["fingerprint"] for body in bodies} == {about.fingerprint("f")}
    assert bodies[1]["remediationRequestNamespace"] == "production"


def read(body: bytes, adapter: str = "prometheus") -> tuple[str, str, str]:
    """Read a body as the Gateway does."""
    signal = prometheus(body) if adapter == "prometheus" else kubernetes_event(body)
    return signal.fingerprint, signal.alertname, signal.namespace


def test_the_contracts_check_value_of_a_fingerprint() -> None:
    """HighMemoryUsage of a pod has the fingerprint of the contract, section 1.5, as read and as sent."""
    signal = Signal(alertname="HighMemoryUsage", namespace="prod-payments", labels={"pod": "payment-api-789"})
    assert signal.fingerprint("")[:16] == "b19ffa4bbcf2155c"
    assert read(webhook())[0][:16] == "b19ffa4bbcf2155c"


@pytest.mark.parametrize(
    ("name", "digits"), [("TestConcurrentDedup", "c75d8fa8937d"), ("TestAtomicHitCount", "8e3dca10b037")]
)
def test_a_signal_without_a_resource_is_about_an_unknown_one(name: str, digits: str) -> None:
    """Kind and name are Unknown and unknown: the fingerprints of the two failing tests (contract section 4)."""
    signal = Signal(alertname=name, namespace="gw-dedup-test")
    assert read(signal.body("")) == (signal.fingerprint(""), name, "gw-dedup-test")
    assert signal.fingerprint("")[:12] == digits


@pytest.mark.parametrize(
    "signal",
    [
        Signal(),
        Signal(alertname="{fresh}", namespace="n-{fresh}", labels={"node": "{fresh}"}),
        Signal(labels={"service": "s", "statefulset": "t"}),
        Signal(labels={"daemonset": "d", "pod": ""}),
        Signal(adapter="kubernetes-event"),
        Signal(adapter="kubernetes-event", reason="Evicted-{fresh}", kind="Node", name="worker", type="Error"),
    ],
)
def test_what_a_scenario_sends_has_the_fingerprint_that_it_expects(signal: Signal) -> None:
    """The Gateway computes the fingerprint from a body that the scenario computed beforehand."""
    assert read(signal.body("f00d"), signal.adapter)[0] == signal.fingerprint("f00d")


def test_a_fresh_value_makes_a_fresh_fingerprint() -> None:
    """Wherever `{fresh}` stands in what is hashed; a signal without it has one fingerprint for ever."""
    signals = [Signal(), Signal(labels={"pod": "{fresh}"}), Signal(adapter="kubernetes-event")]
    assert [len({one.fingerprint("f00d"), one.fingerprint("beef")}) for one in signals] == [1, 2, 2]


def test_keys_of_the_other_adapter_are_a_fault() -> None:
    """An alert has no reason, and an event no alert name."""
    with pytest.raises(ValueError, match="'reason' belongs to adapter kubernetes-event, and this is prometheus"):
        Signal(reason="Evicted")
    with pytest.raises(ValueError, match="'alertname' belongs to adapter prometheus, and this is kubernetes-event"):
        Signal(adapter="kubernetes-event", alertname="X")


@pytest.mark.parametrize(
    ("labels", "namespace"),
    [
        ({"exported_namespace": "e"}, "prod-payments"),
        ({"namespace": "", "exported_namespace": "e"}, "e"),
        ({"namespace": ""}, "default"),
    ],
)
def test_the_namespace_is_a_label_or_default(labels: dict[str, object], namespace: str) -> None:
    """The label namespace, else exported_namespace, else default."""
    assert read(webhook(**labels))[2] == namespace


def test_only_the_first_alert_is_looked_at() -> None:
    """Other alerts, unknown fields, nulls and broken UTF-8 do not matter."""
    alerts = [{"labels": LABELS, "annotations": None, "x": 1}, {"labels": {"alertname": "Other"}}]
    body = json.dumps({"alerts": alerts, "receiver": "r"}).encode().replace(b'"r"', b'"\xff"')
    assert read(body)[1] == "HighMemoryUsage"


def refused(body: bytes, adapter: str = "prometheus") -> str:
    """Give why a body is refused."""
    with pytest.raises(Refusal) as caught:
        read(body, adapter)
    assert caught.value.status == 400
    return caught.value.detail


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "the body is wrong: Invalid JSON: EOF while parsing an object at line 1 column 1"),
        (b"[" * 9999, "the body is wrong: Invalid JSON: recursion limit exceeded at line 1 column 202"),
        (b"[]", "the body is wrong: Input should be an object"),
        (b"{}", "the webhook has no alerts"),
        (b'{"alerts": []}', "the webhook has no alerts"),
        (b'{"alerts": [{}]}', "alertname is empty"),
        (webhook(alertname=""), "alertname is empty"),
        (webhook(severity=3), "the body is wrong: alerts.0.labels.severity: Input should be a valid string"),
    ],
)
def test_a_wrong_webhook_is_refused(body: bytes, detail: str) -> None:
    """What is no JSON, has no alert or no alert name is a 400 that says so."""
    assert refused(body) == detail


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (event(reason=""), "reason is empty"),
        (event(involvedObject=None), "involvedObject.kind is empty"),
        (event(involvedObject={"kind": "Pod"}), "involvedObject.name is empty"),
        (event(type="Normal"), "events of type Normal are not processed, only Warning and Error"),
        (event(type=None), "events of type (none) are not processed, only Warning and Error"),
    ],
)
def test_a_wrong_event_is_refused(body: bytes, detail: str) -> None:
    """An event needs a reason, what it is about, and a type that is no routine."""
    assert refused(body, "kubernetes-event") == detail


@pytest.mark.parametrize(
    ("header", "right"),
    [
        (str(NOW), True),
        (str(NOW - 300), True),
        (str(NOW - 301), False),
        (str(NOW + 120), True),
        (str(NOW + 121), False),
        (None, False),
        ("", False),
        ("-5", False),
        ("+5", False),
        ("soon", False),
        (f"{NOW}.0", False),
        ("²", False),
        ("9" * 4400, False),
    ],
)
def test_a_timestamp_is_recent_unix_seconds(header: str | None, right: bool) -> None:  # noqa: FBT001 - a case
    """A whole number, at most five minutes old and two minutes ahead."""
    if right:
        check_timestamp(header, NOW)
    else:
        with pytest.raises(Refusal) as caught:
            check_timestamp(header, NOW)
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 0),
        ("", 0),
        ("application/json", 0),
        ("Application/JSON ; charset=utf-8", 0),
        ('application/json; charset="utf-8";', 0),
        ("text/plain", 415),
        ("application/json-patch+json", 415),
        ("json", 400),
        ("application/", 400),
        ("application/json; charset", 400),
        ("application/json, text/plain", 400),
    ],
)
def test_a_media_type_is_absent_or_json(header: str | None, status: int) -> None:
    """Another one is a 415, what is none a 400."""
    if status:
        with pytest.raises(Refusal) as caught:
            check_media_type(header)
        assert caught.value.status == status
    else:
        check_media_type(header)


async def problem(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Read a problem document, and check what all have in common."""
    assert answer.content_type == "application/problem+json"
    found: dict[str, Any] = json.loads(await answer.text())
    assert (found["status"], found["instance"]) == (answer.status, answer.url.path)
    assert found.get("request_id") == answer.headers.get("X-Request-ID")
    return found


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "kind", "title"),
    [
        (
            "POST",
            PATH,
            {"Content-Type": "text/plain"},
            webhook(),
            415,
            "unsupported-media-type",
            "Unsupported Media Type",
        ),
        (
            "PUT",
            PATH,
            {"Content-Type": "text/plain"},
            webhook(),
            415,
            "unsupported-media-type",
            "Unsupported Media Type",
        ),
        ("POST", PATH, {"Content-Type": "text"}, webhook(), 400, "validation-error", "Bad Request"),
        ("POST", PATH, {}, b"{", 400, "validation-error", "Bad Request"),
        ("POST", EVENTS, {}, event(type="Normal"), 400, "validation-error", "Bad Request"),
        ("POST", PATH, {}, webhook(pad="x" * 102_400), 400, "validation-error", "Bad Request"),
        ("PUT", PATH, {}, webhook(), 405, "method-not-allowed", "Method Not Allowed"),
        ("GET", EVENTS, {}, None, 405, "method-not-allowed", "Method Not Allowed"),
        ("POST", "/ready", {}, b"", 405, "method-not-allowed", "Method Not Allowed"),
        ("POST", "/none", {}, webhook(), 404, "unknown", "Not Found"),
    ],
)
async def test_bad_requests_get_a_problem_document(  # noqa: PLR0913, PLR0917 - a case
    valkey: Redis,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes | None,
    status: int,
    kind: str,
    title: str,
) -> None:
    """Each rule of the request gate has its status and its problem type; a bad timestamp hides them all."""
    async with gateway(valkey) as client:
        answer = await client.request(method, path, data=body, headers={**now(), **headers})
        found = await problem(answer)
        early = await client.request("PUT", path, data=body, headers={**now(-301), **headers})
        hidden = await problem(early)
    assert (answer.status, found["type"], found["title"]) == (status, f"https://kubernaut.ai/problems/{kind}", title)
    assert str(uuid.UUID(found["request_id"])) == found["request_id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (answer.headers.get("Accept") == "application/json") is (status == 415)
    assert (early.status, hidden["detail"]) == (400, "X-Timestamp is more than 300 seconds old")
    assert "X-Request-ID" not in early.headers


@pytest.mark.asyncio
async def test_a_body_may_be_as_large_as_the_limit(valkey: Redis) -> None:
    """A webhook of exactly 102400 bytes is taken, one byte more is not; an event of any size is."""
    fill = 102_400 - len(webhook(pad=""))
    async with gateway(valkey) as client:
        sizes = [(PATH, webhook(pad="x" * fill)), (PATH, webhook(pad="x" * (fill + 1)))]
        sizes.append((EVENTS, event(message="x" * 1_000_000)))
        statuses = [(await client.post(path, data=body, headers=now())).status for path, body in sizes]
    assert statuses == [201, 400, 201]


@pytest.mark.asyncio
async def test_a_request_without_a_media_type_is_accepted(valkey: Redis) -> None:
    """Content-Type may be absent."""
    async with gateway(valkey) as client:
        stamp = {"X-Timestamp": now()["X-Timestamp"]}
        answer = await client.post(PATH, data=webhook(), headers=stamp, skip_auto_headers=["Content-Type"])
        assert answer.status == 201
        assert answer.request_info.headers.get("Content-Type") is None


@pytest.mark.asyncio
async def test_health_and_readiness(valkey: Redis) -> None:
    """Alive and ready without a timestamp, each answer under an identity of its own; not ready while shutting down."""
    async with gateway(valkey) as client:
        answers = [await client.get(path) for path in ("/health", "/healthz", "/ready")]
        bodies = [await answer.json() for answer in answers]
        client.app[STOPPING][0] = True
        stopping = await client.get("/ready")
        found = await problem(stopping)
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [body["status"] for body in bodies] == ["healthy", "healthy", "ready"]
    assert abs(seconds(bodies[0]["timestamp"]) - time.time()) < 5
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 3
    assert (found["status"], found["type"]) == (503, "https://kubernaut.ai/problems/service-unavailable")
    assert found["detail"] == "the Gateway is shutting down"


@pytest.mark.asyncio
async def test_metrics_count_the_answers(valkey: Redis) -> None:
    """The text format of Prometheus: one line for each status that was given."""
    async with gateway(valkey) as client:
        for headers in (now(), now(), {}):
            await client.post(PATH, data=webhook(), headers=headers)
        answer = await client.get("/metrics")
        text = await answer.text()
    assert text.splitlines() == [
        "# TYPE gateway_http_responses_total counter",
        'gateway_http_responses_total{status="201"} 1',
        'gateway_http_responses_total{status="202"} 1',
        'gateway_http_responses_total{status="400"} 1',
    ]
    assert answer.content_type == "text/plain"


@pytest.mark.asyncio
async def test_without_its_store_it_is_not_ready_and_answers_500() -> None:
    """A store that is gone makes readiness a 503 and a signal a 500; the Gateway still lives."""
    server = Valkey()
    valkey = Redis.from_url(server.url, decode_responses=True, protocol=2)
    async with gateway(valkey) as client:
        assert (await client.get("/ready")).status == 200
        server.close()
        ready = await problem(await client.get("/ready"))
        failed = await problem(await client.post(PATH, data=webhook(), headers=now()))
        assert (await client.get("/healthz")).status == 200
    await valkey.aclose()
    assert (ready["status"], ready["detail"][:23]) == (503, "Redis is not reachable:")
    assert (failed["status"], failed["type"]) == (500, "https://kubernaut.ai/problems/internal-error")
    assert failed["detail"].startswith("Redis error: ")


@pytest.mark.asyncio
async def test_what_a_protocol_raises_is_a_500(valkey: Redis) -> None:
    """A key of the wrong type fails the command, and its client is told so."""
    async with gateway(valkey, "redis-read-modify-write") as client:
        created = await client.post(PATH, data=webhook(), headers=now())
        await valkey.set("gw:dedup:" + (await created.json())["fingerprint"], "not a hash")
        found = await problem(await client.post(PATH, data=webhook(), headers=now()))
    assert (found["status"], "WRONGTYPE" in found["detail"]) == (500, True)


@pytest.mark.asyncio
async def test_what_keeps_it_from_serving_is_said(valkey: Redis) -> None:
    """A store that does not answer, a port that is taken and a URL of something else are each one line."""
    url = "redis://127.0.0.1:{port}".format(**valkey.connection_pool.connection_kwargs)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match="the store does not answer"):
            await serve("redis-atomic", f"redis://127.0.0.1:{port}", 0)
        taken.listen()
        with pytest.raises(Unavailable, match=f"port {port} can't be listened on"):
            await serve("redis-atomic", url, port)
    with pytest.raises(UsageFault, match=r"--redis:1:1: not a store's URL: .*write redis://"):
        await serve("redis-atomic", "http://127.0.0.1", 0)


@pytest.mark.asyncio
async def test_the_command_serves_until_it_is_asked_to_end(valkey: Redis) -> None:
    """The process answers on its port, and SIGTERM ends it with 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = "redis://127.0.0.1:{port}".format(**valkey.connection_pool.connection_kwargs)
    words = ("--protocol", "redis-atomic", "--redis", url, "--port", str(port))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "stress.gateways", *words)
    async with aiohttp.ClientSession() as session:
        deadline, status = time.monotonic() + 20, 0
        while not status and time.monotonic() < deadline:
            try:
                async with session.get(f"http://127.0.0.1:{port}/ready") as answer:
                    status = answer.status
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert (status, await process.wait()) == (200, 0)


@pytest.mark.asyncio
async def test_the_command_says_that_its_store_is_not_there() -> None:
    """A store that does not answer is one line and exit code 69."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{taken.getsockname()[1]}"
        words = ("--protocol", "redis-atomic", "--redis", url, "--port", "1")
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "stress.gateways", *words, stderr=pipe)
        _, said = await process.communicate()
    assert (process.returncode, said.decode().splitlines()[0][:37]) == (
        69,
        "unavailable: the store does not answer"[:37],
    )
    assert len(said.splitlines()) == 1
