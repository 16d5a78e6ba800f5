"""The exit code that a case comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.exits import INCONCLUSIVE, INTERRUPT, NOT_FOUND, OWN_BUG, RACE
from stress.engine.search import INTERRUPTED

if TYPE_CHECKING:
    from stress.report.events import Result


def code_of(result: Result, require: str = "") -> int:
    """Give the exit code that one case comes to (0: as expected); with ``require`` it must be exhausted to hold."""
    if INTERRUPTED in result.faults:
        return INTERRUPT
    if missed(result):
        return OWN_BUG
    if result.as_expected:
        bounded = result.verdict.holds and not any(one.exhausted for one in result.verdict.evidence)
        return INCONCLUSIVE if require and bounded else 0
    if result.stopped:
        return result.stopped
    if result.unexpected and result.verdict.ruling == "race":
        return RACE
    unknown = result.faults or (result.verdict.ruling == "inconclusive" and not result.missing)
    return INCONCLUSIVE if unknown else NOT_FOUND


def missed(result: Result) -> str:
    """Name a schedule that a finished search of a bundled Gateway missed: those are known to share only the store."""
    beside = next((one.beside for one in result.verdict.evidence if one.beside), "")
    return beside if result.target.protocol is not None else ""
