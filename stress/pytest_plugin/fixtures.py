"""Fixtures for a project's own async tests, run by pytest-asyncio: a started Gateway, its gate, and drawn schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stress.protocols.gate import Gate
    from stress.pytest_plugin.started import Drawn, Gateway


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once on each of several targets."""
    if "stress_target" in metafunc.fixturenames:
        words = _words(metafunc.definition, metafunc.config)
        if len(words) > 1:
            metafunc.parametrize("stress_target", words)


def _words(node: pytest.Item, config: pytest.Config) -> list[str]:
    """Give the targets that the marker of a test names, else those of the command line."""
    marker = node.get_closest_marker("stress_target")
    return [str(word) for word in (marker.args if marker else config.getoption("stress_targets"))]


@pytest.fixture
def stress_target(request: pytest.FixtureRequest) -> str:
    """Give the target as the test's marker or ``--stress-target`` names it."""
    words = _words(cast("pytest.Item", request.node), request.config)
    if not words:
        reason = "no target: mark the test with stress_target(FILE), or name one with --stress-target FILE"
        pytest.fail(reason, pytrace=False)
    return words[0]


@pytest_asyncio.fixture
async def gateway(request: pytest.FixtureRequest, stress_target: str) -> AsyncIterator[Gateway]:
    """Start the target: its store, the gate between, its Gateways. They end with the test."""
    from stress.pytest_plugin.started import started  # noqa: PLC0415 - takes long to import

    async with started(request, stress_target) as running:
        yield running


@pytest.fixture
def gate(gateway: Gateway) -> Gate:
    """Give the gate of the started target, which is open: `stress.protocols.gate.Gate`."""
    return gateway.gate


@pytest.fixture
def interleavings(request: pytest.FixtureRequest, gateway: Gateway) -> Drawn:
    """Give what draws schedules on the started target; to be awaited with the file of a scenario."""
    from stress.pytest_plugin.started import Drawn  # noqa: PLC0415 - takes long to import

    return Drawn(request, gateway)
