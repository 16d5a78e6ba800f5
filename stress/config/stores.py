"""What the parts of a target file have in common that protocols contribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from stress.config.formats import Part

if TYPE_CHECKING:
    from collections.abc import Mapping


class StorePart(Part):
    """How one store is started or reached: ``stores.<protocol>``."""

    protocol: ClassVar[str]

    if TYPE_CHECKING:
        listen: int | None

    @property
    def urls(self) -> dict[str, str]:
        """The addresses that it names, by key."""
        return {}

    @property
    def files(self) -> dict[str, str]:
        """The files that it names, relative to the target's, by key."""
        return {}

    @property
    def binaries(self) -> tuple[str, ...]:
        """The programs that it has started from ``KUBEBUILDER_ASSETS``."""
        return ()

    @property
    def in_order(self) -> bool:
        """Whether the service is said to send the commands of all requests in the order in which it comes to them."""
        return False


class StatePart(Part):
    """A part that is about the state in one store: how it is read, changed, or put there."""

    protocol: ClassVar[str]

    @property
    def how(self) -> str:
        """What is read, for people."""
        return ""

    def names(self, values: Mapping[str, str], *, found: bool) -> set[str]:  # noqa: ARG002 - not known of every store
        """Give what may be names of the objects that are read; ``found`` is whether anything was found in them."""
        return set()
