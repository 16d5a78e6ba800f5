"""Which keys a command may change, in bytes and for certain: asked of the server before the command reaches it.

What `accesses` tells is for steps, and named. Here a key that is missing would be lost to its owner, so what is not
known is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from redis.exceptions import ResponseError

from stress.protocols.redis.commands import is_script, verb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stress.protocols.gate import Effect

Key = tuple[int, bytes]
"""The number of a database, and a key in it."""

_WRITES = {b"OW", b"RW", b"RM"}
_CHANGES_WHAT_IT_READS = frozenset(b"XREADGROUP PFCOUNT".split())
"""A group remembers what it was given, a sketch its last count."""
_OF_THE_SERVER = frozenset(b"SHUTDOWN REPLICAOF SLAVEOF FAILOVER DEBUG".split())
"""What may cost all data although the server calls it no write."""
_SETTINGS = {
    b"CONFIG": frozenset(b"SET REWRITE".split()),
    b"ACL": frozenset(b"SETUSER DELUSER LOAD SAVE".split()),
    b"MODULE": frozenset(b"LOAD LOADEX UNLOAD".split()),
}
"""What changes a server for all who use it, beside its data."""


class Unknown(Exception):
    """Which keys a command may change can't be known: says why."""


class Changes:
    """Asks a server which keys a command may change; remembers which commands write at all."""

    def __init__(self, ask: Callable[..., Awaitable[object]]) -> None:
        """Take a way to run one command on the server, whose reply is in bytes."""
        self._ask = ask
        self._writing: frozenset[bytes] | None = None
        self._way = "GETKEYSANDFLAGS"

    async def open(self) -> None:
        """Learn which commands write. Where the server does not say, each is asked about."""
        try:
            found = cast("list[list[object]]", await self._ask("COMMAND"))
        except ResponseError:
            return
        self._writing = frozenset(cast("bytes", one[0]).upper() for one in found if _writes(one))

    def may_change(self, args: tuple[bytes, ...]) -> bool:
        """Tell whether a command may change anything that is stored; one that the server does not know can't."""
        name = verb(args)
        if is_script(args):
            return not name.endswith(b"_RO")
        listed = self._writing is None or name in self._writing
        return bool(args) and (listed or name in _CHANGES_WHAT_IT_READS or name in _OF_THE_SERVER or _sets(args))

    async def keys(self, effect: Effect, *, read: bool = False) -> list[Key]:
        """Give the keys that a command may change, of a script those that it declares; with ``read`` all it names.

        Functions are kept beside the keys: a FUNCTION has none.

        Raises:
            Unknown: when these can't be known.

        """
        name, args = verb(effect.args), effect.args
        if name in _OF_THE_SERVER:
            message = f"{str(name, 'latin-1')} may cost the data of the whole server"
            raise Unknown(message)
        if _sets(args):
            message = f"{str(b' '.join(args[:2]), 'latin-1').upper()} changes the server for all who use it"
            raise Unknown(message)
        found = await self._named(args, all_of_them=read or is_script(args) or name in _CHANGES_WHAT_IT_READS)
        if found is None:
            if not self.may_change(args) or is_script(args) or name == b"FUNCTION":
                return []
            message = f"{str(name, 'latin-1')} may change any key"
            raise Unknown(message)
        return [(effect.database, key) for key in found] + _elsewhere(name, args)

    async def _named(self, args: tuple[bytes, ...], *, all_of_them: bool) -> list[bytes] | None:
        """Give the keys that a command names, in the server's opinion; None where it names none."""
        try:
            answer = await self._ask("COMMAND", self._way, *args)
        except ResponseError as error:
            said = str(error).lower()
            if "no key arguments" in said:
                return None
            if "unknown subcommand" in said and self._way != "GETKEYS":  # a server before version 7
                self._way = "GETKEYS"
                return await self._named(args, all_of_them=all_of_them)
            if "invalid" in said:
                return []  # the server will refuse the command itself
            message = f"the server does not say which keys {str(verb(args), 'latin-1')} has ({error})"
            raise Unknown(message) from None
        if self._way == "GETKEYS":
            return list(cast("list[bytes]", answer))
        pairs = cast("list[tuple[bytes, list[bytes]]]", answer)
        return [key for key, flags in pairs if all_of_them or _WRITES & set(flags)]


def _writes(said: list[object]) -> bool:
    """Tell whether a command, or one of its parts (``XGROUP CREATE``), is listed as writing."""
    parts = cast("list[list[object]]", said[9] if len(said) > 9 else [])  # noqa: PLR2004 - where the parts are listed
    flags = {str(flag, "ascii") if isinstance(flag, bytes) else str(flag) for flag in cast("list[object]", said[2])}
    return "write" in flags or any(_writes(part) for part in parts)


def _sets(args: tuple[bytes, ...]) -> bool:
    """Tell whether a command changes settings, users or modules of the server."""
    return len(args) > 1 and args[1].upper() in _SETTINGS.get(verb(args), frozenset())


def _elsewhere(name: bytes, args: tuple[bytes, ...]) -> list[Key]:
    """Give the key that a command changes in another database, if it does."""
    words = [arg.upper() for arg in args]
    if name == b"MOVE":
        return [(_number(args[2:3]), args[1])]
    if name == b"COPY" and b"DB" in words[3:]:
        at = words.index(b"DB", 3) + 1
        return [(_number(args[at : at + 1]), args[2])]
    return []


def _number(words: tuple[bytes, ...]) -> int:
    return int(words[0]) if words and words[0].isdigit() else 0
