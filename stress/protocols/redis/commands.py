"""What a stream of Redis commands means for a gate: which are one step, and which have no effect of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from stress.protocols.redis.replies import ReplyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stress.protocols.redis.replies import Reply
    from stress.protocols.redis.requests import Request

_BLOCKING = frozenset(b"BLPOP BRPOP BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP BRPOPLPUSH WAIT WAITAOF".split())
_SUBSCRIBE = {b"SUBSCRIBE": b"", b"PSUBSCRIBE": b"p", b"SSUBSCRIBE": b"s"}
_UNSUBSCRIBE = {b"UNSUBSCRIBE": b"", b"PUNSUBSCRIBE": b"p", b"SUNSUBSCRIBE": b"s"}
_CONFIRMED = frozenset([*_SUBSCRIBE, *_UNSUBSCRIBE])
_PUSHED = frozenset(b"message pmessage smessage invalidate".split())
_SUBSCRIPTIONS = {b"MESSAGE": b"SUBSCRIBE", b"PMESSAGE": b"PSUBSCRIBE", b"SMESSAGE": b"SSUBSCRIBE"}
_CHANGES = frozenset(b"AUTH SELECT EXEC HELLO RESET MONITOR SHUTDOWN".split())
"""Commands whose reply tells whether they changed the connection."""
_FINDS_NODES = frozenset(b"CLUSTER SENTINEL".split())
_READS_ALL = frozenset(b"KEYS SCAN RANDOMKEY DBSIZE".split())
_WRITES_ALL = frozenset(b"FLUSHALL FLUSHDB SWAPDB MOVE".split())
_SCRIPTS = frozenset(b"EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO".split())
_CREATES = frozenset(b"SETNX HSETNX MSETNX".split())
_TRANSACTION = frozenset(b"MULTI EXEC DISCARD WATCH UNWATCH".split())
_NOT_PLAIN = _TRANSACTION | _CHANGES | _CONFIRMED | _BLOCKING | {b"CLIENT", b"XREAD", b"XREADGROUP"}
_MONITORED = re.compile(rb"\+\d+\.\d+ \[\d+ [^\]]*\] ")


class Effect(NamedTuple):
    """A command that takes effect, and the number of the database that it does so in."""

    args: tuple[bytes, ...]
    database: int = 0


class Awaited(NamedTuple):
    """Replies that the server owes: how many, and the command's name where its reply means something to the gate.

    ``number`` is the version that a HELLO asks for, or the database that a SELECT or EXEC leaves: it is still the one
    if the server refuses.
    """

    replies: int
    name: bytes = b""
    number: int = 0


_ONE = Awaited(1)
"""What most commands are owed."""


@dataclass(frozen=True, slots=True)
class Command:
    """One request and what it means at its place in the stream.

    ``passes`` says that it has no effect of its own: background, or queued by an open MULTI. ``effects`` are the
    commands that take effect with it (those queued before it for an EXEC), ``watched`` those whose keys it also reads.
    ``ran`` is what the server does for it, which it does for background too.
    """

    request: Request
    passes: bool
    blocking: bool = False
    awaited: Awaited | None = None
    effects: tuple[Effect, ...] = ()
    watched: tuple[Effect, ...] = ()
    ran: tuple[Effect, ...] = ()

    @property
    def name(self) -> str:
        """What it is called, in capitals."""
        return verb(self.request.args).decode("latin-1")


@dataclass(frozen=True, slots=True)
class Unit:
    """Commands that are one step, or that pass."""

    commands: tuple[Command, ...]
    parked: bool

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The commands whose keys it touches."""
        if len(self.commands) == 1:
            return self.commands[0].effects
        return tuple(effect for command in self.commands for effect in command.effects)

    @property
    def watched(self) -> tuple[Effect, ...]:
        """The commands whose keys it also reads."""
        if len(self.commands) == 1:
            return self.commands[0].watched
        return tuple(effect for command in self.commands for effect in command.watched)

    @property
    def raw(self) -> bytes:
        """Its bytes."""
        return b"".join(command.request.raw for command in self.commands)

    @property
    def blocking(self) -> bool:
        """Whether its reply may wait for another client: then the reply is the step."""
        return self.parked and self.commands[0].blocking

    @property
    def name(self) -> str:
        """Its name: ``HGET``, ``HSET+EXPIRE``, ``EXEC(HSET+EXPIRE)``."""
        own = [verb(command.request.args).decode("latin-1") for command in self.commands if command.request.args]
        if "EXEC" in own:
            return "EXEC(" + "+".join(verb(effect.args).decode("latin-1") for effect in self.effects) + ")"
        return "+".join(own)

    def split(self) -> list[Unit]:
        """Give its steps one by one, each with what passes before it; what passes at the end stays with the last."""
        parts: list[list[Command]] = [[]]
        for command in self.commands:
            if parts[-1] and not parts[-1][-1].passes:
                parts.append([])
            parts[-1].append(command)
        if len(parts) > 1 and all(command.passes for command in parts[-1]):
            rest = parts.pop()
            parts[-1] += rest
        return [Unit(tuple(part), parked=True) for part in parts]


def verb(args: Sequence[bytes]) -> bytes:
    """Give the command's name in capitals (empty for an empty line)."""
    return args[0].upper() if args else b""


def is_blocking(args: Sequence[bytes]) -> bool:
    """Tell whether the reply may wait for another client: then the reply is the step."""
    name = verb(args)
    if name not in (b"XREAD", b"XREADGROUP"):
        return name in _BLOCKING
    words = [arg.upper() for arg in args]
    return b"BLOCK" in words[: words.index(b"STREAMS") if b"STREAMS" in words else None]


def finds_nodes(requests: Iterable[Request]) -> list[str]:
    """Name those requests that ask for the addresses of nodes, which lead past the gate: of CLUSTER and SENTINEL."""
    asked = [request.args for request in requests if verb(request.args) in _FINDS_NODES]
    return [b" ".join(args[:2]).decode("latin-1").upper() for args in asked]


def is_script(args: Sequence[bytes]) -> bool:
    """Tell whether a command runs a script or a function, which may touch keys that it does not declare."""
    return verb(args) in _SCRIPTS


def scans(args: Sequence[bytes]) -> bool:
    """Tell whether a command may read any key, in ways that COMMAND GETKEYSANDFLAGS does not see."""
    name = verb(args)
    if name in (b"SORT", b"SORT_RO"):
        return any(arg.upper() in (b"BY", b"GET") for arg in args[2:])
    return name in _READS_ALL


def changes_all(args: Sequence[bytes]) -> bool:
    """Tell whether a command may change any key, also of another database, in ways that the server does not tell."""
    name = verb(args)
    return name in _WRITES_ALL or (name == b"COPY" and any(arg.upper() == b"DB" for arg in args[3:]))


def creates_if_absent(args: Sequence[bytes]) -> bool:
    """Tell whether a command writes only where nothing stands yet."""
    name = verb(args)
    return name in _CREATES or (name == b"SET" and any(arg.upper() == b"NX" for arg in args[3:]))


def background(args: Sequence[bytes], rules: tuple[str, ...]) -> bool:
    """Tell whether a command is never gated: rules are names (``PING``) or two words (``SCRIPT LOAD``)."""
    if not args:
        return True
    seconds = _seconds_by_first(rules).get(args[0].upper(), frozenset())
    return seconds is None or (len(args) > 1 and bool(seconds) and args[1].upper() in seconds)


def comes_unseen(args: Sequence[bytes], rules: tuple[str, ...]) -> bool:
    """Tell whether what the server says late or unasked is never gated: by its name, or that of its subscription."""
    return background(args, rules) or background((_SUBSCRIPTIONS.get(args[0], args[0]),), rules)


@lru_cache(maxsize=64)
def _seconds_by_first(rules: tuple[str, ...]) -> dict[bytes, frozenset[bytes] | None]:
    """Give for each first word the second ones that a rule names; None where one names the first word alone."""
    pairs = [rule.encode("latin-1").partition(b" ")[::2] for rule in rules]
    isolated = {first for first, second in pairs if not second}
    return {
        first: None if first in isolated else frozenset(second for other, second in pairs if other == first)
        for first, _ in pairs
    }


class ConnectionState:
    """What one connection is in the middle of.

    Its database, an open MULTI, what it watches and has subscribed to, whether it is replied to (CLIENT REPLY), and
    whether the server may say something unasked: messages, invalidations of a client cache, MONITOR's lines.
    """

    def __init__(self) -> None:
        """Begin as a new connection."""
        self.database = 0
        self._queued: list[Effect] | None = None
        self._watched: list[Effect] = []
        self._channels: dict[bytes, set[bytes]] = {kind: set() for kind in _SUBSCRIBE.values()}
        self._replies, self._skip_next = True, False
        self._monitors = self._tracks = False
        self._protocol = 2
        self._confirmed = {False: 0, True: 0}

    @property
    def listens(self) -> bool:
        """Whether the server may send messages (MONITOR's lines are none)."""
        return self._tracks or any(self._channels.values()) or any(self._confirmed.values())

    def plain(self, args: Sequence[bytes]) -> bool:
        """Tell quickly whether a command changes nothing here and has one reply, which comes at once."""
        usual = self._queued is None and self._replies and not self._skip_next
        return usual and bool(args) and args[0].upper() not in _NOT_PLAIN

    def passes(self, requests: Iterable[Request], rules: tuple[str, ...]) -> bool:
        """Tell whether none of these requests is a step: background, or queued by an open MULTI."""
        open_multi = self._queued is not None
        for request in requests:
            name = verb(request.args)
            if name == b"EXEC":
                return False
            open_multi = (open_multi or name == b"MULTI") and name not in (b"DISCARD", b"RESET")
            idle = name == b"UNWATCH" and not self._watched  # what a pool says when a connection comes back
            if not (open_multi or idle or name in (b"DISCARD", b"RESET") or background(request.args, rules)):
                return False
        return True

    def units(self, requests: Sequence[Request], rules: tuple[str, ...]) -> list[Unit]:
        """Split what arrived together into units.

        Leading commands without an effect of their own pass. What follows is one unit: a pipeline sent at once, with
        the transactions in it, up to a blocking command, which is a unit by itself. An open MULTI at the end stays
        open; its EXEC will carry what was queued.
        """
        groups: list[list[Command]] = []
        for request in requests:
            command = self.follow(request, rules)
            isolated = command.blocking and not command.passes
            begins = not groups or isolated or (groups[-1][0].blocking and not groups[-1][0].passes)
            if begins or (groups[-1][0].passes and not command.passes):
                groups.append([])
            groups[-1].append(command)
        return [Unit(tuple(group), parked=not group[0].passes) for group in groups]

    def follow(self, request: Request, rules: tuple[str, ...]) -> Command:
        """Take in one request; give what it means here."""
        args = request.args
        if self.plain(args):
            passes, own = background(args, rules), (Effect(args, self.database),)
            return Command(request, passes, False, _ONE, () if passes else own, (), own)  # noqa: FBT003 - hot path
        passes, name = self.passes((request,), rules), verb(args)
        awaited = self._await(name, args)
        if self._queued is not None and name not in (b"EXEC", b"DISCARD", b"RESET"):
            if name not in (b"MULTI", b"WATCH"):  # the server refuses these inside a transaction
                self._queue(name, args)
            return Command(request, passes, awaited=awaited)
        queued, watched = self._end_transaction(name)
        self._change(name, args)
        if name == b"EXEC":
            return Command(request, passes, awaited=awaited, effects=queued, watched=watched, ran=queued)
        ran = (Effect(args, self.database),) if args else ()
        blocking = awaited is not None and is_blocking(args)
        return Command(request, passes, blocking, awaited, () if passes else ran, ran=ran)

    def _queue(self, name: bytes, args: tuple[bytes, ...]) -> None:
        assert self._queued is not None  # noqa: S101 - only called inside a transaction
        chosen = [effect.args for effect in self._queued if verb(effect.args) == b"SELECT"][-1:]
        database = _database((chosen or [args])[0], self.database)
        self._queued.append(Effect(args, database))
        if name in _SUBSCRIBE or name in _UNSUBSCRIBE:
            self._subscribe(name, args)

    def _end_transaction(self, name: bytes) -> tuple[tuple[Effect, ...], tuple[Effect, ...]]:
        """Take in what ends a transaction; give what was queued and watched."""
        if name not in (b"EXEC", b"DISCARD", b"RESET"):
            return (), ()
        ended = tuple(self._queued or ()), tuple(self._watched)
        if self._queued is not None or name == b"RESET":
            self._queued, self._watched = None, []
        if name == b"EXEC":
            for effect in ended[0]:
                self.database = _database(effect.args, self.database)
        return ended

    def _change(self, name: bytes, args: tuple[bytes, ...]) -> None:
        if name == b"MULTI":
            self._queued = []
        elif name == b"SELECT":
            self.database = _database(args, self.database)
        elif name == b"WATCH":
            self._watched.append(Effect(args, self.database))
        elif name == b"UNWATCH":
            self._watched = []
        elif name in _CONFIRMED:
            self._subscribe(name, args)
        elif name == b"CLIENT" and verb(args[1:]) == b"TRACKING":
            self._tracks = verb(args[2:]) == b"ON"
        elif name == b"RESET":
            self.database, self._replies, self._skip_next = 0, True, False
            self._channels = {kind: set() for kind in self._channels}

    def _subscribe(self, name: bytes, args: tuple[bytes, ...]) -> None:
        if name in _SUBSCRIBE:
            self._channels[_SUBSCRIBE[name]] |= set(args[1:])
        else:
            channels = self._channels[_UNSUBSCRIBE[name]]
            channels -= set(args[1:]) or set(channels)

    def _await(self, name: bytes, args: tuple[bytes, ...]) -> Awaited | None:
        """Tell what the server will reply to a request that is about to be followed."""
        if name == b"RESET":
            return Awaited(1, name)
        reported = b""
        if [word.upper() for word in args[:2]] == [b"CLIENT", b"REPLY"] and len(args) == 3 and self._queued is None:  # noqa: PLR2004
            reported = args[2].upper()
        if reported == b"ON":
            self._replies, self._skip_next = True, False
        silent = not args or not self._replies or self._skip_next or reported in (b"OFF", b"SKIP")
        if args:
            self._skip_next = reported == b"SKIP" and self._replies
            self._replies = self._replies and reported != b"OFF"
        if silent:
            return None
        if name in _CONFIRMED and self._queued is None:
            kind = _SUBSCRIBE.get(name, _UNSUBSCRIBE.get(name, b""))
            isolated = len(self._channels[kind]) if name in _UNSUBSCRIBE else 1
            return Awaited(max(1, len(args) - 1 or isolated), name)
        if name == b"HELLO":
            return Awaited(1, name, int(args[1]) if len(args) > 1 and args[1].isdigit() else self._protocol)
        return Awaited(1, name, self.database) if name in _CHANGES else Awaited(1)

    def replied(self, awaited: Awaited, value: object) -> None:
        """Take in the reply to a command that may have changed the connection (`Awaited.name`)."""
        name, failed = awaited.name, value is None or isinstance(value, ReplyError)
        if name in (b"SELECT", b"EXEC") and failed:
            self.database = awaited.number
        elif name in _CONFIRMED and isinstance(value, list) and isinstance(value[-1], int):
            self._confirmed[name in (b"SSUBSCRIBE", b"SUNSUBSCRIBE")] = value[-1]
        elif name == b"HELLO" and not failed:
            self._protocol = awaited.number
        elif name == b"MONITOR" and not failed:
            self._monitors = True
        elif name == b"RESET":
            self._protocol, self._monitors, self._tracks = 2, False, False
            self._confirmed = {False: 0, True: 0}

    def unasked(self, reply: Reply, awaited: Awaited | None) -> bool:
        """Tell whether the server sent something that no command asked for; ``awaited`` is what it owes next."""
        if awaited is None:
            return True
        if self._monitors and _MONITORED.match(reply.raw):
            return True
        if not reply.push and not self.listens:
            return False
        if not isinstance(reply.value, list) or not reply.value or not isinstance(reply.value[0], bytes):
            return False
        word = reply.value[0]
        if word.upper() in _CONFIRMED:
            return reply.push and awaited.name != word.upper()
        return reply.push or (self._protocol == 2 and word in _PUSHED)  # noqa: PLR2004 - RESP2 has no pushes


def pushed(reply: Reply) -> Effect | None:
    """Give what the server pushed as a command of its own: ``MESSAGE channel text``; None if it is no message.

    The name of a pattern subscription's message is followed by the pattern, as on the wire.
    """
    value = reply.value
    if not isinstance(value, list) or not value or value[0] not in _PUSHED or not isinstance(value[0], bytes):
        return None
    words = [part for item in value[1:] for part in (item if isinstance(item, list) else [item])]
    return Effect((value[0].upper(), *(word for word in words if isinstance(word, bytes))))


def _database(args: tuple[bytes, ...], otherwise: int) -> int:
    return int(args[1]) if verb(args) == b"SELECT" and len(args) > 1 and args[1].isdigit() else otherwise
