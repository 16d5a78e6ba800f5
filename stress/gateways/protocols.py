"""Which deduplication protocols there are: every file here that defines ``deduplicate``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from stress.gateways.store import Incoming, Outcome, Store

    Deduplicate = Callable[[Store, Incoming], Coroutine[Any, Any, Outcome]]


PROTOCOLS = tuple(sorted(file.stem.replace("_", "-") for file in Path(__file__).parent.glob("redis_*.py")))
"""Their names: a protocol ``redis-atomic`` stands in ``redis_atomic.py``."""


def protocol_named(name: str) -> Deduplicate:
    """Give the function of a protocol."""
    found: Deduplicate = import_module(f"stress.gateways.{name.replace('-', '_')}").deduplicate
    return found
