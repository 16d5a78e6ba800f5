"""Requests that share a connection to the store: the gate keeps its order, and nothing beyond that is claimed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.executors.live.executor import LiveExecutor
from stress.schedulers.interleaving import Interleaving

if TYPE_CHECKING:
    from stress.report.events import Result

pytestmark = [pytest.mark.unmeasured, pytest.mark.asyncio]

PROGRAM = Path(__file__).parent.parent.parent / "gateways" / "connection_gateway.py"
SHARED = (
    "; requests A and B share a connection: schedules in which a later command of one overtakes an earlier one of the "
    "other on it cannot be produced"
)


def executor_of(mode: str, **changes: object) -> LiveExecutor:
    """Make an executor of two identical signals at a Gateway with connections of this mode."""
    start = {"command": [sys.executable, str(PROGRAM), "{port}", "{redis_port}", mode], "ready": {"path": "/ready"}}
    scenario = {
        "name": "two-at-once",
        "story": "Two identical signals at once.",
        "signal": {"labels": {"pod": "{fresh}"}},
        "invariants": ["no_server_error", "one_created_answer"],
        "replicas": [1, 2] if "replicas" in changes else None,
    }
    return LiveExecutor(
        Scenario.model_validate(scenario), Target.model_validate({"name": mode, "start": start, **changes})
    )


async def searched(executor: LiveExecutor) -> Result:
    """Search until nothing is left."""
    async with executor:
        return await Case(None, executor, Limits(20, 500)).result()


async def test_a_search_on_a_shared_connection_is_bounded_and_names_what_it_lacks() -> None:
    """With all that its connection allows run, it holds but is not exhausted; a note says how to lift the bound."""
    result = await searched(executor_of("one"))
    (evidence,) = result.verdict.evidence
    assert (str(result.verdict.ruling), evidence.exhausted, evidence.in_order) == ("holds", False, True)
    assert evidence.covered.startswith("bounded: ")
    assert evidence.covered.endswith(SHARED)
    assert evidence.remedy.startswith("requests A and B share a connection: give each its own, ")
    assert result.notes.count(evidence.remedy) == 1


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        ("pool", {}),
        ("one", {"stores": {"redis": {"ordered": True}}}),
        ("one", {"replicas": 2}),
    ],
)
async def test_a_search_is_exhausted_where_no_command_can_overtake(mode: str, changes: dict[str, object]) -> None:
    """A pool, a client that writes in program order, or a process for each request sets no bound."""
    result = await searched(executor_of(mode, **changes))
    (evidence,) = result.verdict.evidence
    assert (str(result.verdict.ruling), evidence.exhausted, evidence.shared_connection) == ("holds", True, "")
    assert [note for note in result.notes if "connection:" in note] == []


@pytest.mark.parametrize(("choices", "shared"), [((), ""), ((0, 1), "A and B")])
async def test_requests_share_a_connection_that_are_in_flight_together(choices: tuple[int, ...], shared: str) -> None:
    """Requests one after another do not share the one connection; two that are in flight together do."""
    async with executor_of("one") as executor:
        trace = await executor.run(Interleaving(choices))
    assert (trace.fault, trace.shared_connection) == ("", shared)


@pytest.mark.parametrize(("choices", "varying"), [((), []), ((0, 0, 1), [("B", "WATCH"), ("B", "UNWATCH")])])
async def test_requests_that_share_what_a_connection_watches_may_conflict_in_anything(
    choices: tuple[int, ...], varying: list[tuple[str, str]]
) -> None:
    """Who watches or ends it on a connection that another has left watching depends on all that this one does there."""
    async with executor_of("watch") as executor:
        trace = await executor.run(Interleaving(choices))
    assert trace.fault == ""
    assert [(event.actor, event.command) for event in trace.events if event.varies] == varying


async def test_a_pipeline_that_was_released_as_one_step_is_named() -> None:
    """Two commands in one write are a step: the evidence names them, and so does a note; else there is none."""
    result = await searched(executor_of("pipeline"))
    assert result.verdict.evidence[0].pipelines == ("INCR+EXPIRE",)
    assert result.notes.count("a pipeline was released as one step: INCR+EXPIRE") == 1
    assert (await searched(executor_of("pool"))).verdict.evidence[0].pipelines == ()
