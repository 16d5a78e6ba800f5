"""Which Gateway a target is: its file and the program that the file starts, so that a mended Gateway is another one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from stress import gateways

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stress.config.target import Target

UNKNOWN = "unknown"
"""The identity of a Gateway that runs already: its program can't be seen."""


def identity(target: Target, folder: Path | None = None) -> str:
    """Give twelve hex digits that change when the target file changes its meaning, or a file that it starts changes.

    Those files are the program and every argument that names a file; what they load in turn is not looked at.
    ``folder`` is what ``start.folder`` is relative to.
    """
    if target.protocol is None and target.start is None:
        return UNKNOWN
    digest = hashlib.sha256(target.digest.encode())
    for file in _files(target, folder or Path.cwd()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _files(target: Target, folder: Path) -> Iterator[Path]:
    if target.start is None:
        yield Path(gateways.__file__).with_name(f"{str(target.protocol).replace('-', '_')}.py")
        return
    home = folder / target.start.folder
    program = which(target.start.command[0], path=None) if "/" not in target.start.command[0] else None
    words = [program or target.start.command[0], *target.start.command[1:]]
    for word in words:
        file = home / word
        if "{" not in word and file.is_file():
            yield file
