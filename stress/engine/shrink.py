"""Make a failing schedule as small as it gets: fewest preemptions, then fewest actors, then earliest.

Preemptions are left out as delta debugging does it (Zeller and Hildebrandt, TSE 2002), beginning with all but one, as
most races need one or two (Musuvathi and Qadeer, PLDI 2007). Sans I/O: schedules to run are given, and what they broke
is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from stress.schedulers.base import is_environment
from stress.schedulers.guided import Guided, RunOutcome

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from stress.core.step import Move

Rank = tuple[int, int, tuple[int, ...], tuple[str, ...]]
Word = tuple["Move", ...]
_MOST_RUNS = 200
_Candidates = Callable[[Word], "list[Word]"]


class Preemption(NamedTuple):
    """A place where an actor that has more moves stops after ``made`` of them, and another goes on."""

    actor: str
    made: int
    to: str


def preemptions(moves: Sequence[Move]) -> list[tuple[int, Preemption]]:
    """List the places where another actor goes on although the one before has more moves, and their indexes."""
    last = {move.actor: at for at, move in enumerate(moves)}
    made: dict[str, int] = {}
    found = []
    for at, move in enumerate(moves[:-1]):
        made[move.actor] = made.get(move.actor, 0) + 1
        if moves[at + 1].actor != move.actor and last[move.actor] > at:
            found.append((at, Preemption(move.actor, made[move.actor], moves[at + 1].actor)))
    return found


def tangled(moves: Sequence[Move]) -> list[str]:
    """Name the actors that the schedule is about: requests that overlap with another actor, and the environment."""
    spans: dict[str, tuple[int, int]] = {}
    for at, move in enumerate(moves):
        spans[move.actor] = (spans.get(move.actor, (at, at))[0], at)
    return [
        actor
        for actor, (first, last) in spans.items()
        if is_environment(moves[first])
        or any(start < last and first < end for other, (start, end) in spans.items() if other != actor)
    ]


def rank(moves: Sequence[Move]) -> Rank:
    """Give what makes a schedule smaller than another: preemptions, actors, how early its preemptions are, and names.

    Where the environment acts is a place as a preemption is.
    """
    places = [at for at, _ in preemptions(moves)]
    acts = [at for at, move in enumerate(moves) if is_environment(move)]
    return len(places), len(tangled(moves)), tuple(sorted(places + acts)), tuple(move.actor for move in moves)


def shrink(
    moves: Sequence[Move], wanted: frozenset[str], most: int = _MOST_RUNS
) -> Generator[Guided, RunOutcome | None, Word]:
    """Give the smallest schedule found in ``most`` runs that breaks all ``wanted`` invariants, as ``moves`` does.

    Each scheduler that is yielded is to be run once. What it made and broke is sent back, or None where it could not be
    run. Messages are not compared: a record of another name is the same failure.
    """
    search = _ShrinkSearch(tuple(moves), wanted, most)
    before = None
    while before != search.best:
        before = search.best
        for candidates in (
            _with_few_preemptions,
            _with_fewer_actors,
            _with_one_preemption_less,
            _environment_elsewhere,
        ):
            yield from search.try_all(candidates)
    yield from search.try_all(_tidied)
    yield from search.try_all(_earlier)
    return search.best


class _ShrinkSearch:
    """The smallest failing schedule so far, and what was tried."""

    def __init__(self, moves: Word, wanted: frozenset[str], most: int) -> None:
        self.best = moves
        self._left = most
        self._wanted = wanted
        self._tried = {_actors(moves)}

    def attempt(self, word: Word) -> Generator[Guided, RunOutcome | None, bool]:
        """Run a schedule that promises to be smaller; keep it if it is and still fails."""
        if not self._left or _actors(word) in self._tried or rank(word) >= rank(self.best):
            return False
        self._left -= 1
        self._tried.add(_actors(word))
        ran = yield Guided(word)
        if ran is None or not self._wanted <= ran.broken or rank(ran.moves) >= rank(self.best):
            return False
        self.best = ran.moves
        self._tried.add(_actors(ran.moves))
        return True

    def try_all(self, candidates: _Candidates) -> Generator[Guided, RunOutcome | None, None]:
        """Try the smaller schedules that one makes of the best, from the beginning again after each success."""
        shortened = True
        while shortened:
            shortened = False
            for word in sorted(candidates(self.best), key=rank):
                shortened = yield from self.attempt(word)
                if shortened:
                    break


def _actors(moves: Iterable[Move]) -> tuple[str, ...]:
    return tuple(move.actor for move in moves)


def _keeping(moves: Word, kept: Sequence[Preemption]) -> list[Word]:
    """Give the schedules in which everyone keeps going but for some preemptions; who has ended is followed as before.

    The first actor is that of ``moves``, or that of the first preemption.
    """
    first = dict.fromkeys([moves[0].actor, *(one.actor for one in kept[:1])])
    return [_going_on(moves, {(one.actor, one.made): one.to for one in kept}, actor) for actor in first]


def _going_on(moves: Word, targets: Mapping[tuple[str, int], str], current: str) -> Word:
    left: dict[str, list[Move]] = {}
    for move in moves:
        left.setdefault(move.actor, []).append(move)
    total = {actor: len(own) for actor, own in left.items()}
    at = {move: index for index, move in enumerate(moves)}
    found: list[Move] = []
    while len(found) < len(moves):
        found.append(left[current].pop(0))
        to = targets.get((current, total[current] - len(left[current])))
        if to is not None and left[to]:
            current = to
        elif not left[current] and len(found) < len(moves):
            current = min((own[0] for own in left.values() if own), key=lambda move: at[move]).actor
    return tuple(found)


def _with_few_preemptions(moves: Word) -> list[Word]:
    """Keep no preemption, or one, or those away from one actor, as a retry is exhausted by the others in turn."""
    kept = [preemption for _, preemption in preemptions(moves)]
    by_actor = [[one for one in kept if one.actor == actor] for actor in dict.fromkeys(one.actor for one in kept)]
    return [word for some in [[], *([one] for one in kept), *by_actor] for word in _keeping(moves, some)]


def _with_one_preemption_less(moves: Word) -> list[Word]:
    kept = [preemption for _, preemption in preemptions(moves)]
    return [word for left in kept for word in _keeping(moves, [one for one in kept if one is not left])]


def _with_fewer_actors(moves: Word) -> list[Word]:
    """Let a request run before or after all others, or leave the environment's move out."""
    found: list[Word] = []
    for actor in tangled(moves):
        own = tuple(move for move in moves if move.actor == actor)
        others = tuple(move for move in moves if move.actor != actor)
        found += [others] if is_environment(own[0]) else [others + own, own + others]
    return found


def _environment_elsewhere(moves: Word) -> list[Word]:
    """Let a move of the environment come at another place."""
    found = []
    for at, move in enumerate(moves):
        others = moves[:at] + moves[at + 1 :]
        if is_environment(move):
            found += [(*others[:place], move, *others[place:]) for place in range(len(moves))]
    return found


def _tidied(moves: Word) -> list[Word]:
    """Let requests that overlap with none run last, and exchange names so that requests begin as A, B, C."""
    about = set(tangled(moves))
    last = tuple(move for move in moves if move.actor in about) + tuple(m for m in moves if m.actor not in about)
    return [last, _renamed(last), _renamed(moves)]


def _renamed(moves: Word) -> Word:
    requests = [move.actor for move in moves if not is_environment(move)]
    names = dict(zip(dict.fromkeys(requests), sorted(set(requests)), strict=True))
    return tuple(move._replace(actor=names.get(move.actor, move.actor)) for move in moves)


def _earlier(moves: Word) -> list[Word]:
    """Let a preemption come one move earlier; what it must come after is where that no longer fails."""
    kept = [preemption for _, preemption in preemptions(moves)]
    taken = {(one.actor, one.made) for one in kept}
    return [
        word
        for index, one in enumerate(kept)
        if one.made > 1 and (one.actor, one.made - 1) not in taken
        for word in _keeping(moves, [*kept[:index], one._replace(made=one.made - 1), *kept[index + 1 :]])
    ]
