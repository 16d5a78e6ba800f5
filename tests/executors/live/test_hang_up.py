"""A client that hangs up, on a target of one's own: its request goes on or ends, and neither is taken for a race."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.letters import letters
from stress.engine.case import Case
from stress.engine.limits import Limits
from stress.executors.live.executor import LiveExecutor
from stress.schedulers.replay import Replay

GATEWAY = Path(__file__).parent.parent.parent / "gateways" / "parting_gateway.py"
OBSERVE = {
    "records": {"redis": ["HMGET", "hits:{fingerprint}", "record"]},
    "hits": {"redis": ["HGET", "hits:{fingerprint}", "count"]},
}
HITS = "hits:{fresh}"


def parting(mode: str, seconds: float = 0.0, requests: int = 2) -> LiveExecutor:
    """Give a deployment whose requests sleep for so many seconds before they write."""
    command = [sys.executable, str(GATEWAY), "{port}", "{redis_port}", mode, str(seconds)]
    start = {"command": command, "ready": {"path": "/ready"}}
    target = {"name": "parting", "start": start, "fingerprint": "{labels.pod}", "patience": 0.2, "observe": OBSERVE}
    signal = {"labels": {"pod": "{fresh}"}}
    scenario = {"name": "parting", "story": "One leaves.", "signal": signal, "concurrent": requests}
    return LiveExecutor(
        Scenario.model_validate({**scenario, "actors": {"client": {}}}), Target.model_validate(target), GATEWAY.parent
    )


@pytest.mark.cases
@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["cancels", "goes-on"])
async def test_a_gateway_that_is_right_holds_whatever_becomes_of_a_request_without_a_client(mode: str) -> None:
    """Its hit is stored or not, its record made or not: all default invariants hold in every schedule."""
    async with parting(mode) as executor:
        result = await Case(None, executor, Limits(60.0, 5000)).result()
    (evidence,) = result.verdict.evidence
    assert (result.verdict.ruling, result.findings, evidence.exhausted) == ("holds", (), True)


@pytest.mark.asyncio
async def test_who_sleeps_longer_than_the_patience_after_its_client_left_is_waited_for() -> None:
    """Its last step belongs to its own run, wherever the client left; the next run begins at rest."""
    async with parting("goes-on", 0.4, requests=1) as executor:
        for schedule in ("A client", "A A client", "A"):
            replay = Replay(letters(schedule), prefix=True)
            replay.more()
            trace = await executor.run(replay)
            steps = [f"{event.command} {event.object}" for event in trace.steps_of("A")]
            assert (trace.fault, steps) == ("", [f"HGET {HITS}", f"HSET {HITS}"])
            assert trace.answers[0].status == (201 if schedule == "A" else 0)


@pytest.mark.asyncio
async def test_who_waited_for_a_lock_when_its_client_left_has_its_own_steps_after() -> None:
    """B waits for A in its process, its client leaves, A ends: what comes then is B's, not A's."""
    async with parting("goes-on") as executor:
        replay = Replay(letters("A B client A A"), prefix=True)
        replay.more()
        trace = await executor.run(replay)
    assert (trace.fault, [event.command for event in trace.steps_of("B")]) == ("", ["HGET", "HSET"])
    assert [(one.actor, one.status) for one in trace.answers] == [("B", 0), ("A", 201)]
    assert trace.final.hits == {"rr-{fresh}": 2}
