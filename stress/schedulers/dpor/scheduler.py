"""One schedule of each class: optimal dynamic partial order reduction, with source sets and wakeup trees.

After Abdulla, Aronis, Jonsson and Sagonas, Optimal dynamic partial order reduction, POPL 2014, and Source sets: a
foundation for optimal dynamic partial order reduction, JACM 2017. The names of the parts are theirs: a race is two
dependent moves that could have come the other way round; it is answered by a wakeup sequence that lets them; what was
explored at a point sleeps there until a move that depends on it wakes it.

The scheduler does no I/O: it proposes moves, is given what they did, and proposes the next schedule.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from stress.core.registry import SCHEDULERS
from stress.core.step import START
from stress.schedulers.base import Diverged, is_environment, is_request
from stress.schedulers.dependence import Table, effects
from stress.schedulers.dpor.level import Level, waits
from stress.schedulers.dpor.wakeup import Absorbed, Branch, all_absorbed, branch_of, firsts, graft, possible, without
from stress.schedulers.lookahead import Plan
from stress.schedulers.registered import Registered
from stress.schedulers.symmetry import Symmetry, of_actor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace
    from stress.schedulers.dependence import Dependence, Effect


class Dpor:
    """Runs one schedule of each class of the ``dependence`` between moves.

    ``alike`` names requests that are identical: then one schedule of each class up to their names is enough, and
    ``rename`` gives an effect as another of them would have it. ``read`` gives what each move of a trace did.

    An executor must offer a move until it is taken, but for the clock, which ends with the last request. A request that
    waits for another shows nothing of it. Where what it waits for may go away again (a lock) a class may
    be missed: the search is ``doubtful`` as soon as one is seen to wait, and nothing is called exhausted. It is not
    where ``stays``: what was waited for is there for good (a reply that the store has sent).

    ``schedules`` counts runs, ``redundant`` those of them that are no class of their own: they asked for a move that
    turned out to be blocked. ``clock_schedules`` are those in which the clock moved.
    """

    name = "dpor"

    def __init__(
        self,
        dependence: Dependence,
        *,
        alike: Sequence[str] = (),
        rename: Callable[[Effect, str], Effect] = of_actor,
        stays: bool = False,
        read: Callable[[Trace], Sequence[Effect]] = effects,
    ) -> None:
        """Begin with the empty schedule."""
        self.read, self._stays = read, stays
        self.table = Table(dependence)
        self._symmetry = Symmetry(alike, self.table, rename, dependence) if len(alike) > 1 else None
        self._levels: list[Level] = []
        self._fixed = self._depth = self._standing = 0
        self._begun = self._running = self._lost = self._waiting = False
        self._absorbed: list[Absorbed] = []
        self.schedules = self.redundant = self.clock_schedules = 0
        self.doubtful = False

    @property
    def exhausted(self) -> bool:
        """Whether a schedule of every class has been run to its end."""
        return self._begun and not self._running and not self._levels and not self.doubtful

    @property
    def explored(self) -> int:
        """How many classes have been run: each schedule but the redundant ones is a class of its own."""
        return self.schedules - self.redundant

    def more(self) -> bool:
        """Go back to the last point with a branch that is still to be taken."""
        self._depth = self._standing = 0
        if not self._begun:
            self._begun = self._running = True
            return True
        levels = self._levels
        while levels:
            level = levels[-1]
            if level.tree and not self._waiting:
                level.tree.pop(0)
                self._fall_asleep(level)
            self._waiting = False
            if level.tree:
                self._fixed, self._standing, self._running = len(levels) - 1, len(levels), True
                return True
            levels.pop()
        return False

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Follow the levels so far, then a wakeup sequence, then any actor that can go on."""
        depth, levels = self._depth, self._levels
        self._depth = depth + 1
        if depth < len(levels):
            branch = levels[depth].tree[0]
            if branch.move in moves or possible(branch, moves, done=done):
                return branch.move
            raise Diverged(depth + 1, str(branch.move), moves)
        if self._lost:
            return self._first(moves, done=done)
        tree = levels[-1].tree[0].children if levels else []
        asked = bool(tree)
        for branch in [one for one in tree if not possible(one, moves, done=done)] if asked else ():
            self._absorbed += all_absorbed(branch)
            tree.remove(branch)
        if not tree:
            move = self._first(moves, done=done)
            if asked:
                self._lost = True
                return move
            tree.append(Branch(move, 0))
        levels.append(Level(tuple(moves), tree, done=done))
        return tree[0].move

    @property
    def plan(self) -> Plan | None:
        """The schedule that was begun."""
        if not self._levels:
            return Plan((), self._then)
        begin = [level.tree[0].move for level in self._levels[: self._fixed]]
        path = firsts(self._levels[self._fixed].tree[0])
        return Plan((*begin, *(one.move for one in path)), self._then)

    def lookahead(self, most: int) -> list[Plan]:
        """Give schedules that begin with branches that are still to be taken, the deepest first."""
        return list(islice(self._pending(), most))

    def _pending(self) -> Iterator[Plan]:
        for depth in range(len(self._levels) - 1, -1, -1):
            begin = [level.tree[0].move for level in self._levels[:depth]]
            for branch in self._levels[depth].tree[1:]:
                yield Plan((*begin, *(one.move for one in firsts(branch))), self._then)

    def _covered(self, level: Level, sequence: list[int]) -> bool:
        """Return whether what was explored at a level leads to the same as a sequence."""
        return any(without(sequence, number, self.table) is not None for number in level.sleep.values())

    def learn(self, trace: Trace) -> None:
        """Find the races of the schedule, and note for each of them what lets it come the other way round."""
        self.take_in(self.read(trace))

    def skip(self) -> None:
        """Leave a schedule out: its branch, whose class is not explored; the first one of all comes again."""
        self._running = self._lost = False
        self._absorbed.clear()
        del self._levels[self._standing :]
        if self._levels:
            self._levels[-1].tree.pop(0)
        self._begun = self._waiting = bool(self._levels)

    def take_in(self, done: Sequence[Effect]) -> None:
        """Learn from what each move of the schedule did."""
        self._running = False
        self.schedules += 1
        self.clock_schedules += any(effect.move.actor == "clock" for effect in done)
        if self._lost:
            self.redundant += 1
            self._give_up()
        else:
            known = len(self.table.varying)
            self._take_in(done)
            if known < len(self.table.varying):
                self._restart()
                return
            self.redundant += self._sleepwalked()
            self._answer_races()
        while self._absorbed:
            depth, sequence = self._absorbed.pop()
            self._insert(depth, sequence)

    def _restart(self) -> None:
        """Explore from the empty schedule again: what was left out so far may matter, as a command is seen to vary."""
        self._levels.clear()
        self._absorbed.clear()
        self._fixed = 0
        self._begun = self._waiting = False
        self.redundant = self.schedules

    def _sleepwalked(self) -> bool:
        """Return whether the schedule took a move that slept: then its class was explored before."""
        moves = self.table.moves
        return any(moves[level.number] in level.sleep for level in self._levels[self._fixed + 1 :])

    def _give_up(self) -> None:
        """Drop the wakeup sequence that could not be followed, and wait at the level where it began."""
        for level in reversed(self._levels[self._fixed :]):
            branch = level.tree[0]
            if not branch.children:
                self._absorbed += branch.absorbed
                level.tree.pop(0)
        del self._levels[self._fixed + 1 :]
        self._lost, self._waiting = False, True

    def _first(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Go on where anything may be."""
        last = self._levels[-1].tree[0].move if self._levels else None
        return self._then([] if last is None else [last], moves, done)

    def _then(self, taken: Sequence[Move], moves: Sequence[Move], done: bool) -> Move | None:  # noqa: FBT001 - a plan's
        """Let the current actor go on.

        Where actors are interchangeable all are started, so that their histories are equal, and the lowest goes first.
        """
        if done:
            return None
        if self._symmetry is not None:
            return next((move for move in moves if move.command == START), moves[0])
        if taken:
            for move in moves:
                if move.actor == taken[-1].actor and not is_environment(move):
                    return move
        return moves[0]

    def _fall_asleep(self, level: Level) -> None:
        """Note that all that begins with the move of a level has been explored, and drop what leads to the same."""
        table = self.table
        asleep = [level.number]
        if self._symmetry is not None:
            asleep += self._symmetry.images(level.number, level.histories)
        for number in asleep:
            level.sleep[table.moves[number]] = number
        if len(asleep) > 1:
            level.tree[:] = [one for one in level.tree if table.moves[one.number] not in level.sleep]

    def _take_in(self, done: Sequence[Effect]) -> None:
        """Number what the new moves did, and find what happened before them and which races they are in."""
        levels, table, symmetry = self._levels, self.table, self._symmetry
        for depth in range(self._fixed, len(levels)):
            level = levels[depth]
            branch = level.tree[0]
            if depth > self._fixed:
                above = levels[depth - 1]
                waking = table.dependent[above.number]
                level.sleep = {move: number for move, number in above.sleep.items() if not waking >> number & 1}
            if symmetry is not None:
                if depth == 0:
                    level.histories = symmetry.beginning
                elif depth > self._fixed:
                    level.histories, level.epoch = symmetry.after(above.histories, above.epoch, done[depth - 1])
            level.number = branch.number = 0 if branch.move is None else table.number(done[depth])
            level.before, level.races = self._races(depth, branch.move, level.number)
        for depth in range(self._fixed, len(levels)):
            level = levels[depth]
            after: Sequence[Move] = levels[depth + 1].offered if depth + 1 < len(levels) else ()
            taken = level.tree[0].move
            gone = [move for move in level.offered if move is not taken and move not in after and move != taken]
            self.doubtful = self.doubtful or any(is_request(move.actor) for move in gone)
            if taken is not None and not self._stays:
                self.doubtful = self.doubtful or waits(taken.actor, level.offered, after, done[depth])
            level.withdrawn = [
                (move, number, self._races(depth + 1, move, number)[1])
                for move in gone
                for number in (table.expected(move),)
            ]

    def _races(self, depth: int, move: Move | None, number: int) -> tuple[int, list[int]]:
        """Give what happens before a move at a depth, and which of it could as well have come after it.

        Of one actor only moves that were possible at the same time are in a race. The end of a run is in a race with
        what the environment does, as it can't come before the end of a request.
        """
        levels, dependent = self._levels, self.table.dependent[number]
        actor = "" if move is None else move.actor
        before, races = 0, []
        for earlier in range(depth - 1, -1, -1):
            if before >> earlier & 1:
                continue
            level = levels[earlier]
            if dependent >> level.number & 1:
                before |= level.before | 1 << earlier
                other = level.tree[0].move
                if move is None:
                    if other is not None and not is_request(other.actor):
                        races.append(earlier)
                elif other is None or other.actor != actor or move in level.offered:
                    races.append(earlier)
        return before, races

    def _answer_races(self) -> None:
        levels = self._levels
        for depth, level in enumerate(levels):
            for earlier in level.races:
                self._reverse(earlier, len(levels), level.tree[0].move, level.number)
            for move, number, races in level.withdrawn:
                for earlier in races:
                    self._reverse(earlier, self._until(depth, move), move, number)

    def _until(self, depth: int, move: Move) -> int:
        """Say up to where the schedule says what comes before a move that was withdrawn at a depth: all, or a part."""
        taken = any(level.tree[0].move == move for level in self._levels[depth + 1 :])
        return depth + 1 if taken else len(self._levels)

    def _reverse(self, earlier: int, until: int, move: Move | None, number: int) -> None:
        """Insert what lets a move come before the one at an earlier level: all that does not happen after that."""
        levels, moves = self._levels, self.table.moves
        this = moves[number]
        sequence = [
            level.number
            for level in levels[earlier + 1 : until]
            if not level.before >> earlier & 1 and moves[level.number] != this
        ]
        offered = move in levels[earlier].offered
        if not offered and not self._enabled(sequence, number):
            return
        sequence.append(number)
        self._insert(earlier, sequence)

    def _enabled(self, sequence: list[int], number: int) -> bool:
        """Return whether a sequence may make a move possible that was not before it; the end is always in time."""
        dependent = self.table.dependent[number]
        return not number or any(dependent >> other & 1 for other in sequence)

    def _insert(self, depth: int, sequence: list[int]) -> None:
        """Insert a wakeup sequence at a depth, unless what is explored or planned there leads to the same."""
        table = self.table
        while sequence and depth < len(self._levels):
            level = self._levels[depth]
            if self._covered(level, sequence):
                return
            waiting = self._waiting and depth == self._fixed
            rest = None if waiting else without(sequence, level.number, table)
            if rest is None:
                begin = branch_of(sequence[0], table)
                if not possible(begin, level.offered, done=level.done):
                    return
                if begin.move is not None and begin.move != table.effects[sequence[0]].move:
                    sequence = [table.expected(begin.move), *sequence[1:]]
                    continue
                graft(level.tree, 0 if waiting else 1, Absorbed(depth, sequence), table)
                return
            sequence, depth = rest, depth + 1


SCHEDULERS.register("dpor", Registered(lambda s: Dpor(s.dependence, read=s.read), covering=True))
