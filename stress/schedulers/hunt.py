"""Schedules with few preemptions, placed only where they can matter: what most races need, before anything is proved.

Most races need one or two preemptions (Musuvathi and Qadeer, PLDI 2007), and a preemption matters only right before a
move that conflicts with something that another actor does. What conflicts is learned from the runs so far.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from stress.core.step import START
from stress.schedulers.adversaries.overtake import Overtake
from stress.schedulers.adversaries.starve import Starve
from stress.schedulers.base import Diverged, fused_starts, is_environment, is_request, keep_going, preemptions_away
from stress.schedulers.dependence import Table, effects
from stress.schedulers.lookahead import Plan, going_on
from stress.schedulers.symmetry import Symmetry, of_actor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.schedulers.dependence import Dependence, Effect
    from stress.schedulers.symmetry import Histories

PREEMPTIONS = 2
"""How many preemptions a schedule of the hunt has at most."""
_STARVING = 3
"""From how many requests on one is starved: two lose an attempt to each other with one preemption."""
_SHALLOW = 10
"""After how many schedules every second one is of the adversary for late writes: most races are found before."""
_CROWDED = 4
"""After how many schedules both adversaries have their turn where so many are alike that one is starved."""


class _Prefix(NamedTuple):
    """The moves that a schedule begins with, and the preemptions in them."""

    moves: tuple[Move, ...]
    preemptions: int


class _Skipped(NamedTuple):
    """A preemption that seems to matter to nothing: what it would come before, by number, and how to run it."""

    before: int
    prefix: _Prefix


class PreemptionPoint(NamedTuple):
    """What was possible at one point of a schedule, of that what is worth a look, and who could have gone on."""

    moves: tuple[Move, ...]
    offered: tuple[Move, ...]
    current: str | None
    done: bool


class Hunt:
    """Runs schedules with 0, 1 and 2 preemptions, each placed at a conflict, fewest first, and those of adversaries.

    ``dependence`` says which moves conflict. Of actors ``alike`` that have the same history only the first preempts.
    ``starve`` is the adversary for retries that has its turn after the schedules with one preemption, ``overtake`` the
    one for late writes, which takes turns with those that are left after the first ten; where three or more are alike
    both have their turn after the first four, as schedules with one preemption are many. With ``clock_apart`` schedules
    in which the clock moves are run only while ``timed`` is set, and no others then.

    ``schedules`` counts runs. Where a request showed no move or several before its end, one has ``waited`` for another.
    """

    name = "hunt"

    def __init__(
        self,
        dependence: Dependence,
        *,
        fused: bool,
        alike: Sequence[str] = (),
        clock_apart: bool = False,
        read: Callable[[Trace], Sequence[Effect]] = effects,
    ) -> None:
        """Begin with the schedule without a preemption."""
        self._fused, self._read, self._then = fused, read, going_on(fused=fused)
        self._clock_apart, self.timed = clock_apart, False
        self._table = Table(dependence)
        self._alike = frozenset(alike if len(alike) > 1 else ())
        self._symmetry = Symmetry(alike, self._table, of_actor, dependence) if self._alike else None
        self._plain: dict[int, deque[_Prefix]] = {0: deque([_Prefix((), 0)])}
        self._timed: dict[int, deque[_Prefix]] = {}
        self._seen: dict[str, int] = {}
        self._skipped: list[_Skipped] = []
        self._learned = False
        self._prefix = _Prefix((), 0)
        self._points: list[PreemptionPoint] = []
        self._taken: list[Move] = []
        self._running = False
        self.starve, self.overtake = Starve(self._alike), Overtake(self._alike)
        self._adversary: Starve | Overtake | None = None
        self.schedules = 0
        self.waited = False

    @property
    def bound(self) -> int | None:
        """The largest b so that every schedule with at most b preemptions was run, or one of its class; None: not 0.

        The clock counts: with schedules of it left the bound is what they leave.
        """
        left = {*self._plain, *self._timed} | ({self._prefix.preemptions} if self._running else set())
        least = min(left, default=PREEMPTIONS + 1)
        return least - 1 if least else None

    def more(self) -> bool:
        """Take the next prefix with the fewest preemptions, or the next victim to starve."""
        self._points, self._taken = [], []
        self._adversary = self._next_adversary()
        if self._adversary is not None:
            self._running = True
            return True
        queues = self._timed if self.timed else self._plain
        if not queues:
            return False
        level = min(queues)
        self._prefix = queues[level].popleft()
        if not queues[level]:
            del queues[level]
        self._running = True
        return True

    def _next_adversary(self) -> Starve | Overtake | None:
        """Give the adversary whose turn it is, if it has something left."""
        crowded = len(self._alike) >= _STARVING
        deep = min(self._plain, default=PREEMPTIONS) >= PREEMPTIONS or (crowded and self.schedules >= _CROWDED)
        if deep and len(self._seen) >= _STARVING and self.starve.more():
            return self.starve
        shallow = _CROWDED if crowded else _SHALLOW
        due = self._plain and not self.timed and self.schedules >= shallow and self.schedules % 2 == 0
        return self.overtake if due and self.overtake.more() else None

    @property
    def plan(self) -> Plan | None:
        """The schedule that was begun; what an adversary does can't be known in advance."""
        return None if self._adversary is not None else Plan(self._prefix.moves, self._then)

    def lookahead(self, most: int) -> list[Plan]:
        """Give schedules of the queue."""
        queues = self._timed if self.timed else self._plain
        waiting = (prefix for level in sorted(queues) for prefix in queues[level])
        return [Plan(one.moves, self._then) for one in islice(waiting, most)]

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Follow the prefix, then let everyone keep going."""
        at = len(self._taken)
        current = self._taken[-1].actor if self._taken else None
        offered = fused_starts(moves, self._taken) if self._fused else moves
        if self._adversary is not None:
            move = self._adversary.choose(moves, done=done)
        elif at < len(self._prefix.moves):
            move = self._prefix.moves[at]
            if move not in moves:
                raise Diverged(at + 1, str(move), moves)
        else:
            move = self._then(self._taken, moves, done)
        self._points.append(PreemptionPoint(tuple(moves), tuple(offered), current, done))
        if move is not None:
            self._taken.append(move)
        return move

    def skip(self) -> None:
        """Leave a schedule out, but for the first one, which all others come from: that comes again."""
        self._running = False
        if self._adversary is None and not self._prefix.moves:
            self._plain.setdefault(0, deque()).appendleft(self._prefix)

    def learn(self, trace: Trace) -> None:
        """Take in what each move did, and note where another schedule is worth a run."""
        done = self._read(trace)
        first = not self.schedules
        self._running = False
        self.schedules += 1
        numbers = [self._number(effect) for effect in done]
        self.waited = self.waited or not _regular(self._points, done)
        if first:
            self.starve.more()
            self.starve.learn(trace)
            self.overtake.learn(trace, {move.actor for point in self._points for move in point.moves})
        if self._adversary is not None:
            self._adversary.learn(trace)
        else:
            self._branch(done, numbers)
        if self._learned:
            self._reconsider()

    def _number(self, effect: Effect) -> int:
        """Give the number of an effect; actors that are alike may do the same."""
        number = self._table.number(effect)
        actor = effect.move.actor
        for one in sorted(self._alike) if actor in self._alike else (actor,):
            same = number if one == actor else self._table.number(of_actor(effect, one))
            known = self._seen.get(one, 0)
            self._seen[one] = known | 1 << same
            self._learned = self._learned or self._seen[one] != known
        return number

    def _branch(self, done: Sequence[Effect], numbers: Sequence[int]) -> None:
        """Note each other choice after the prefix that costs no preemption too many and is placed at a conflict."""
        histories = self._histories(done)
        for at in range(len(self._prefix.moves), len(self._points)):
            point = self._points[at]
            taken = self._taken[at] if at < len(self._taken) else None
            tried = {histories[at][taken.actor]} if taken is not None and taken.actor in histories[at] else set()
            for move in keep_going(point.offered, point.current):
                if move == taken or self._same(move, histories[at], tried):
                    continue
                preempts = preemptions_away(move, point.offered, point.current)
                cost = self._prefix.preemptions + preempts
                if cost > PREEMPTIONS:
                    continue
                prefix = _Prefix((*self._taken[:at], move), cost)
                if not preempts or at >= len(numbers) or self._conflict(move, numbers[at]):
                    self._note(prefix)
                else:
                    self._skipped.append(_Skipped(numbers[at], prefix))

    def _reconsider(self) -> None:
        """Run the preemptions left out before that are now seen to come before a conflict."""
        self._learned = False
        skipped, self._skipped = self._skipped, []
        for one in skipped:
            if self._conflict(one.prefix.moves[-1], one.before):
                self._note(one.prefix)
            else:
                self._skipped.append(one)

    def _histories(self, done: Sequence[Effect]) -> list[Histories]:
        """Give the histories of those alike before each move, and at the end; none where no two are alike."""
        if self._symmetry is None:
            return [{}] * (len(done) + 1)
        histories, epoch = self._symmetry.beginning, 0
        found = [histories]
        for effect in done:
            histories, epoch = self._symmetry.after(histories, epoch, effect)
            found.append(histories)
        return found

    def _same(self, move: Move, histories: Histories, tried: set[int]) -> bool:
        """Return whether one of those alike, with the same history, was tried here."""
        mine = histories.get(move.actor)
        if mine is None:
            return False
        known = mine in tried
        tried.add(mine)
        return known

    def _conflict(self, move: Move, next_one: int) -> bool:
        """Return whether what is preempted conflicts with something that others do.

        Not only the one who preempts: when it ends, or is preempted too, any other may come before who was preempted.
        """
        dependent = self._table.dependent[next_one]
        if is_environment(move):
            seen = 1 << self._table.expected(move)
        elif move.actor in self._seen:
            seen = 0
        else:
            return True
        current = self._table.effects[next_one].move.actor
        return any(dependent & bits for bits in (seen, *(self._seen[one] for one in self._seen if one != current)))

    def _note(self, prefix: _Prefix) -> None:
        clock = any(move.actor == "clock" for move in prefix.moves)
        # Where starts are fused, two in a row are there for a move of the clock between them and their first steps.
        clock = clock or (
            self._fused and all(move.command == START for move in prefix.moves[-2:]) and len(prefix.moves) > 1
        )
        queues = self._timed if clock and self._clock_apart else self._plain
        queues.setdefault(prefix.preemptions, deque()).append(prefix)


def _regular(points: Sequence[PreemptionPoint], done: Sequence[Effect]) -> bool:
    """Return whether each request showed one move at each point until its last, which brought its answer."""
    left: dict[str, int] = {}
    for effect in done:
        left[effect.move.actor] = left.get(effect.move.actor, 0) + 1
    last = {effect.move.actor: effect.answered for effect in done if not is_environment(effect.move)}
    if not points or not all(last.values()):
        return False
    for at, point in enumerate(points):
        shown = [move.actor for move in point.moves if not is_environment(move)]
        if sorted(shown) != sorted(actor for actor, more in left.items() if more and is_request(actor)):
            return False
        if at < len(done):
            left[done[at].move.actor] -= 1
    return True
