"""Goals of a scenario: the races it is about, each with what it breaks, what conflicts in it, and how it is shown."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from stress.config.formats import Part, wrong
from stress.config.registered import Invariant  # noqa: TC001 - pydantic reads it
from stress.core.letters import UnknownLetter, letters

ACTING = ("start", "clock", "expiry", "cleanup", "writer", "client", "watch")
"""Accesses that are no step of a request in a store: its start, and what the environment does."""

KINDS = ("read", "write")
"""Commands of an access that stand for any that reads, and any that changes something."""


def _access(text: str) -> str:
    """Refuse what is no access."""
    words = text.split()
    if len(words) != 2 and text.strip() not in ACTING:  # noqa: PLR2004 - a command, and what it accesses
        hint = f"write a command and what it accesses, such as `create remediationrequests`, or {', '.join(ACTING)}"
        raise wrong(f"{text!r} is no access", hint)
    return " ".join(words)


def _two(accesses: list[str]) -> list[str]:
    if len(accesses) != 2:  # noqa: PLR2004 - that is what conflicts
        raise wrong("must be two accesses", "such as [list remediationrequests, create remediationrequests]")
    return accesses


def _read(text: str) -> str:
    """Refuse a schedule with a word that names no actor."""
    try:
        letters(text)
    except UnknownLetter as unknown:
        raise wrong(unknown.message, unknown.hint) from None
    return text


Access = Annotated[str, AfterValidator(_access)]
"""An access: ``create remediationrequests``, ``HGET gw:dedup:*``, ``start``, ``clock``."""


class Goal(Part):
    """A known race: never what is expected, but what is searched for first, and what a race is named by."""

    breaks: Invariant = Field(description="the invariant that it breaks, one of `invariants`")
    conflict: Annotated[list[Access], AfterValidator(_two)] = Field(
        description="the two accesses that conflict in it, by two actors, the earlier one first: a command, `read` or "
        f"`write`, and what it accesses (create remediationrequests, HGET gw:*), or one of {', '.join(ACTING)}"
    )
    schedule: Annotated[
        list[Annotated[str, AfterValidator(_read)]],
        BeforeValidator(lambda one: [one] if isinstance(one, str) else one, json_schema_input_type=str | list[str]),
    ] = Field(default=[], description="a schedule in letters that shows it, or several, which are tried in turn")
