"""The runs: one round has one of each condition, so that what drifts meanwhile meets all of them alike."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stress.diagnose.triage.contention import Contention
from stress.diagnose.triage.junit import outcomes, stamps
from stress.diagnose.triage.kinds import CONDITIONS
from stress.diagnose.triage.rate import NONE
from stress.processes.command import beside, once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.diagnose.triage.kinds import Condition
    from stress.diagnose.triage.rate import Rate
    from stress.processes.command import Ran


@dataclass
class Tally:
    """What the runs came to under one condition.

    ``endings`` counts how those that failed ended, ``tests`` has failures and runs of each test that a JUnit file
    reported.
    """

    rate: Rate = NONE
    endings: Counter[str] = field(default_factory=Counter)
    tests: dict[str, Rate] = field(default_factory=dict)

    def add(self, ran: Ran, tests: dict[str, bool]) -> None:
        """Count one run, and the tests in it."""
        self.rate = _more(self.rate, ran.passed)
        if not ran.passed:
            self.endings[ran.ending] += 1
        for name, passed in tests.items():
            self.tests[name] = _more(self.tests.get(name, NONE), passed)


def _more(rate: Rate, passed: bool) -> Rate:  # noqa: FBT001 - the outcome of a run
    return rate._replace(failed=rate.failed + (not passed), of=rate.of + 1)


@dataclass
class Measure:
    """Runs a command so many times under each condition.

    ``other`` are the commands that it runs after or beside; ``within`` is how many seconds each run may take;
    ``junit`` the pattern of the files that a run writes (empty: none). ``tallies`` grows while it runs, so that a user
    who interrupts it has what was measured until then.
    """

    command: Sequence[str]
    times: int
    within: float
    other: Mapping[Condition, Sequence[str]] = field(default_factory=dict)
    junit: str = ""
    busy: int | None = None
    tallies: dict[Condition, Tally] = field(default_factory=dict)

    @property
    def conditions(self) -> list[Condition]:
        """The conditions of a round, in their order."""
        return [one for one in CONDITIONS if one in ("plain", "busy") or one in self.other]

    def run(self, tell: Callable[[int, Condition, Ran], None]) -> None:
        """Run all rounds; ``tell`` is called for each run.

        Raises:
            OSError: when a command can't be started.
            ValueError: when what should be a JUnit file is none.

        """
        self.tallies = {one: Tally() for one in self.conditions}
        with Contention(self.busy) as contention:
            for number in range(1, self.times + 1):
                for condition in self.conditions:
                    before = stamps(self.junit) if self.junit else {}
                    ran = self._once(condition, contention)
                    tests = outcomes(self.junit, before) if self.junit else {}
                    self.tallies[condition].add(ran, tests)
                    tell(number, condition, ran)

    def _once(self, condition: Condition, contention: Contention) -> Ran:
        with ExitStack() as stack:
            if condition == "busy":
                contention.go()
                stack.callback(contention.rest)
            elif condition == "after":
                once(self.other["after"], within=self.within)
            elif condition == "beside":
                stack.enter_context(beside(self.other["beside"]))
            return once(self.command, within=self.within)
