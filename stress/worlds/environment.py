"""What environment actors do to a store, in either world: a key runs out, a sibling test cleans up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.errors import Fault, Place
from stress.worlds.observe import fill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.scenario import Scenario
    from stress.target import Target
    from stress.trace import Snapshot


def commands(target: Target, actor: str, fingerprint: str, fresh: str) -> list[tuple[str, ...]]:
    """Give what ``cleanup`` or ``expiry`` runs past the gate; a key that runs out does so at the epoch's first ms."""
    words = getattr(target.environment, actor)["redis"]
    values = {"fingerprint": fingerprint, "fresh": fresh}
    if actor == "cleanup":
        return [fill(words, **values)]
    return [("PEXPIREAT", *fill([key], **values), "1") for key in words]


def ends_incarnation(before: Snapshot, after: Snapshot, replies: Sequence[object]) -> bool:
    """Tell whether an active record is gone; where records can't be seen, whether any key is."""
    if before.records is None:
        return any(replies)
    return bool(set(before.records) - set(after.records or ()))


def misfits(scenario: Scenario, target: Target) -> list[Fault]:
    """Name what a target lacks to play a scenario."""
    place = Place(target.name, 1, 1)
    faults = [
        Fault(place, f"environment.{actor} is missing", f"scenario {scenario.name} needs it")
        for actor in scenario.actors
        if actor != "clock" and getattr(target.environment, actor) is None
    ]
    if max(scenario.replicas or [1]) > target.replicas:
        faults.append(Fault(place, f"has {target.replicas} replicas", f"scenario {scenario.name} sends to more"))
    return faults
