"""What one run on the wire writes down, and the trace that it comes to."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from stress.core.outcomes import BLOCKED, Outcome
from stress.core.trace import Details, Event, Kind, Snapshot, Trace
from stress.executors.observe import shown, with_answered_hits

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.config.scenario import Scenario
    from stress.config.target import Target
    from stress.core.step import Move, Touch
    from stress.core.trace import Answer
    from stress.protocols.gate import Frame


_NUMBER = re.compile(r":\d+\}")


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Leave out the numbers of made-up names, which tell what was met first in a run, not what a request does."""
    return _NUMBER.sub("}", text)


class Try(NamedTuple):
    """One step of a request: its frame with the reply, the index of its event, how many commands it stands for."""

    frame: Frame
    event: int
    times: int = 1


class Record:
    """The moves, events, answers and states of one run; times are counted from its making."""

    def __init__(self, naming: Callable[[str], str], in_full: Callable[[str], str]) -> None:
        """Begin empty; ``naming`` replaces the names that the Gateway made up, ``in_full`` does in what it received."""
        self.moves: list[Move] = []
        self.held: list[Move] = []
        self.events: list[Event] = []
        self.answers: list[Answer] = []
        self.snapshots: list[Snapshot] = []
        self.crossed: int | None = None
        self.shared_connection = self.polling = ""
        self._naming, self._in_full = naming, in_full
        self._begun = time.perf_counter()

    @property
    def epoch(self) -> int:
        """Which epoch this is, counted from 0."""
        return len(self.snapshots)

    def event(self, kind: Kind, actor: str, command: str, frame: Frame | None = None) -> int:
        """Write down one event; give its index."""
        step = frame.step if frame is not None else None
        touches: tuple[Touch, ...] = step.touches if step else ()
        event = Event(
            index=len(self.events),
            kind=kind,
            actor=actor,
            command=command,
            object=step.move.object if step else "",
            text=step.text if step else command,
            reply=shown(frame.replies, self._naming) if frame else "",
            observed=frame.observed(self._in_full) if frame else "",
            outcome=frame.outcome(self._naming) if frame else BLOCKED if kind is Kind.BLOCKED else Outcome(),
            touches=touches,
            epoch=self.epoch,
            parked=frame.parked_at - self._begun if frame else None,
            released=frame.released_at - self._begun if frame and frame.released_at else None,
            varies=step is not None and step.varies,
            lines=frame.lines if frame else (),
            replied=(frame.replied_at if frame and frame.replied_at else time.perf_counter()) - self._begun,
        )
        self.events.append(event)
        return event.index

    def repeat(self, index: int, frame: Frame, times: int) -> tuple[str, str]:
        """Make an event one of several steps that ask the same, the last of which is given; give its text and reply."""
        event, text = self.events[index], frame.step.text if frame.step else frame.command
        reply, outcome = shown(frame.replies, self._naming), frame.outcome(self._naming)
        self.events[index] = replace(event, text=f"{text} ({times} times)", reply=reply, outcome=outcome, times=times)
        return text, reply

    def crossing(self) -> None:
        """Note that another second began unasked before or during the last move; the first time counts."""
        self.crossed = self.crossed if self.crossed is not None else len(self.moves) - 1

    def trace(
        self, scenario: Scenario, target: Target, names: tuple[str, str], unreported: frozenset[str], fault: str
    ) -> Trace:
        """Give the trace of a run with these ``names``: the fresh value and the fingerprint."""
        states = tuple(self.snapshots) or (Snapshot(None, None),)
        details = Details(tuple(self.answers), states, tuple(self.events), tuple(self.held))
        return Trace(
            executor="live",
            fresh=names[0],
            fingerprint=names[1],
            requests=scenario.requests,
            moves=tuple(self.moves),
            details=partial(with_answered_hits, target, details),
            fault=fault,
            seconds=time.perf_counter() - self._begun,
            crossed_second=self.crossed,
            shared_connection=self.shared_connection,
            polling=self.polling,
            unreported=unreported,
        )
