"""The Redis of a target: started for it, or one that runs already; and our own connections to it, past the gate."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from ssl import SSLContext, SSLError, create_default_context
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as NoReply

from stress.core.errors import StoreLost, Unavailable
from stress.processes.child import ending
from stress.processes.turn import Turn
from stress.protocols.redis.commands import Effect
from stress.protocols.redis.lent import Lent
from stress.protocols.redis.server import Valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from redis.asyncio.connection import AbstractConnection

    from stress.core.errors import Place
    from stress.protocols.redis.parts import RedisStore
    from stress.protocols.redis.scripts import ScriptWatch

_USUAL_PORT = 6379
_REPLY_SECONDS, _REPEAT_SECONDS = 5.0, 0.2
"""How long the store may take to reply to us; and once it did not, until it does again."""
_TURN_SECONDS = 60.0
"""How long another command may take for a run on a store that is lent to both."""
_LASTS = -1
"""What PTTL answers of a key that does not run out."""

Command = tuple[str | bytes, ...]
Key = tuple[int, str]
"""A key in Redis: the number of the database, and its name."""
Written = Key | str
"""What a Gateway wrote: a key, or an object of the Kubernetes API by its path."""


class Store:
    """One Redis or Valkey. What one held that was not started here, and is no scratch, it holds again (`Lent`)."""

    def __init__(self, store: RedisStore, folder: Path | None = None) -> None:
        """Take the part of the target file, and the folder that it is in; nothing is started or connected yet."""
        self._ca = str((folder or Path()) / store.ca) if store.ca is not None else None
        self.valkey: Valkey | None = None
        self.embedded = store.url is None
        self.scratch = store.scratch
        self.lent: Lent | None = None
        self.notes: list[str] = []
        self._wanted = store.url
        self._seconds = _REPLY_SECONDS
        self._links: dict[int, _Link] = {}
        self._first: dict[Key, bytes | None] = {}

    async def open(self) -> None:
        """Start the server where none is named, and connect to it.

        Raises:
            Unavailable: when it does not start, or does not take our connection.

        """
        if self._wanted is None:
            self.valkey = await Valkey.beside_others()
        self._url = self._wanted or self.valkey.url  # type: ignore[union-attr]
        parts = urlsplit(self._url)
        self.address = (parts.hostname or "", parts.port or _USUAL_PORT)
        self.database = int(parts.path.strip("/") or 0)
        self.tls = self._trusted(parts.scheme)
        try:
            await self.ask([("PING",)])
        except RedisError as error:
            raise self._lost(error) from None

    async def lend(self, refuse: Callable[[Exception], None], place: Place, scripts: ScriptWatch) -> None:
        """Save what it holds before that is changed, and give it back, unless nothing in it is worth keeping.

        Raises:
            StoreLost: when it does not answer.

        """
        if not (self.embedded or self.scratch):
            self.lent = Lent(self._run, refuse, place, scripts)
            self._turn = Turn(f"redis-{self.address[1]}")  # whatever its host is called
            self.notes = self.lent.notes
            await self.lent.open()

    def _trusted(self, scheme: str) -> SSLContext | None:
        """Give how the store is trusted, where it speaks TLS."""
        try:
            return create_default_context(cafile=self._ca) if scheme == "rediss" else None
        except (OSError, SSLError) as error:
            raise Unavailable(f"stores.redis.ca holds no certificate: {error}", "name a file in PEM") from None

    @property
    def death(self) -> str:
        """Say how the server that was started here ended, or nothing while it lives."""
        if self.valkey is None or self.valkey.process.poll() is None:
            return ""
        return f"the Valkey that was started for the Gateway died ({ending(self.valkey.process)})"

    def url(self, port: int) -> str:
        """Give the URL by which a Gateway reaches it through a gate: the same user, password and database."""
        parts = urlsplit(self._url)
        login = parts.netloc.rpartition("@")[0]
        return f"redis://{login + '@' if login else ''}127.0.0.1:{port}/{self.database}"

    @property
    def login(self) -> tuple[str, ...]:
        """The words of AUTH that its address asks for, if any."""
        parts = urlsplit(self._url)
        words = (parts.username, parts.password) if parts.username else (parts.password,)
        return tuple(unquote(word) for word in words if word)

    async def ask(self, commands: Sequence[Command], database: int | None = None) -> list[object]:
        """Run commands in one go, in the target's database by default.

        Raises:
            StoreLost: when it does not answer.
            ResponseError: the first error reply of any, once all were run.

        """
        return _checked(await self._run(commands, self.database if database is None else database))

    async def reply(self, *command: str) -> object:
        """Run one command; give its reply with texts in place of bytes.

        Raises:
            StoreLost: when it does not answer.
            ResponseError: when it is refused.

        """
        return _text((await self.ask([command]))[0])

    async def change(self, commands: Sequence[Command]) -> list[object]:
        """Do the same in the target's database with commands that may change what a user has lent.

        Raises:
            StoreLost: when it does not answer.
            ResponseError: the first error reply of any.
            UsageFault: when what they may change can't be saved.

        """
        effects = [Effect(tuple(_bytes(word) for word in words), self.database) for words in commands]
        if self.lent is None or not self.lent.may_change(effects):
            return await self.ask(commands)
        saved = await self.lent.save(effects)
        if saved is None:
            raise self.lent.refusal
        try:
            return await self.ask(commands)
        finally:
            self.lent.after(saved)

    async def begin(self) -> None:
        """Count what is written from now on to a run; on a store that is lent no two are at the same time.

        Raises:
            Unavailable: when another command does not end its run there.

        """
        if self.lent is None:
            return
        if not await self._turn.take(_TURN_SECONDS):
            message = f"another run of gateway-stress uses the store at {self.address[0]}:{self.address[1]}"
            raise Unavailable(message, "wait until it has ended, or name another store")
        await self.lent.begin()

    async def is_empty(self, key: str) -> bool:
        """Tell whether a key is not there, or is an empty text or stream.

        Raises:
            StoreLost: when it does not answer.

        """
        (kind,) = await self.ask([("TYPE", key)])
        length = {b"string": "STRLEN", b"stream": "XLEN"}.get(cast("bytes", kind))
        return kind == b"none" or (length is not None and await self.ask([(length, key)]) == [0])

    async def read_and_forget(self, commands: Sequence[Command], keys: Collection[Key]) -> list[object]:
        """Run commands and delete keys, in one go where they are in the target's database.

        Raises:
            StoreLost: when it does not answer.
            ResponseError: the first error reply to any of the commands.
            Unavailable: when it refuses to delete.

        """
        if self.lent is not None:
            replies = await self.change(commands)
            await self.forget(keys)
            return replies
        here = {name for at, name in keys if at == self.database and (at, name) not in self._first}
        replies = await self._run([*commands, *_deleting(here)], self.database)
        found = _checked(replies[: len(commands)])
        _deleted(replies[len(commands) :])
        await self.forget([key for key in keys if key[0] != self.database or key in self._first])
        return found

    async def remember(self) -> None:
        """Keep what is in a server that was started here: what its Gateway has written as it started.

        A key that runs out by itself, such as a lease, is left alone from now on, unless a run writes it.
        """
        self._first.clear()
        for database in await self._databases() if self.valkey is not None else ():
            names = await self._names(database)
            kept = await self.ask([one for name in names for one in (("DUMP", name), ("PTTL", name))], database)
            for name, value, left in zip(names, kept[::2], kept[1::2], strict=True):
                self._first[database, name] = value if left == _LASTS and isinstance(value, bytes) else None

    async def empty(self) -> None:
        """Delete everything in a server that was started here; one that is lent holds what it did at first."""
        self._first.clear()
        if self.lent is not None:
            await self.lent.give_back(all_of_it=True)
        if self.valkey is not None:
            await self.ask([("FLUSHALL",)])

    async def forget(self, keys: Collection[Key]) -> None:
        """Delete keys, but those that were there when the Gateway had started: they hold again what they held.

        In a store that is lent it is every key that was written in the run, and before it. A store that is lost keeps
        them: that it is lost is reported elsewhere.

        Raises:
            Unavailable: when it refuses.

        """
        with suppress(StoreLost):
            if self.lent is not None:
                try:
                    await self.lent.give_back()
                finally:
                    self._turn.give()
                return
            for database in sorted({database for database, _ in keys}):
                names = {name for at, name in keys if at == database}
                kept = {name: value for name in names if (value := self._first.get((database, name))) is not None}
                held = await self._run([("DUMP", name) for name in kept], database) if kept else []
                changed = [one for one, now in zip(kept.items(), held, strict=True) if one[1] != now]
                back: list[Command] = [("RESTORE", name, "0", value, "REPLACE") for name, value in changed]
                _deleted(await self._run([*_deleting(names - kept.keys()), *back], database))

    async def clear(self, keys: Collection[Key]) -> None:
        """Bring a server that was started here to where its Gateway had started; else delete these keys."""
        if self.valkey is None:
            await self.forget(keys)
        elif not self._first:
            await self.ask([("FLUSHALL",)])
        else:
            there = [(at, name) for at in await self._databases() for name in await self._names(at)]
            lasting = {key for key, value in self._first.items() if value is not None}
            await self.forget(lasting.union(key for key in there if key not in self._first))

    async def _databases(self) -> list[int]:
        (reported,) = await self.ask([("INFO", "keyspace")])
        return [int(number) for number in re.findall(r"(?m)^db(\d+):", str(reported, "ascii"))]  # type: ignore[call-overload]

    async def _names(self, database: int) -> list[str]:
        (names,) = await self.ask([("KEYS", "*")], database)
        return [name.decode("utf-8", "backslashreplace") for name in names]  # type: ignore[attr-defined]

    async def close(self) -> None:
        """Disconnect, and end the server if it was started here; one that is lent has all back that it held."""
        if self.lent is not None:
            with suppress(Unavailable):  # `owing` tells
                await self.lent.give_back(all_of_it=True)
            self._turn.give()
            if owing := self.lent.owing:
                self.notes.append(f"the store did not take back what it held: see {', '.join(owing)}")
        for link in self._links.values():
            await link.close()
        if self.valkey is not None:
            self.valkey.close()

    async def _run(self, commands: Sequence[Command], database: int) -> list[object]:
        """Run commands; an error reply stands among the replies."""
        try:
            async with asyncio.timeout(self._seconds):
                replies = await self._link(database).ask(commands)
        except TimeoutError:
            self.suspect()
            raise self._lost(TimeoutError(f"no reply in {_REPLY_SECONDS:g} s")) from None
        except (NoConnection, NoReply, OSError) as error:
            raise self._lost(error) from None
        self._seconds = _REPLY_SECONDS
        return replies

    @property
    def suspected(self) -> bool:
        """Whether it was seen not to reply, and has not replied since."""
        return self._seconds < _REPLY_SECONDS

    def suspect(self) -> None:
        """Wait no more than a moment for replies until there is one: it was seen not to reply."""
        self._seconds = _REPEAT_SECONDS

    def _lost(self, error: Exception) -> StoreLost:
        """Say what is wrong with the store, and what to do."""
        host, port = self.address
        if self.death:
            return StoreLost(self.death, "see whether memory ran out, or name a store of your own: stores.redis.url")
        message = f"the store at {host}:{port} does not take our connection: {error}"
        return StoreLost(message, "start it, and check stores.redis.url")

    def _link(self, database: int) -> _Link:
        link = self._links.get(database)
        if link is None:
            url = urlsplit(self._url)._replace(path=f"/{database}").geturl()
            link = self._links[database] = _Link(url, self._ca)
        return link


class _Link:
    """One connection of our own. Commands go down it together: a schedule is over when its state was read."""

    def __init__(self, url: str, ca: str | None = None) -> None:
        """Connect when first asked; ``ca`` is a file of whom to trust, where the URL says TLS."""
        at_once = Retry(NoBackoff(), 0)  # who is gone is not waited for
        trust = {"ssl_ca_certs": ca} if ca is not None else {}
        pool = ConnectionPool.from_url(url, protocol=2, retry=at_once, socket_timeout=None, **trust)
        self._connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._turn = asyncio.Lock()

    async def ask(self, commands: Sequence[Command]) -> list[object]:
        """Run commands in one go; an error reply stands among the replies."""
        replies: list[object] = []
        async with self._turn:
            await self._connection.send_packed_command(self._connection.pack_commands(commands))
            for _ in commands:
                try:
                    replies.append(await self._connection.read_response())
                except ResponseError as error:
                    replies.append(error)
        return replies

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.disconnect()


def _text(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return [_text(item) for item in value] if isinstance(value, list | tuple | set) else value


def _bytes(word: str | bytes) -> bytes:
    return word.encode("utf-8", "surrogateescape") if isinstance(word, str) else word


def _deleting(names: Collection[str]) -> list[Command]:
    """Delete each key by itself: the nodes of a cluster take no command for keys of several slots."""
    return [("DEL", name) for name in sorted(names)]


def _checked(replies: list[object]) -> list[object]:
    failed = next((reply for reply in replies if isinstance(reply, ResponseError)), None)
    if failed is not None:
        raise failed
    return replies


def _deleted(replies: list[object]) -> None:
    try:
        _checked(replies)
    except ResponseError as error:
        message = f"the store does not let us delete what the Gateway wrote: {error}"
        raise Unavailable(message, "allow DEL to the user of stores.redis.url") from None
