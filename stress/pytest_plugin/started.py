"""A started target as a test of a project's own has it, and schedules drawn on it."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest

from stress.checks import cause, run_checks
from stress.config.formats import find
from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.errors import Unavailable, Untested, UsageFault
from stress.core.verdict import Evidence, judge
from stress.engine.running import schedule_of
from stress.executors.live.deployment import Deployment
from stress.executors.live.executor import LiveExecutor
from stress.pytest_plugin.failure import reported
from stress.pytest_plugin.sessions import Session
from stress.report.events import Finding, Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from stress.core.trace import Trace
    from stress.protocols.gate import Frame

_EXAMPLES = 50
_SECONDS = 20.0


class Gateway:
    """A target that runs: ``url`` is where replica 1 listens, ``urls`` where each does.

    ``gate`` is between them and their stores; a ``deployment`` is what a `stress.LiveExecutor` takes.
    """

    def __init__(self, deployment: Deployment) -> None:
        """Take a deployment that is ready."""
        self.deployment, self.target, self.gate = deployment, deployment.target, deployment.gate
        self.urls = tuple(replica.url for replica in deployment.replicas.values())
        self.url = self.urls[0]

    async def parked(self, count: int = 1, seconds: float = 10.0) -> list[Frame]:
        """Wait until so many store commands are parked at the closed gate; give those that can be released now.

        Raises:
            TimeoutError: when they are not there within ``seconds``.

        """
        until = time.monotonic() + seconds
        while True:
            seen = self.gate.signal.count
            for number in self.deployment.replicas:
                self.gate.settle(number)
            heads = list(self.gate.heads())
            if len(heads) >= count:
                return heads
            if not await self.gate.signal.wait(seen, until - time.monotonic()):
                raise TimeoutError(f"{len(heads)} of {count} store commands are parked after {seconds:g} s")


@asynccontextmanager
async def started(request: pytest.FixtureRequest, word: str) -> AsyncIterator[Gateway]:
    """Start a target; where that can't be, the test has an error of one line."""
    with _one_line():
        deployment = await Deployment(Target.load(_path(request, word, "targets"))).__aenter__()
    try:
        yield Gateway(deployment)
    finally:
        await deployment.__aexit__()


class Drawn:
    """Draws schedules of a scenario on a started target with hypothesis, which makes a failing one small."""

    def __init__(self, request: pytest.FixtureRequest, gateway: Gateway) -> None:
        """Draw nothing yet."""
        self._request, self._gateway = request, gateway

    async def __call__(
        self, scenario: Scenario | Path | str, *, examples: int = _EXAMPLES, seconds: float = _SECONDS, seed: int = 0
    ) -> int:
        """Run at most so many schedules, for at most ``seconds``; give how many.

        A scenario is given by its file, beside the test's own, by a bundled name, or as it is. The test fails with the
        story of the smallest schedule that breaks an invariant, whose report is written, or where nothing can be
        concluded.
        """
        from stress.engine.draw import Draw  # noqa: PLC0415 - hypothesis takes half a second to import

        if not isinstance(scenario, Scenario):
            with _one_line():
                scenario = Scenario.load(_path(self._request, str(scenario), ""))
        async with AsyncExitStack() as stack:
            with _one_line():
                made = LiveExecutor(scenario, self._gateway.target, deployment=self._gateway.deployment)
                executor = await stack.enter_async_context(made)
            draw, begun = Draw(executor, scenario.invariants, seed), time.monotonic()
            trace = await draw.run(examples, begun + seconds)
            ran = Evidence(executor.name, "hypothesis", 0, time.monotonic() - begun, sampled=draw.ran)
        if trace is not None:
            result = _result(trace, executor, seed, ran)
            pytest.fail(reported(result, Session.of(self._request.config).report(result)), pytrace=False)
        return draw.ran


def _result(trace: Trace, executor: LiveExecutor, seed: int, ran: Evidence) -> Result:
    """Put the trace that ended a draw into what reports read."""
    broken = () if trace.fault else tuple(run_checks(executor.scenario.invariants, trace))
    schedule = schedule_of(trace, executor, seed, broken)
    faults = (trace.fault,) if trace.fault else ()
    return Result(
        scenario=executor.scenario,
        target=executor.target,
        executor=executor.name,
        verdict=judge(broken, [ran], faults),
        expected="holds",
        as_expected=False,
        findings=(Finding(schedule, trace, broken, cause(broken), executor.name),) if broken else (),
        unexpected=tuple(dict.fromkeys(one.invariant for one in broken)),
        faults=faults,
        last_trace=trace,
        seed=seed,
    )


@contextmanager
def _one_line() -> Iterator[None]:
    """Say in a line what is wrong with a file or not there, without a traceback."""
    try:
        yield
    except UsageFault as fault:
        raise pytest.fail.Exception(str(fault), pytrace=False) from None
    except (Unavailable, Untested) as error:
        kind = "unavailable" if isinstance(error, Unavailable) else "inconclusive"
        raise pytest.fail.Exception(f"{kind}: {error}", pytrace=False) from None


def _path(request: pytest.FixtureRequest, word: str, kind: str) -> Path:
    """Find a file beside the test's own, else from here, or a bundled one by its name.

    Raises:
        UsageFault: when there is none.

    """
    beside = request.path.parent / word
    return Session.of(request.config).named(beside) if beside.is_file() else find(word, kind)
