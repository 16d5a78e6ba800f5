"""What environment actors do to a store, in either executor: a key runs out, a sibling test cleans up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stress.core.errors import Fault
from stress.core.registry import CHECKS
from stress.executors.fingerprint import of_signal, unsaid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.config.scenario import Scenario
    from stress.config.target import Target
    from stress.core.trace import Snapshot


_OF_OURS = ("clock", "client")
"""Actors that need nothing of the target."""


def ends_epoch(before: Snapshot, after: Snapshot, actor: str, replies: Sequence[object]) -> bool:
    """Return whether an active record is gone by what an actor did.

    Where records can't be seen, a cleanup that found anything ends them; what runs out may be a lock, and ends none.
    """
    if before.records is None:
        return actor == "cleanup" and any(replies)
    return bool(Counter(before.records) - Counter(after.records or ()))


def misfits(scenario: Scenario, target: Target) -> list[Fault]:
    """Name what a target lacks to play a scenario, at its place in the target's file."""
    faults = [
        Fault(target.place("environment"), f"environment.{actor} is missing", f"scenario {scenario.name} needs it")
        for actor in scenario.actors
        if actor not in _OF_OURS and getattr(target.environment, actor) is None
    ]
    seen = target.observe is not None and target.observe.records is not None
    if "expiry" in scenario.actors and not seen and any(CHECKS[name].each_epoch for name in scenario.invariants):
        message = "observe.records is missing: whether a record ends when something runs out can't be known"
        hint = f"scenario {scenario.name} has the actor expiry; say how records are read"
        faults.append(Fault(target.place("observe"), message, hint))
    most = max(scenario.places)
    if most > target.replicas:
        message = f"has {target.replicas} replica{'s' if target.replicas > 1 else ''}"
        hint = f"scenario {scenario.name} sends to replica {most}"
        faults.append(Fault(target.place("replicas"), message, hint))
    missing = unsaid(target.fingerprint, scenario.signal)
    if missing:
        hint = f"scenario {scenario.name} has {', '.join(sorted(of_signal(scenario.signal)))}"
        faults.append(Fault(target.place("fingerprint"), f"the signal has no {missing}", hint))
    return faults
