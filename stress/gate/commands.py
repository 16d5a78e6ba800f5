"""What a stream of Redis commands means for a gate: which are one step, and which have no effect of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.gate.resp import Request

_BLOCKING = frozenset(b"BLPOP BRPOP BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP BRPOPLPUSH WAIT WAITAOF".split())
_SUBSCRIBE = frozenset(b"SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE".split())
_SCANS = frozenset(b"FLUSHALL FLUSHDB SWAPDB KEYS SCAN RANDOMKEY DBSIZE".split())
_SCRIPTS = frozenset(b"EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO".split())
_CREATES = frozenset(b"SETNX HSETNX MSETNX".split())


@dataclass(frozen=True, slots=True)
class Unit:
    """Commands that are one step, or that pass.

    ``effects`` are the commands whose keys the step touches (those queued before it for an EXEC), ``watched`` those
    whose keys it also reads.
    """

    requests: tuple[Request, ...]
    parked: bool
    effects: tuple[tuple[bytes, ...], ...] = ()
    watched: tuple[tuple[bytes, ...], ...] = ()


def verb(args: Sequence[bytes]) -> bytes:
    """Give the command's name in capitals (empty for an empty line)."""
    return args[0].upper() if args else b""


def is_blocking(args: Sequence[bytes]) -> bool:
    """Tell whether the reply may wait for another client: then the reply is the step."""
    name = verb(args)
    return name in _BLOCKING or (name in (b"XREAD", b"XREADGROUP") and any(arg.upper() == b"BLOCK" for arg in args))


def whole_database(args: Sequence[bytes]) -> bool:
    """Tell whether a command may touch any key, in ways that COMMAND GETKEYSANDFLAGS does not see."""
    name = verb(args)
    if name in (b"SORT", b"SORT_RO"):
        return any(arg.upper() in (b"BY", b"GET") for arg in args[2:])
    return name in _SCANS or (name in _SCRIPTS and len(args) > 2 and args[2] == b"0")  # noqa: PLR2004 - EVAL script numkeys


def creates_if_absent(args: Sequence[bytes]) -> bool:
    """Tell whether a command writes only where nothing stands yet."""
    name = verb(args)
    return name in _CREATES or (name == b"SET" and any(arg.upper() == b"NX" for arg in args[3:]))


def background(args: Sequence[bytes], rules: Sequence[str]) -> bool:
    """Tell whether a command is never gated: rules are names (``PING``) or two words (``SCRIPT LOAD``)."""
    words = [arg.decode("latin-1").upper() for arg in args[:2]]
    return not words or words[0] in rules or " ".join(words) in rules


def replies_expected(request: Request) -> int:
    """Count the replies that the server gives to one request."""
    if not request.args:
        return 0
    name = verb(request.args)
    if name in _SUBSCRIBE:
        return max(1, len(request.args) - 1)
    words = [arg.upper() for arg in request.args[:3]]
    return 0 if words in ([b"CLIENT", b"REPLY", b"OFF"], [b"CLIENT", b"REPLY", b"SKIP"]) else 1


class ConnectionState:
    """What one connection is in the middle of: its database, an open MULTI, what it watches."""

    def __init__(self) -> None:
        """Begin as a new connection."""
        self.database = 0
        self._queued: list[tuple[bytes, ...]] | None = None
        self._watched: list[tuple[bytes, ...]] = []

    def passes(self, requests: Sequence[Request], rules: Sequence[str]) -> bool:
        """Tell whether none of these requests is a step: background, or queued by an open MULTI."""
        open_multi = self._queued is not None
        for request in requests:
            name = verb(request.args)
            if name == b"EXEC":
                return False
            open_multi = (open_multi or name == b"MULTI") and name != b"DISCARD"
            if not (open_multi or name == b"DISCARD" or background(request.args, rules)):
                return False
        return True

    def units(self, requests: Sequence[Request], rules: Sequence[str]) -> list[Unit]:
        """Split what arrived together into units.

        Leading commands without an effect of their own pass. What follows is one unit: a pipeline sent at once, with
        the transactions in it. An open MULTI at the end stays open; its EXEC will carry what was queued.
        """
        lead = 0
        while lead < len(requests) and self.passes(requests[lead : lead + 1], rules):
            self._follow(requests[lead])
            lead += 1
        found = [Unit(tuple(requests[:lead]), parked=False)] if lead else []
        rest = requests[lead:]
        if rest:
            effects: list[tuple[bytes, ...]] = []
            watched: list[tuple[bytes, ...]] = []
            for request in rest:
                done, seen = self._follow(request)
                effects += [] if background(request.args, rules) else done
                watched += seen
            found.append(Unit(tuple(rest), parked=True, effects=tuple(effects), watched=tuple(watched)))
        return found

    def _follow(self, request: Request) -> tuple[list[tuple[bytes, ...]], list[tuple[bytes, ...]]]:
        """Take in one request; give the commands that take effect with it, and those whose keys it reads too."""
        name, args = verb(request.args), request.args
        if name == b"MULTI":
            self._queued = []
        elif name in (b"EXEC", b"DISCARD") and self._queued is not None:
            queued, watched = self._queued, self._watched
            self._queued, self._watched = None, []
            return (queued, watched) if name == b"EXEC" else ([], [])
        elif self._queued is not None:
            self._queued.append(args)
        else:
            if name == b"SELECT" and len(args) > 1 and args[1].isdigit():
                self.database = int(args[1])
            if name in (b"WATCH", b"UNWATCH"):
                self._watched = [*self._watched, args] if name == b"WATCH" else []
            return [args], []
        return [], []
