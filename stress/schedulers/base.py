"""What a scheduler is: three methods, as a scheduler of shuttle or loom, and nothing of the executor it explores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stress.core.step import ENVIRONMENT, FOREIGN, START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.step import Move
    from stress.core.trace import Trace


class Scheduler(Protocol):
    """Proposes schedules one after another.

    An executor asks ``more`` before each run, then ``choose`` for each move, then hands the trace to ``learn``.
    """

    name: str

    def more(self) -> bool:
        """Begin the next schedule; False when the scheduler has nothing left to try."""

    def choose(self, moves: Sequence[Move], *, done: bool) -> Move | None:
        """Pick one of the moves that are possible now.

        ``moves`` are in a fixed sequence: requests by name, then the environment. With ``done`` every request has
        been answered and only the environment is left: then None ends the run.
        """

    def learn(self, trace: Trace) -> None:
        """Take in what the schedule led to."""


class Diverged(Exception):
    """A schedule can't be followed any further.

    ``step`` counts from 1, ``expected`` is the move of the schedule, ``seen`` what was possible instead.
    """

    def __init__(self, step: int, expected: str, seen: Sequence[Move]) -> None:
        """Say where and how."""
        self.step, self.expected, self.seen = step, expected, tuple(seen)
        shown = " or ".join(str(move) for move in seen) or "nothing left to do"
        super().__init__(f"DIVERGED at step {step}: expected {expected}, saw {shown}")


def is_environment(move: Move) -> bool:
    """Return whether a move is of the environment."""
    return not is_request(move.actor)


def is_request(actor: str) -> bool:
    """Return whether an actor is a request; all others may act, and need not."""
    return actor not in ENVIRONMENT and actor.partition(":")[0] not in FOREIGN


def is_worker(actor: str) -> bool:
    """Return whether an actor works in a replica for no request: it has steps as a request, and need not take them."""
    return actor.startswith("worker:")


def keep_going(moves: Sequence[Move], current: str | None, interrupted: str | None = None) -> list[Move]:
    """Put the moves in the order in which a scheduler tries them.

    The current actor comes first and the environment last. After the environment acted, the request that it
    ``interrupted`` comes after the other requests: who goes on as if nothing had happened seldom fails.
    """
    return sorted(
        moves,
        key=lambda move: (move.actor != current, is_environment(move), move.actor == interrupted != current),
    )


def preemptions_away(move: Move, moves: Sequence[Move], current: str | None) -> bool:
    """Return whether a move preempts: the current actor could have gone on (Musuvathi and Qadeer, PLDI 2007)."""
    return move.actor != current and any(other.actor == current for other in moves)


def fused_starts(moves: Sequence[Move], history: Sequence[Move]) -> Sequence[Move]:
    """Leave one of all the ways to place starts, where nothing but the clock can distinguish them.

    Sending a request commutes with everything but `clock` and the events of watches when requests share only the
    store. So a start stands right before the first step of its request, or, when one of those moves in between, right
    before it, the started ones in the order of their names. What remains has one member for each class of the full
    set (Mazurkiewicz traces of the relation "start is independent of all but those").
    """
    if not history or history[-1].command != START:
        return moves
    started = history[-1].actor
    if all(move.actor != started for move in moves):
        return moves  # it waits, or was answered at once
    clock = [move for move in moves if move.actor == "clock" or move.actor.startswith("watch:")]
    just_begun = len(history) == 1 or history[-2].command != START
    own = [move for move in moves if move.actor in (started, f"client:{started}")] if just_begun else []
    later = [move for move in moves if clock and move.command == START and move.actor > started]
    return own + later + clock or moves
