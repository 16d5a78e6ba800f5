"""The search of `wrap`: free runs, schedules, a counterexample that fails again, and the nearest run that passes."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from stress.core.patterns import Patterns, learn
from stress.engine.wrap.answer import DISTURBED, ISOLATED, SCHEDULED, SIBLINGS, Answer, Found, Row
from stress.engine.wrap.choosers import Drawn, InStep, Letters, Replay, Serial, WithClock
from stress.engine.wrap.minimal import nearest, size, small
from stress.engine.wrap.objects import foreign_writes, shared_objects
from stress.engine.wrap.schedule import CLOCK, FOREIGN, Schedule, Turn, of
from stress.engine.wrap.start import Known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stress.engine.wrap.choosers import Chooser
    from stress.engine.wrap.command import Command
    from stress.engine.wrap.pool import Pool
    from stress.engine.wrap.start import Ended

_FEWEST, _ALL_FAIL = 3, 5
_FREE_SHARE, _SEARCH_SHARE = 0.25, 0.6
_CLOCKS, _LOOKED = 10, 12
_REPLAYS, _MOST_REPLAYS, _CHANCE = 3, 20, 0.001
_CANDIDATES = 3
_SUITES = 5
_SEVERAL = 2
_STRANGE = "foreign writes are for a store that is started here"
_AWAKE = "see whether it polls without a pause, or has fake timers that advance by themselves"
_STARTED = "say --store"
_RANDOM_SEED = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: the command, that of its suite, how many runs of each kind, within how many seconds.

    ``only`` are patterns of the objects to gate. ``limit`` is how long one start may take, in seconds.
    """

    command: Command
    suite: Command | None = None
    times: int = 40
    seconds: float = 120.0
    only: tuple[str, ...] = ()
    limit: float = 120.0


class Search:
    """One search. ``tell`` is called with a line now and then."""

    def __init__(self, asked: Asked, pool: Pool, answer: Answer, tell: Callable[[str], None]) -> None:
        """Take what is asked and where it runs; ``answer`` is filled in."""
        self._asked, self._pool, self.answer, self._tell = asked, pool, answer, tell
        self._patterns = Patterns()
        self._objects: tuple[str, ...] = asked.only
        self._begun = time.monotonic()
        self._failing: list[Ended] = []
        self._passing: list[Ended] = []
        self._runs: list[Ended] = []
        self._differed = 0

    async def run(self) -> Answer:
        """Search, until the answer is known or the time is up."""
        if await self._free() and await self._look():
            await self._schedules()
            if not self._failing and self._asked.suite is not None:
                await self._disturb(self._asked.suite)
            if not self.answer.reason:
                await self._conclude()
        return self._end()

    async def replay(self, schedule: Schedule) -> Answer:
        """Follow a schedule ``times`` times."""
        if FOREIGN in schedule.letters and self._pool.shared:
            self._unreported(_STRANGE, _STARTED)
            return self._end()
        await self._learn()
        self._runs.clear()
        self._objects = schedule.objects
        row = self.answer.rows[DISTURBED if FOREIGN in schedule.letters else SCHEDULED]
        found: Found | None = None
        for _ in range(self._asked.times):
            ended = await self._follow(schedule.turns)
            row.count(ended)
            self._say(row.name, row.failed, row.runs)
            if ended.failed and not ended.diverged:
                found = found or Found(ended)
            elif ended.diverged and not self.answer.notes:
                self.answer.notes.append(f"left the schedule at {ended.diverged}")
            elif ended.fault and not self.answer.reason:
                self._unreported(ended.fault, "see the output of the command")
            if time.monotonic() - self._begun > self._asked.seconds:
                break
        self._judge(row, found)
        return self._end()

    def _judge(self, row: Row, found: Found | None) -> None:
        """Say what the replays of a schedule come to."""
        followed = [ended for ended in self._runs if not ended.diverged]
        failed = sum(1 for ended in followed if ended.failed)
        if found is not None:
            found.failed, found.replays = failed, row.runs
        self.answer.found = found
        if self.answer.reason:
            return
        if not row.runs:
            self._unreported("no run of the command ended in time", "give it more: --timeout")
        elif not followed:
            self._unreported(
                "the command no longer takes the steps of this schedule", "search again without --schedule"
            )
        elif 0 < failed < len(self._runs):
            why = f"the replay differs: it failed in {failed} of {len(self._runs)}"
            self._unreported(why, "something else than its store commands decides: see the steps and the output")

    def _end(self) -> Answer:
        self.answer.seconds = time.monotonic() - self._begun
        self.answer.objects = self._objects
        self.answer.notes += self._pool.notes
        if awake := sum(1 for ended in self._runs if ended.awake):
            note = f"in {awake} runs something in the command never slept, and steps went by time: {_AWAKE}"
            self.answer.notes.append(note)
        return self.answer

    def _left(self, share: float) -> bool:
        """Tell whether less than this share of the time is used."""
        return time.monotonic() - self._begun < share * self._asked.seconds

    def _unreported(self, reason: str, remedy: str) -> None:
        self.answer.reason, self.answer.remedy = reason, remedy

    def _say(self, what: str, failed: int, runs: int) -> None:
        self._tell(f"{what}: {failed} of {runs} failed")

    # --- without a schedule -----------------------------------------------------------------------------

    async def _free(self) -> bool:
        """Run the command, and its suite, with the gate open; tell whether there is anything to search."""
        row = self.answer.rows[ISOLATED]
        await self._freely(self._asked.command, ISOLATED, self._asked.times, _FREE_SHARE)
        if row.failed and self._pool.width > 1:  # they may disturb one another: by a port, by a file
            self._pool.set_width(1)
            row.failed = row.runs = 0
            await self._freely(self._asked.command, ISOLATED, self._asked.times, 2 * _FREE_SHARE)
            if not row.failed:
                note = "side by side some starts of the command failed that pass alone: one ran at a time"
                self.answer.notes.append(note)
        if not row.runs:
            self._unreported("no run of the command ended in time", "give it more: --timeout")
            return False
        if row.failed == row.runs >= _FEWEST:
            self._unreported(f"it fails alone as well, in {row.failed} of {row.runs} free runs", "see its output")
            return False
        if self._asked.suite is not None:
            await self._freely(self._asked.suite, SIBLINGS, _SUITES, 2 * _FREE_SHARE)
        return True

    async def _freely(self, command: Command, name: str, times: int, share: float) -> None:
        row, left = self.answer.rows[name], times

        async def worker() -> None:
            nonlocal left
            while left > 0 and (self._left(share) or row.runs < _FEWEST):
                left -= 1
                ended = await self._pool.free(command, self._asked.limit)
                row.count(ended)
                if name == ISOLATED and ended.failed:
                    self.answer.free_output = self.answer.free_output or ended.output
                self._say(name, row.failed, row.runs)
                if row.failed == row.runs >= _ALL_FAIL or (row.failed and self._pool.width > 1):
                    left = 0

        await asyncio.gather(*(worker() for _ in range(self._pool.width)))

    # --- schedules --------------------------------------------------------------------------------------

    async def _start(self, chooser: Chooser) -> Ended:
        known = Known(self._patterns, self._objects)
        ended = await self._pool.start(self._asked.command, chooser, known, self._asked.limit)
        self._runs.append(ended)
        return ended

    async def _follow(self, turns: Sequence[Turn]) -> Ended:
        """Follow a schedule exactly, as far as the command takes its steps."""
        chooser = Replay(turns)
        ended = await self._start(chooser)
        if chooser.left and not ended.diverged:
            ended.diverged = f"step {len(turns) - chooser.left + 1}: the command ended before it"
        return ended

    async def _learn(self) -> list[Ended]:
        """Learn in two starts which values are generated: a schedule names them, and keeps what is the same in both."""
        first = [await self._start(InStep()) for _ in range(2)]
        if first[0].shown.keys() == first[1].shown.keys():
            self._patterns = learn([ended.shown for ended in first], time.time())
        return first

    async def _look(self) -> bool:
        """See what the command does at the gate; tell whether there is anything to schedule."""
        first = await self._learn()
        if not any(ended.seen for ended in first):
            self._unreported(
                "no command was seen at the gate",
                "see that the test takes its store's address from the environment, and is not skipped or cached; "
                "--redirect NAME='{host}:{port}' sets other variables; a test without a shared store has nothing here",
            )
            return False
        if all(ended.fault for ended in first):
            self._unreported(first[0].fault, "see the output of the command")
            return False
        third = await self._start(InStep())
        fourth = await self._start(Serial())
        self._runs.clear()
        if not self._asked.only:
            self._objects = shared_objects([third, fourth])
        return True

    async def _schedules(self) -> None:
        """Try schedules, one after another on each worker."""
        row, plan, left = self.answer.rows[SCHEDULED], self._plan(), self._asked.times

        async def worker() -> None:
            nonlocal left
            while left > 0 and self._left(_SEARCH_SHARE) and not self.answer.reason:
                left -= 1
                ended = await self._start(next(plan))
                row.count(ended)
                self._sort(ended)
                self._say(SCHEDULED, row.failed, row.runs)
                self._give_up()

        await asyncio.gather(*(worker() for _ in range(self._pool.width)))

    def _sort(self, ended: Ended) -> None:
        if ended.failed:
            self._failing.append(ended)
        elif ended.passed:
            self._passing.append(ended)

    def _give_up(self) -> None:
        """See whether going on leads nowhere."""
        runs = self._runs
        if len(runs) >= _LOOKED:
            self._see_together()
        timed_out = [ended for ended in runs if ended.code is None]
        if len(timed_out) >= _FEWEST and len(timed_out) > len(runs) / 3:
            why = f"{len(timed_out)} of {len(runs)} scheduled runs did not end within {self._asked.limit:g} s"
            self._unreported(why, "give them more: --timeout")
        faults = [ended.fault for ended in runs if ended.fault]
        if len(faults) >= _FEWEST and len(faults) > len(runs) / 3:
            self._unreported(faults[0], "see the output of the command")

    def _see_together(self) -> None:
        """See whether there was anything to choose in any run."""
        if max((ended.together for ended in self._runs), default=0) < _SEVERAL:
            one = max((ended.callers for ended in self._runs), default=0) < _SEVERAL
            self._unreported(
                "never two commands at once: " + ("all came from one caller" if one else "its callers take turns"),
                "callers that share one connection have a fixed sequence there: give each its own",
            )

    def _plan(self) -> Iterator[Chooser]:
        """Give one chooser after another: in step, one after another, in step with a clock step, and drawn ones."""
        yield from (InStep(), Serial(), Serial(("B", "A")))
        for number in count(1):
            seed = _RANDOM_SEED * 1_000_003 + number
            choices = max([ended.choices for ended in self._runs], default=1) or 1
            actors = max([ended.together for ended in self._runs], default=2)
            if number <= _CLOCKS and number <= choices:
                yield WithClock(InStep(), number)
            for kind in ("pct", "random_walk"):
                yield Drawn(kind, seed, actors, choices)
            if number % 2 == 0 or number > _CLOCKS:
                kind = "pct" if number % 4 else "random_walk"
                yield WithClock(Drawn(kind, -seed, actors, choices), 1 + number * 7 % choices)

    # --- foreign writes ---------------------------------------------------------------------------------

    async def _disturb(self, suite: Command) -> None:
        """Repeat what the suite writes to the same objects after each step of the command in turn."""
        if self._pool.shared:
            self.answer.rows[DISTURBED].why = f"not run: {_STRANGE} ({_STARTED})"
            return
        recorded = await self._pool.start(suite, Serial(), Known(self._patterns), self._asked.limit, record=True)
        writes, left_out = foreign_writes(recorded.taken, self._runs, self._objects)
        if left_out:
            self.answer.notes.append(f"{left_out} foreign writes were not repeated: pipelines, or too many")
        row = self.answer.rows[DISTURBED]
        if not writes:
            row.why = "the suite shows no foreign writes to the same objects"
            return
        base = min(self._passing, key=size, default=None)
        letters = of(base.turns).letters if base is not None else ()
        places = [(write, at) for write in writes for at in range(len(letters))]

        async def worker() -> None:
            while places and self._left(_SEARCH_SHARE + _FREE_SHARE / 2):
                write, at = places.pop(0)
                ended = await self._start(Letters([*letters[:at], FOREIGN, *letters[at:]], [write]))
                row.count(ended)
                self._sort(ended)
                self._say(DISTURBED, row.failed, row.runs)

        await asyncio.gather(*(worker() for _ in range(self._pool.width)))

    # --- the counterexample -----------------------------------------------------------------------------

    async def _conclude(self) -> None:
        """Make what failed small, see that it fails again, and find what passes beside it."""
        if not self._failing:
            self._see_together()
            if not self._passing:
                self._unreported("no scheduled run passed or failed", "see the output of the command")
            return
        if not self._passing:
            self._unreported(
                "it fails in every schedule, and passes alone: it may not stand to be slowed down, or have time limits",
                "see the output of the command, and give its clients longer time limits",
            )
            return
        for failing in sorted(self._failing, key=size)[:_CANDIDATES]:
            if (found := await self._confirmed(failing)) is not None:
                self.answer.found = found
                return
            if self.answer.reason or not self._left(1):
                break
        why = f"the replay differs: {self._differed} of the failing schedules passed when they were followed again"
        if not self.answer.reason:
            self._unreported(why, "something else than its store commands decides, such as time or chance")

    async def _confirmed(self, failing: Ended) -> Found | None:
        until = self._begun + self._asked.seconds * (1 - _FREE_SHARE / 2)
        best = await small(failing, self._start, until, self._passing)
        for candidate in (best, failing) if best is not failing else (failing,):
            found = Found(candidate)
            wanted = self._wanted()
            while found.replays < wanted:
                ended = await self._follow(candidate.turns)
                found.replays += 1
                found.failed += ended.failed and not ended.diverged
                self._say("replay", found.failed, found.replays)
                if found.failed < found.replays:
                    break
            if found.failed == found.replays and await self._passes_beside(found, wanted):
                return found
            self._differed += 1
        return None

    def _wanted(self) -> int:
        """Tell how often a schedule must fail again: more often where it may be chance."""
        row = self.answer.rows[ISOLATED]
        rate = row.failed / row.runs if row.runs else 0.0
        by_chance = math.ceil(math.log(_CHANCE) / math.log(rate)) if 0 < rate < 1 else 0
        return min(_MOST_REPLAYS, max(_REPLAYS + 2 * self._differed, by_chance))

    async def _passes_beside(self, found: Found, times: int) -> bool:
        """Find the nearest run that passes, and see that it passes again; where a second passes in both."""
        clock = CLOCK in of(found.ended.turns).letters
        if clock and not any(CLOCK in of(ended.turns).letters for ended in self._passing):
            for at in range(1, 4):
                self._sort(await self._start(WithClock(Serial(), at)))
        candidates = list(self._passing)
        if clock and not any(CLOCK in of(ended.turns).letters for ended in candidates):
            why = "it fails in every schedule in which a second passes: that may be its own time limit, and no race"
            self._unreported(why, "see the output of the command, and give its clients longer time limits")
            return False
        for _ in range(_CANDIDATES):
            beside = nearest(found.ended, candidates)
            if beside is None:
                return False
            if await self._repeat(beside, min(times, _REPLAYS)):
                found.nearest = beside
                return True
            candidates.remove(beside)
        return False

    async def _repeat(self, passing: Ended, times: int) -> bool:
        for _ in range(times):
            ended = await self._follow(passing.turns)
            if not ended.passed or ended.diverged:
                return False
        return True
