"""Random programs that poll: the search sees what brute force sees, however long a request asks in vain.

How often it asked is no part of an outcome. So few tries stand for many, of which brute force would never see the end.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from program import FINITE, polling
from test_oracle import SEED, difference, searched, target_of

from stress.executors.live import polling as live_polling
from stress.executors.live.deployment import Deployment

if TYPE_CHECKING:
    from brute_force import BruteForce, Outcome
    from program import Program

FEW, MANY, ENDLESS = 4, 9, 10**9
"""Tries that brute force can run; so many that they are one step; and such as never end."""
RETRIES = 6
"""A program that asks once more for what it polled for, after its last try."""
FIRST, MOST = int(os.environ.get("STRESS_ORACLE_FROM", "0")), int(os.environ.get("STRESS_ORACLE_POLLS", "10"))


def gave_up(outcome: Outcome, program: Program) -> bool:
    """Return whether a request has given up, by what it keeps of its poll."""
    polled = [(at, k) for at, code in enumerate(program) for k, one in enumerate(code) if "poll" in one]
    return any(json.loads(outcome.replies[at])[k] == 0 for at, k in polled)


@pytest.mark.cases
@pytest.mark.unmeasured
@pytest.mark.asyncio
@pytest.mark.parametrize("tries", [FEW, MANY, ENDLESS])
async def test_a_search_sees_what_comes_of_polling(tries: int, brute_force: BruteForce) -> None:
    """Every outcome is seen; where a poll never gives up all that end, and coverage is then no proof."""
    differences = []
    async with Deployment(target_of("asyncio request")) as deployment:
        for number in range(FIRST, FIRST + MOST):
            if tries == ENDLESS and number % 5 not in FINITE:
                continue
            one = polling(SEED, number, tries)
            truth = brute_force.outcomes(polling(SEED, number, FEW).program)
            assert truth is not None
            seen = await searched(one, deployment)
            wrong = difference(truth.outcomes, seen)
            if tries == ENDLESS and not wrong:
                there_are = {one for one in truth.outcomes if not gave_up(one, polling(SEED, number, FEW).program)}
                wrong = difference(there_are, seen._replace(exhausted=seen.in_order or seen.exhausted))
                polls = there_are != truth.outcomes
                if not wrong and (seen.in_order, seen.exhausted) != (polls, not polls):
                    wrong = f"in order: {seen.in_order}, exhausted: {seen.exhausted}"
            if wrong:
                differences.append(f"program {number}: {wrong}: {json.dumps(one.program)}")
    assert "\n".join(differences) == ""


@pytest.mark.cases
@pytest.mark.unmeasured
@pytest.mark.asyncio
async def test_a_last_try_that_cannot_be_counted_is_no_proof(
    brute_force: BruteForce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every step takes as long as a sleep, the last look of a poll is one of its tries, and coverage says so."""
    monkeypatch.setattr(live_polling, "_QUICK_SECONDS", 0.0)
    truth = brute_force.outcomes(polling(SEED, RETRIES, FEW).program)
    assert truth is not None
    async with Deployment(target_of("asyncio request")) as deployment:
        seen = await searched(polling(SEED, RETRIES, MANY), deployment)
    assert (seen.fault, seen.exhausted, seen.in_order) == ("", False, True)
    assert len(truth.outcomes - seen.outcomes) == 2
