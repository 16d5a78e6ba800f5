"""Targets on the wire: every way to reach a Gateway and its store, what is sent, what is read, and what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from conftest import scenario_of, target_of
from redis.asyncio import Redis

from stress.checks import run_checks
from stress.config.scenario import Scenario
from stress.config.signal import Signal
from stress.config.target import Target
from stress.core.errors import Unavailable, UsageFault
from stress.core.trace import Answer, Details, Snapshot
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.executors.environment import ends_epoch
from stress.executors.fingerprint import Marks
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor
from stress.executors.observe import with_answered_hits
from stress.processes.child import accepts, free_port
from stress.processes.forkserver import gateway
from stress.processes.launch import is_loopback
from stress.processes.quiescence import descendants
from stress.processes.replicas import by_command, start
from stress.protocols.redis.server import Valkey
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stress.processes.replicas import Replica

OWN = Path(__file__).parent.parent.parent / "gateways" / "lock_gateway.py"
POD = {"labels": {"pod": "p-{fresh}"}}


def target(**keys: object) -> Target:
    """Make a target."""
    return Target.model_validate({"name": "own", **keys})


def scenario(**keys: object) -> Scenario:
    """Make a scenario of two identical first requests."""
    return Scenario.model_validate({"name": "own", "story": "Two at once.", "signal": POD, **keys})


def own_start(*words: str, **keys: object) -> dict[str, object]:
    """Say how to start the Gateway of the tests that knows nothing of the harness."""
    return {"command": [sys.executable, str(OWN), "{port}", "{redis_port}", *words], **keys}


@asynccontextmanager
async def secured_store() -> AsyncIterator[tuple[str, Redis]]:
    """Run a Valkey as a user would: a user with a password, and a key of somebody else in database 3."""
    server = Valkey()
    admin = Redis.from_url(f"redis://127.0.0.1:{server.port}/3")
    try:
        await admin.execute_command("ACL", "SETUSER", "gateway", "on", ">s3cret", "~*", "&*", "+@all")  # type: ignore[no-untyped-call]
        await admin.set("theirs", "untouched")
        yield f"redis://gateway:s3cret@127.0.0.1:{server.port}/3", admin
    finally:
        await admin.aclose()
        server.close()


async def later(protocol: str, redis: str, port: int) -> Replica:
    """Run a bundled Gateway that the harness does not start, as soon as its store is there."""
    while not accepts("127.0.0.1", urlsplit(redis).port or 0):  # noqa: ASYNC110 - an opened port tells nobody
        await asyncio.sleep(0.01)
    words = ["--protocol", protocol, "--redis", redis, "--port", str(port)]
    return await start(1, partial(gateway, words), port=port, ready=(None, 10.0))


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
"""When a request was sent: two that are alike may be sent in different seconds."""


@asynccontextmanager
async def recorder(
    seen: list[tuple[dict[str, str], str, str]], failures: int = 0, *, together: bool = True
) -> AsyncIterator[str]:
    """Serve what a Gateway would answer, and write down headers, body and path of each request.

    So many fail at first, or each that repeats the one before where those that come ``together`` do.
    """

    async def answer(request: web.Request) -> web.Response:
        nonlocal failures
        seen.append((dict(request.headers), await request.text(), request.path))
        failures -= 1
        bodies = [_TIME.sub("", body) for _, body, _ in seen[-2:]]
        repeats = len(bodies) > 1 and bodies[0] == bodies[1]
        if failures >= 0 or (repeats and not together):
            return web.json_response({}, status=500)
        return web.json_response({"remediationRequestName": "rr", "id": {"of": "reported"}}, status=201)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def unjudged(executor: LiveExecutor) -> LiveExecutor:
    """Let an executor be entered whose Gateway uses no store."""
    executor.judged = False
    return executor


def known_to(url: str) -> dict[str, object]:
    """Give the keys of a target that runs already."""
    return {"url": url, "stores": {"redis": {"listen": free_port()}}, "patience": 0.2}


@pytest.mark.asyncio
async def test_a_running_gateway_and_store_are_searched_and_left_as_they_were() -> None:
    """By URL, with user, password and database: the lost hit is found, and no key and no flush of ours is left."""
    found = target_of("redis-read-modify-write").model_dump(exclude_unset=True, exclude={"protocol"})
    port, gate = free_port(), free_port()
    async with secured_store() as (url, admin):
        stores = {"redis": {"url": url, "listen": gate}}
        keys = {**found, "url": f"http://127.0.0.1:{port}", "stores": stores, "patience": 2.0}
        through = f"redis://gateway:s3cret@127.0.0.1:{gate}/3"
        starting = asyncio.create_task(later("redis-read-modify-write", through, port))
        async with LiveExecutor(scenario_of("atomic-hit-count"), Target.model_validate(keys)) as executor:
            gateway = await starting
            assert executor.replicas[1].process is None
            result = await Case(None, executor, Limits(20, 100)).result()
        left = await admin.keys()
        ran = await admin.info("commandstats")
        gateway.close()
    assert str(result.verdict.ruling) == "race"
    assert result.findings[0].schedule.actors == "A A A B B B B A"
    assert result.findings[0].replays == (3, 3)
    assert left == [b"theirs"]
    assert [name for name in ran if "flush" in name] == []


@pytest.mark.asyncio
async def test_a_running_gateway_that_goes_away_is_inconclusive() -> None:
    """Its process can't be watched, so that nobody listens any more is what tells."""
    port, gate = free_port(), free_port()
    reached = target(url=f"http://127.0.0.1:{port}", stores={"redis": {"listen": gate}}, patience=5.0)
    starting = asyncio.create_task(later("redis-atomic", f"redis://127.0.0.1:{gate}/0", port))
    async with LiveExecutor(scenario(), reached) as executor:
        (await starting).close()
        trace = await executor.run(Walk(1))
    assert trace.fault == f"Gateway 1 is gone: nobody listens at http://127.0.0.1:{port}"


@pytest.mark.asyncio
async def test_what_is_not_there_is_unavailable() -> None:
    """No Gateway at its URL, no store, a wrong password, a taken port of the gate: each is a line with a remedy."""
    port = free_port()
    with pytest.raises(Unavailable, match=rf"no Gateway answers at http://127.0.0.1:{port} \(start it"):
        await enter(target(**known_to(f"http://127.0.0.1:{port}")))
    gone = {"redis": {"url": f"redis://127.0.0.1:{port}"}}
    with pytest.raises(Unavailable, match=f"the store at 127.0.0.1:{port} does not take our connection"):
        await enter(target(start=own_start("racy"), stores=gone))
    async with secured_store() as (url, _):
        wrong = {"redis": {"url": url.replace("s3cret", "wr0ng")}}
        with pytest.raises(Unavailable, match="does not take our connection: invalid username-password") as caught:
            await enter(target(start=own_start("racy"), stores=wrong))
        assert "wr0ng" not in str(caught.value)
        taken = int(re.findall(r":(\d+)/", url)[0])
        with pytest.raises(Unavailable, match=f"another process listens on port {taken}, where the gate must"):
            await enter(target(start=own_start("racy"), stores={"redis": {"listen": taken}}))


async def enter(wanted: Target) -> None:
    """Start an executor and end it again."""
    async with LiveExecutor(scenario(), wanted):
        pass


@pytest.mark.asyncio
async def test_a_gateway_must_be_ready_in_time_and_the_one_that_listens() -> None:
    """A path that never answers 2xx, and a port that another process holds, are reported before the first schedule."""
    late = target(start=own_start("racy", ready={"path": "/ready", "within": 0.01}))
    with pytest.raises(
        Unavailable, match=r"Gateway 1 was not ready within 0.01 s \(check start.ready and its output: "
    ):
        await enter(late)
    async with recorder([]) as url:
        port = urlsplit(url).port or 0
        sleeper = by_command(["sleep", "60"], {}, Path())
        with pytest.raises(Unavailable, match=f"another process listens on port {port}, not Gateway 1"):
            await start(1, sleeper, port=port, ready=(None, 5.0))
        with pytest.raises(Unavailable, match=r"was not ready within 0.05 s"):
            await start(1, sleeper, port=port, ready=("/none", 0.05))


@pytest.mark.asyncio
async def test_what_a_gateway_started_ends_with_it() -> None:
    """A Gateway behind a shell is ended together with the shell."""
    begin = {"command": ["sh", "-c", f"{sys.executable} {OWN} {{port}} {{redis_port}} racy & wait"]}
    async with LiveExecutor(scenario(), target(start=begin)) as executor:
        replica = executor.replicas[1]
        assert replica.process is not None
        family = descendants(replica.process.pid)
        assert len(family) == 2
    async with asyncio.timeout(5):
        while any(lives(pid) for pid in family):  # noqa: ASYNC110 - the end of a process that is not ours tells nobody
            await asyncio.sleep(0)


def lives(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_other_machines_are_refused_unless_allowed_by_name(tmp_path: Path) -> None:
    """Each address that is not loopback is a fault at its place; a host that is allowed is taken."""
    path = tmp_path / "far.yaml"
    path.write_text(
        "name: far\nurl: http://Gateway.example:8080\nstores: {redis: {url: 'redis://:pw@10.0.0.9/0', listen: 6380}}\n"
    )
    far = Target.load(path)
    with pytest.raises(UsageFault) as caught:
        LiveExecutor(scenario(), far)
    hint = "a stress test must not hit it by mistake: allow it by name with --allow-host"
    assert [str(fault).replace(f"{tmp_path}/", "") for fault in caught.value.faults] == [
        f"far.yaml:2:6: url: gateway.example is not this machine ({hint} gateway.example)",
        f"far.yaml:3:23: stores.redis.url: 10.0.0.9 is not this machine ({hint} 10.0.0.9)",
    ]
    with pytest.raises(UsageFault, match=r"^[^\n]*10\.0\.0\.9[^\n]*$"):
        LiveExecutor(scenario(), far, allow=frozenset({"gateway.example"}))
    assert LiveExecutor(scenario(), far, allow={"Gateway.Example", "10.0.0.9"}).target is far


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.8.8", "::1", "LocalHost")),
        *((host, False) for host in ("10.0.0.1", "localhost.example", "::ffff:8.8.8.8", "127.1", "")),
    ],
)
def test_only_names_that_can_not_change_are_this_machine(host: str, *, ours: bool) -> None:
    """Loopback addresses and `localhost` are; what a resolver may decide is not."""
    assert is_loopback(host) is ours


@pytest.mark.asyncio
async def test_files_and_texts_are_filled_and_removed(tmp_path: Path) -> None:
    """A replica finds its files under {files} and every value in its environment; at the end they are gone."""
    begin = {
        "command": ["sh", "-c", f"exec {sys.executable} {OWN} $(cat {{files}}/conf/arguments) racy"],
        "files": {"conf/arguments": "{port} {redis_port}", "note": "{replica} in {files}"},
        "env": {"ALL": "{port}|{redis_host}|{redis_port}|{redis_url}|{replica}|{folder}|{files}", "COUNT": 7},
        "folder": "home",
    }
    (tmp_path / "home").mkdir()
    async with LiveExecutor(scenario(), target(start=begin, replicas=2), tmp_path) as executor:
        replica = executor.replicas[2]
        assert replica.process is not None
        raw = Path(f"/proc/{replica.process.pid}/environ").read_bytes()  # noqa: ASYNC240 - the kernel's own table
        env = dict(word.partition("=")[::2] for word in raw.decode().split("\0"))
        port, host, redis_port, url, number, folder, files = env["ALL"].split("|")
        assert replica.url == f"http://127.0.0.1:{port}"
        assert (host, url, number) == ("127.0.0.1", f"redis://127.0.0.1:{redis_port}/0", "2")
        assert (folder, env["COUNT"]) == (str(tmp_path / "home"), "7")
        assert replica.files == Path(files)
        assert (Path(files) / "note").read_text() == f"2 in {files}"
        assert (Path(files) / "conf" / "arguments").read_text() == f"{port} {redis_port}"
        assert executor.replicas[1].files != replica.files
        kept = [one.files for one in executor.replicas.values()]
    assert [folder.exists() for folder in kept if folder] == [False, False]


@pytest.mark.asyncio
async def test_files_of_a_gateway_that_does_not_start_are_removed() -> None:
    """Whatever goes wrong, the private folder goes away."""
    begin = {"command": ["sh", "-c", "echo {files}; exit 3"], "files": {"a": "b"}}
    with pytest.raises(Unavailable, match=r"died \(exit code 3\) before it was ready") as caught:
        await enter(target(start=begin))
    folder = re.findall(r"/\S*gateway-stress-\w+", str(caught.value))[0]
    assert not os.path.exists(folder)  # noqa: PTH110, ASYNC240 - one look at the end


@pytest.mark.asyncio
async def test_replicas_share_the_store_and_listen_on_ports_in_a_row() -> None:
    """Two processes behind the gate lose a hit between them; the gate's ports are the one named and the next."""
    racy = target_of("redis-read-modify-write").model_dump(exclude_unset=True)
    listen = free_port()
    case = target(**racy | {"name": "own", "replicas": 2, "stores": {"redis": {"listen": listen}}})
    playing = scenario(replicas=[1, 2], invariants=["hits_equal_answers"], before=1)
    async with LiveExecutor(playing, case) as executor:
        for port in (listen, listen + 1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"PING\r\n")
            assert await reader.readline() == b"+PONG\r\n"
            writer.close()
        result = await Case(None, executor, Limits(20, 100)).result()
    assert [finding.schedule.actors for finding in result.findings] == ["A A A B B B B A"]


@pytest.mark.asyncio
async def test_a_body_file_and_headers_are_sent_filled(tmp_path: Path) -> None:
    """A service with its own format is sent its own body; headers of the target win over the usual ones."""
    (tmp_path / "body.json").write_text('{"id": "{fingerprint}", "at": "{now}", "n": "{fresh}", "q": "{ x } {name}"}')
    request = {
        "path": "/own/{adapter}",
        "body": "body.json",
        "headers": {"x-timestamp": "{now}", "X-Fresh": "f-{fresh}", "Content-Type": "text/plain"},
    }
    seen: list[tuple[dict[str, str], str, str]] = []
    async with (
        recorder(seen) as url,
        unjudged(
            LiveExecutor(
                scenario(signal={"alertname": "Hot-{fresh}", "namespace": "n"}, invariants=["no_server_error"]),
                target(request=request, fingerprint="{alertname}/{namespace}/{fresh}", **known_to(url)),
                tmp_path,
            )
        ) as executor,
    ):
        seen.clear()
        trace = await executor.run(Walk(1), "5eed")
    assert [(answer.status, answer.record) for answer in trace.answers] == [(201, "rr")] * 2
    assert sorted(headers["X-Request-ID"] for headers, _, _ in seen) == ["5eed-A", "5eed-B"]
    headers, body, path = seen[0]
    assert (path, headers["X-Fresh"], headers["Content-Type"]) == ("/own/prometheus", "f-5eed", "text/plain")
    assert "X-Timestamp" not in headers
    sent = json.loads(body)
    assert (sent["id"], sent["n"], sent["q"]) == ("Hot-5eed/n/5eed", "5eed", "{ x } {name}")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", sent["at"])
    assert headers["x-timestamp"] == sent["at"]


@pytest.mark.asyncio
async def test_a_gateway_that_finds_its_store_late_is_waited_for() -> None:
    """Server errors before the first schedule are asked again, so that they are no false alarm."""
    seen: list[tuple[dict[str, str], str, str]] = []
    async with (
        recorder(seen, failures=5) as url,
        unjudged(LiveExecutor(scenario(), target(**known_to(url)))) as executor,
    ):
        trace = await executor.run(Walk(1))
    assert [answer.status for answer in trace.answers] == [201, 201]
    rounds = {"with a failure": 3, "alone": 1, "together": 1, "one after the other": 3, "the schedule": 1}
    assert len(seen) == 2 * sum(rounds.values())


@pytest.mark.asyncio
async def test_a_gateway_that_fails_requests_that_come_together_is_not_waited_for() -> None:
    """Each is answered where it comes alone: what the others get is for the search to judge."""
    seen: list[tuple[dict[str, str], str, str]] = []
    async with (
        recorder(seen, together=False) as url,
        unjudged(LiveExecutor(scenario(), target(**known_to(url)))) as executor,
    ):
        trace = await executor.run(Walk(1))
    assert [answer.status for answer in trace.answers] == [201, 500]
    rounds = {"with a failure": 1, "alone": 1, "together": 1, "one after the other": 3, "the schedule": 1}
    assert len(seen) == 2 * sum(rounds.values())


@pytest.mark.asyncio
async def test_a_gateway_that_hangs_up_is_named() -> None:
    """A Gateway that answers nothing at all is unavailable, with what the client saw."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Unavailable, match=r"the Gateway did not answer a warm-up request \(.+\) \(send it one"):
            await enter(target(**known_to(url)))


@pytest.mark.asyncio
async def test_hits_may_be_reported_by_the_answers_in_both_executors() -> None:
    """With `hits: {answer: …}` a lost hit is the same count in the model and on the wire: the highest that was told."""
    racy = target_of("redis-read-modify-write").model_dump(exclude_unset=True)
    reported = target(**racy | {"observe": {**racy["observe"], "hits": {"answer": "metadata.count"}}})
    playing = scenario_of("atomic-hit-count")
    seen = []
    model, scheduler = ModelExecutor(playing, reported), Exhaustive(fused=True)
    async with LiveExecutor(playing, reported) as wire:
        while scheduler.more():
            virtual = model.run(scheduler)
            scheduler.learn(virtual)
            broken = {one.invariant for one in run_checks(["hits_equal_answers"], virtual)}
            real = await wire.run(Followed(virtual.moves))
            seen.append((real.fault, real.outcome == virtual.outcome, bool(broken)))
    assert {(fault, same) for fault, same, _ in seen} == {("", True)}
    assert (len(seen), sum(broken for _, _, broken in seen)) == (20, 12)


class Followed:
    """Follows moves."""

    name = "followed"

    def __init__(self, moves: Any) -> None:  # noqa: ANN401 - moves of either executor
        """Take the moves."""
        self._moves = iter(moves)

    def choose(self, moves: Any, *, done: bool) -> Any:  # noqa: ANN401, ARG002 - the interface of schedulers
        """Give the next one."""
        return next(self._moves, None)


def test_hits_reported_under_another_path_and_records_that_no_answer_names() -> None:
    """The path may be another than the answers' own; a count that is none and a record unknown to all stay unknown."""
    reported = target(
        protocol="redis-atomic", observe={"records": {"redis": ["KEYS", "*"]}, "hits": {"answer": "seen.times"}}
    )
    answers = [
        reported_answer("r", '{"seen": {"times": 2}}', created=False),
        reported_answer("r", "no JSON", created=True),
        reported_answer("s", '{"seen": {"times": "many"}}', created=False),
    ]
    details = with_answered_hits(reported, Details(answers, (Snapshot(("r", "s", "t"), None),)))
    assert details.epochs == (Snapshot(("r", "s", "t"), {"r": 2, "s": None, "t": None}),)
    nameless = [reported_answer(None, '{"seen": {"times": 2}}', created=False)]
    only = with_answered_hits(reported, Details(nameless, (Snapshot(("r",), None),)))
    assert only.epochs == (Snapshot(("r",), {"r": 2}),)
    several = with_answered_hits(reported, Details(nameless, (Snapshot(("r", "s"), None),)))
    assert several.epochs == (Snapshot(("r", "s"), {"r": None, "s": None}),)
    unseen = Details(answers, (Snapshot(None, None),))
    assert with_answered_hits(reported, unseen) == unseen
    assert with_answered_hits(target(protocol="redis-atomic"), details) is details


def reported_answer(record: str | None, body: str, *, created: bool) -> Answer:
    """Make one answer."""
    return Answer("A", 201, record, 7, 0, 1, created=created, duplicate=not created, body=body)


@pytest.mark.asyncio
async def test_a_fingerprint_may_be_a_hash_over_the_signal() -> None:
    """The Gateway's own key is known by name when the target says how its fingerprint is made."""
    hashed = target(
        start=own_start("racy"),
        fingerprint={"sha256": "{labels.pod}"},
        answers={"record": None},
        observe={"records": {"redis": ["KEYS", "hits:{fingerprint}"]}},
    )
    async with LiveExecutor(scenario(invariants=["no_server_error"]), hashed) as executor:
        trace = await executor.run(Walk(1))
    assert {event.object for event in trace.events if event.kind == "step"} == {"hits:{fingerprint}"}
    assert trace.final.records == ("hits:{fingerprint}",)


def test_marks_tell_requests_apart() -> None:
    """The value of the correlation header is the mark; traceparent has a form of its own; null sends none."""
    signal = Signal.model_validate(POD)
    plain, none = (
        Marks(signal, target(protocol="redis-atomic")),
        Marks(signal, target(protocol="redis-atomic", correlation=None)),
    )
    assert (plain.correlation("f", "A"), plain.mark("f", "A")) == ({"X-Request-ID": "f-A"}, "f-A")
    assert none.correlation("f", "A") == {}
    traced = Marks(signal, target(protocol="redis-atomic", correlation="traceparent"))
    header = traced.correlation("f", "A")["traceparent"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", header)
    assert header[3:35] == traced.mark("f", "A") != traced.mark("f", "B")
    assert (plain.field, plain.fingerprint("f")) == ("fingerprint", signal.fingerprint("f"))


def test_what_a_target_lacks_for_a_scenario_is_reported_at_its_place(tmp_path: Path) -> None:
    """A missing environment entry, too few replicas and an unknown label are faults of the target file."""
    path = tmp_path / "t.yaml"
    path.write_text(
        "name: t\nprotocol: redis-atomic\nfingerprint: '{labels.node}'\n"
        "environment:\n  expiry: {redis: [k]}\nreplicas: 1\n"
    )
    needs = scenario(actors={"cleanup": {}, "expiry": {}, "clock": {}}, replicas=[1, 2])
    with pytest.raises(UsageFault) as caught:
        LiveExecutor(needs, Target.load(path))
    assert [str(fault).replace(f"{tmp_path}/", "") for fault in caught.value.faults] == [
        "t.yaml:5:3: environment.cleanup is missing (scenario own needs it)",
        (
            "t.yaml:1:1: observe.records is missing: whether a record ends when something runs out can't be known "
            "(scenario own has the actor expiry; say how records are read)"
        ),
        "t.yaml:6:11: has 1 replica (scenario own sends to replica 2)",
        (
            "t.yaml:3:14: the signal has no labels.node (scenario own has adapter, alertname, kind, labels.pod, name, "
            "namespace, reason, severity)"
        ),
    ]


def test_an_epoch_ends_when_a_record_goes_or_where_none_is_seen_a_cleanup_finds_one() -> None:
    """A cleanup that finds nothing to delete ends none, and neither does a key that runs out, such as a lock."""
    none, one = Snapshot((), {}), Snapshot(("r",), {"r": 1})
    unseen = Snapshot(None, None)
    for actor in ("cleanup", "expiry"):
        assert [ends_epoch(one, none, actor, [1]), ends_epoch(one, one, actor, [1])] == [True, False]
    assert [ends_epoch(unseen, unseen, "cleanup", found) for found in ([0, 1], [0])] == [True, False]
    assert not ends_epoch(unseen, unseen, "expiry", [1])


def test_an_expiry_needs_no_records_where_nothing_is_counted_by_epoch() -> None:
    """A scenario that asks for answers below 500 alone may let a key run out of which nothing more is known."""
    needs = scenario(actors={"expiry": {}}, invariants=["no_server_error"])
    LiveExecutor(needs, target(protocol="redis-atomic", environment={"expiry": {"redis": ["k"]}}))


@pytest.mark.asyncio
async def test_an_schedule_that_is_broken_off_leaves_no_key() -> None:
    """Whatever ends a schedule early, what it wrote is deleted; a store that forbids it is named."""
    racy = target_of("redis-read-modify-write").model_dump(exclude_unset=True)
    async with secured_store() as (url, admin):
        ours = target(**racy | {"stores": {"redis": {"url": url}}})
        async with LiveExecutor(scenario(before=1), ours) as executor:
            with pytest.raises(ZeroDivisionError):
                await executor.run(Interrupted())
            assert await admin.keys() == [b"theirs"]
            await admin.execute_command("ACL", "SETUSER", "gateway", "-del")  # type: ignore[no-untyped-call]
            with pytest.raises(Unavailable, match="the store does not let us give back what it holds: "):
                await executor.run(Walk(1))


class Interrupted(Followed):
    """Lets three moves happen and fails."""

    def __init__(self) -> None:
        """Follow nothing."""
        super().__init__(())
        self._left = 3

    def choose(self, moves: Any, *, done: bool) -> Any:  # noqa: ANN401, ARG002 - the interface of schedulers
        """Take the first move three times, then fail."""
        self._left -= 1
        return moves[0] if self._left >= 0 else 1 // 0


@pytest.mark.asyncio
async def test_keys_written_before_and_in_other_databases_are_deleted() -> None:
    """What a request before the others wrote is deleted with the rest, in the database where it was written."""
    async with secured_store() as (url, admin):
        named = target_of("redis-named-by-second").model_dump(exclude_unset=True)
        ours = target(**named | {"stores": {"redis": {"url": url}}, "background": {"redis": ["PING"]}})
        async with LiveExecutor(scenario(before=2), ours) as executor:
            assert await admin.keys() == [b"theirs"]
            trace = await executor.run(Walk(1))
            assert await admin.keys() == [b"theirs"]
            assert executor.deployment.stores["redis"]._proxies[0].background[:4] == ("HELLO", "AUTH", "SELECT", "QUIT")
            assert executor.deployment.stores["redis"].store.valkey is None
    assert trace.fault == ""
    steps = [event for event in trace.events if event.kind == "step"]
    assert {event.object.partition(":")[0] for event in steps} == {"db3"}
