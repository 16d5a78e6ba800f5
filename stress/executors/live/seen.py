"""What requests one after another showed of a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.config.scenario import Scenario
    from stress.config.target import Target
    from stress.core.trace import Answer
    from stress.executors.fingerprint import Marks
    from stress.executors.live.preflight import Sample
    from stress.protocols.heard import Heard


class Seen(NamedTuple):
    """What requests one after another showed of a target.

    ``sent`` is what was asked (``POST /signals``), ``heard`` what went through the gate and is no step, ``printed`` the
    last lines of the service, ``connected`` other addresses that it is connected to, ``database`` the number of the one
    in which state is read. While ``watching`` the service has a cache, which may know of a write later than its reply
    says.
    """

    scenario: Scenario
    target: Target
    samples: Sequence[Sample]
    marks: Marks
    heard: Heard
    sent: str
    printed: Sequence[str] = ()
    connected: Sequence[str] = ()
    watching: bool = False
    database: int = 0

    @property
    def answers(self) -> list[Answer]:
        """All answers, those to requests that come before included."""
        return [answer for sample in self.samples for answer in sample.trace.answers]

    @property
    def accepted(self) -> list[Answer]:
        """Those that say that a signal was taken care of."""
        return [answer for answer in self.answers if answer.accepted]
