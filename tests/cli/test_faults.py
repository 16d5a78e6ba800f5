"""Bad things end well: each is one clear line and the right exit code, the trace so far is kept, nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from aiohttp import web
from commands import BAD, GATEWAYS, children, command, nothing_left, own_files, report, stress
from conftest import scenario_of, target_of
from redis import Redis

from stress.cli.common import await_it
from stress.config.target import Target
from stress.core.errors import Unavailable
from stress.engine.campaign import Budget, Campaign, Job, Where
from stress.executors.live.executor import LiveExecutor
from stress.processes.child import free_port, ports
from stress.processes.replicas import by_command, start
from stress.protocols.redis.server import Valkey
from stress.report.events import Finished, Progress
from stress.report.terminal import Terminal
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.random_walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.executors.live.deployment import Deployment
    from stress.executors.model.executor import ModelExecutor
    from stress.report.events import Happening
    from stress.schedulers.base import Scheduler


class Saboteur:
    """Chooses as another scheduler does, and does a deed just before a move: number ``at`` of all schedules."""

    def __init__(self, inner: Scheduler, counted: list[Move | None], at: int, deed: Callable[[], None]) -> None:
        """Count the moves in ``counted``."""
        self._inner, self._counted, self._at, self._deed = inner, counted, at, deed
        self.name = inner.name

    def more(self) -> bool:
        """Ask the other."""
        return self._inner.more()

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Do the deed when it is time, then choose as the other does."""
        if len(self._counted) == self._at:
            self._deed()
        self._counted.append(self._inner.choose(moves, done=done))
        return self._counted[-1]

    def learn(self, trace: Trace) -> None:
        """Let the other learn."""
        self._inner.learn(trace)


class Sabotaged(LiveExecutor):
    """The wire executor, in which something bad happens before a move."""

    at: int
    deed: Callable[[], None]
    counted: list[Move | None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to count when everything is warm."""
        await super().__aenter__()
        self.counted = []
        return self

    async def run(self, scheduler: Scheduler, fresh: str | None = None, also: frozenset[str] = frozenset()) -> Trace:
        """Run a schedule with the saboteur at the helm."""
        if self.counted is not None:
            scheduler = Saboteur(scheduler, self.counted, self.at, self.deed)
        return await super().run(scheduler, fresh, also)


class There(Where):
    """On the wire, sabotaged."""

    at: int
    deed: Callable[[], None]

    def executors(
        self, job: Job, deployment: Deployment | None = None
    ) -> tuple[ModelExecutor | None, LiveExecutor | None]:
        """Make the sabotaged executor of a case."""
        executor = Sabotaged(job.scenario, job.target, job.folder, self.allow, deployment)
        executor.at, executor.deed = self.at, self.deed
        return None, executor


def sabotaged(folder: Path, job: Job, at: int, deed: Callable[[], None]) -> int:
    """Search a case as the command does, one schedule at a time, with a deed before move ``at``; give the exit code."""
    where = There("live", workers=1)
    where.at, where.deed = at, deed
    with nothing_left(folder):
        return await_it(Campaign([job], Budget(None, 5.0, None, 0), where, folder / "reports").run())


def kill(word: str) -> None:
    """Kill our youngest child that has a word in its command by SIGKILL, and see it dead."""
    pid = max((pid for pid in children() if word in Path(f"/proc/{pid}/cmdline").read_text()), key=began)
    file = os.pidfd_open(pid)
    signal.pidfd_send_signal(file, signal.SIGKILL)
    select.select([file], [], [])
    os.close(file)


def began(pid: int) -> int:
    """Tell when a process began, in ticks of the clock (proc(5))."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def own_job(folder: Path, mode: str, **keys: object) -> Job:
    """Make a case of the Gateway that goes wrong."""
    words = own_files(folder, mode, **keys)  # type: ignore[arg-type]
    return Job.load(str(folder / words[1]), str(folder / words[3]))


def until(story: str, moves: int) -> list[str]:
    """Give the events of a story up to the first so many moves, with the answers that they lead to."""
    events = story.split(", ")
    answers = [event for event in events if event[-1].isdigit()]
    reported, left = [], moves + events[0].startswith("before")
    for event in events:
        left -= event not in answers
        if left < 0:
            break
        reported.append(event)
    return reported


@pytest.fixture(scope="module")
def store() -> Iterator[Redis]:
    """Run a store that outlives the commands."""
    server = Valkey()
    client = Redis(port=server.port)
    yield client
    client.close()
    server.close()


def url(store: Redis) -> str:
    """Give its address."""
    return f"redis://127.0.0.1:{store.connection_pool.connection_kwargs['port']}/0"


def on(store: Redis) -> str:
    """Give the lines of a target that uses it."""
    return f"stores: {{redis: {{url: '{url(store)}'}}}}\n"


# --- a Gateway that does not start -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "line"),
    [
        (
            "{command: [no-program]}",
            "Gateway 1 does not start: no-program: No such file or directory (check start.command and start.folder)",
        ),
        (
            "{command: [sh, -c, 'echo no such option --prot >&2; exit 7']}",
            "Gateway 1 died (exit code 7) before it was ready: no such option --prot (run its command by hand)",
        ),
        (
            "{command: [sh, -c, 'kill -9 $$']}",
            "Gateway 1 died (killed by signal 9) before it was ready (run its command by hand)",
        ),
        (
            "{command: [sh, -c, 'echo I wait; exec sleep 60'], ready: {within: 0.2}}",
            "Gateway 1 was not ready within 0.2 s (check start.ready and its output: I wait)",
        ),
        (
            "{command: [sleep, '60'], ready: {within: 0.1}}",
            "Gateway 1 was not ready within 0.1 s (check start.ready and its output: it printed nothing)",
        ),
        (
            json.dumps(
                {
                    "command": [sys.executable, str(BAD), "{port}", "{redis_port}", "never-ready"],
                    "ready": {"path": "/ready", "within": 1.0},
                }
            ),
            "Gateway 1 was not ready within 1 s (check start.ready and its output: it printed nothing)",
        ),
    ],
)
def test_a_gateway_that_does_not_start_exits_69(tmp_path: Path, begin: str, line: str) -> None:
    """No such program, an end at once, never ready: one line says which and what to do, and the report has it too."""
    run = own_files(tmp_path, "")
    (tmp_path / "own.yaml").write_text(f"name: own\nstart: {begin}\n")
    said = stress(tmp_path, *run)
    assert (said.code, said.err) == (69, f"unavailable: {line}\n")
    result, events = report(tmp_path)
    assert (result["verdict"], result["reason"], events) == ("inconclusive", line, [])


def test_a_gateway_with_a_port_of_its_own_is_asked_to_take_ours(tmp_path: Path) -> None:
    """The command names a fixed port: the line names it; where another process has it, the Gateway's last words do."""
    port = free_port()
    run = own_files(tmp_path, "well", port=str(port), within=2)
    said = stress(tmp_path, *run)
    hint = f"it listens on port {port}: let start.command hand it {{port}}"
    assert (said.code, said.err) == (69, f"unavailable: Gateway 1 was not ready within 2 s ({hint})\n")
    with socket.create_server(("127.0.0.1", port)):
        said = stress(tmp_path, *run)
    assert said.code == 69
    assert said.err.startswith("unavailable: Gateway 1 died (exit code 1) before it was ready: OSError: [Errno 98]")
    assert f"('127.0.0.1', {port})" in said.err


@pytest.mark.asyncio
async def test_a_stale_gateway_that_answers_in_its_place_is_seen() -> None:
    """The ready path answers 200, but the process that listens is not the one that was started."""

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"status": "ready"})

    app = web.Application()
    app.router.add_get("/ready", ready)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    before = children()
    try:
        with pytest.raises(
            Unavailable, match=f"another process listens on port {port}, not Gateway 1 .end it, and let"
        ):
            await start(1, by_command(["sleep", "60"], {}, Path()), port=port, ready=("/ready", 5.0))
    finally:
        await runner.cleanup()
    assert children() == before


# --- a Gateway or a store that dies ------------------------------------------------------------------

BUNDLED = (
    "before1 start, before1 201, A start, A EXISTS, A HGET, A HSET, A 202, B start, B EXISTS, B HGET, B HSET, B 202"
)
OWN = "A start, A GET, A SET, A 201, B start, B GET, B SET, B 202"


@pytest.mark.measured_once
@pytest.mark.parametrize("moves", range(8))
def test_a_gateway_killed_at_any_step_is_inconclusive(
    tmp_path: Path, store: Redis, capsys: pytest.CaptureFixture[str], moves: int
) -> None:
    """Killed before each move of a schedule in turn: exit 2, the trace ends there, and the store has no key of ours."""
    data = target_of("redis-read-modify-write").model_dump(exclude_unset=True)
    target = Target.model_validate({**data, "stores": {"redis": {"url": url(store)}}})
    job = Job(scenario_of("atomic-hit-count"), target, tmp_path)
    assert sabotaged(tmp_path, job, moves, partial(kill, "stress.gateways")) == 2
    result, events = report(tmp_path)
    line = "Gateway 1 died (killed by signal 9)"
    assert (result["verdict"], result["faults"], events) == ("inconclusive", [line], until(BUNDLED, moves))
    assert f"inconclusive: atomic-hit-count on redis-read-modify-write: {line}" in capsys.readouterr().out.splitlines()
    assert store.dbsize() == 0


@pytest.mark.measured_once
@pytest.mark.parametrize("moves", range(6))
def test_a_store_killed_at_any_step_is_inconclusive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], moves: int
) -> None:
    """Killed before each move of a schedule in turn: exit 2, the trace ends there, and no answer is a race."""
    assert sabotaged(tmp_path, own_job(tmp_path, "well"), moves, partial(kill, "valkey")) == 2
    result, events = report(tmp_path)
    line = "store lost: the Valkey that was started for the Gateway died (killed by signal 9)"
    assert (result["verdict"], result["faults"], events) == ("inconclusive", [line], until(OWN, moves))
    assert f"inconclusive: two-at-once on own: {line}" in capsys.readouterr().out.splitlines()


@pytest.mark.measured_once
@pytest.mark.parametrize("moves", [0, 1, 3, 5])
def test_a_store_of_ones_own_killed_at_a_step_is_inconclusive(tmp_path: Path, moves: int) -> None:
    """Its process is not ours to watch: what is asked of it shows that it is lost, and the Gateway is not blamed."""
    server = Valkey()
    try:
        job = own_job(tmp_path, "well", more=f"stores: {{redis: {{url: '{server.url}'}}}}\n")
        assert sabotaged(tmp_path, job, moves, partial(kill, "valkey")) == 2
    finally:
        server.close()
    result, events = report(tmp_path)
    assert (result["verdict"], [fault.partition(":")[0] for fault in result["faults"]]) == (
        "inconclusive",
        ["store lost"],
    )
    assert events[:moves] == until(OWN, moves)[:moves]


def test_a_gateway_that_asks_a_lost_store_nothing_is_not_to_blame(tmp_path: Path) -> None:
    """It knows by itself that its store is gone and answers 500: before it is blamed the store is asked."""
    server = Valkey()
    try:
        job = own_job(tmp_path, f"careful-{server.port}", more=f"stores: {{redis: {{url: '{server.url}'}}}}\n")
        assert sabotaged(tmp_path, job, 0, partial(kill, "valkey")) == 2
    finally:
        server.close()
    result, events = report(tmp_path)
    reported = f"store lost: the store at 127.0.0.1:{server.port} does not take our connection: "
    assert (result["verdict"], result["faults"][0][: len(reported)]) == ("inconclusive", reported)
    assert events == ["A start", "A 500", "B start", "B 500"]


class Killer(Terminal):
    """A terminal that kills the store when the first case is done."""

    killed = False

    def handle(self, happening: Happening) -> None:
        """Show it, and kill."""
        super().handle(happening)
        if isinstance(happening, Finished) and not self.killed:
            kill("valkey")
            self.killed = True


@pytest.mark.unmeasured
def test_a_store_that_dies_between_two_cases_is_started_again(tmp_path: Path) -> None:
    """The cases of a target share its processes: what has died is started again, and both cases hold."""
    job = own_job(tmp_path, "well")
    harmless = job.scenario.model_copy(update={"invariants": ["no_server_error"]})
    jobs = [job._replace(scenario=harmless), job._replace(scenario=harmless)]
    with nothing_left(tmp_path):
        batch = Campaign(jobs, Budget(None, 0.5, None, 0), Where("live"), tmp_path / "reports", terminal=Killer())
        assert await_it(batch.run()) == 0
    assert [str(one.result.verdict.ruling) for one in batch.kept] == ["holds", "holds"]


def test_a_store_of_ones_own_that_dies_between_two_cases_exits_69(tmp_path: Path) -> None:
    """The store is not ours to start again: the second case says that it is not there, the first keeps its verdict."""
    server = Valkey()
    try:
        more = f"stores: {{redis: {{url: '{server.url}'}}}}\n"
        jobs = [own_job(tmp_path, "well", more=more), own_job(tmp_path, "well", more=more)]
        harmless = jobs[0].scenario.model_copy(update={"invariants": ["no_server_error"]})
        jobs = [job._replace(scenario=harmless) for job in jobs]
        batch = Campaign(jobs, Budget(None, 0.5, None, 0), Where("live"), tmp_path / "reports", terminal=Killer())
        assert await_it(batch.run()) == 69
    finally:
        server.close()
    assert [str(one.result.verdict.ruling) for one in batch.kept] == ["holds", "inconclusive"]
    assert f"the store at 127.0.0.1:{server.port} does not take our connection" in batch.kept[1].result.faults[0]


@pytest.mark.parametrize(("command", "reported"), [("", "Connect call failed"), ("wrong", "invalid username-password")])
def test_a_store_that_is_not_there_or_refuses_exits_69(tmp_path: Path, command: str, reported: str) -> None:
    """A store by URL with nobody at its port, or with another password: named with its address, never the password."""
    server = Valkey()
    if not command:
        server.close()
    try:
        run = own_files(
            tmp_path, "well", more=f"stores: {{redis: {{url: 'redis://gateway:s3cret@127.0.0.1:{server.port}/0'}}}}\n"
        )
        said = stress(tmp_path, *run)
    finally:
        server.close()
    assert said.code == 69
    assert said.err.startswith(f"unavailable: the store at 127.0.0.1:{server.port} does not take our connection: ")
    assert reported in said.err
    assert said.err.endswith(" (start it, and check stores.redis.url)\n")
    assert "s3cret" not in said.err + said.out + (tmp_path / "reports/latest/result.json").read_text()


# --- a Gateway that goes wrong -----------------------------------------------------------------------

HANGS = "the Gateway hangs: A, B show neither a step nor an answer for 0.1 s"


@pytest.mark.parametrize(
    ("mode", "line", "story"),
    [
        ("silent", HANGS, "A start, A blocked, B start, B blocked"),
        ("deaf", HANGS, "A start, A blocked, B start, B blocked"),
        ("silent-after-a-step", HANGS, "A start, A GET, A blocked, B start, B GET, B blocked"),
        ("die-after-a-step", "Gateway 1 died (killed by signal 6)", "A start, A GET"),
        (
            "store-garbage",
            "a frame of the Gateway could not be read: expected '$' at byte N: b'!7\\r\\nnothing a store knows\\r\\n'",
            "A start, A GET",
        ),
        (
            "store-half",
            "a frame of the Gateway could not be read: invalid bulk length at byte N: b'$-3\\r\\n'",
            "A start, A GET",
        ),
    ],
)
def test_a_gateway_that_can_not_be_followed_is_inconclusive(
    tmp_path: Path, store: Redis, mode: str, line: str, story: str
) -> None:
    """It hangs, dies, or writes what no store reads: exit 2, one line, the trace so far in the report, and no key."""
    said = stress(tmp_path, *own_files(tmp_path, mode, more=on(store)))
    assert (said.code, store.keys()) == (2, [])
    result, events = report(tmp_path)
    assert [re.sub(r"byte \d+", "byte N", fault) for fault in result["faults"]] == [line]
    assert (result["verdict"], ", ".join(events)) == ("inconclusive", story)
    assert re.sub(r"byte \d+", "byte N", said.lines[0]) == f"inconclusive: two-at-once on own: {line}"


@pytest.mark.unmeasured
def test_requests_that_sleep_for_longer_than_the_patience_meet_when_they_wake(tmp_path: Path) -> None:
    """Each sleeps before its first command, one a little later than the other: their race is found, and replays."""
    said = stress(tmp_path, *own_files(tmp_path, "late", patience=0.2), "--seconds", "20")
    assert (said.code, said.lines[0]) == (1, "RACE one_created_answer: two-at-once on own")
    assert "failed again in 3 of 3 replays" in said.out


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("mode", "observed"),
    [
        ("500", "A was answered 500, and B was answered 500."),
        ("hang-up", "A was answered nothing (Server disconnected), and B was answered nothing (Server disconnected)."),
        ("garbage", "A was answered nothing (400, message="),
        ("cut-off", "A was answered nothing (Response payload is not completed"),
    ],
)
def test_a_gateway_that_fails_its_clients_is_a_violation(tmp_path: Path, mode: str, observed: str) -> None:
    """A 500, a hang-up, bytes that are no HTTP, half an answer: no fault of the run, but a broken invariant: exit 1."""
    said = stress(tmp_path, *own_files(tmp_path, mode))
    assert said.code == 1
    assert said.lines[0] == "RACE no_server_error: two-at-once on own"
    assert observed in " ".join(" ".join(said.lines[1:4]).split())
    result, _ = report(tmp_path)
    assert (result["verdict"], result["faults"]) == ("race", [])


NAMELESS = pytest.mark.parametrize("mode", ["no-json", "no-record", "list", "wrong-types"])


@pytest.mark.measured_once
@NAMELESS
def test_an_answer_that_names_no_record_although_others_do_is_a_violation(tmp_path: Path, mode: str) -> None:
    """A 201 whose body is no JSON, lacks the record or has other types, of a Gateway that named it before."""
    said = stress(tmp_path, *own_files(tmp_path, mode))
    result, _ = report(tmp_path)
    assert (said.code, result["verdict"], result["faults"]) == (1, "race", [])
    assert "A was answered 201 without a record" in said.out


def always(folder: Path) -> Path:
    """Give the program of a Gateway that is wrong from its first answer on, and uses its store all the same."""
    program, reported = folder / "gateway.py", "    if MODE in ANSWERS:\n"
    text = BAD.read_text().replace("\nWELL = 4\n", "\nWELL = 0\n")
    program.write_text(text.replace(reported, f"{reported}        await deduplicate(fingerprint, bad=False)\n"))
    return program


@pytest.mark.measured_once
@NAMELESS
def test_a_record_that_no_answer_names_where_the_target_says_is_a_fault_of_the_file(tmp_path: Path, mode: str) -> None:
    """Where no answer names a record at the path that the target gives, nothing is concluded, least of all `holds`."""
    more = "answers: {record: remediationRequestName}\n"
    said = stress(tmp_path, *own_files(tmp_path, mode, more=more, program=always(tmp_path)))
    if mode == "wrong-types":  # what is there is no name
        assert (said.code, "A names no record at remediationRequestName: check answers.record" in said.out) == (2, True)
    else:
        place = "own.yaml:4:19: answers.record: no answer has 'remediationRequestName'"
        assert (said.code, said.err[: len(place)]) == (64, place)


@pytest.mark.parametrize("more", ["", "answers: {record: null}\n"])
def test_checks_that_need_names_are_left_out_where_no_answer_has_one(tmp_path: Path, more: str) -> None:
    """Where the target does not say where a record is named, and no answer does, what can't be checked is listed."""
    said = stress(tmp_path, *own_files(tmp_path, "no-record", more=more, program=always(tmp_path)))
    result, _ = report(tmp_path)
    assert (said.code, result["search"]["evidence"][0]["not_checked"]) == (0, ["one_created_answer", "same_answer"])
    why = "no answer says whether it created or counted; same_answer is checked instead"
    assert f"not checked: one_created_answer ({why})" in said.out
    assert "not checked: same_answer (not every answer names a record: see answers.record)" in said.out


def test_answers_that_name_no_record_do_where_only_errors_count(tmp_path: Path) -> None:
    """A scenario that asks for no more than answers below 500 needs no names."""
    run = own_files(tmp_path, "no-record")
    scenario = tmp_path / "two.yaml"
    scenario.write_text(scenario.read_text().replace(", one_created_answer", ""))
    said = stress(tmp_path, *run)
    assert (said.code, report(tmp_path)[0]["verdict"]) == (0, "holds")


# --- a client that hangs up --------------------------------------------------------------------------


def hang_up() -> None:
    """End every connection that we have to a Gateway, as if the network had."""
    theirs = {
        port for pid in children() if "bad_gateway" in Path(f"/proc/{pid}/cmdline").read_text() for port in ports(pid)
    }
    for link in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError), socket.socket(fileno=os.dup(int(link.name))) as one:
            if one.family == socket.AF_INET and one.getpeername()[1] in theirs:
                one.shutdown(socket.SHUT_RDWR)


@pytest.mark.measured_once
@pytest.mark.asyncio
@pytest.mark.parametrize(("moves", "who", "steps"), [(1, "A", 4), (2, "A", 4), (4, "B", 4), (5, "B", 4)])
async def test_a_client_that_hangs_up_disturbs_no_later_schedule(
    tmp_path: Path, moves: int, who: str, steps: int
) -> None:
    """Its request has a step parked: what the Gateway began goes on, and the next schedule begins at rest."""
    job = own_job(tmp_path, "well")
    async with Sabotaged(job.scenario, job.target, tmp_path) as executor:
        executor.at, executor.deed = moves, hang_up
        scheduler = Exhaustive(fused=False)
        scheduler.more()
        trace = await executor.run(scheduler)
        assert await executor.deployment.stores["redis"].store.ask([("DBSIZE",)]) == [0]
        later = await executor.run(Walk(2))
        assert await executor.deployment.stores["redis"].store.ask([("DBSIZE",)]) == [0]
    answers = {answer.actor: (answer.status, answer.error) for answer in trace.answers}
    assert (trace.fault, answers) == ("", {"A": (201, ""), "B": (202, ""), who: (0, "Server disconnected")})
    # What the Gateway still does for a client that has left belongs to the run.
    assert len([event for event in trace.events if event.kind == "step"]) == steps
    assert (later.fault, min(answer.status for answer in later.answers)) == ("", 201)


# --- Ctrl-C, SIGTERM and SIGHUP ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "verdict", "story"),
    [
        ("SIGINT-1", "", ""),  # the first request of the warm-up
        ("SIGINT-2", "", ""),
        ("SIGTERM-3", "", ""),  # the first of the preflight
        ("SIGINT-9", "inconclusive", "A start"),
        ("SIGTERM-12", "inconclusive", "A start, A GET, B start"),
        ("SIGHUP-12", "inconclusive", "A start, A GET, B start"),
        ("SIGINT-17", "race", "A start, A GET, B start, B GET, B SET, B 201, A SET, A 201"),
        ("SIGTERM-21", "race", "A start, A GET, B start, B GET, B SET, B 201, A SET, A 201"),
    ],
)
def test_an_interrupted_search_keeps_what_it_has(
    tmp_path: Path, store: Redis, mode: str, verdict: str, story: str
) -> None:
    """Starting, searching, confirming: 130, one line, the race or the trace so far on disk, and no key in the store."""
    said = stress(tmp_path, *own_files(tmp_path, mode, more=on(store)))
    assert store.keys() == []
    assert (said.code, said.err) == (130, "interrupted: what was found until then is in reports\n")
    latest = tmp_path / "reports" / "latest"
    if not verdict:
        assert json.loads((latest / "results.json").read_text()) == []
        return
    result, events = report(tmp_path)
    assert (result["verdict"], result["faults"], ", ".join(events)) == (verdict, ["interrupted"], story)
    assert (latest / "schedule.txt").exists() == (verdict == "race")


class Impatient(Terminal):
    """A terminal whose user presses Ctrl-C as soon as the search makes progress."""

    def handle(self, happening: Happening) -> None:
        """Show it, and interrupt."""
        super().handle(happening)
        if isinstance(happening, Progress):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_search_in_the_model_is_interrupted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model never waits for anything, and yet Ctrl-C ends it: nothing is run on the wire any more."""
    job = Job.load("t1-five-at-once", "redis-optimistic")
    batch = Campaign([job], Budget(None, 60.0, None, 0), Where("both"), tmp_path, terminal=Impatient())
    with nothing_left(tmp_path):
        assert await_it(batch.run()) == 130
    result = json.loads((tmp_path / "latest" / "result.json").read_text())
    assert (result["verdict"], result["faults"], len(result["search"]["evidence"])) == (
        "inconclusive",
        ["interrupted"],
        1,
    )
    assert f"interrupted: what was found until then is in {tmp_path}" in capsys.readouterr().err


def test_a_gateway_that_polls_without_end_for_a_lock_holds(tmp_path: Path) -> None:
    """B asks for the lock that A holds until it has it: A is let go meanwhile, and what was not explored is named."""
    said = stress(tmp_path, *own_files(tmp_path, "spin", program=GATEWAYS / "lock_gateway.py"))
    assert said.code == 0
    result, _ = report(tmp_path)
    what, _, left_out = result["search"]["covered"].rpartition("; ")
    assert (result["verdict"], what.partition(":")[0], left_out) == (
        "holds",
        "bounded",
        "not explored: B giving up after more than 1 s of polling",
    )


@pytest.mark.unmeasured
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_while_the_program_imports_is_no_traceback(tmp_path: Path, number: signal.Signals) -> None:
    """It has begun nothing yet: 130 and one line. The import of `click` is held here until the signal comes."""
    (tmp_path / "click.py").write_text("print('here', flush=True)\ninput()\n")
    words = [sys.executable, "-m", "stress", "list"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == b"here\n"
        process.send_signal(number)
        reported = process.communicate(timeout=20)
    assert (process.returncode, *reported) == (130, b"", b"\ninterrupted\n")


@pytest.mark.unmeasured
def test_output_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    """A full disk takes no output: 74 and a line, and a closed output is none at all."""
    words = [sys.executable, "-m", "stress", "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    reported = "can't be written: output: No space left on device"
    assert (done.returncode, done.stderr.partition(" (")[0]) == (74, reported)
    closed = ["sh", "-c", '"$@" >&-', "sh", *words]
    done = subprocess.run(closed, cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.cases
@pytest.mark.unmeasured
def test_a_terminal_that_goes_away_costs_no_report(tmp_path: Path, short_folder: Path) -> None:
    """Its window is closed in the midst of a search: 130, the reports are written, and no temporary file stays."""
    words = own_files(tmp_path, "well")
    with (tmp_path / "two.yaml").open("a") as file:
        file.write("concurrent: 6\n")  # more schedules than there is time for
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.environ["TMPDIR"] = str(short_folder)
        os.execv(sys.executable, [sys.executable, "-m", "stress", *words[:-1], "60", "--schedules", "100000"])  # noqa: S606 - no shell is wanted
    while b" schedules, " not in os.read(terminal, 4096):
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    result, _ = report(tmp_path)
    assert result["faults"] == ["interrupted"]
    assert list(short_folder.iterdir()) == []


def test_what_a_connection_of_ours_raises_is_a_bug_and_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    """Its bytes were not followed, so no result is given: the work ends, and what was raised comes out."""

    class Broken(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            raise IndexError(data)

    async def work() -> int:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Broken, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        await reader.read()
        writer.close()
        server.close()
        return 0

    with pytest.raises(IndexError, match="b'x'"):
        await_it(work())
    assert capfd.readouterr() == ("", "")


def cwd(link: Path) -> str:
    """Give where a process runs; nothing when it has ended or is not ours to look at."""
    try:
        return str(link.readlink())
    except OSError:
        return ""


@pytest.mark.unmeasured
def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    """While the command waits for a Gateway that does not end, Ctrl-C again: 130, and the Gateway is gone with it."""
    run = own_files(tmp_path, "SIGINT-9", arguments=["stubborn"])
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        command(*run), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert (done.returncode, done.stderr.strip()) == (130, "interrupted")
    assert done.stdout == "inconclusive: two-at-once on own: interrupted\n"  # no table: it did not wait for the end
    deadline = time.monotonic() + 10.0  # the kernel kills them with their parent, a moment after it is gone
    while left := [link for link in Path("/proc").glob("[0-9]*/cwd") if cwd(link) == str(tmp_path)]:
        assert time.monotonic() < deadline, left
        os.sched_yield()
