"""What Redis contributes to the format of a target file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from stress.config.formats import Word, wrong
from stress.config.placeholders import fill, placeholders
from stress.config.stores import Parts, StatePart, StorePart

if TYPE_CHECKING:
    from collections.abc import Mapping

REDIS = "redis"
"""The key of a part that is about Redis."""
BACKGROUND = ("HELLO", "PING", "CLIENT", "AUTH", "SELECT", "COMMAND", "INFO", "ECHO", "QUIT", "SCRIPT")
"""What is never gated where a target does not say: commands that set a connection up, or look."""
OWN_CONNECTION = ("HELLO", "AUTH", "SELECT", "QUIT")
"""What is never gated in any case, because it changes the connection alone."""

Command = Annotated[list[Annotated[Word, placeholders("fingerprint", "fresh")]], Field(min_length=1)]
OfRecord = Annotated[list[Annotated[Word, placeholders("fingerprint", "fresh", "record")]], Field(min_length=1)]


def _store_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        database = parts.path.strip("/") or "0"
        port_fits = parts.port is None or parts.port > 0
        good = (
            parts.scheme in ("redis", "rediss")
            and parts.hostname
            and port_fits
            and database.isdecimal()
            and not parts.query
        )
    except ValueError:
        good = False
    scheme = url.partition(":")[0].lower()
    if "unix" in scheme or "socket" in scheme or url.startswith("/"):
        raise wrong("a socket of the file system can't be gated", "let the store listen on a port of 127.0.0.1 too")
    if "sentinel" in scheme or "cluster" in scheme:
        raise wrong("what leads to other nodes leads past the gate", "name one node: redis://127.0.0.1:6379/0")
    if not good:
        raise wrong("is no address of a Redis", "write redis://127.0.0.1:6379/0, with user:password@ where needed")
    return url


class RedisStore(StorePart):
    """The Redis or Valkey of a Gateway; `{}` is one that is started for it."""

    protocol: ClassVar[str] = REDIS

    url: Annotated[str, AfterValidator(_store_url)] | None = Field(
        default=None,
        description="one that runs already, which holds after each run what it held before: "
        "redis://[user:password@]host[:port][/database], rediss:// with TLS",
    )
    ca: str | None = Field(
        default=None, min_length=1, description="whom to trust with rediss://, a PEM file relative to this one"
    )
    listen: int | None = Field(
        default=None, ge=1, le=65535, description="the port where the gate listens for replica 1 (2: the next port)"
    )
    ordered: bool = Field(
        default=False,
        description="whether requests that share a connection write to it in program order, as in one thread; then no "
        "command could have overtaken another on it",
    )
    scratch: bool = Field(
        default=False,
        description="nothing in the store at `url` is worth keeping: it is not saved, keys that runs wrote are deleted",
    )

    @property
    def urls(self) -> dict[str, str]:
        """The address, where one is named."""
        return {} if self.url is None else {"url": self.url}

    @property
    def files(self) -> dict[str, str]:
        """Whom to trust, where that is named."""
        return {} if self.ca is None else {"ca": self.ca}

    @property
    def in_order(self) -> bool:
        """Whether it is `ordered`."""
        return self.ordered


class EmptyKey(StatePart):
    """A key in Redis that is not there, or holds nothing, once all work is done."""

    protocol: ClassVar[str] = REDIS

    key: Annotated[Word, placeholders("fingerprint", "fresh")] = Field(
        description="its name; may hold {fingerprint} {fresh}"
    )
    empty: Literal[True] = Field(description="it is absent, or an empty text or stream, once nothing is left to do")

    @property
    def how(self) -> str:
        """What shows that work is left."""
        return f"{self.key} is not empty"


class Put(StatePart):
    """What is put into a Redis before a run."""

    protocol: ClassVar[str] = REDIS

    redis: Command = Field(description="a command whose keys are deleted after the run; may hold {fingerprint} {fresh}")


class Records(StatePart):
    """How the names of the active records are read."""

    protocol: ClassVar[str] = REDIS

    redis: Command = Field(description="a command whose reply holds the names; may hold {fingerprint} {fresh}")

    @property
    def how(self) -> str:
        """The command."""
        return " ".join(self.redis)

    def names(self, values: Mapping[str, str], *, found: bool) -> set[str]:
        """Give the words of the command; a field of a hash in which nothing is found may be another than is written."""
        if self.redis[0].upper() in ("HGET", "HMGET") and not found:
            return set()
        return set(fill(self.redis, **values))


class Hits(StatePart):
    """How the hits of a record are read."""

    protocol: ClassVar[str] = REDIS

    redis: OfRecord = Field(description="a command asked once for each record; may hold {record} {fingerprint} {fresh}")

    @property
    def how(self) -> str:
        """The command."""
        return " ".join(self.redis)


class Cleanup(StatePart):
    """How all records of a fingerprint are deleted, as a sibling test does."""

    protocol: ClassVar[str] = REDIS

    redis: Command = Field(description="a command; may hold {fingerprint} {fresh}")


class Expiry(StatePart):
    """What runs out."""

    protocol: ClassVar[str] = REDIS

    redis: Command = Field(description="the keys whose time to live runs out; may hold {fingerprint} {fresh}")


PARTS = Parts(
    server="a Redis",
    flags={"--redis": "redis_url"},
    store=RedisStore,
    about="a Redis or Valkey; {} is one that is started for it",
    background=Annotated[
        list[Annotated[str, StringConstraints(min_length=1, to_upper=True)]],
        Field(description="commands of Redis; HELLO AUTH SELECT QUIT pass in any case"),
    ],
    usual=BACKGROUND,
    started=("redis_host", "redis_port", "redis_url"),
    put=Put,
    records=Records,
    hits=Hits,
    cleanup=Cleanup,
    expiry=Expiry,
    settle=EmptyKey,
)
