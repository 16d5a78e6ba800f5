"""What the tests of one session share: an event loop, the targets that run, and where reports go."""

from __future__ import annotations

import asyncio
import warnings
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest

from stress.config.formats import bundled
from stress.engine.campaign import Budget, Job, Where
from stress.engine.case import Case
from stress.engine.deployments import Shared
from stress.engine.example_database import Earlier, Folder
from stress.engine.regressions import regressions
from stress.engine.running import WorkerCount
from stress.engine.search import INTERRUPTED
from stress.executors.live.deployment import Deployment
from stress.executors.live.executor import LiveExecutor
from stress.pytest_plugin.failure import reported
from stress.report.folder import ReportUnwritable, write

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from stress.report.events import Result

_OPEN = 4
"""How many targets stay open, as the next scenario may be on one of them."""

Given = TypeVar("Given")


class Unexpected(Exception):
    """A search that did not end as expected; the text is its story."""


class Session:
    """The targets of a test session.

    They live on one event loop, which runs only while something is asked of it. Under pytest-xdist each worker has its
    own: ports are free ones, and no two processes write into the same folder of reports.
    """

    def __init__(self, config: pytest.Config) -> None:
        """Start nothing yet."""
        self.targets: list[str] = config.getoption("stress_targets")
        self._config = config
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._shared: dict[tuple[Path, str], Shared] = {}
        self._where = Where()
        self._examples = Folder(config.rootpath / ".gateway-stress" / "examples")

    @staticmethod
    def of(config: pytest.Config) -> Session:
        """Give the one of this process; it ends with the session."""
        found = config.stash.get(_KEY, None)
        if found is None:
            config.stash[_KEY] = found = Session(config)
            config.add_cleanup(found.close)
        return found

    def close(self) -> None:
        """End every target."""
        for shared in self._shared.values():
            self._run(shared.__aexit__())
        self._shared.clear()
        self._runner.close()

    def named(self, path: Path) -> Path:
        """Give a path as reports and schedule files name it: as it is called from here, unless it is a bundled file."""
        here = self._config.invocation_params.dir
        return path.relative_to(here) if path.is_relative_to(here) and not path.is_relative_to(bundled("")) else path

    def check(self, job: Job) -> None:
        """Find what is wrong with a case before anything is started.

        Raises:
            UsageFault: when the target can't play the scenario, or a regression is no schedule file.

        """
        self._where.executors(job)
        regressions(job)

    def enter(self, job: Job) -> LiveExecutor:
        """Make a case ready.

        Raises:
            Unavailable: when the store or a Gateway does not start.

        """
        return self._run(self._enter(job))

    async def _enter(self, job: Job) -> LiveExecutor:
        key = (job.folder, job.target.digest)
        if key not in self._shared:
            while len(self._shared) >= _OPEN:
                await self._shared.pop(next(iter(self._shared))).__aexit__()
            self._shared[key] = Shared(partial(Deployment, job.target, job.folder))
        deployment = await self._shared[key].deployment()
        return await LiveExecutor(job.scenario, job.target, job.folder, deployment=deployment).__aenter__()

    def leave(self, executor: LiveExecutor) -> None:
        """End what a case had of its own."""
        self._run(executor.__aexit__())

    def search(self, job: Job, executor: LiveExecutor) -> Result:
        """Search a case; write its report where it is asked for or something is wrong.

        Raises:
            Unexpected: when it does not end as expected, with the story.
            KeyboardInterrupt: when its user ends it.

        """
        result = self._run(self._search(job, executor))
        place = self.report(result) if not result.as_expected or self._config.getoption("stress_reports") else ""
        if INTERRUPTED in result.faults:
            raise KeyboardInterrupt
        if not result.as_expected:
            raise Unexpected(reported(result, place))
        return result

    async def _search(self, job: Job, executor: LiveExecutor) -> Result:
        limits = Budget(None, self._config.getoption("stress_seconds"), None, 0).share([job], 0.0)
        model, _ = self._where.executors(job, executor.deployment)
        earlier = Earlier(self._examples.schedules(job), regressions(job))
        case = Case(model, executor, limits._replace(workers=WorkerCount.chosen(None)), earlier=earlier)
        result = job.attached_to(await case.result())
        try:
            self._examples.drop(job, case.stale)
            self._examples.keep(job, [one.schedule for one in result.findings])
        except OSError as error:
            warnings.warn(pytest.PytestWarning(f"failing schedules can't be kept: {error}"), stacklevel=1)
        return result

    def report(self, result: Result) -> str:
        """Write the report of a result; give its folder as one finds it from here (empty: it can't be written)."""
        root = self._config.invocation_params.dir / (self._config.getoption("stress_reports") or "reports")
        try:
            return str(self.named(write(result, root)))
        except ReportUnwritable as error:
            warnings.warn(pytest.PytestWarning(f"the report can't be written: {error}"), stacklevel=1)
            return ""

    def _run(self, work: Coroutine[None, None, Given]) -> Given:
        return self._runner.run(work)


_KEY = pytest.StashKey[Session]()
