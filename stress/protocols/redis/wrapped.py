"""A Redis or Valkey for `wrap`: started here or the user's own, behind a gate on loopback."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redis.exceptions import RedisError, ResponseError

from stress.core.errors import Place
from stress.core.hosts import is_loopback
from stress.core.masking import mask_command, mask_text
from stress.core.patterns import Shown
from stress.core.step import Access
from stress.protocols.gate import Gate
from stress.protocols.redis.accesses import KeyFinder
from stress.protocols.redis.parts import OWN_CONNECTION, RedisStore
from stress.protocols.redis.proxy import RedisProxy
from stress.protocols.redis.scripts import ScriptWatch
from stress.protocols.redis.store import Store
from stress.protocols.wrapped import Called, NoStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stress.core.symbols import Names
    from stress.protocols.gate import Effect, Frame
    from stress.protocols.wrapped import Wanted

_SCHEMES = ("redis", "rediss", "valkey", "valkeys")
_PREFIXES = ("REDIS", "VALKEY")
_HOSTS, _PORTS, _PLACES = ("HOST", "HOSTNAME"), ("PORT",), ("ADDR", "ADDRESS", "ENDPOINT", "SERVER")
_SECRETS = ("PASSWORD", "PASS", "USERNAME", "USER", "AUTH")
_USUAL_PORT = 6379
_PLACE = re.compile(r"(?P<host>\[[^\]]+\]|[^:/\s]+):(?P<port>\d+)")
_BACKGROUND = (
    *OWN_CONNECTION,
    "PING",
    "ECHO",
    "CLIENT",
    "COMMAND",
    "INFO",
    "SCRIPT LOAD",
    "SCRIPT EXISTS",
    "CONFIG GET",
)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment that leads clients to a store: what it holds, and at which address that is."""

    name: str
    value: str
    address: tuple[str, int]
    kind: str


def variables_of(environment: Mapping[str, str]) -> list[Variable]:
    """Find the variables that lead to a Redis: URLs of any name, and hosts, ports and addresses of known names."""
    found = list(_urls(environment))
    for prefix in _PREFIXES:
        host = next((environment[f"{prefix}_{one}"] for one in _HOSTS if environment.get(f"{prefix}_{one}")), "")
        port = environment.get(f"{prefix}_PORT", "")
        if host and _PLACE.fullmatch(host) is None:
            address = host, int(port) if port.isdigit() else _USUAL_PORT
            found += [
                Variable(name, environment[name], address, "host" if word in _HOSTS else "port")
                for word in (*_HOSTS, *_PORTS)
                if (name := f"{prefix}_{word}") in environment
            ]
        for word in (*_PLACES, *_HOSTS):
            match = _PLACE.fullmatch(environment.get(name := f"{prefix}_{word}", ""))
            if match is not None:
                found.append(Variable(name, match[0], (match["host"], int(match["port"])), "place"))
    return found


def _urls(environment: Mapping[str, str]) -> Iterator[Variable]:
    usual = [f"{prefix}_URL" for prefix in _PREFIXES]
    for name in sorted(environment, key=lambda name: (name not in usual, name)):
        parts = urlsplit(environment[name]) if environment[name].partition("://")[0] in _SCHEMES else None
        if parts is not None:
            yield Variable(name, environment[name], (parts.hostname or "", parts.port or _USUAL_PORT), "url")


class RedisGated:
    """One server behind a gate."""

    def __init__(self, wanted: Wanted) -> None:
        """Take what is wanted; nothing is started yet.

        Raises:
            NoStore: when the environment names no store, or one on a host that is not allowed.

        """
        self._variables = variables_of(wanted.environment)
        self.gate = Gate()
        self.notes: list[str] = []
        self._embedded = wanted.embedded
        self._environment = wanted.environment
        self._url = "" if wanted.embedded else self._named(wanted)
        self._store = Store(RedisStore(url=self._url or None))

    @property
    def pooled(self) -> bool:
        """Whether a connection is no caller."""
        return False

    @property
    def shared(self) -> bool:
        """Whether it was not started here."""
        return not self._embedded

    @property
    def death(self) -> str:
        """Say how the server that was started here ended, or nothing while it lives."""
        return self._store.death

    def _named(self, wanted: Wanted) -> str:
        """Give the URL of the store that the environment names."""
        if not self._variables:
            hint = "say --store redis to start one, or set REDIS_URL, or REDIS_HOST and REDIS_PORT"
            raise NoStore("no variable names a Redis", hint)
        first = self._variables[0]
        host, port = first.address
        if not (is_loopback(host) or host in wanted.hosts):
            hint = f"say --allow-host {host} if it may be used, or --store redis to start one"
            raise NoStore(f"{first.name} leads to another host: {host}", hint)
        others = sorted({one.name for one in self._variables if one.address != first.address})
        if others:
            self.notes.append(f"{', '.join(others)} lead to another server than {first.name}, and not to the gate")
        if first.kind == "url":
            return re.sub(r"^valkey", "redis", first.value)
        environment = self._environment
        prefix = first.name.partition("_")[0]
        user, password = (environment.get(f"{prefix}_{word}", "") for word in ("USERNAME", "PASSWORD"))
        login = f"{user}:{password}@" if password else ""
        return f"redis://{login}{host}:{port}/{environment.get(f'{prefix}_DB', '0') or '0'}"

    async def open(self) -> None:
        """Start or reach the server, and listen.

        Raises:
            Unavailable: when it is not there.

        """
        await self._store.open()
        store = self._store
        self._scripts = ScriptWatch(store.address, store.reply, store.login, stays=self._embedded, tls=store.tls)
        self._keys = KeyFinder(store.reply, ResponseError, self._scripts)
        await store.lend(self.gate.refuse, Place("environment", 1, 1), self._scripts)
        self._proxy = RedisProxy(self.gate, 0, store.address, _BACKGROUND, store.reply)
        self._proxy.tls, self._proxy.keeper = store.tls, store.lent
        await self._proxy.start()

    def variables(self) -> dict[str, str]:
        """Give what changes in the environment: what led to the store leads to the gate."""
        port = str(self._proxy.port)
        changed: dict[str, str] = {}
        if self._embedded:
            for prefix in _PREFIXES:
                changed |= {f"{prefix}_URL": self._store.url(self._proxy.port), f"{prefix}_HOST": "127.0.0.1"}
                changed |= {f"{prefix}_PORT": port, f"{prefix}_ADDR": f"127.0.0.1:{port}"}
                secrets = (f"{prefix}_{word}" for word in _SECRETS)
                changed |= {name: "" for name in secrets if name in self._environment}  # a new server has no password
        first = self._variables[0].address if self._variables else ("", 0)
        for one in self._variables:
            if self._embedded or one.address == first:
                changed[one.name] = self._led(one, port)
        return changed

    def _led(self, variable: Variable, port: str) -> str:
        """Give the value of a variable that leads to the gate instead."""
        if variable.kind == "url":
            parts = urlsplit(variable.value)
            login = "" if self._embedded else parts.netloc.rpartition("@")[0]
            scheme = "valkey" if parts.scheme.startswith("valkey") else "redis"
            return parts._replace(scheme=scheme, netloc=f"{login + '@' if login else ''}127.0.0.1:{port}").geturl()
        return {"host": "127.0.0.1", "port": port, "place": f"127.0.0.1:{port}"}[variable.kind]

    def places(self) -> dict[str, str]:
        """Give host, port and URL of the gate."""
        port = self._proxy.port
        return {"host": "127.0.0.1", "port": str(port), "url": self._store.url(port)}

    async def begin(self) -> None:
        """Count what is written from now on to a start."""
        await self._store.begin()

    async def reset(self) -> None:
        """End every connection; delete what a server that was started here holds, else give back what was there."""
        for channel in list(self._proxy.channels):
            channel.abort()
        self.gate.check()
        if self._embedded:
            await self._store.ask([("FLUSHALL",), ("SCRIPT", "FLUSH"), ("FUNCTION", "FLUSH")])
        else:
            await self._store.forget(())
            self.notes += self._store.notes
            self._store.notes.clear()

    async def call(self, frame: Frame, names: Names) -> Called:
        """Name a parked command by the keys that the server says it has."""
        for effect in (*frame.effects, *frame.watched):
            names.meet(_words(effect))
        found = await self._keys.touches(frame.effects, frame.watched, names.replace, frame.seen)
        texts = [" ".join(mask_command(tuple(map(names.replace, _words(effect))))) for effect in frame.effects]
        shown = []
        for effect in frame.effects:
            words = _words(effect)
            keys = [f"db{effect.database}:{name}" if effect.database else name for name in map(names.replace, words)]
            places = frozenset(at for at, key in enumerate(keys) if at and key in found.objects)
            shown.append(Shown(tuple(map(names.given, words)), places))
        writes = any(touch.access is not Access.READ for touch in found.touches)
        sent = tuple(_words(frame.effects[0])) if writes and len(frame.effects) == 1 else ()
        foreign = sent if mask_command(sent) == sent else ()  # what holds a credential is not written down
        objects = mask_text(" ".join(found.objects))
        return Called(frame.command, objects, found.touches, "; ".join(texts), tuple(shown), foreign)

    async def release(self, frame: Frame, names: Names, seconds: float) -> bool:
        """Let a parked command through, and see what its scripts access."""
        release = partial(self.gate.release, frame, seconds)
        released, frame.seen = await self._keys.during(frame.effects, names.replace, release)
        return released

    async def write(self, words: Sequence[str]) -> str:
        """Do a foreign write past the gate."""
        try:
            (reply,) = await self._store.ask([tuple(words)])
        except RedisError as error:
            return str(error)
        return reply.decode("utf-8", "backslashreplace") if isinstance(reply, bytes) else str(reply)

    async def close(self) -> None:
        """End all that was started here."""
        if hasattr(self, "_proxy"):
            await self._proxy.close()
        await self._store.close()
        self.notes += self._store.notes
        if hasattr(self, "_scripts"):
            await self._scripts.close()


def _words(effect: Effect) -> list[str]:
    return [arg.decode("utf-8", "backslashreplace") for arg in effect.args]
