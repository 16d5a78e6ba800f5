"""A Gateway whose process hangs with requests in flight is known as such after a few patiences, once and for all."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.core.letters import letters
from stress.executors.live.executor import LiveExecutor
from stress.schedulers.replay import Replay

if TYPE_CHECKING:
    from stress.core.trace import Trace

OWN = Path(__file__).parent.parent.parent / "gateways" / "lock_gateway.py"
SCENARIO = Scenario.model_validate({"name": "own", "story": "Two at once.", "signal": {"labels": {"pod": "p-{fresh}"}}})
PATIENCE = 0.3


async def ran(executor: LiveExecutor) -> Trace:
    """Run one schedule."""
    replay = Replay(letters("A B"), prefix=True)
    replay.more()
    return await executor.run(replay)


@pytest.mark.asyncio
async def test_a_process_that_hangs_is_noticed_and_asked_nothing_more() -> None:
    """It is stopped: the run that meets it says so, the next one begins nothing, and a new process is well again."""
    start = {"command": [sys.executable, str(OWN), "{port}", "{redis_port}", "plain"], "ready": {"path": "/ready"}}
    target = Target.model_validate({"name": "own", "start": start, "patience": PATIENCE})
    async with LiveExecutor(SCENARIO, target, OWN.parent) as executor:
        assert (await ran(executor)).fault == ""
        process = executor.replicas[1].process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        met, next_one = await ran(executor), await ran(executor)
        hint = "(longer `patience` if it only takes so long)"
        line = f"Gateway 1 hangs: it has answered nothing for {PATIENCE} s, nor GET /ready {hint}"
        assert (met.fault, met.transient, next_one.fault, len(next_one.moves)) == (line, False, line, 0)
        assert met.seconds < 8 * PATIENCE
        assert executor.broken
        await executor.restart()
        assert ((await ran(executor)).fault, executor.broken) == ("", False)
