"""Names races: which goals of a scenario a run meets, by what it breaks and by what conflicts in it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from stress.config.goals import ACTING, KINDS
from stress.core.letters import letters
from stress.core.step import START, Access, Move, Step
from stress.core.trace import Kind
from stress.engine.running import run_with
from stress.schedulers.base import is_request
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from stress.config.goals import Goal
    from stress.config.scenario import Scenario
    from stress.core.trace import Event, Trace
    from stress.core.verdict import Violation
    from stress.engine.running import Executor

_CACHED = ("get", "list", "read")
"""Accesses that a service may have to a cache of its own, where the wire shows nothing."""


def met(scenario: Scenario, trace: Trace, violations: Sequence[Violation]) -> tuple[str, ...]:
    """Name the goals whose invariant a run breaks, and whose accesses conflict in it."""
    broken = {one.invariant for one in violations}
    return tuple(
        name for name, goal in scenario.races.items() if goal.breaks in broken and conflict(goal.conflict, trace)
    )


async def shown(goal: Goal, executor: Executor) -> AsyncGenerator[Trace]:
    """Run the schedules of a goal, and let the rest of each go on by itself; one that is not possible gives nothing."""
    for text in goal.schedule:
        moves = letters(text, executor.scenario.concurrent)
        schedule = Replay(moves, prefix=True)
        schedule.more()
        trace = await run_with(schedule, executor, retry=False)
        diverged = trace.transient or trace.fault.startswith("DIVERGED")
        if not diverged and len(trace.moves) >= len(moves):  # else all were answered before its end
            yield trace


def conflict(accesses: Sequence[str], trace: Trace) -> bool:
    """Return whether the first access comes before the second, by another actor, and the two touch the same.

    What was only read matters while its reader goes on with it: it must have another step after the second access.
    Where no request shows a read, the target has it from a cache, and the start of a request takes its place.
    """
    first, second = (_matching(access, trace) for access in accesses)
    return any(
        one.index < other.index and one.actor != other.actor and _touch(one, other) and _goes_on(one, other, trace)
        for one in first
        for other in second
    )


def _matching(access: str, trace: Trace) -> list[Event]:
    """List the events that are an access."""
    if access in ACTING:
        return [event for event in trace.events if _acts(event) == access]
    command, _, accessed = access.partition(" ")
    found = [
        event
        for event in trace.events
        if event.kind is Kind.STEP and is_request(event.actor) and _named(event, command, accessed)
    ]
    cached = not found and command in _CACHED
    return [event for event in trace.events if event.kind is Kind.START] if cached else found


def _acts(event: Event) -> str:
    """Say who acts in the environment, or that a request starts; empty for a step of a request."""
    if event.kind is Kind.START:
        return START
    return "" if is_request(event.actor) else event.actor.partition(":")[0]


def _named(event: Event, command: str, accessed: str) -> bool:
    """Return whether a step is of this command (``update`` is also one of a part of the object), on what is named.

    Whatever reads is ``read``, whatever changes something is ``write``.
    """
    if command in KINDS:
        reads = command == Access.READ
        return any((one.access is Access.READ) is reads and _is(one.object, accessed) for one in event.touches)
    same = command.lower() in (event.command.lower(), event.command.lower().partition("/")[0])
    return same and _is(event.object, accessed)


def _is(accessed: str, named: str) -> bool:
    return fnmatchcase(accessed, named) or accessed.startswith(f"{named}/")


def _touch(one: Event, other: Event) -> bool:
    """Return whether two events touch the same, and one changes it; of starts and the environment that is not known."""
    if not one.touches or not other.touches:
        return True
    return _step(one).conflicts(_step(other))


def _step(event: Event) -> Step:
    return Step(Move(event.actor, event.command, event.object), event.touches)


def _goes_on(one: Event, other: Event, trace: Trace) -> bool:
    """Return whether what an event read is of use after another one; what it changed is."""
    changes = any(touch.access is not Access.READ for touch in one.touches)
    reads = one.kind is Kind.START or (one.touches and not changes)
    return not reads or any(
        event.actor == one.actor and event.index > other.index and bool(event.touches) for event in trace.events
    )
