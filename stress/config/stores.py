"""What the parts of a target file have in common that protocols contribute."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import Discriminator, Tag

from stress.config.formats import Part
from stress.core.registry import PROTOCOLS

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

    @property
    def of_records(self) -> str:
        """Why hits that are read so must be of records in the same store; empty where they need not be."""
        return ""

    def names(self, values: Mapping[str, str], *, found: bool) -> set[str]:  # noqa: ARG002 - not known of every store
        """Give what may be names of the objects that are read; ``found`` is whether anything was found in them."""
        return set()


class Parts(NamedTuple):
    """What a protocol contributes to the format of a target file: types, each for a key that it may stand under.

    ``server`` is what it leads to, ``about`` the description of ``stores.<protocol>``. ``usual`` is what passes where
    ``background`` does not say. ``started`` and ``sent`` are placeholders of what is started, and of what is sent too;
    ``flags`` are the options of a bundled Gateway, each with the placeholder that it takes.
    """

    server: str
    flags: Mapping[str, str]
    store: type[StorePart]
    about: str
    background: Any
    usual: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    put: Any = None
    setup: Any = None
    records: Any = None
    hits: Any = None
    cleanup: Any = None
    expiry: Any = None
    writer: Any = None
    sets: Any = None
    settle: Any = None


def protocols() -> dict[str, Parts]:
    """Give what each protocol contributes; first the one whose store a target has that names none."""
    names = sorted(PROTOCOLS.names(), key=lambda name: (not PROTOCOLS[name].default, name))
    return {name: PROTOCOLS[name].parts for name in names}


def default() -> str:
    """Name the protocol whose store is used where none is named."""
    return next(iter(protocols()))


def of(role: str, **others: type[Part]) -> Any:  # noqa: ANN401 - a type for pydantic, made from what is registered
    """Give the type of a part, of whichever protocol contributes one, or one of ``others`` by its only key."""
    kinds = {name: kind for name, parts in protocols().items() if (kind := getattr(parts, role)) is not None}
    whole = {**kinds, **others}
    if len(whole) == 1:
        return next(iter(whole.values()))
    bare = next((name for name, kind in kinds.items() if not _is_part(kind)), next(iter(kinds)))
    tagged = [Annotated[kind, Tag(f"<{name}>")] for name, kind in whole.items()]

    def tag(value: object) -> str:
        """Say of which kind a value is: its only key says that; one without is of the kind that has no such key."""
        if isinstance(value, Part):
            return next(f"<{name}>" for name, kind in whole.items() if _is_part(kind) and isinstance(value, kind))
        named = (name for name in whole if isinstance(value, dict) and name in value and name != bare)
        return f"<{next(named, bare)}>"

    return Annotated[reduce(or_, tagged), Discriminator(tag)]


def protocol_of(role: str, value: object) -> str:
    """Give the protocol that a part is of; one that is no model is of the protocol that contributes no model."""
    if isinstance(value, StatePart):
        return value.protocol
    kinds = {name: getattr(parts, role) for name, parts in protocols().items()}
    return next(name for name, kind in kinds.items() if kind is not None and not _is_part(kind))


def _is_part(kind: Any) -> bool:  # noqa: ANN401 - a type for pydantic
    return isinstance(kind, type) and issubclass(kind, Part)
