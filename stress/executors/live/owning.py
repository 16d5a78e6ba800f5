"""What only one request has: a value that it made up, or that the store gave it alone, tells whose a command is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stress.core.symbols import Names
    from stress.processes.replicas import Replica
    from stress.protocols.gate import Frame


_LEAST_PID = 100
"""A process with a lower number is not recognised: that may be any number."""


class Owning:
    """What each request of one run has sent and was replied."""

    def __init__(self, names: Names) -> None:
        """Begin with nothing; ``names`` knows which values are made up."""
        self._names = names
        self._frames: dict[str, list[Frame]] = {}

    def note(self, frame: Frame) -> None:
        """Take in a command that has its owner."""
        self._frames.setdefault(frame.actor, []).append(frame)

    def only(self, frame: Frame) -> str | None:
        """Name the request that has a made-up value of a command which no other has; None without or with several."""
        made = self._names.made(frame.raw.decode("utf-8", "backslashreplace"))
        owners = {next(iter(who)) for value in made if len(who := self._who(value)) == 1}
        return owners.pop() if len(owners) == 1 else None

    def _who(self, value: str) -> set[str]:
        """Name those who have sent a value or were replied it."""
        raw = value.encode()
        return {
            actor for actor, sent in self._frames.items() if any(raw in one.raw or value in one.said for one in sent)
        }


def processes(replicas: Iterable[Replica]) -> dict[str, str]:
    """Name the processes of replicas, first that of each one: at each start they are others."""
    families = [one.watch.family for one in replicas if one.watch is not None]
    pids = [family[0] for family in families] + [pid for family in families for pid in family[1:]]
    return {str(pid): f"{{pid:{number}}}" for number, pid in enumerate(pids, start=1) if pid >= _LEAST_PID}
