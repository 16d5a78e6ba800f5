"""Writing to disk: a file is there whole or not at all, and a disk that refuses is named with what to do."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stress.core.secrets import hide

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ELSEWHERE = "write elsewhere with --reports FOLDER"
_REMEDIES = {
    errno.ENOSPC: f"free some space, or {_ELSEWHERE}",
    errno.EDQUOT: f"free some space, or {_ELSEWHERE}",
    errno.EFBIG: f"raise the limit of a file's size (ulimit -f), or {_ELSEWHERE}",
    errno.ENAMETOOLONG: f"the path is too long: {_ELSEWHERE}",
    errno.EEXIST: f"a file stands where a folder must be: move it away, or {_ELSEWHERE}",
    errno.ENOTDIR: f"a file stands where a folder must be: move it away, or {_ELSEWHERE}",
}


class ReportUnwritable(Exception):
    """A report can't be written; exit code 74. ``path`` is where, ``reason`` what the system said."""

    def __init__(self, path: Path, error: OSError) -> None:
        """Say where, why, and what to do."""
        self.path, self.error, self.reason = path, error, error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, f"make it writable, or {_ELSEWHERE}")
        super().__init__(f"{path}: {self.reason} ({remedy})")


def put(path: Path, content: str | bytes) -> None:
    """Write a file under another name, then give it its own: it is never seen half written, and holds no known secret.

    Raises:
        ReportUnwritable: when the disk refuses; nothing of the file is left then.

    """
    text = content if isinstance(content, str) else content.decode("utf-8", "surrogateescape")
    raw = hide(text).encode("utf-8", "surrogateescape" if isinstance(content, bytes) else "backslashreplace")
    with refusals_named(path):
        beside = _beside(path)
        try:
            beside.write_bytes(raw)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def new_folder(root: Path, name: str) -> Path:
    """Make a folder that was not there before: ``name``, or ``name-2``, ``name-3``, … where that is taken.

    Raises:
        ReportUnwritable: when the disk refuses.

    """
    with refusals_named(root / name):
        root.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = root / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; at the end it takes the place and the name of ``folder``.

    Raises:
        ReportUnwritable: when the disk refuses; the old folder is still there then.

    """
    with refusals_named(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        built = _beside(folder, "new")
        try:
            built.mkdir()
            yield built
            _swap(built, folder)
        finally:
            shutil.rmtree(built, ignore_errors=True)


def _swap(built: Path, folder: Path) -> None:
    """Let ``built`` take the name of ``folder``; what had it is removed."""
    if not folder.exists():
        built.rename(folder)
        return
    old = _beside(folder, "old")
    folder.rename(old)
    try:
        built.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def refusals_named(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into one clear line."""
    try:
        yield
    except OSError as error:
        raise ReportUnwritable(path, error) from None
    except ReportUnwritable as inner:
        raise ReportUnwritable(path, inner.error) from None


def _beside(path: Path, kind: str = "new") -> Path:
    """Name a hidden neighbour that no other process uses; what a crash left under that name is removed."""
    neighbour = path.with_name(f".{path.name[:40]}.{kind}.{os.getpid()}")
    shutil.rmtree(neighbour, ignore_errors=True)
    return neighbour
