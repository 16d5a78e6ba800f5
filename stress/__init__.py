"""gateway-stress: reproduces races in a Gateway by controlling the order of its store commands."""

from __future__ import annotations

from stress.explore.interleavings import Interleaving, interleavings
from stress.run import run
from stress.worlds.wire import WireWorld

__all__ = ["Interleaving", "WireWorld", "__version__", "interleavings", "run"]

__version__ = "0.1.0"
