"""How texts from outside enter a report: control characters are shown as what they are, so that nothing can act."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stress.core.masking import mask_text

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPTS = ("EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO")
"""Commands that run a script or a function."""


def plain(value: object) -> Any:  # noqa: ANN401 - what JSON can hold
    """Give a value as JSON can hold it: dataclasses as objects but for what is no part of their repr, texts masked."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.repr}
    if isinstance(value, str):
        return mask_text(str(value))
    if isinstance(value, dict):
        return {mask_text(str(key)): plain(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def short(command: str, touched: str, text: str) -> str:
    """Give a command on one line; a script's source and what belongs to a transaction are left out."""
    if command in SCRIPTS or "+" in command or "(" in command:
        return f"{command} {touched}".rstrip()
    return " ".join(text.split()) or command


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence does: ``A, B and C``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def replay_command(schedule_file: str, program: str = "stress-gateway") -> str:
    """Give the command that replays a schedule file; it works when pasted into a shell."""
    return f"{shlex.quote(program)} replay {shlex.quote(schedule_file)}"


def program() -> str:
    """Name the command of this installation as a shell here finds it."""
    beside = Path(sys.executable).parent / "stress-gateway"
    found = shutil.which("stress-gateway")
    if not beside.exists() or (found is not None and Path(found).resolve() == beside.resolve()):
        return "stress-gateway"
    return str(beside.relative_to(Path.cwd())) if beside.is_relative_to(Path.cwd()) else str(beside)
