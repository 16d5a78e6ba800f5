"""What a probe says of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stress.processes.probe import Ill, version

if TYPE_CHECKING:
    from pathlib import Path


def test_a_program_that_can_not_be_run_is_a_fault(tmp_path: Path) -> None:
    """A binary that is not there, and one that fails."""
    failing = tmp_path / "server"
    failing.write_text("#!/bin/sh\nexit 3\n")
    failing.chmod(0o755)
    with pytest.raises(Ill) as missing:
        version(f"{tmp_path}/gone", "m")
    assert (str(missing.value), missing.value.fix) == (f"{tmp_path}/gone can't be run: No such file or directory", "m")
    with pytest.raises(Ill, match="returned non-zero exit status 3") as failed:
        version(str(failing), "m")
    assert failed.value.fix == "m"
