"""Scenario files as tests of pytest, and fixtures for a project's own tests.

pytest imports this at its very start, in every project where gateway-stress is installed: it must stay small. What it
stands for is in `stress.pytest_plugin`, imported when a scenario file is collected or a fixture is asked for.
"""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from stress.pytest_plugin.collect import ScenarioFile

_KEYS = re.compile(r"^(name|signal|invariants)[ \t]*:", re.MULTILINE)
_SUFFIXES = (".yaml", ".yml")
_TARGETS = "targets"
_MOST_BYTES = 1024 * 1024
_MARKERS = (
    "stress: a scenario on a target, collected from a scenario file",
    "stress_target(file, ...): what the fixture gateway starts: a file, beside the test's own, or a bundled name",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("stress", "gateway-stress")
    group.addoption(
        "--stress-target",
        action="append",
        default=[],
        dest="stress_targets",
        metavar="TARGET",
        help="Search scenarios on this target instead of those that they name, and start it for the fixture gateway: "
        "a file or a bundled name; may stand several times.",
    )
    group.addoption(
        "--stress-seconds",
        type=_seconds,
        metavar="SECONDS",
        help="At most so many seconds for each scenario on each target; default: what the scenario says.",
    )
    group.addoption(
        "--stress-reports",
        metavar="FOLDER",
        help="Write a report of each scenario on each target there; default: of those that fail, to reports/.",
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def pytest_configure(config: pytest.Config) -> None:
    """Add the markers, and the fixtures where pytest-asyncio can run them."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if config.pluginmanager.hasplugin("asyncio"):
        config.pluginmanager.register(import_module("stress.pytest_plugin.fixtures"), "stress-fixtures")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Collect a scenario file; targets and whatever else is YAML are left alone."""
    if file_path.suffix not in _SUFFIXES or not _is_scenario(file_path, parent.config.rootpath):
        return None
    found = import_module("stress.pytest_plugin.collect").ScenarioFile.from_parent(parent, path=file_path)
    return cast("ScenarioFile", found)


def _is_scenario(path: Path, root: Path) -> bool:
    """Tell by its place and its keys whether a file is a scenario; without reading it as YAML, which takes long."""
    folders = (path.relative_to(root) if path.is_relative_to(root) else path).parts[:-1]
    if _TARGETS in folders:
        return False
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return False
    return set(_KEYS.findall(text)) == {"name", "signal", "invariants"}
