"""gateway-stress: reproduces races in a Gateway by controlling the order of its store commands."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stress.checks import Reads, invariant, run_checks
    from stress.explore.interleaving import Interleaving
    from stress.explore.interleavings import interleavings
    from stress.running import run
    from stress.scenario import Scenario
    from stress.target import Target
    from stress.worlds.model import ModelWorld
    from stress.worlds.wire import WireWorld

__all__ = [
    "Interleaving",
    "ModelWorld",
    "Reads",
    "Scenario",
    "Target",
    "WireWorld",
    "__version__",
    "interleavings",
    "invariant",
    "run",
    "run_checks",
]

__version__ = "0.1.0"

_HOMES = {
    "Interleaving": "stress.explore.interleaving",
    "ModelWorld": "stress.worlds.model",
    "Reads": "stress.checks",
    "Scenario": "stress.scenario",
    "Target": "stress.target",
    "WireWorld": "stress.worlds.wire",
    "interleavings": "stress.explore.interleavings",
    "invariant": "stress.checks",
    "run": "stress.running",
    "run_checks": "stress.checks",
}
"""Where the public names live: imported when first asked for, so that a bundled Gateway starts without hypothesis."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module 'stress' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES[name]), name)
