"""Shared set-up: real scenarios and targets, one event loop a test."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from stress.config.formats import find
from stress.config.scenario import Scenario
from stress.config.target import Target
from stress.processes import forkserver, replicas
from stress.processes.child import spawn
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator, Mapping, Sequence

    from brute_force import BruteForce

collect_ignore_glob = ["cases/*/scenario.yaml", "libraries/*/scenario.yaml", "engine/lines/scenario.yaml"]
"""The scenarios that the command line runs, so that the plug-in does not collect them too."""

MEASURES = "COVERAGE_PROCESS_CONFIG"
"""What lets coverage measure a child that is Python."""
MARKS = ("unmeasured", "measured_once")

# What the first child compiles the others read: without this each compiles aiohttp again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Under `nohup` it is ignored, and children inherit that: those that are to end by it would not.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("steady", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    """Name our own marks."""
    config.addinivalue_line("markers", "unmeasured: run without the tracer of coverage, at two to three times the pace")
    config.addinivalue_line("markers", "measured_once: a test, or its first case, with the tracer, the others without")


def pytest_collection_finish() -> None:
    """Leave what was collected, which stays to the end, out of every search for garbage: they take a quarter less."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of the random programs which seed drew them, and how many were compared to their end."""
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.getreports(kind) if one.when == "call"]
    counts = [values for one in reports for name, values in one.user_properties if name == "oracle"]
    if counts:
        (seed, *_), (searches, exhausted, skipped) = counts[0], (sum(one[at] for one in counts) for at in (1, 2, 3))
        terminalreporter.write_line(
            f"oracle: seed {seed}: {searches} programs, {exhausted} of them exhausted; {skipped} skipped as too large"
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Take one worker more than there are cores: tests of real processes wait for them a quarter of the time."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Let a test and its children run without the tracer, where other tests cover the same lines."""
    if not _unmeasured(item):
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        with unmeasured():
            return (yield)
    finally:
        sys.settrace(tracer)


def _unmeasured(item: pytest.Item) -> bool:
    """Tell whether the mark that is closest says so: that of a test before that of its file."""
    closest = next((mark.name for mark in item.iter_markers() if mark.name in MARKS), "")
    if closest == "measured_once":
        assert isinstance(item, pytest.Function)
        return hasattr(item, "callspec") and any(item.callspec.indices.values())
    return closest == "unmeasured"


@contextlib.contextmanager
def unmeasured() -> Generator[None, None, None]:
    """Start children without coverage, whose import alone takes longer than most of their work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(MEASURES, raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def _gateways() -> Generator[None, None, None]:
    """Start all Gateways without coverage; other children are measured.

    The fork server of the bundled ones imports beside the first tests; it ends with this process.
    """
    with unmeasured():
        forkserver.begin()

    def start(command: Sequence[str], *, folder: Path, env: Mapping[str, str], log: int) -> subprocess.Popen[bytes]:
        return spawn(command, folder=folder, env={name: env[name] for name in env.keys() - {MEASURES}}, log=log)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replicas, "spawn", start)
        yield


@pytest.fixture
def short_folder() -> Generator[Path, None, None]:
    """Give a folder for temporary files whose name is short enough for a socket in it (108 bytes)."""
    with tempfile.TemporaryDirectory(prefix="gs-") as folder:
        yield Path(folder)


@pytest.fixture
def brute_force() -> Generator[BruteForce, None, None]:
    """Give what runs every interleaving of a program, on a store of its own."""
    from brute_force import BruteForce  # noqa: PLC0415 - beside the tests that use it

    store = Valkey()
    force = BruteForce(store.port)
    yield force
    force.close()
    store.close()


@pytest.fixture
def here() -> Path:
    """Give the folder of the tests."""
    return Path(__file__).parent


@functools.cache
def scenario_of(name: str) -> Scenario:
    """Load a bundled scenario."""
    return Scenario.load(find(name, ""))


@functools.cache
def target_of(name: str) -> Target:
    """Load a bundled target."""
    return Target.load(find(name, "targets"))
