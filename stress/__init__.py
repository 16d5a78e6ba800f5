"""gateway-stress: reproduces races in a Gateway by controlling the order of its store commands."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stress.checks import Reads, invariant, run_checks
    from stress.config.scenario import Scenario
    from stress.config.target import Target
    from stress.engine.running import run
    from stress.executors.live.executor import LiveExecutor
    from stress.executors.model.executor import ModelExecutor
    from stress.schedulers.interleaving import Interleaving
    from stress.schedulers.interleavings import interleavings

__all__ = [
    "Interleaving",
    "LiveExecutor",
    "ModelExecutor",
    "Reads",
    "Scenario",
    "Target",
    "__version__",
    "interleavings",
    "invariant",
    "run",
    "run_checks",
]

__version__ = "0.1.0"

_HOMES = {
    "Interleaving": "stress.schedulers.interleaving",
    "ModelExecutor": "stress.executors.model.executor",
    "Reads": "stress.checks",
    "Scenario": "stress.config.scenario",
    "Target": "stress.config.target",
    "LiveExecutor": "stress.executors.live.executor",
    "interleavings": "stress.schedulers.interleavings",
    "invariant": "stress.checks",
    "run": "stress.engine.running",
    "run_checks": "stress.checks",
}
"""Where the public names live: imported when first asked for, so that a bundled Gateway starts without hypothesis."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module 'stress' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES[name]), name)
