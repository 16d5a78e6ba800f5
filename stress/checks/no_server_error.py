"""No request is answered with a server's error, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.checks._contradiction import last_step
from stress.checks._declare import Reads, invariant
from stress.core.verdict import Violation

if TYPE_CHECKING:
    from stress.core.trace import Trace

_SERVER_ERRORS = 500


@invariant(
    "no_server_error",
    demands="No request is answered with a server's error, or not at all.",
    reads={Reads.ANSWERS},
    default=True,
)
def check(trace: Trace) -> list[Violation]:
    """Find answers with status 5xx that are not normal, and requests without one whose client waited for it."""
    return [
        Violation(
            "no_server_error",
            f"an answer below 500 to {answer.actor}",
            str(answer.status or answer.error),
            (answer.actor,),
            last_step(trace, answer.actor),
        )
        for answer in trace.answers
        if (answer.status >= _SERVER_ERRORS and not answer.normal) or (answer.status == 0 and not answer.hung_up)
    ]
