"""The typed outcome of a request to the Kubernetes API, from its status and body. Source: Kubernetes API concepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.outcomes import How, Outcome
from stress.protocols.kube.replies import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.protocols.kube.replies import Document

_ERROR, _NOT_FOUND = 400, 404


def outcome_of(
    status: int, read: Document | None, show: Sequence[str] = (), naming: Callable[[str], str] = str
) -> Outcome:
    """Give what a request came to; a status of 0 is that of an event of a watch.

    The value of a refusal is its status and its reason.
    """
    value = words_of(read, show)
    if status >= _ERROR:
        reported = " ".join([str(status), value] if isinstance(value, str) and value else [str(status)])
        return Outcome(How.ABSENT if status == _NOT_FOUND else How.REFUSED, naming(reported), error=True)
    if isinstance(value, tuple):
        return Outcome(How.OK if value else How.ABSENT, tuple(naming(one) for one in value))
    return Outcome(How.OK, naming(value) if value else None)
