"""What a target calls itself by: names that are others at each start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stress.processes.replicas import Replica

_LEAST_PID = 100
"""A process with a lower number is not recognised: that may be any number."""


def processes(replicas: Iterable[Replica]) -> dict[str, str]:
    """Name the processes of replicas, first that of each one: at each start they are others."""
    families = [one.watch.family for one in replicas if one.watch is not None]
    pids = [family[0] for family in families] + [pid for family in families for pid in family[1:]]
    return {str(pid): f"{{pid:{number}}}" for number, pid in enumerate(pids, start=1) if pid >= _LEAST_PID}
