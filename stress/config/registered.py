"""Names that a file gives to what is registered: a name that is not is a fault with the nearest one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from stress.config.formats import nearest, wrong
from stress.core.registry import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable


def known(kind: str, names: Callable[[], tuple[str, ...]]) -> Callable[[str], str]:
    """Make what refuses a name that is not registered."""

    def known(name: str) -> str:
        if name not in names():
            raise wrong(f"unknown {kind} {name!r}", nearest(name, names()))
        return name

    return known


Invariant = Annotated[
    str,
    AfterValidator(known("invariant", CHECKS.names)),
    Field(json_schema_extra=lambda schema: schema.update(enum=list(CHECKS.names()))),
]
"""The name of a check."""
