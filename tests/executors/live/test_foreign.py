"""Gateways in node, Go and Java that know nothing of the harness: the gate controls them as it does our own."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of

from stress.checks import run_checks
from stress.config.target import Target
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.engine.running import run
from stress.executors.live.executor import LiveExecutor
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.core.trace import Trace

pytestmark = pytest.mark.unmeasured

HERE = Path(__file__).parent.parent.parent / "gateways"

MAVEN_DEPENDENCY = "org.apache.maven.plugins:maven-dependency-plugin:2.8"


@dataclass(frozen=True)
class Language:
    """How a Gateway is made ready: what it needs, what fetches its libraries, what builds it, and what it is like.

    ``minimal`` is the word of actors of the schedule with the fewest preemptions that loses a hit, ``lock`` the mode
    with a lock in the process, ``racy``, ``atomic``, ``locked`` and ``together`` are the numbers of all schedules in
    each mode, or of all classes where no request waits for another.
    """

    needs: tuple[str, ...]
    fetch: tuple[str, ...]
    build: tuple[str, ...]
    lock: str
    minimal: str
    racy: tuple[int, int]
    atomic: int
    together: int = 0
    locked: int = 8
    patience: float = 1.0


LANGUAGES = {
    # One connection for all: the commands of two requests are served in the order in which they were sent, so that
    # a schedule is free only in where the second request starts.
    "node": Language(
        needs=("node", "npm"),
        fetch=("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"),
        build=(),
        lock="lock",
        minimal="A B A B A B A B",
        racy=(8, 2),
        atomic=4,
        together=30,
        patience=2.0,  # longer than a timer of node's own: the one that drops the text of the Date header every second
    ),
    # A connection for each: all ways to merge two rows of four moves, C(8, 4), and of two moves, C(4, 2).
    "go": Language(
        needs=("go",),
        fetch=("go", "mod", "download"),
        build=("go", "build", "-o", "gateway", "."),
        lock="mutex",
        minimal="A A A B B B B A",
        racy=(70, 40),
        atomic=2,
        together=42,
    ),
    # As node, but the requests wait in threads of their own, each for its reply and with a timeout.
    "java": Language(
        needs=("java", "javac", "mvn"),
        fetch=("mvn", "-q", "-B", f"{MAVEN_DEPENDENCY}:copy-dependencies", "-DoutputDirectory=lib"),
        build=("javac", "-cp", "lib/*", "Gateway.java"),
        lock="lock",
        minimal="A B A B A B A B",
        racy=(8, 2),
        atomic=4,
    ),
}


def prepare(name: str, cache: Path) -> Path:
    """Install and build one Gateway in the cache, once for all workers and runs; give the folder.

    A language that is not installed, or libraries that can't be fetched, skip the test. Code that does not build
    fails it.
    """
    language = LANGUAGES[name]
    missing = [program for program in language.needs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    sources = sorted(path for path in (HERE / name).iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in sources)).hexdigest()
    folder = cache / f"{name}-{digest[:12]}"
    done = folder / ".done"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path in sources:
            shutil.copy(path, folder)
        fetched = subprocess.run(language.fetch, cwd=folder, capture_output=True, text=True, check=False)
        if fetched.returncode:
            pytest.skip(f"{' '.join(language.fetch[:2])} failed: {(fetched.stderr or fetched.stdout).strip()[-200:]}")
        if language.build:
            built = subprocess.run(language.build, cwd=folder, capture_output=True, text=True, check=False)
            assert built.returncode == 0, built.stderr
        done.touch()
    return folder


@pytest.fixture(params=[pytest.param("java", marks=pytest.mark.cases), "go", "node"])
def language(request: pytest.FixtureRequest) -> str:
    """Give each language by name."""
    name: str = request.param
    return name


@pytest.fixture
def executor_of(language: str, pytestconfig: pytest.Config) -> Callable[..., LiveExecutor]:
    """Give a maker of executors: one scenario, one language, any mode."""
    folder = prepare(language, pytestconfig.cache.mkdir("gateways"))

    def make(mode: str, concurrent: int = 2) -> LiveExecutor:
        target = Target.load(HERE / f"{language}.yaml")
        assert target.start is not None
        start = target.start.model_copy(update={"command": [*target.start.command[:-1], mode]})
        target = target.model_copy(update={"start": start, "patience": LANGUAGES[language].patience})
        scenario = scenario_of("atomic-hit-count").model_copy(update={"concurrent": concurrent})
        return LiveExecutor(scenario, target, folder)

    return make


async def every_schedule(executor: LiveExecutor) -> tuple[list[Trace], int]:
    """Run each schedule once; give all traces, and in how many of them something was broken."""
    scheduler, traces, broken = Exhaustive(fused=False), [], 0
    while scheduler.more():
        trace = await executor.run(scheduler)
        assert trace.fault == ""
        scheduler.learn(trace)
        traces.append(trace)
        broken += bool(run_checks(executor.scenario.invariants, trace))
    assert scheduler.exhausted
    assert len({trace.signature[0] for trace in traces}) == len(traces)
    return traces, broken


@pytest.mark.asyncio
async def test_a_lost_hit_is_found_as_its_minimal_schedule(
    language: str, executor_of: Callable[..., LiveExecutor]
) -> None:
    """The racy Gateway loses a hit in the schedule with the fewest preemptions that its connections allow."""
    async with executor_of("racy") as executor:
        result = await Case(None, executor, Limits(20, 500)).result()
        (finding,) = result.findings
        traces = [await run(finding.schedule, executor) for _ in range(20)]
    assert finding.invariants == ("hits_equal_answers", "distinct_counts")
    assert finding.schedule.actors == LANGUAGES[language].minimal
    assert finding.replays == (3, 3)
    assert [trace.signature for trace in traces] == [finding.trace.signature] * 20


@pytest.mark.asyncio
async def test_every_schedule_of_a_racy_gateway_is_run_once(
    language: str, executor_of: Callable[..., LiveExecutor]
) -> None:
    """All schedules that the connections allow are run, and those that lose a hit are exactly counted."""
    async with executor_of("racy") as executor:
        traces, broken = await every_schedule(executor)
    assert (len(traces), broken) == LANGUAGES[language].racy


@pytest.mark.asyncio
@pytest.mark.parametrize("language", ["node"], indirect=True)
async def test_the_order_on_a_shared_connection_is_kept(executor_of: Callable[..., LiveExecutor]) -> None:
    """Commands of two requests on one connection reach the store as they were sent; another schedule is refused."""
    async with executor_of("racy") as executor:
        traces, _ = await every_schedule(executor)
        serial, impossible = traces[0].moves, (0, 1, 2, 4, 5, 6, 7, 3)
        refused = await executor.run(Replay([serial[place] for place in impossible]))
    sent = [[event.parked or 0.0 for event in trace.events if event.kind == "step"] for trace in traces]
    assert sent == [sorted(times) for times in sent]
    assert [move.actor for move in serial] == ["A"] * 4 + ["B"] * 4
    assert refused.fault == f"DIVERGED at step 5: expected {serial[5]}, saw {serial[3]}"


@pytest.mark.asyncio
async def test_the_atomic_mode_holds_in_every_schedule(language: str, executor_of: Callable[..., LiveExecutor]) -> None:
    """One script per request holds, exhausted unless threads share a connection, which may write in another order."""
    async with executor_of("atomic") as executor:
        result = await Case(None, executor, Limits(20, 500)).result()
    (evidence,) = result.verdict.evidence
    schedules, shared = LANGUAGES[language].atomic, language == "java"
    assert str(result.verdict.ruling) == "holds"
    assert (evidence.exhausted, evidence.in_order, evidence.total) == (
        not shared,
        shared,
        None if shared else schedules,
    )


@pytest.mark.asyncio
async def test_a_lock_in_the_process_blocks_and_holds(language: str, executor_of: Callable[..., LiveExecutor]) -> None:
    """A request that waits for a lock is known as blocked before any patience runs out, and all schedules hold."""
    async with executor_of(LANGUAGES[language].lock) as executor:
        traces, broken = await every_schedule(executor)
        waited = executor.blocked_seconds
    blocked = [sum(event.kind == "blocked" for event in trace.events) for trace in traces]
    assert (len(traces), broken, sum(blocked), max(blocked)) == (LANGUAGES[language].locked, 0, BLOCKED_OF_8, 1)
    assert max(waited) < executor.patience


BLOCKED_OF_8 = 6
"""Schedules in which the second request starts before the first is done: after none, one or two of its steps."""


@pytest.mark.asyncio
@pytest.mark.parametrize("language", ["go", "node"], indirect=True)
async def test_requests_that_go_on_together_keep_their_names(
    language: str, executor_of: Callable[..., LiveExecutor]
) -> None:
    """Whichever of two waiting requests the Gateway wakes first, each is answered by its own step, in every replay."""
    async with executor_of("together", 3) as executor:
        traces, broken = await every_schedule(executor)
        replays = [await executor.run(Replay(trace.moves), trace.fresh) for trace in traces]
    # Up to names: 5 on one connection, 7 on several, as a third request can then come in between and lead by itself.
    assert (len(traces), broken) == (LANGUAGES[language].together, 0)
    assert [trace.signature for trace in replays] == [trace.signature for trace in traces]
    for trace in traces:
        shown = [event.actor for event in trace.events if event.kind in ("step", "answer") and event.actor in "ABC"]
        assert shown[::2] == shown[1::2]


@pytest.mark.measured_once
@pytest.mark.asyncio
@pytest.mark.parametrize("language", ["node"], indirect=True)
async def test_a_command_that_may_be_of_several_requests_is_never_guessed(
    executor_of: Callable[..., LiveExecutor],
) -> None:
    """Two requests that go on from different places, unmarked, on one connection, make the search inconclusive."""
    async with executor_of("shared") as executor:
        result = await Case(None, executor, Limits(20, 500)).result()
    assert str(result.verdict.ruling) == "inconclusive"
    reported = (
        "ambiguous: EVALSHA gw:dedup:{fingerprint} may be of several requests, and carries no mark of one: let each "
    )
    (fault,) = result.faults
    assert (fault[:10], fault.partition(" as: ")[2].startswith(reported)) == ("unstable: ", True)


@pytest.mark.asyncio
@pytest.mark.parametrize("language", ["go"], indirect=True)
async def test_a_command_is_of_the_request_whose_connection_it_comes_by(
    executor_of: Callable[..., LiveExecutor],
) -> None:
    """Two requests of a pool that go on from different places with the same command are told apart, in every run."""
    async with executor_of("shared") as executor:
        result = await Case(None, executor, Limits(20, 500)).result()
    evidence = result.verdict.evidence[0]
    assert (str(result.verdict.ruling), evidence.exhausted, evidence.total, evidence.skipped) == ("holds", True, 12, 0)
