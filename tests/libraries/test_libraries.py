"""Services around libraries, installed from their registries: each verdict of docs/libraries.md, each night."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import command

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "libraries.md"
CODES = {"holds": 0, "race": 1}
ROW = re.compile(r"(?m)^\| [^|]+ \| `(?P<library>[^/`]+)/(?P<target>[^`]+)` \| (?P<verdict>\w+) \|")
TRIED = [(one["library"], one["target"], one["verdict"]) for one in ROW.finditer(PAGE.read_text())]


def test_the_page_has_every_library_right_and_racy() -> None:
    """Each target of a folder is in the table, and of each library one target holds and another has a race."""
    targets = {path.relative_to(HERE).with_suffix("") for path in HERE.glob("*/*.yaml") if path.name != "scenario.yaml"}
    assert {Path(library, target) for library, target, _ in TRIED} == targets
    assert sorted({(library, verdict) for library, _, verdict in TRIED}) == [
        (library, verdict) for library in sorted({library for library, *_ in TRIED}) for verdict in ("holds", "race")
    ]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give a maker of a library's folder: it is installed the first time, and the test skips where that fails."""
    root = tmp_path_factory.mktemp("libraries")
    failed: dict[str, str] = {}

    def make(library: str) -> Path:
        if library not in failed:
            words = (sys.executable, HERE / "install.py", root, library)
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            failed[library] = done.stderr.strip() if done.returncode else ""
        if failed[library]:
            pytest.skip(f"can't be installed: {failed[library]}")
        return root / library

    return make


@pytest.mark.cases
@pytest.mark.unmeasured
@pytest.mark.skipif(os.environ.get("STRESS_NIGHTLY") != "1", reason="installs libraries: STRESS_NIGHTLY=1 runs it")
@pytest.mark.parametrize(("library", "target", "verdict"), TRIED)
def test_a_library_is_judged_as_the_page_says(
    library: str, target: str, verdict: str, installed: Callable[[str], Path], tmp_path: Path
) -> None:
    """A search of the service around it ends with the verdict that the table gives."""
    words = command("run", "scenario.yaml", "--target", f"{target}.yaml", "--no-examples", "--reports", tmp_path)
    done = subprocess.run(
        [*words, "--seconds", "30"], cwd=installed(library), capture_output=True, text=True, check=False
    )
    assert done.returncode == CODES[verdict], done.stdout + done.stderr
