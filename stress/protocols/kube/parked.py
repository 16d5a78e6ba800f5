"""What passes between a Gateway and an API server, as the gate holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stress.protocols.gate import Frame
from stress.protocols.kube.observed import observed
from stress.protocols.kube.outcomes import outcome_of
from stress.protocols.kube.replies import generated
from stress.protocols.kube.requests import KubeEffect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress.core.outcomes import Outcome
    from stress.protocols.kube.http import Headers
    from stress.protocols.kube.replies import Document
    from stress.protocols.kube.watches import EventParser, Watch

_NOTHING = KubeEffect("get")


@dataclass(slots=True, eq=False)
class KubeFrame(Frame):
    """A request, an event of a watch, or a reply that is a step of its own.

    ``effect`` is what it does; ``answer`` what the server answered, or the object that an event tells of, as far as it
    could be read; ``status`` the status of the reply, 0 for what is no request. ``show`` are the fields of objects that
    are shown besides the name. ``continue_sent``: the gate itself asked the Gateway to send the body.
    """

    effect: KubeEffect = _NOTHING
    method: str = "GET"
    background: bool = False
    continue_sent: bool = False
    answer: Document | None = None
    status: int = 0
    show: Sequence[str] = ()

    @property
    def generated(self) -> Sequence[tuple[str, str]]:
        """The names of which the store says that it made a part: what it was given, and what it made."""
        return () if self.answer is None else generated(self.answer)

    @property
    def said(self) -> str:
        """What it was answered in full; of a list its items, as its version changes with every write to the server."""
        return repr((self.status, self.replies, (self.answer or {}).get("items", self.answer)))

    def observed(self, naming: Callable[[str], str]) -> str:
        """Give the whole body of the reply, or the object of the event."""
        return observed(self.answer, naming)

    def outcome(self, naming: Callable[[str], str]) -> Outcome:
        """Give what it came to, once it is replied to; values have the names that ``naming`` gives."""
        return outcome_of(self.status, self.answer, self.show, naming)


@dataclass(slots=True)
class Flight:
    """A request that was sent on, and the reply to it so far; ``waited`` is whether somebody waits for the reply.

    ``kept`` are the bytes of a reply that is a step of its own; None of one that passes.
    """

    frame: KubeFrame
    waited: bool
    status: int = 0
    headers: Headers = ()
    watch: Watch | None = None
    events: EventParser | None = None
    body: list[bytes] = field(default_factory=list)
    size: int = 0
    kept: list[bytes] | None = None

    @property
    def effect(self) -> KubeEffect:
        """What the request does."""
        return self.frame.effect
