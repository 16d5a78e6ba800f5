"""The passing schedule nearest to a failing one, and the two steps whose order makes the difference.

The distance is the number of steps that must be moved (Ulam's, on permutations). Schedules that differ only where steps
share no object are the same (Mazurkiewicz, 1977) and run once. Sans I/O: schedules to run are given, what they broke is
sent.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from stress.core.step import START, WHOLE
from stress.report.events import Nearest
from stress.schedulers.base import is_environment
from stress.schedulers.guided import Guided, RunOutcome

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from stress.core.step import Move

Places = tuple[int, ...]
"""A word over the moves of the failing schedule, each named by where it stands there."""

_MOST_RUNS = 200


def nearest(moves: Sequence[Move], most: int = _MOST_RUNS) -> Generator[Guided, RunOutcome | None, Nearest | None]:
    """Find the nearest passing schedule of a failing one; None where ``most`` runs did not find one.

    A few runs more may confirm that the two steps make the difference. Each scheduler that is yielded is to be run
    once. What it made and broke is sent back, or None where it could not be run. A schedule passes that breaks no
    invariant.
    """
    search = _ClosestSearch(tuple(moves), most)
    frontier: list[Places] = [tuple(range(len(moves)))]
    for moved in range(1, len(moves)):
        frontier = search.beyond(frontier)
        for word in frontier[: search.left]:
            if (yield from search.passes(word)):
                closest, ran = yield from search.closest(word)
                second, first = search.pair(closest)
                return Nearest(ran.moves, moved, moves[first], moves[second])
        for at, move in enumerate(moves if moved == 1 else ()):
            ran_without = None
            if is_environment(move):
                ran_without = yield from search.run([*moves[:at], *moves[at + 1 :]])
            if ran_without is not None:
                return Nearest(ran_without.moves, moved, move, None)
        if search.left <= 0 or not frontier:
            break
    return None


class _ClosestSearch:
    """What is known of the schedules near a failing one; ``left`` runs may still be made."""

    def __init__(self, moves: tuple[Move, ...], most: int) -> None:
        self.moves = moves
        self.left = most
        self._pairs = dict.fromkeys(_dependent(moves))
        start = tuple(range(len(moves)))
        self._seen = {self._class(start)}
        self._failed = {self._class(start)}
        self._passed: dict[Places, RunOutcome] = {}

    def beyond(self, words: Sequence[Places]) -> list[Places]:
        """Give a schedule of each new class with one more step moved, those that exchange fewest steps first."""
        found: list[Places] = []
        for word in words:
            for other in self._moved(word):
                if (name := self._class(other)) not in self._seen:
                    self._seen.add(name)
                    found.append(other)
        return sorted(found, key=lambda word: len(self._exchanged(word)))

    def passes(self, word: Places) -> Generator[Guided, RunOutcome | None, bool]:
        """Run a schedule, unless one of its class was seen to fail; return whether it passes."""
        if self._class(word) in self._failed:
            return False
        ran = yield from self.run([self.moves[place] for place in word])
        if ran is None:
            self._failed.add(self._class(word))
            return False
        self._passed[word] = ran
        return True

    def run(self, moves: Sequence[Move]) -> Generator[Guided, RunOutcome | None, RunOutcome | None]:
        """Run a schedule; give what became of it if it passes."""
        self.left -= 1
        ran = yield Guided(moves)
        return None if ran is None or ran.broken else ran

    def closest(self, word: Places) -> Generator[Guided, RunOutcome | None, tuple[Places, RunOutcome]]:
        """Undo one exchange after the other as long as that passes too; then the last one makes the difference."""
        while True:
            back = self._undone(word, *self.pair(word))
            if not (yield from self.passes(back)):
                return word, self._passed[word]
            word = back

    def pair(self, word: Places) -> tuple[int, int]:
        """Give the exchanged steps that stand nearest to each other, as they stand in ``word``.

        No step need be between them: one that depends on both would have been exchanged with one of them.
        """
        at = {place: index for index, place in enumerate(word)}
        return min(self._exchanged(word), key=lambda pair: (at[pair[1]] - at[pair[0]], at[pair[0]]))

    def _undone(self, word: Places, first: int, second: int) -> Places:
        """Exchange two steps, and what depends on the first comes after both."""
        begin, end = word.index(first), word.index(second)
        later = [first]
        sooner: list[int] = []
        for place in word[begin + 1 : end]:
            depends = any(self._depend(place, one) for one in later)
            (later if depends else sooner).append(place)
        return (*word[:begin], *sooner, second, *later, *word[end + 1 :])

    def _depend(self, one: int, other: int) -> bool:
        same = self.moves[one].actor == self.moves[other].actor
        return same or (min(one, other), max(one, other)) in self._pairs

    def _class(self, word: Places) -> tuple[bool, ...]:
        at = {place: index for index, place in enumerate(word)}
        return tuple(at[one] < at[other] for one, other in self._pairs)

    def _exchanged(self, word: Places) -> list[tuple[int, int]]:
        """List the steps that depend on each other and stand the other way round, as they stand in ``word``."""
        at = {place: index for index, place in enumerate(word)}
        return [(other, one) for one, other in self._pairs if at[other] < at[one]]

    def _moved(self, word: Places) -> Iterator[Places]:
        """Give all words with one step moved, as far as the others of its actor let it."""
        for begin, place in enumerate(word):
            for step in (1, -1):
                end = begin + step
                while 0 <= end < len(word) and self.moves[word[end]].actor != self.moves[place].actor:
                    without = word[:begin] + word[begin + 1 :]
                    yield (*without[:end], place, *without[end:])
                    end += step


def _dependent(moves: Sequence[Move]) -> Iterator[tuple[int, int]]:
    """List the moves of two actors whose order may matter: on a common object, or distinguished by the time.

    A start and the last move of another request, which answers it, are: who was answered before another began must
    not know of it. The environment depends on everything.
    """
    last = {move.actor: place for place, move in enumerate(moves)}
    for (one, a), (other, b) in combinations(enumerate(moves), 2):
        if a.actor == b.actor:
            continue
        timed = (a.command == START and last[b.actor] == other) or (b.command == START and last[a.actor] == one)
        environment = is_environment(a) or is_environment(b)
        some, others = set(a.object.split()), set(b.object.split())
        whole = some and others and WHOLE in some | others
        if timed or environment or whole or some & others:
            yield one, other
