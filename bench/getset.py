"""The smallest racy program: requests that do GET and SET, for the model, for the wire and for the peers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figure import case
from bench.getset_gateway import get_set
from stress.config.target import Target
from stress.executors.live.executor import LiveExecutor
from stress.executors.model.executor import ModelExecutor

if TYPE_CHECKING:
    from stress.config.scenario import Scenario

CLASSES = {2: 4, 3: 36, 4: 576}
"""How many classes the schedules of so many requests have, by brute force."""
_GATEWAY = Path(__file__).with_name("getset_gateway.py")


def _scenario(concurrent: int) -> tuple[Scenario, Target]:
    scenario, target = case("atomic-hit-count", "redis-read-modify-write")
    return scenario.model_copy(update={"before": 0, "concurrent": concurrent}), target


def in_model(concurrent: int) -> ModelExecutor:
    """Give so many requests in memory."""
    return ModelExecutor(*_scenario(concurrent), get_set)


def on_wire(concurrent: int) -> LiveExecutor:
    """Give so many requests to a Gateway of its own."""
    scenario, _ = _scenario(concurrent)
    start = {"command": [sys.executable, str(_GATEWAY), "{port}", "{redis_port}"], "ready": {"path": "/ready"}}
    return LiveExecutor(scenario, Target.model_validate({"name": "get-set", "start": start}), _GATEWAY.parent)
