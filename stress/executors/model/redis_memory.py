"""A store in memory: the Redis commands that the bundled Gateways use, on a virtual clock.

Replies are those of a server that speaks RESP2 to a client that decodes texts; `test_redis_memory.py` compares the two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, NamedTuple, NoReturn

from stress.core.step import Access, Touch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Value = str | dict[str, str] | set[str]
Reply = None | int | str | list["Reply"]
Command = tuple[str, ...]

_NUMBER = re.compile(r"-?[1-9][0-9]{0,18}|0")
_LEAST, _MOST = -(2**63), 2**63 - 1


class CommandSpec(NamedTuple):
    """A command: how it runs, and which of its arguments are keys and how it touches them."""

    run: Callable[..., Reply]
    access: Access
    keys: Callable[[Sequence[str]], Sequence[str]] = lambda args: args[:1]


class RedisMemory:
    """One database. ``now`` is its clock in seconds since 1970; ``scripts`` are scripts by their Lua text."""

    def __init__(self, now: float, scripts: dict[str, Callable[..., Reply]] | None = None) -> None:
        """Begin empty."""
        self.now = now
        self.scripts: dict[str, Callable[..., Reply]] = {} if scripts is None else scripts
        self._data: dict[str, Value] = {}
        self._deadlines: dict[str, float] = {}
        self._watching: dict[str, set[str]] = {}
        self._dirty: set[str] = set()

    def copy(self) -> RedisMemory:
        """Give an independent database of the same content, that nobody watches."""
        other = RedisMemory(self.now, self.scripts)
        other._data = {key: value if isinstance(value, str) else value.copy() for key, value in self._data.items()}
        other._deadlines = self._deadlines.copy()
        return other

    def advance(self) -> None:
        """Move the clock to just past the next second; keys whose time has run out are gone."""
        self.now = next_second(self.now)
        for key in [key for key, deadline in self._deadlines.items() if deadline <= self.now]:
            self.delete(key)

    def delete(self, key: str) -> int:
        """Delete one key; return whether it was there."""
        if self._data.pop(key, None) is None:
            return 0
        self._deadlines.pop(key, None)
        self._touch(key)
        return 1

    def execute(self, *command: str) -> Reply:
        """Run one command.

        Raises:
            ValueError: for what a server answers with an error: an unknown command, a wrong type, no number.

        """
        known = self.COMMANDS.get(command[0])
        if known is None:
            raise ValueError(f"unknown command {command[0]!r}")
        return known.run(self, *command[1:])

    def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Run commands one after another, also after one that fails.

        Raises:
            ValueError: the first error of any.

        """
        replies: list[Reply] = []
        failed: ValueError | None = None
        for command in commands:
            try:
                replies.append(self.execute(*command))
            except ValueError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return replies

    def watch(self, client: str, *keys: str) -> str:
        """Make the next `transaction` of a client depend on keys."""
        self._watching.setdefault(client, set()).update(keys)
        return "OK"

    def transaction(self, client: str, commands: Sequence[Command]) -> list[Reply] | None:
        """Run commands as `pipeline` does, unless a key that the client watches was touched since: then give None."""
        self._watching.pop(client, None)
        if client in self._dirty:
            self._dirty.discard(client)
            return None
        return self.pipeline(commands)

    def _touch(self, key: str) -> None:
        if self._watching:
            self._dirty |= {client for client, keys in self._watching.items() if key in keys}

    def _hash(self, key: str) -> dict[str, str]:
        value = self._data.setdefault(key, {})
        return value if isinstance(value, dict) else _wrong_type()

    def _fields(self, key: str) -> dict[str, str]:
        """Give a hash to read, which need not be there."""
        return self._hash(key) if key in self._data else {}

    def _exists(self, *keys: str) -> int:
        return len([key for key in keys if key in self._data])

    def _get(self, key: str) -> Reply:
        value = self._data.get(key)
        return value if value is None or isinstance(value, str) else _wrong_type()

    def _set(self, key: str, value: str, *options: str) -> Reply:
        words = iter(options)
        seconds: int | None = None
        absent = False
        for word in words:
            if word.upper() == "NX":
                absent = True
            elif word.upper() == "EX" and (following := next(words, None)) is not None:
                seconds = _integer(following)
                if seconds <= 0:
                    raise ValueError("invalid expire time in 'set' command")
            else:
                raise ValueError("syntax error")
        if absent and key in self._data:
            return None
        self._data[key] = value
        self._deadlines.pop(key, None)
        if seconds is not None:
            self._deadlines[key] = self.now + seconds
        self._touch(key)
        return "OK"

    def _hget(self, key: str, name: str) -> Reply:
        return self._fields(key).get(name)

    def _hmget(self, key: str, *names: str) -> Reply:
        value = self._fields(key)
        return [value.get(name) for name in names]

    def _hset(self, key: str, *pairs: str) -> Reply:
        if len(pairs) % 2:
            raise ValueError("wrong number of arguments for 'hset' command")
        value = self._hash(key)
        before = len(value)
        value.update(zip(pairs[::2], pairs[1::2], strict=True))
        self._touch(key)
        return len(value) - before

    def _hsetnx(self, key: str, name: str, value: str) -> Reply:
        return 0 if name in self._fields(key) else self._hset(key, name, value)

    def _hincrby(self, key: str, name: str, amount: str) -> Reply:
        more = _integer(amount)
        total = _integer(self._fields(key).get(name, "0"), "hash value is not an integer") + more
        if not _LEAST <= total <= _MOST:
            raise ValueError("increment or decrement would overflow")
        self._hash(key)[name] = str(total)
        self._touch(key)
        return total

    def _sadd(self, key: str, *members: str) -> Reply:
        value = self._data.setdefault(key, set())
        if not isinstance(value, set):
            _wrong_type()
        before = len(value)
        value.update(members)
        if len(value) > before:
            self._touch(key)
        return len(value) - before

    def _smembers(self, key: str) -> Reply:
        value = self._data.get(key, set())
        return [*sorted(value)] if isinstance(value, set) else _wrong_type()

    def _expire(self, key: str, seconds: str) -> Reply:
        return self._until(key, self.now + _integer(seconds))

    def _pexpireat(self, key: str, deadline: str) -> Reply:
        return self._until(key, _integer(deadline) / 1000)

    def _until(self, key: str, deadline: float) -> Reply:
        if key not in self._data:
            return 0
        if deadline <= self.now:
            return self.delete(key)
        self._deadlines[key] = deadline
        self._touch(key)
        return 1

    def _delete_all(self, *keys: str) -> Reply:
        return sum(self.delete(key) for key in keys)

    def _eval(self, lua: str, count: str, *rest: str) -> Reply:
        keys, arguments = rest[: int(count)], rest[int(count) :]
        return self.scripts[lua](self.execute, keys, arguments)

    def _unwatch(self, *_: str) -> Reply:
        return "OK"

    COMMANDS: ClassVar[Mapping[str, CommandSpec]] = {
        "DEL": CommandSpec(_delete_all, Access.DELETE, lambda args: args),
        "EVAL": CommandSpec(_eval, Access.WRITE, lambda args: args[2 : 2 + int(args[1])]),
        "EXISTS": CommandSpec(_exists, Access.READ, lambda args: args),
        "EXPIRE": CommandSpec(_expire, Access.WRITE),
        "GET": CommandSpec(_get, Access.READ),
        "HGET": CommandSpec(_hget, Access.READ),
        "HINCRBY": CommandSpec(_hincrby, Access.WRITE),
        "HMGET": CommandSpec(_hmget, Access.READ),
        "HSETNX": CommandSpec(_hsetnx, Access.WRITE),
        "HSET": CommandSpec(_hset, Access.WRITE),
        "PEXPIREAT": CommandSpec(_pexpireat, Access.WRITE),
        "SADD": CommandSpec(_sadd, Access.WRITE),
        "SET": CommandSpec(_set, Access.WRITE),
        "SMEMBERS": CommandSpec(_smembers, Access.READ),
        "WATCH": CommandSpec(_unwatch, Access.READ, lambda args: args),
    }
    """What is known of each command."""


def _integer(text: str, otherwise: str = "value is not an integer or out of range") -> int:
    """Read a number as a server does: no sign but a minus, no leading zeros, 64 bits.

    Raises:
        ValueError: that says ``otherwise``.

    """
    if not _NUMBER.fullmatch(text) or not _LEAST <= int(text) <= _MOST:
        raise ValueError(otherwise)
    return int(text)


def _wrong_type() -> NoReturn:
    raise ValueError("WRONGTYPE Operation against a key holding the wrong kind of value")


def next_second(now: float) -> float:
    """Give the beginning of the second after a time."""
    return float(int(now) + 1)


def touches(command: Command) -> tuple[Touch, ...]:
    """Say which objects a command touches, and how, as COMMAND GETKEYSANDFLAGS does."""
    known = RedisMemory.COMMANDS[command[0]]
    access = Access.CREATE if command[0] == "SET" and "NX" in command[3:] else known.access
    return tuple(Touch(key, access) for key in known.keys(command[1:]))
