"""Shared set-up: real scenarios and targets, one event loop a test."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from stress.formats import find
from stress.scenario import Scenario
from stress.target import Target
from stress.worlds import nursery

settings.register_profile("steady", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("steady")


@pytest.fixture(autouse=True, scope="session")
def _nursery() -> None:
    """Let the nursery of the bundled Gateways import beside the first tests; it ends with this process."""
    nursery.begin()


@pytest.fixture
def here() -> Path:
    """Give the folder of the tests."""
    return Path(__file__).parent


def scenario_of(name: str) -> Scenario:
    """Load a bundled scenario."""
    return Scenario.load(find(name, ""))


def target_of(name: str) -> Target:
    """Load a bundled target."""
    return Target.load(find(name, "targets"))
