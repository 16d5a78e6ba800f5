"""A trace: the append-only record of one run, which every check, report and scheduler reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from stress.core.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stress.core.step import Move, Touch


_OK = Outcome()


class Kind(StrEnum):
    """What an event of a trace is."""

    START = "start"
    """A request was sent to the Gateway."""
    STEP = "step"
    """A store command took effect and its reply went back."""
    ANSWER = "answer"
    """The Gateway's answer reached the client."""
    BLOCKED = "blocked"
    """An actor was let go and shows neither a step nor an answer: it sleeps or waits for another actor."""
    ENVIRONMENT = "environment"
    """An environment actor acted: clock, expiry, cleanup."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a trace. Times are seconds since the run began; ``None`` where a thing did not happen.

    ``varies`` says that a step touched what its command does not name, as a script may: elsewhere it may touch more.
    ``times`` is how many steps that ask the same, with the same reply, it stands for. ``lines`` are where in its code
    who has a step, or is blocked, stood, the innermost first (``app.py:31``); none where that is not known.
    ``observed`` is what the reply, or what a watch sent, says in full, where ``reply`` is a short form of it.
    """

    index: int
    kind: Kind
    actor: str
    command: str = ""
    object: str = ""
    text: str = ""
    reply: str = ""
    touches: tuple[Touch, ...] = ()
    epoch: int = 0
    parked: float | None = None
    released: float | None = None
    replied: float | None = None
    varies: bool = False
    outcome: Outcome = _OK
    times: int = 1
    lines: tuple[str, ...] = ()
    observed: str = field(default="", repr=False)

    @property
    def signature(self) -> tuple[str, ...]:
        """What must be equal in a replay: who did what to which object, and how that ended; never a value or a time."""
        return (self.kind, self.actor, self.command, self.object, str(self.epoch), *self.outcome.kinds)

    def __str__(self) -> str:
        """Give one readable line: ``A HGET gw:dedup:{fingerprint} count -> 1``."""
        arrow = f" -> {self.reply}" if self.reply else ""
        return f"{self.actor} {self.text or self.command}{arrow}"


class TransientFault(str):
    """A fault that says something of one run alone, such as a divergence: the same schedule is worth another try."""

    __slots__ = ()


class CutOff(TransientFault):
    """A fault that says that a run was ended because its search was over: it says nothing of the target."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the Gateway answered one client.

    ``status`` is the HTTP status, or 0 when the connection ended without one (``error`` says why).
    ``record`` and ``count`` are read from the body as the target says; None where the body has none.
    ``started`` and ``ended`` are indexes of the events between which the request was in flight.
    ``epochs`` are all epochs in which a step of this request took effect (one, unless an
    environment actor acted between its steps). ``hung_up`` says that the client left before it was answered.
    ``either`` says that it is created or duplicate, and nothing in it says which (then it is neither of the two).
    ``refused`` says that the target reads it as "retry later", ``normal`` that its status is one that the target lists
    or that requests one after another are answered with, so no error. ``nameless`` says that it names no record
    although answers like it do.
    """

    actor: str
    status: int
    record: str | None
    count: int | None
    started: int
    ended: int
    created: bool
    duplicate: bool
    epochs: tuple[int, ...] = (0,)
    body: str = ""
    error: str = ""
    hung_up: bool = False
    either: bool = False
    refused: bool = False
    normal: bool = False
    nameless: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the answer says that its signal is taken care of: created, duplicate, or any other success."""
        return not self.refused and (self.created or self.duplicate or self.either or succeeded(self.status))

    @property
    def counts(self) -> bool:
        """Whether it must be among the stored hits: accepted, and no "conflict", "too many" or the like."""
        return self.accepted and succeeded(self.status)

    @property
    def without_record(self) -> str:
        """Say what is wrong with one that names no record although answers like it do."""
        return f"{self.actor} was answered {self.status} without a record"


def succeeded(status: int) -> bool:
    """Return whether a status is of the class of success, RFC 9110 section 15.3."""
    return 200 <= status < 300  # noqa: PLR2004 - the class itself


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store at the end of one epoch, read past the gate as the target's ``observe`` says.

    ``records`` are the names of active records, ``hits`` the stored count of each (None: not a number).
    Both are None where the target does not say how to read them.
    """

    records: tuple[str, ...] | None
    hits: Mapping[str, int | None] | None
    ended_by: str = ""


Ended = tuple[
    tuple[tuple[str, int, str | None, int | None], ...],
    tuple[tuple[tuple[str, ...] | None, tuple[tuple[str, int | None], ...] | None], ...],
]
"""What a run came to: actor, status, record and count of each answer; records and hits of each epoch."""


class Details(NamedTuple):
    """What a run recorded: answers, one state per epoch (the last one is the final state), and all events.

    ``held`` are events of watches that were not delivered when all requests were over.
    """

    answers: Sequence[Answer]
    epochs: Sequence[Snapshot]
    events: Sequence[Event] = ()
    held: Sequence[Move] = ()


@dataclass
class Trace:
    """The record of one run: what happened, what clients were answered, and what is left in the store.

    ``moves`` is the schedule that was followed. ``details`` puts the rest into words when first asked for, as a search
    may not look. ``fault`` is empty, or says why nothing may be concluded from this run. ``crossed_second`` is the
    index of the first move that took place in a later second than asked for, or None. ``shared_connection`` names two
    requests of which one sent a command down a connection on which one of the other's was not answered yet (``A and
    B``; empty: there were none). ``polling`` says what is not explored of a request that asked the same again and
    again (``B giving up after more than 1 s of polling``; empty: none did). ``unreported`` is what the answers of this
    target do not tell: ``names`` (which record), ``created`` (whether it was created or was there). ``symbols`` are
    what the values were that have a name (``{id:1}``).
    """

    executor: str
    fresh: str
    fingerprint: str
    requests: int
    moves: Sequence[Move]
    details: Callable[[], Details] = field(repr=False)
    fault: str = ""
    seconds: float = 0.0
    crossed_second: int | None = None
    shared_connection: str = ""
    polling: str = ""
    unreported: frozenset[str] = frozenset()
    symbols: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def _details(self) -> Details:
        return self.details()

    @property
    def answers(self) -> Sequence[Answer]:
        """What clients were answered, in the order of the answers."""
        return self._details.answers

    @property
    def epochs(self) -> Sequence[Snapshot]:
        """One snapshot per epoch, the last one being the final state."""
        return self._details.epochs

    @property
    def events(self) -> Sequence[Event]:
        """All events in the order in which they happened."""
        return self._details.events

    @property
    def held(self) -> Sequence[Move]:
        """Events of watches that had not been delivered when all requests were over."""
        return self._details.held

    @property
    def final(self) -> Snapshot:
        """The state that the run left behind."""
        return self.epochs[-1]

    @property
    def transient(self) -> bool:
        """Whether its fault says nothing of any other run."""
        return isinstance(self.fault, TransientFault)

    @property
    def worth_another(self) -> bool:
        """Whether the schedule is tried once more: its fault is transient, or a client lost its connection."""
        return self.transient or (not self.fault and any(not one.status and not one.hung_up for one in self.answers))

    @property
    def accepted_any(self) -> bool:
        """Whether any request of the run was accepted: where none was, nothing follows from what it broke."""
        return any(answer.accepted for answer in self.answers)

    @property
    def signature(self) -> tuple[object, ...]:
        """What two replays of a schedule must have in common: moves, events, and the result without answered counts."""
        answers, states = self.outcome
        result = tuple((actor, status, record) for actor, status, record, _ in answers), states
        return (tuple(self.moves), tuple(event.signature for event in self.events), result)

    @cached_property
    def outcome(self) -> Ended:
        """What a user can distinguish from outside: answers by actor, and records and hits per epoch.

        What records are called says nothing; which answers and states speak of the same one does. So each is called
        ``record 1``, ``record 2``, … by its first place in the answers, which are put in a schedule that does not
        depend on the names of requests where anything else distinguishes them; then come those that no answer names.
        """
        left, named = self._left(), Counter(answer.record for answer in self.answers)

        def place(answer: Answer) -> tuple[object, ...]:
            record = answer.record or ""
            count = -1 if answer.count is None else answer.count
            return answer.status, count, -named[answer.record], left.get(record, []), answer.actor

        in_answers = dict.fromkeys(one.record for one in sorted(self.answers, key=place) if one.record is not None)
        others = sorted((name for name in left if name not in in_answers), key=lambda name: (left[name], name))
        names = {name: f"record {number}" for number, name in enumerate([*in_answers, *others], start=1)}
        answers = sorted(self.answers, key=lambda answer: answer.actor)
        return (
            tuple((a.actor, a.status, None if a.record is None else names[a.record], a.count) for a in answers),
            tuple(_renamed(state, names) for state in self.epochs),
        )

    def _left(self) -> dict[str, list[str]]:
        """Give for each record what is left of it: in which states it is, with what hits."""
        left: dict[str, list[str]] = {}
        for number, state in enumerate(self.epochs):
            for name in (*(state.records or ()), *(state.hits or ())):
                hits = (state.hits or {}).get(name)
                left.setdefault(name, []).append(f"{number} {'~' if hits is None else f'{hits:020}'}")
        return left

    def with_lines(self, lines: Mapping[int, tuple[str, ...]]) -> Trace:
        """Give the same with the lines of events, by their index."""
        events = [replace(event, lines=lines.get(event.index, ())) for event in self.events]
        return replace(self, details=partial(self._details._replace, events=events))

    def steps_of(self, actor: str) -> list[Event]:
        """All store steps of one actor, in order."""
        return [event for event in self.events if event.kind is Kind.STEP and event.actor == actor]


def _renamed(
    state: Snapshot, names: Mapping[str, str]
) -> tuple[tuple[str, ...] | None, tuple[tuple[str, int | None], ...] | None]:
    records = None if state.records is None else tuple(sorted(names[name] for name in state.records))
    hits = None if state.hits is None else tuple(sorted((names[name], count) for name, count in state.hits.items()))
    return records, hits
