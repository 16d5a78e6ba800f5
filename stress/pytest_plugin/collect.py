"""A scenario file as a collection of tests: one for each target."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from stress.config.scenario import Scenario, targets_of
from stress.core.errors import Unavailable, Untested, UsageFault
from stress.engine.campaign import Job
from stress.pytest_plugin.sessions import Session, Unexpected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from stress.executors.live.executor import LiveExecutor


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterator[ScenarioItem]:
        """Give a test for each target that the scenario expects something of, or for those of ``--stress-target``.

        Raises:
            CollectError: when one of the files is wrong, with a line for each fault.

        """
        try:
            session = Session.of(self.config)
            jobs = list(self._jobs(session))
            for _, job in jobs:
                session.check(job)
        except UsageFault as fault:
            raise self.CollectError(str(fault)) from None
        if not jobs:
            reason = "it expects nothing of any target: add one to `expect`, or name one with --stress-target"
            pytest.skip(reason, allow_module_level=True)
        names = Counter(job.target.name for _, job in jobs)
        for word, job in jobs:
            name = job.target.name if names[job.target.name] == 1 else f"{job.target.name}[{word}]"
            yield ScenarioItem.from_parent(self, name=name, job=job)

    def _jobs(self, session: Session) -> Iterator[tuple[str, Job]]:
        path = session.named(self.path)
        scenario = Scenario.load(path)
        for word, target in [(one, one) for one in session.targets] or targets_of(path, scenario).items():
            yield word, Job.load(str(path), target)


class ScenarioItem(pytest.Item):
    """One scenario on one target: it passes when the search ends as the scenario expects."""

    def __init__(self, *, job: Job, **more: Any) -> None:  # noqa: ANN401 - what pytest hands to a node
        """Take the case."""
        super().__init__(**more)
        self._job = job
        self._executor: LiveExecutor | None = None
        self.add_marker("stress")

    def setup(self) -> None:
        """Make the target ready; where it can't be, that is an error and no failure."""
        try:
            self._executor = Session.of(self.config).enter(self._job)
        except UsageFault as fault:
            raise pytest.fail.Exception(str(fault), pytrace=False) from None
        except (Unavailable, Untested) as error:
            kind = "unavailable" if isinstance(error, Unavailable) else "inconclusive"
            raise pytest.fail.Exception(f"{kind}: {error}", pytrace=False) from None

    def runtest(self) -> None:
        """Search.

        Raises:
            Unexpected: when it does not end as expected, with the story.

        """
        assert self._executor is not None  # noqa: S101 - set up
        result = Session.of(self.config).search(self._job, self._executor)
        self.user_properties.append(("covered", result.verdict.reason))

    def teardown(self) -> None:
        """Leave the target ready for the next scenario."""
        if self._executor is not None:
            Session.of(self.config).leave(self._executor)
            self._executor = None

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: object, **__: object) -> Any:  # noqa: ANN401
        """Give the story in place of a traceback."""
        if isinstance(excinfo.value, Unexpected):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[PathLike[str] | str, int | None, str]:
        """Name the place: where the scenario says what it expects of the target."""
        place = self._job.scenario.place("expect", self._job.target.name, key=True)
        return self.path, place.line - 1, f"{self._job.scenario.name} on {self._job.target.name}"
