"""Hunt, then proof: schedules with few preemptions first, then one schedule of each class that is left.

Where a request is seen to wait for another, schedules are not distinguished by what they touch alone: then every
schedule is run. Schedules in which the clock moves come last where each of them costs a real second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.registry import SCHEDULERS
from stress.schedulers.dependence import effects
from stress.schedulers.dpor.scheduler import Dpor
from stress.schedulers.exhaustive import Exhaustive
from stress.schedulers.hunt import Hunt
from stress.schedulers.lookahead import Plan
from stress.schedulers.registered import Registered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.schedulers.dependence import Dependence, Effect


class Auto:
    """Runs the hunt's schedules, then those of DPOR.

    ``possible`` says how often each actor of the environment may act. With ``clock_apart`` all schedules without a move
    of the clock come first, or as many as there are until ``clock_turn``; then those with it. The other arguments are
    those of `Hunt` and `Dpor`.
    """

    name = "auto"

    def __init__(  # noqa: PLR0913 - one keyword for each choice
        self,
        dependence: Dependence,
        *,
        fused: bool,
        possible: Mapping[str, int],
        alike: Sequence[str] = (),
        clock_apart: bool = False,
        clock_turn: Callable[[], bool] = lambda: False,
        read: Callable[[Trace], Sequence[Effect]] = effects,
    ) -> None:
        """Begin with the schedule without a preemption."""
        self._alike = tuple(alike) if len(alike) > 1 else ()
        self._possible, self._clock_turn, self._fused = possible, clock_turn, fused
        self._clock_apart = clock_apart and "clock" in possible
        self._hunt = Hunt(dependence, fused=fused, alike=self._alike, clock_apart=self._clock_apart, read=read)
        self._dependence, self._read = dependence, read
        self._every = Exhaustive(fused=fused, clock_apart=self._clock_apart, clock_turn=clock_turn)
        self._proof: Dpor | None = None
        self._plain: Dpor | None = None
        self._now: Hunt | Dpor | Exhaustive = self._hunt
        self._stages = self._plan()
        self._over = False
        self.schedules = self.clock_schedules = 0

    def waits(self) -> bool:
        """Whether a request was seen to wait for another, so that every schedule has to be run."""
        return self._hunt.waited or any(one.doubtful for one in (self._plain, self._proof) if one is not None)

    @property
    def exhausted(self) -> bool:
        """Whether every schedule has been run, or one of its class."""
        if self.waits():
            return self._every.exhausted
        return self._proof is not None and self._proof.exhausted

    @property
    def classes(self) -> int | None:
        """How many classes have been run; None where schedules are counted, or they were not distinguished yet."""
        return None if self.waits() or self._proof is None else self._proof.explored

    @property
    def total(self) -> int | None:
        """How many schedules there are where all of them had to be run."""
        return self._every.schedules if self.waits() and self._every.exhausted else None

    @property
    def renamed(self) -> bool:
        """Whether classes are distinguished up to the names of identical requests alone."""
        return bool(self._alike) and not self.waits()

    @property
    def bound(self) -> int | None:
        """The largest b so that every schedule with at most b preemptions was run, or one of its class; None: not 0."""
        return self._every.bound if self.waits() else self._hunt.bound

    @property
    def clock_cut(self) -> bool:
        """Whether every schedule without a move of the clock was run, or one of its class, and some with it not."""
        if self.exhausted or not self._clock_apart:
            return False
        return self._every.clock_cut if self.waits() else self._plain is not None and self._plain.exhausted

    def more(self) -> bool:
        """Take the next schedule of what is going on, or begin with what comes next."""
        self._over = self._over or next(self._stages, None) is None
        return not self._over

    @property
    def plan(self) -> Plan | None:
        """The schedule that was begun."""
        plan = self._now.plan
        return self._clockless(plan) if plan is not None and self._now is self._plain else plan

    def lookahead(self, most: int) -> list[Plan]:
        """Give schedules that will be wanted by what is going on."""
        plans = self._now.lookahead(most)
        return [self._clockless(plan) for plan in plans] if self._now is self._plain else plans

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Ask what is going on."""
        return self._now.choose(_clockless(moves) if self._now is self._plain else moves, done=done)

    def skip(self) -> None:
        """Let what is going on leave a schedule out."""
        self._now.skip()

    def learn(self, trace: Trace) -> None:
        """Count the schedule, and let what is going on learn."""
        self.schedules += 1
        self.clock_schedules += any(move.actor == "clock" for move in trace.moves)
        self._now.learn(trace)

    def _plan(self) -> Iterator[bool]:
        """Go from one thing to the next, a schedule at a time."""
        yield from self._from(self._hunt, self._timely)
        if self._clock_apart and not self.waits():
            self._plain = self._proved()
            yield from self._from(self._plain, self._timely)
            for self._hunt.timed in (True, False):
                yield from self._from(self._hunt)
        if not self.waits():
            self._proof = self._proved()
            yield from self._from(self._proof)
        if self.waits():
            self._now = self._every
            while self._every.more():
                yield True

    def _from(self, scheduler: Hunt | Dpor, enough: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Take schedules from a scheduler until it has no more, there are enough, or a request is seen to wait."""
        self._now = scheduler
        while not self.waits() and scheduler.more():
            yield True
            if enough():
                return

    def _proved(self) -> Dpor:
        return Dpor(self._dependence, alike=self._alike, read=self._read)

    @staticmethod
    def _clockless(plan: Plan) -> Plan:
        return Plan(plan.begin, lambda taken, moves, done: plan.then(taken, _clockless(moves), done))

    def _timely(self) -> bool:
        """Return whether it is time for schedules in which the clock moves, whatever is left of the others."""
        return self._clock_apart and self._clock_turn()


SCHEDULERS.register(
    "auto",
    Registered(
        lambda search: Auto(
            search.dependence,
            fused=search.fused,
            possible=search.possible,
            alike=search.alike,
            clock_apart=search.clock_apart,
            clock_turn=search.clock_turn,
            read=search.read,
        ),
        covering=True,
    ),
)


def _clockless(moves: Sequence[Move]) -> list[Move]:
    return [move for move in moves if move.actor != "clock"]
