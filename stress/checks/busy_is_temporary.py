"""A request that is answered "come back later" is answered so only while another request is at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._contradiction import last_step
from stress.checks._declare import Reads, invariant
from stress.core.trace import Kind
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from stress.core.trace import Answer, Trace

BUSY = (409, 425, 429, 503)
"""Conflict, too early, too many requests, service unavailable: what is answered while a key is in flight."""


@invariant(
    "busy_is_temporary",
    demands="A request that is sent when no other is at work is not asked to come back later.",
    reads={Reads.ANSWERS, Reads.STEPS, Reads.PRECEDENCE},
)
def check(trace: Trace) -> list[Violation]:
    """Find requests that were sent when all others had been answered, and were answered that one is in flight.

    Whose client hung up may be at work as long as the run is, and so may who works on after its answer. Where a worker
    is seen, nobody knows whose work it does, and nothing is said.
    """
    requests = {answer.actor for answer in trace.answers}
    steps = [event for event in trace.events if event.kind is Kind.STEP]
    if any(event.actor.startswith("worker:") for event in steps):
        return []
    ended = {answer.actor: answer.ended for answer in trace.answers}
    working = {event.actor for event in steps if event.actor in requests and event.index > ended[event.actor]}
    return [
        Violation(
            "busy_is_temporary",
            f"a result for {one.actor}, as no other request is at work",
            str(one.status),
            (one.actor,),
            last_step(trace, one.actor),
        )
        for one in trace.answers
        if _busy(one)
        and all(
            other.ended < one.started and not other.hung_up and other.actor not in working
            for other in trace.answers
            if other is not one
        )
    ]


def _busy(answer: Answer) -> bool:
    """Tell whether an answer asks to come back later; one that the target reads as a duplicate does not."""
    return answer.refused or (answer.status in BUSY and not answer.accepted)
