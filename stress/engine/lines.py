"""Where in its code a service stands at each step of a race: replays in which the stacks of its processes are taken.

They come when all else is known, and change nothing of it: a replay that goes otherwise, or a tool that fails, only
leaves lines out.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from stress.core.errors import Unavailable, UsageFault
from stress.engine.running import follow, follow_restarted
from stress.executors.live.executor import LiveExecutor
from stress.processes.source_lines.looker import Looker
from stress.processes.source_lines.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.engine.running import Executor
    from stress.report.events import Finding

Lines = dict[int, tuple[str, ...]]

_REPLAYS = 2
"""How many replays have to show the same line at a step."""
_SECONDS = 30.0
"""How long stacks are taken at most for all races of a case; one takes from 0.05 s (py-spy) to 1 s (gdb)."""


async def with_lines(findings: Sequence[Finding], executor: Executor) -> tuple[list[Finding], str]:
    """Give the races with the lines of their steps, and why there are none.

    Nothing is looked at but processes that were started here as their target says.
    """
    start = executor.target.start if isinstance(executor, LiveExecutor) else None
    if start is None or not isinstance(executor, LiveExecutor) or not findings:
        return [*findings], ""
    looker = Looker(Sources(start, executor.deployment.folder), _SECONDS)
    replicas = [one.process.pid for one in executor.replicas.values() if one.process is not None]
    each = [tools for pid in replicas for tools in looker.tools(pid, executor.deployment.ports).values()]
    tools = dict.fromkeys(chain.from_iterable(each))
    if not tools:  # it is in a language that nothing here looks into
        return [*findings], ""
    missing = "; ".join(f"{tool.program} is not installed ({tool.get})" for tool in tools if not tool.path)
    slow = [tool.program for tool in tools if not tool.quick]
    if slow and executor.target.second == "matters":
        return [*findings], f"no source lines: a look by {slow[0]} takes too long where the second matters"
    looker.why = missing if not any(tool.path for tool in tools) else ""
    found: list[Finding] = []
    try:
        for finding in findings:
            lines = await _lines(finding, executor, looker) if not looker.why else {}
            found.append(replace(finding, trace=finding.trace.with_lines(lines)) if lines else finding)
    finally:
        await looker.close()
    if any(event.lines for finding in found for event in finding.trace.events):
        return found, ""
    looker.give_up()
    return found, f"no source lines: {missing or looker.why}"


async def _lines(finding: Finding, executor: LiveExecutor, looker: Looker) -> Lines:
    """Give the lines of the steps of a race, by the index of their event, that all replays show."""
    agreed: Lines | None = None
    begun, wanted = looker.left, 0.0
    for done in range(1, _REPLAYS + 1):
        if looker.left < wanted:
            looker.why = looker.why or "it takes too long"
            return {}
        executor.looker = looker
        try:
            trace = await (follow_restarted if finding.schedule.head.fresh else follow)(finding.schedule, executor)
        except (Unavailable, UsageFault) as error:
            looker.why = looker.why or str(error)
            return {}
        finally:
            executor.looker = None
        if trace.fault or trace.signature != finding.trace.signature:
            looker.why = looker.why or "a replay in which stacks were taken went otherwise"
        seen = {event.index: event.lines for event in trace.events if event.lines and not looker.why}
        agreed = seen if agreed is None else {at: lines for at, lines in seen.items() if agreed.get(at) == lines}
        if not agreed:
            break
        wanted = (begun - looker.left) / done
    return agreed or {}
