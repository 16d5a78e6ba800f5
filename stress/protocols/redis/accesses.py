"""Which objects a Redis command touches, and how: asked of the real server, which knows best.

The server is blind to some: what scans, what works on another database, which keys a script touches without declaring
them, that XREADGROUP writes, and channels, which are no keys.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from stress.core.step import WHOLE, Access, Touch
from stress.protocols.base import Found
from stress.protocols.redis.commands import changes_all, creates_if_absent, is_script, scans, verb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from stress.protocols.gate import Effect
    from stress.protocols.redis.scripts import ScriptWatch

_WRITES = {"OW", "RW", "RM"}
_REMEMBERED = 20_000
_EVERYTHING = (Touch(WHOLE, Access.WRITE),)
_HARMLESS = frozenset(b"PING ECHO TIME WAIT WAITAOF MULTI EXEC DISCARD UNWATCH SELECT MONITOR RESET QUIT".split())
"""Commands without keys that leave no key changed."""
_PUBLISH = frozenset(b"PUBLISH SPUBLISH".split())
_HEAR = frozenset(b"SUBSCRIBE SSUBSCRIBE UNSUBSCRIBE SUNSUBSCRIBE MESSAGE SMESSAGE PMESSAGE".split())
_HEAR_ANY = frozenset(b"PSUBSCRIBE PUNSUBSCRIBE".split())

Released = TypeVar("Released")


_Called = tuple[tuple[str, ...], int]
"""A command, named, and the number of the database that it works in."""


_SESSION = frozenset({"WATCH", "UNWATCH", "EXEC", "DISCARD", "RESET"})
"""Commands that change what a connection watches."""


class KeyFinder:
    """Asks ``COMMAND GETKEYSANDFLAGS`` (server 7 or newer) once for each command, and remembers.

    Of a script it knows what it declares; what else one touches is another thing in each run (`during`).
    """

    def __init__(
        self, ask: Callable[..., Awaitable[object]], refused: type[Exception], scripts: ScriptWatch | None = None
    ) -> None:
        """Take the connection to ask on, the exception that an error reply is, and what watches scripts.

        Without ``scripts`` what a script touches stays unknown.
        """
        self._ask = ask
        self._refused = refused
        self._scripts = scripts
        self._known: dict[tuple[str, ...], tuple[Touch, ...]] = {}
        self._found: dict[tuple[tuple[_Called, ...], tuple[_Called, ...]], Found] = {}

    async def touches(
        self,
        effects: Sequence[Effect],
        watched: Sequence[Effect],
        naming: Callable[[str], str],
        seen: Sequence[Touch] | None = None,
    ) -> Found:
        """Give what commands touch; objects are called as ``naming`` calls their keys.

        ``seen`` is what the scripts among them were seen to touch. Until then they may touch the whole database.
        """
        called = tuple((named(effect.args, naming), effect.database) for effect in effects)
        read = tuple((named(effect.args, naming), effect.database) for effect in watched)
        known = self._found.get((called, read))
        if known is None:
            known = await self._find(effects, watched, called, read)
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[called, read] = known
        scripts = [effect.args for effect in effects if is_script(effect.args)]
        if not scripts:
            return known
        found = dict(known.touches)
        unknown = [Touch(WHOLE, _script_access(args)) for args in scripts]
        _add(found, 0, unknown if seen is None else seen)
        touches = tuple(Touch(name, access) for name, access in found.items())
        return known._replace(
            touches=touches, objects=known.objects or (WHOLE,), varies=len(found) > len(known.touches)
        )

    async def _find(
        self, effects: Sequence[Effect], watched: Sequence[Effect], called: Sequence[_Called], read: Sequence[_Called]
    ) -> Found:
        found: dict[str, Access] = {}
        for effect, (words, database) in zip(effects, called, strict=True):
            _add(found, database, await self._touched(words, effect.args))
        for effect, (words, database) in zip(watched, read, strict=True):
            touched = await self._touched(words, effect.args)
            _add(found, database, [Touch(name, Access.READ) for name, _ in touched])
        touches = tuple(Touch(name, access) for name, access in found.items())
        return Found(touches, tuple(found), called[0][0] if called else ())

    async def during(
        self, effects: Sequence[Effect], naming: Callable[[str], str], release: Callable[[], Awaitable[Released]]
    ) -> tuple[Released, tuple[Touch, ...] | None]:
        """Let commands take effect by ``release``; give what the scripts among them touched (None: it is not known)."""
        scripts = Counter(effect.args for effect in effects if is_script(effect.args))
        if self._scripts is None or not scripts:
            return await release(), None
        released, runs = await self._scripts.during(release)
        if runs is None:
            return released, None
        touched: dict[str, Access] = {}
        for args, calls in reversed(runs):  # those of others came before
            if scripts[args]:
                scripts[args] -= 1
                for call in calls:
                    _add(touched, call.database, await self._touched(named(call.args, naming), call.args))
        if scripts.total():  # one did not run, or not as it was sent
            return released, None
        return released, tuple(Touch(name, access) for name, access in touched.items())

    async def _touched(self, words: tuple[str, ...], args: tuple[bytes, ...]) -> tuple[Touch, ...]:
        known = self._known.get(words)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[words] = await self._look_up(words, args)
        return known

    async def _look_up(self, words: tuple[str, ...], args: tuple[bytes, ...]) -> tuple[Touch, ...]:
        name = verb(args)
        heard = _heard(name, words)
        if heard is not None:
            return heard
        if changes_all(args):
            return _EVERYTHING
        all_read = (Touch(WHOLE, Access.READ),) if scans(args) else ()
        try:
            answer = await self._ask("COMMAND", "GETKEYSANDFLAGS", *words)
        except self._refused as error:
            keyless = "no key arguments" in str(error).lower()
            return all_read if keyless and (all_read or name in _HARMLESS) else _EVERYTHING
        assert isinstance(answer, list)  # noqa: S101 - the reply's documented shape
        return all_read + tuple(Touch(str(key), _access(args, {str(flag) for flag in flags})) for key, flags in answer)


def named(args: Sequence[bytes], naming: Callable[[str], str]) -> tuple[str, ...]:
    """Give a command's words as texts, with the names that ``naming`` knows."""
    return tuple(naming(arg.decode("utf-8", "backslashreplace")) for arg in args)


def _add(found: dict[str, Access], database: int, touched: Sequence[Touch]) -> None:
    """Add touches in a database to those found; the whole store and channels are the same in every database."""
    for name, access in touched:
        shared = not database or name == WHOLE or name.startswith("channel:")
        place = name if shared else f"db{database}:{name}"
        if found.get(place) in (None, Access.READ):
            found[place] = access


def _heard(name: bytes, words: tuple[str, ...]) -> tuple[Touch, ...] | None:
    """Give the channels that a command of publish and subscribe touches; None for any other.

    Who publishes writes the channel, who subscribes or is sent a message reads it. Channels whose names begin with
    two underscores are the server's own (keyspace notifications, invalidations): any write is heard there.
    """
    if name in _PUBLISH:
        return (Touch(f"channel:{words[1]}", Access.WRITE),) if len(words) > 1 else ()
    if name == b"INVALIDATE":
        return tuple(Touch(word, Access.READ) for word in words[1:]) or (Touch(WHOLE, Access.READ),)
    if name not in _HEAR | _HEAR_ANY:
        return None
    channels = words[1:] if name.endswith(b"SUBSCRIBE") else words[-2:-1]
    if name in _HEAR_ANY or not channels or any(channel.startswith("__") for channel in channels):
        return (Touch(WHOLE, Access.READ),)
    return tuple(Touch(f"channel:{channel}", Access.READ) for channel in channels)


def _script_access(args: tuple[bytes, ...]) -> Access:
    return Access.READ if verb(args).endswith(b"_RO") else Access.WRITE


def _access(args: tuple[bytes, ...], flags: set[str]) -> Access:
    if creates_if_absent(args):
        return Access.CREATE
    if "RM" in flags or verb(args) == b"GETDEL":
        return Access.DELETE
    writes = bool(flags & _WRITES) or verb(args) == b"XREADGROUP"  # a group remembers what it was given
    return Access.WRITE if writes else Access.READ


def changes_session(command: str) -> bool:
    """Tell whether a command changes what its connection watches; a transaction has its commands in brackets."""
    return command.partition("(")[0].upper() in _SESSION
