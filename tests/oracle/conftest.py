"""Brute force on a store of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from brute_force import BruteForce

from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture
def brute_force() -> Generator[BruteForce, None, None]:
    """Give brute force on a store of its own."""
    store = Valkey()
    force = BruteForce(store.port)
    yield force
    force.close()
    store.close()
