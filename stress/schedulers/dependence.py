"""Which moves depend on each other: only the order of those can change what a run leads to.

Two moves that are independent may be swapped where they stand side by side, and the run leads to the same. Schedules
that differ by such swaps alone are one class (Mazurkiewicz 1977), and one schedule of each class is enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stress.core.step import START, WHOLE, Access, Move, Step, Touch
from stress.core.trace import Kind
from stress.schedulers.base import is_request, is_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.core.trace import Trace

_TOUCHING = ("expiry", "cleanup", "writer")
_ANYTHING = (Touch(WHOLE, Access.WRITE),)
_MOVES = (Kind.START, Kind.STEP, Kind.ENVIRONMENT)


class Effect(NamedTuple):
    """What one move of a run did: its objects, the reply, and whether the client had its answer by its end.

    ``varies`` says that it touched what its command does not name, as a script may: in another state it may touch more.
    """

    move: Move
    touches: tuple[Touch, ...] = ()
    reply: str = ""
    answered: bool = False
    varies: bool = False


def effects(trace: Trace) -> list[Effect]:
    """Read from the events of a trace what each of its moves did, in order."""
    found: list[Effect] = []
    last: dict[str, int] = {}
    answered: set[str] = set()
    for event in trace.events:
        if event.kind is Kind.ANSWER and event.actor in last:
            place = last[event.actor]
            found[place] = found[place]._replace(answered=True)
            answered.add(event.actor)
        elif event.kind in _MOVES and len(found) < len(trace.moves):
            move = trace.moves[len(found)]
            if (move.actor, move.command) == (event.actor, event.command):  # else of a request that came before
                last[event.actor] = len(found)
                found.append(Effect(move, event.touches, event.reply, move.actor in answered, event.varies))
    return found


def always(move: Move) -> bool:  # noqa: ARG001 - an answer for every move
    """Say yes of every move."""
    return True


def never(one: Effect, other: Effect) -> bool:  # noqa: ARG001 - an answer for every two
    """Say no of every two effects."""
    return False


class Dependence:
    """The relation between moves that decides what is one class.

    Two moves depend on each other when they are of one actor, or touch a common object and one of them changes it
    (Flanagan and Godefroid, POPL 2005). What a store does not show is added:

    ``fused``: requests share only the store, so that the start of one depends on nothing but the clock, what a watch
    shows its replica, and its own client; one that is answered at once also on what may end an epoch. Without it,
    it depends on everything.
    ``reads_time``: whether the code after a request's move may read the time; such moves depend on ``clock``.
    ``writes``: the objects that ``expiry`` and ``cleanup`` write, by actor; all of them where it does not say.
    ``replicas``: the replica of each request; ``watch:r`` depends on every move of replica r, and on every
    write, as an event shows one.
    ``clients``: the request of each actor that hangs up (``client``, ``client:A``); it depends on every move of that
    request.
    ``precedence``: a check asks which request was answered before another was sent (linearizability), so that the last
    move of a request depends on the start of each other.
    ``real_time``: a check asks for the order of all starts, answers and moves of the environment but deliveries.
    ``commute``: which effects leave the same behind in either order although they write one object, as two increments
    do whose replies nobody looks at. Only a model can know that.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each rule
        self,
        *,
        fused: bool,
        reads_time: Callable[[Move], bool] = always,
        writes: Mapping[str, Sequence[str]] | None = None,
        replicas: Mapping[str, int] | None = None,
        clients: Mapping[str, str] | None = None,
        precedence: bool = False,
        real_time: bool = False,
        commute: Callable[[Effect, Effect], bool] = never,
    ) -> None:
        """Take the rules."""
        self._fused, self._reads_time, self._commute = fused, reads_time, commute
        self._writes, self._replicas, self._clients = writes or {}, replicas or {}, clients or {}
        self.precedence, self.real_time = precedence, real_time

    def between(self, one: Effect, other: Effect) -> bool:
        """Return whether the order of two effects matters."""
        if one.move.actor == other.move.actor or self._unseen(one, other) or self._unseen(other, one):
            return True
        if self.real_time and _public(one) and _public(other):
            return True
        return self._step(one).conflicts(self._step(other)) and not self._commute(one, other)

    def _unseen(self, one: Effect, other: Effect) -> bool:
        """Return whether a rule says so that no object shows."""
        kind, _, which = one.move.actor.partition(":")
        actor = other.move.actor
        if one.move.command == START:
            at_once = one.answered and actor in _TOUCHING
            return not self._fused or at_once or (self.precedence and other.answered)
        if kind == "clock":
            return (is_request(actor) or is_worker(actor)) and self._reads_time(other.move)
        if kind == "watch":  # what is delivered comes from a write, which must come first
            writes = actor in _TOUCHING or any(touch.access is not Access.READ for touch in other.touches)
            return str(self._replicas.get(actor, "")) == which or writes
        return kind == "client" and self._clients.get(one.move.actor) == actor

    def _step(self, effect: Effect) -> Step:
        touches = effect.touches
        if effect.move.actor in _TOUCHING:
            written = self._writes.get(effect.move.actor, (WHOLE,))
            touches = (*touches, *(Touch(name, Access.WRITE) for name in written))
        return Step(effect.move, touches)


def _public(effect: Effect) -> bool:
    """Return whether an effect is one that clients or the environment see: a start, an answer, or a move of theirs."""
    actor = effect.move.actor
    unseen = is_request(actor) or is_worker(actor) or actor.startswith("watch:")
    return effect.answered or effect.move.command == START or not unseen


class Table:
    """Numbers for effects, so that whole sets of them are compared in one operation.

    ``dependent[n]`` has bit m set when the effects n and m depend on each other; ``moves[n]`` is the number of its
    move. Number 0 is the end of a run at a point where the environment could still have acted: it depends on all.
    ``varying`` are the commands that were seen to vary: from then on each of them may touch anything.
    """

    def __init__(self, dependence: Dependence) -> None:
        """Begin with the end alone."""
        self._dependence = dependence
        self._numbers: dict[Effect, int] = {}
        self._places: dict[Move, int] = {}
        self._last: dict[Move, int] = {}
        self.effects: list[Effect] = [Effect(Move("", "", ""))]
        self.dependent: list[int] = [-1]
        self.moves: list[int] = [0]
        self.varying: set[str] = set()

    def number(self, effect: Effect) -> int:
        """Give the number of an effect; its reply makes no difference."""
        if effect.varies:
            self.varying.add(effect.move.command)
        touches = _ANYTHING if effect.move.command in self.varying else effect.touches
        rule = self._dependence
        answered = effect.answered and (rule.precedence or rule.real_time or effect.move.command == START)
        plain = Effect(effect.move, touches, "", answered)
        found = self._numbers.get(plain)
        if found is None:
            found = self._numbers[plain] = len(self.effects)
            bits = 1 | 1 << found
            for other in range(1, found):
                if self._dependence.between(plain, self.effects[other]):
                    bits |= 1 << other
                    self.dependent[other] |= 1 << found
            self.effects.append(plain)
            self.dependent.append(bits)
            self.moves.append(self._places.setdefault(plain.move, len(self._places) + 1))
        self._last[plain.move] = found
        return found

    def expected(self, move: Move) -> int:
        """Give the number of what a move did when it was last run; one that never was may do anything."""
        found = self._last.get(move)
        if found is None:
            unknown = _ANYTHING if is_request(move.actor) or is_worker(move.actor) else ()
            found = self.number(Effect(move, unknown))
        return found
