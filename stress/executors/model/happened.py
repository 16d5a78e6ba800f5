"""What happened in a run of the model, before it is put into words, and the answers that it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from stress.core.trace import Answer, Snapshot
from stress.executors.model.tree import Node, RequestEnd
from stress.gateways.store import Outcome

if TYPE_CHECKING:
    from stress.core.step import Move
    from stress.core.symbols import Names

_CREATED, _DUPLICATE, _BUSY, _ERROR = 201, 202, 409, 500


class Notification(NamedTuple):
    """A replica was notified of an event: the move, and its text."""

    move: Move
    text: str


class Gone(NamedTuple):
    """The client of a request hung up, which was notified (``cancelled``) or goes on unheard.

    ``unread`` is whether a reply was on its way to it.
    """

    actor: str
    cancelled: bool
    unread: bool


Did = tuple[Node | RequestEnd | Notification | Gone | str, Any]
"""A thing that happened: a start, step or what no step shows, and its reply; an end; an event of a watch, and what it
said; a client that hung up; or an environment actor, and the state that it ended."""


def answer_of(end: RequestEnd, names: Names, between: tuple[int, int], places: tuple[int, ...]) -> Answer:
    """Give the answer that the HTTP side of the bundled Gateways makes of an outcome, or of an error."""
    outcome = end.result if isinstance(end.result, Outcome) else None
    status = _ERROR if outcome is None else _status(outcome)
    return Answer(
        actor=end.actor,
        status=status,
        record=names.replace(outcome.record) if outcome is not None and not outcome.busy else None,
        count=outcome.count if outcome is not None and status == _DUPLICATE else None,
        started=between[0],
        ended=between[1],
        created=status == _CREATED,
        duplicate=status == _DUPLICATE,
        epochs=places,
        error="" if outcome is not None else str(end.result),
        refused=status == _BUSY,
        nameless=outcome is not None and not outcome.busy and not outcome.record,
    )


def _status(outcome: Outcome) -> int:
    if outcome.busy:
        return _BUSY
    return _CREATED if outcome.created else _DUPLICATE


def unheard(actor: str, between: tuple[int, int], places: tuple[int, ...]) -> Answer:
    """Give what is written down of a request whose client hung up."""
    return Answer(
        actor=actor,
        status=0,
        record=None,
        count=None,
        started=between[0],
        ended=between[1],
        created=False,
        duplicate=False,
        epochs=places,
        error="its client hung up",
        hung_up=True,
    )


def renamed(state: Snapshot, names: Names) -> Snapshot:
    """Put a state into words that was read before all names were known."""
    records = None if state.records is None else tuple(names.replace(name) for name in state.records)
    hits = None if state.hits is None else {names.replace(name): count for name, count in state.hits.items()}
    return Snapshot(records, hits, state.ended_by)
