"""The registries: each thing is known by the name that it registers in its own file, and no other name is."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from stress.checks import Reads, invariant
from stress.config.scenario import Scenario
from stress.core.errors import UsageFault
from stress.core.registry import CHECKS, SCHEDULERS, Registry

if TYPE_CHECKING:
    from pathlib import Path

    from stress.core.trace import Trace

HEAD = "name: x\nstory: y\n"


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget afterwards what a test registers."""
    for registry in (CHECKS, SCHEDULERS):
        registry.names()
        monkeypatch.setattr(registry, "_items", dict(registry._items))


def nothing(_: Trace) -> list[object]:
    """Find nothing."""
    return []


def test_the_bundled_schedulers_are_known() -> None:
    """Each name that a scenario may give makes a scheduler; those three leave nothing out."""
    assert set(SCHEDULERS.names()) == {
        *("auto", "dpor", "exhaustive", "hypothesis", "pct", "starve", "surw", "urw", "random_walk"),
    }
    assert {name for name in SCHEDULERS.names() if SCHEDULERS[name].covering} == {"auto", "dpor", "exhaustive"}


def test_names_are_known_before_anything_else_is_imported() -> None:
    """Who asks a registry first need not have imported what is registered in it, nor hypothesis, which is slow."""
    asked = (
        "import sys; from stress.core.registry import CHECKS, SCHEDULERS\n"
        "print(len(CHECKS.names()), len(SCHEDULERS.names()), 'hypothesis' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "18 9 False\n"


def test_a_name_is_registered_once() -> None:
    """A second thing of one name is refused, and the first stays."""
    registry: Registry[int] = Registry("stress.core")
    registry.register("a", 1)
    with pytest.raises(ValueError, match=r"^'a' is registered already$"):
        registry.register("a", 2)
    assert (registry.names(), registry["a"]) == (("a",), 1)
    with pytest.raises(KeyError, match="b"):
        registry["b"]


def test_a_check_of_ones_own_can_be_listed_and_reads_everything_unless_it_says_less(tmp_path: Path) -> None:
    """Registered in a test's own file it is an invariant of scenario files; it judges none that does not list it."""
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + "invariants: [mine]\n")
    with pytest.raises(UsageFault, match=r":3:14: invariants\.0: unknown invariant 'mine' "):
        Scenario.load(path)
    invariant("mine", demands="Nothing.")(nothing)
    assert Scenario.load(path).invariants == ["mine"]
    assert CHECKS["mine"].reads == frozenset(Reads)
    assert "mine" not in Scenario.model_validate({"name": "x", "story": "y"}).invariants


def test_a_scheduler_that_is_not_registered_is_a_fault_at_its_place(tmp_path: Path) -> None:
    """It never runs as another one under its name."""
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + "search: {scheduler: mine}\n")
    with pytest.raises(UsageFault) as refused:
        Scenario.load(path)
    known = ", ".join(SCHEDULERS.names())
    assert str(refused.value) == f"{path}:3:21: search.scheduler: unknown scheduler 'mine' (known: {known})"
    SCHEDULERS.register("mine", SCHEDULERS["random_walk"])
    assert Scenario.load(path).search.scheduler == "mine"
