"""Which objects a Redis command touches, and how: asked of the real server, which knows best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.gate.commands import creates_if_absent, whole_database
from stress.step import WHOLE, Access, Touch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_WRITES = {"OW", "RW", "RM"}


class KeyFinder:
    """Asks ``COMMAND GETKEYSANDFLAGS`` (server 7 or newer) once for each command, and remembers.

    ``ask`` runs one command on a connection of our own; an error reply is an exception of it.
    """

    def __init__(self, ask: Callable[..., Awaitable[object]], refused: type[Exception]) -> None:
        """Take the connection to ask on, and the exception that an error reply is."""
        self._ask = ask
        self._refused = refused
        self._known: dict[tuple[str, ...], tuple[Touch, ...]] = {}

    async def touches(
        self,
        effects: Sequence[tuple[bytes, ...]],
        watched: Sequence[tuple[bytes, ...]],
        database: int,
        naming: Callable[[str], str],
    ) -> tuple[Touch, ...]:
        """Give what commands touch: each object once, with its strongest access, as ``naming`` calls it."""
        found: dict[str, Access] = {}
        prefix = f"db{database}:" if database else ""
        for args, reads_only in [*((args, False) for args in effects), *((args, True) for args in watched)]:
            for name, access in await self._touched(
                tuple(naming(arg.decode("utf-8", "backslashreplace")) for arg in args), args
            ):
                known = found.get(prefix + name)
                if known in (None, Access.READ):
                    found[prefix + name] = Access.READ if reads_only else access
        return tuple(Touch(name, access) for name, access in found.items())

    async def _touched(self, words: tuple[str, ...], args: tuple[bytes, ...]) -> tuple[Touch, ...]:
        known = self._known.get(words)
        if known is None:
            known = self._known[words] = await self._look_up(words, args)
        return known

    async def _look_up(self, words: tuple[str, ...], args: tuple[bytes, ...]) -> tuple[Touch, ...]:
        if whole_database(args):
            return (Touch(WHOLE, Access.WRITE),)
        try:
            answer = await self._ask("COMMAND", "GETKEYSANDFLAGS", *words)
        except self._refused as error:
            keyless = "no key arguments" in str(error).lower()
            return () if keyless and words[0].upper() in _HARMLESS else (Touch(WHOLE, Access.WRITE),)
        assert isinstance(answer, list)  # noqa: S101 - the reply's documented shape
        return tuple(Touch(str(key), _access(args, {str(flag) for flag in flags})) for key, flags in answer)


_HARMLESS = {"PING", "ECHO", "TIME", "PUBLISH", "WAIT", "MULTI", "EXEC", "DISCARD", "UNWATCH", "SELECT"}
"""Commands without keys that leave no key changed."""


def _access(args: tuple[bytes, ...], flags: set[str]) -> Access:
    if creates_if_absent(args):
        return Access.CREATE
    if "RM" in flags or "delete" in flags:
        return Access.DELETE
    return Access.WRITE if flags & _WRITES else Access.READ
