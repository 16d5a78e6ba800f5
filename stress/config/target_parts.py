"""The parts of a target file: how a Gateway is started, its stores, what is sent and answered, how state is read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from stress.config.formats import METHOD, BodyPath, Part, UrlPath, Word, wrong
from stress.config.kube_keys import (
    KubeCleanup,
    KubeExpiry,
    KubeHits,
    KubeRecords,
    KubernetesStore,
    KubeWriter,
    of_kubernetes,
)
from stress.config.placeholders import fill, placeholders
from stress.config.stores import StatePart, StorePart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stress.config.yaml_file import Location

REDIS = "redis"
"""The key of a part that is about Redis."""

BACKGROUND = ("HELLO", "PING", "CLIENT", "AUTH", "SELECT", "COMMAND", "INFO", "ECHO", "QUIT", "SCRIPT")
"""What is never gated where a target does not say: commands that set a connection up, or look."""
OWN_CONNECTION = ("HELLO", "AUTH", "SELECT", "QUIT")
"""What is never gated in any case, because it changes the connection alone."""

STARTED = (
    *("port", "redis_host", "redis_port", "redis_url", "kubeconfig", "kube_url", "namespace", "sink_url"),
    *("replica", "folder", "files", "token"),
)
SENT = ("fingerprint", "fresh", "now", "unix", "token")

Filled = Annotated[Word, placeholders(*STARTED, "env.NAME")]
Command = Annotated[list[Annotated[Word, placeholders("fingerprint", "fresh")]], Field(min_length=1)]
OfRecord = Annotated[list[Annotated[Word, placeholders("fingerprint", "fresh", "record")]], Field(min_length=1)]
OverSignal = Annotated[
    str,
    StringConstraints(min_length=1),
    placeholders("fresh", "adapter", "alertname", "namespace", "severity", "reason", "kind", "name", "labels.NAME"),
]


def _relative(name: str) -> str:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or path == PurePosixPath():
        raise wrong(f"{name!r} is no name of a file below a folder", "write a relative name without `..`")
    return name


def _pattern(text: str) -> str:
    parts = PurePosixPath(text).parts
    if not parts or parts[0] == "/" or any("**" in part and part != "**" for part in parts):
        raise wrong(f"{text!r} is no glob relative to this file", "write such as src/**/*.py")
    return text


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


class Ready(Part):
    """When a started Gateway is ready; without `path` a TCP connect is enough."""

    path: UrlPath | None = Field(default=None, description="a path that answers 2xx once it is ready")
    within: float = Field(default=10.0, gt=0, le=600, description="how long to wait for it, in seconds")


class Start(Part):
    """How to start a replica.

    Texts may hold {port} {redis_host} {redis_port} {redis_url} {kubeconfig} {kube_url} {namespace} {sink_url} {replica}
    {folder} {files}: the port to listen on, the stores' addresses as this replica must use them, a namespace for it on
    the API server, a server that answers 200 to whatever it is sent, the replica's number, the folder it starts in, and
    the folder that `files` were written to; {token} is a service account's, which the API server
    accepts. In `command` and `env` {env.NAME} and {env.NAME|default} are variables of our own environment.
    """

    command: list[Filled] = Field(min_length=1, description="the program and its arguments")
    env: dict[str, Filled] = Field(default={}, description="variables of its environment, added to our own")
    folder: str = Field(default=".", description="where it starts, relative to this file; `{folder}` in the texts")
    files: dict[Annotated[str, AfterValidator(_relative)], Annotated[str, placeholders(*STARTED, foreign=True)]] = (
        Field(default={}, description="files to write before it starts, into a private folder of each replica: {files}")
    )
    ready: Ready = Field(default=Ready(), description="when it is ready")
    sources: list[Annotated[str, AfterValidator(_pattern)]] = Field(
        default=[],
        description="its sources, as globs relative to this file (src/**/*.py), by which a replay knows whether it has "
        "changed; else what git lists in its folder, else the files there",
    )

    @property
    def texts(self) -> list[tuple[Location, str]]:
        """What it is started with, command and environment, each with its place."""
        words: list[tuple[Location, str]] = [(("command", at), text) for at, text in enumerate(self.command)]
        return [*words, *((("env", name), text) for name, text in self.env.items())]

    @model_validator(mode="after")
    def _files_are_where_they_are(self) -> Self:
        for where, text in self.texts:
            for name in self.files:
                if "{folder}/" + name in text:
                    raise wrong(f"{name!r} is not written to {{folder}}", f"write {{files}}/{name}", where)
        return self


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


class Stores(Part):
    """The stores that a Gateway keeps its state in, all behind one gate; where none is named, a Redis."""

    redis: RedisStore | None = Field(default=None, description="a Redis or Valkey; {} is one that is started for it")
    kubernetes: KubernetesStore | None = Field(
        default=None, description="a Kubernetes API server; {} is a small one that is started for it"
    )

    @model_validator(mode="before")
    @classmethod
    def _redis_unless_said(cls, value: object) -> object:
        none = isinstance(value, dict) and not any(value.get(name) is not None for name in ("redis", "kubernetes"))
        return {**value, "redis": {}} if isinstance(value, dict) and none else value

    @property
    def used(self) -> dict[str, StorePart]:
        """Those that are used, by the keys of their protocols."""
        return {name: one for name, one in self if isinstance(one, StorePart)}

    def part(self, protocol: str) -> StorePart:
        """Give the one of a protocol; a KeyError where it is not used."""
        return self.used[protocol]

    @property
    def listens(self) -> dict[str, int]:
        """The ports where the gate must listen for replica 1, by the store."""
        return {name: one.listen for name, one in self.used.items() if one.listen is not None}

    @property
    def places(self) -> str:
        """The keys that say where the gate must listen, for people."""
        return " and ".join(f"stores.{store}.listen" for store in self.listens)


class FromAnswer(Part):
    """A value that an answer of the Gateway tells."""

    answer: BodyPath = Field(description="a dotted path in the answer's JSON body; `.` is the whole body")


class Sha256(Part):
    """A value that is a hash."""

    sha256: OverSignal = Field(description="the text that is hashed, over the signal; the value is lowercase hex")


class RequestForm(Part):
    """What is sent."""

    method: Annotated[str, StringConstraints(pattern=METHOD)] = Field(
        default="POST", description="the method; GET, HEAD and DELETE carry no body unless `body` names one"
    )
    path: Annotated[UrlPath, placeholders("adapter", *SENT)] = Field(
        default="/api/v1/signals/{adapter}",
        description="where signals go; may hold {fingerprint} {fresh} {now} {unix}, and {adapter}, which is the "
        "signal's",
    )
    query: dict[str, Annotated[Word, placeholders("adapter", *SENT)]] = Field(
        default={}, description="parameters of the query, by name; the same placeholders"
    )
    headers: dict[str, Annotated[Word, placeholders(*SENT, "env.NAME")]] = Field(
        default={},
        description="more headers; may hold {fingerprint} {fresh} {now} (RFC 3339) {unix} (seconds) "
        "{token} (of a service account of the API server) {env.NAME} (of our own environment)",
    )
    body: str | None = Field(
        default=None, min_length=1, description="a file with the body to send, relative to this file; same placeholders"
    )


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


Settle = Annotated[
    Annotated[float, Field(ge=0, le=60), Tag("<seconds>")] | Annotated[EmptyKey, Tag("<key>")],
    Discriminator(lambda value: "<key>" if isinstance(value, dict | EmptyKey) else "<seconds>"),
]
"""How long a service works on after its answers, or what shows that it has ended."""


class Background(Part):
    """What is never gated: commands of Redis (PING, SCRIPT LOAD), requests to Kubernetes (`get pods`)."""

    redis: list[Annotated[str, StringConstraints(min_length=1, to_upper=True)]] = Field(
        default=list(BACKGROUND), description="commands of Redis; HELLO AUTH SELECT QUIT pass in any case"
    )
    kubernetes: list[Annotated[str, StringConstraints(min_length=1)]] = Field(
        default=[],
        description="rules `VERBS RESOURCES [PARAMETER=VALUE]`; `!` before it: a step; the last decides",
    )

    def of(self, protocol: str) -> list[str]:
        """Give what is never gated of a protocol."""
        rules: list[str] = getattr(self, protocol)
        return rules

    @property
    def rules(self) -> Iterable[str]:
        """All that is said of any protocol."""
        return (rule for _, rules in self for rule in rules)


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


def _how(value: object) -> str:
    answered = isinstance(value, FromAnswer) or (isinstance(value, dict) and "answer" in value)
    return "<kubernetes>" if of_kubernetes(value) else "<answer>" if answered else "<redis>"


def _how_state(value: object) -> str:
    return "<kubernetes>" if of_kubernetes(value) else "<redis>"


class Observe(Part):
    """How the final state is read, past the gate. Without it the answers alone are judged."""

    records: (
        Annotated[
            Annotated[Records, Tag("<redis>")] | Annotated[KubeRecords, Tag("<kubernetes>")], Discriminator(_how_state)
        ]
        | None
    ) = Field(default=None, description="how the active records are read")
    hits: (
        Annotated[
            Annotated[Hits, Tag("<redis>")]
            | Annotated[KubeHits, Tag("<kubernetes>")]
            | Annotated[FromAnswer, Tag("<answer>")],
            Discriminator(_how),
        ]
        | None
    ) = Field(
        default=None,
        description="the hits of each record: a command, a field of it, or {answer: path}, the highest count told",
    )

    @model_validator(mode="after")
    def _hits_of_its_records(self) -> Self:
        if isinstance(self.hits, KubeHits) and not isinstance(self.records, KubeRecords):
            raise wrong("a field of records that are in no Kubernetes", "say where in `records`", ("hits",))
        return self


class Cleanup(StatePart):
    """How all records of a fingerprint are deleted, as a sibling test does."""

    protocol: ClassVar[str] = REDIS

    redis: Command = Field(description="a command; may hold {fingerprint} {fresh}")


class Expiry(StatePart):
    """What runs out."""

    protocol: ClassVar[str] = REDIS

    redis: Command = Field(description="the keys whose time to live runs out; may hold {fingerprint} {fresh}")


class Environment(Part):
    """How environment actors act on this target."""

    cleanup: (
        Annotated[
            Annotated[Cleanup, Tag("<redis>")] | Annotated[KubeCleanup, Tag("<kubernetes>")], Discriminator(_how_state)
        ]
        | None
    ) = Field(default=None, description="what the actor `cleanup` does")
    expiry: (
        Annotated[
            Annotated[Expiry, Tag("<redis>")] | Annotated[KubeExpiry, Tag("<kubernetes>")], Discriminator(_how_state)
        ]
        | None
    ) = Field(default=None, description="what the actor `expiry` does")
    writer: KubeWriter | None = Field(default=None, description="what the actor `writer` does, another status writer")


def _how_fingerprint(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    hashed = isinstance(value, Sha256) or (isinstance(value, dict) and "sha256" in value)
    return "<sha256>" if hashed else "<answer>"


Fingerprint = Annotated[
    Annotated[OverSignal, Tag("<text>")] | Annotated[FromAnswer, Tag("<answer>")] | Annotated[Sha256, Tag("<sha256>")],
    Discriminator(_how_fingerprint),
]
