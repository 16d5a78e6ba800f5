"""The quick probes of a target, made before each run: what it names under `requires`, and binaries that it needs."""

from __future__ import annotations

import os
from functools import partial
from shutil import which
from typing import TYPE_CHECKING

from stress.core.errors import Unavailable
from stress.processes.probe import Ill, Probe, examine
from stress.processes.requirements import named

if TYPE_CHECKING:
    from pathlib import Path

    from stress.config.target import Target

ASSETS = "KUBEBUILDER_ASSETS"


async def check(target: Target, folder: Path) -> None:
    """Make the quick probes of a target before a run: what it names itself, and binaries that it needs.

    What is not probed here (its program, ports and stores) is reported when it starts.

    Raises:
        Unavailable: with the first fault, its fix, and how many more there are.

    """
    faults = [one for one in await examine(needed(target, folder)) if not one.well]
    if faults:
        others = len(faults) - 1
        more = f"; {others} more: stress-gateway doctor --target tells all" if others else ""
        raise Unavailable(faults[0].reported, faults[0].fix + more)


def needed(target: Target, folder: Path) -> list[Probe]:
    """Give the quick probes of a target."""
    assets = [Probe("assets", target.name, partial(_asset, name)) for name in binaries(target)]
    return [*named(target, folder), *assets]


def binaries(target: Target) -> tuple[str, ...]:
    """Name the binaries that a target has started from ``KUBEBUILDER_ASSETS``."""
    return tuple(name for one in target.stores.used.values() for name in one.binaries)


def _asset(name: str) -> str:
    folder = os.environ.get(ASSETS)
    fix = "setup-envtest use -p path prints the folder that it must name"
    if not folder:
        raise Ill(f"{ASSETS} is not set, so there is no {name}", fix)
    if which(name, path=folder) is None:
        raise Ill(f"{ASSETS} has no {name}: {folder}", fix)
    return f"{folder} has {name}"
