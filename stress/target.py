"""A target file: how to start or reach one Gateway, which store it uses, and how its state is read."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from stress.errors import Fault
from stress.formats import Dotted, File, Header, Name, Part, UrlPath, Word, nearest, wrong
from stress.gateways.protocols import PROTOCOLS
from stress.placeholders import placeholders, unknown

if TYPE_CHECKING:
    from stress.yamlfile import Location

BACKGROUND = ("HELLO", "PING", "CLIENT", "AUTH", "SELECT", "COMMAND", "INFO", "ECHO", "QUIT", "SCRIPT")
"""What is never gated where a target does not say: commands that set a connection up, or look."""
OWN_CONNECTION = ("HELLO", "AUTH", "SELECT", "QUIT")
"""What is never gated in any case, because it changes the connection alone."""

STARTED = ("port", "redis_host", "redis_port", "redis_url", "replica", "folder", "files")
SENT = ("fingerprint", "fresh", "now", "unix")
_MOST_BODY = 1024 * 1024

Filled = Annotated[Word, placeholders(*STARTED)]
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


def _known_protocol(name: str) -> str:
    if name not in PROTOCOLS:
        raise wrong(f"unknown protocol {name!r}", nearest(name, PROTOCOLS))
    return name


def _gateway_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "http" and parts.hostname and (parts.port is None or parts.port) and not parts.query
    except ValueError:
        good = False
    if not good:
        raise wrong(f"{url!r} is no address of a Gateway", "write http://127.0.0.1:8080")
    return url.rstrip("/")


def _store_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        database = parts.path.strip("/") or "0"
        port_fits = parts.port is None or parts.port > 0
        good = parts.scheme == "redis" and parts.hostname and port_fits and database.isdecimal() and not parts.query
    except ValueError:
        good = False
    if not good:
        raise wrong("is no address of a Redis", "write redis://127.0.0.1:6379/0, with user:password@ where needed")
    return url


class Ready(Part):
    """When a started Gateway is ready; without `path` a TCP connect is enough."""

    path: UrlPath | None = Field(default=None, description="a path that answers 2xx once it is ready")
    within: float = Field(default=10.0, gt=0, le=600, description="how long to wait for it, in seconds")


class Start(Part):
    """How to start a replica.

    Texts may hold {port} {redis_host} {redis_port} {redis_url} {replica} {folder} {files}: the port to listen on, the
    store's address as this replica must use it, the replica's number, the folder it starts in, and the folder that
    `files` were written to.
    """

    command: list[Filled] = Field(min_length=1, description="the program and its arguments")
    env: dict[str, Filled] = Field(default={}, description="variables of its environment, added to our own")
    folder: str = Field(default=".", description="where it starts, relative to this file; `{folder}` in the texts")
    files: dict[Annotated[str, AfterValidator(_relative)], Annotated[str, placeholders(*STARTED, foreign=True)]] = (
        Field(default={}, description="files to write before it starts, into a private folder of each replica: {files}")
    )
    ready: Ready = Field(default=Ready(), description="when it is ready")

    @model_validator(mode="after")
    def _files_are_where_they_are(self) -> Self:
        texts: list[tuple[Location, str]] = [(("command", at), text) for at, text in enumerate(self.command)]
        for where, text in [*texts, *((("env", name), text) for name, text in self.env.items())]:
            for name in self.files:
                if "{folder}/" + name in text:
                    raise wrong(f"{name!r} is not written to {{folder}}", f"write {{files}}/{name}", where)
        return self


class RedisStore(Part):
    """The Redis or Valkey of a Gateway; `{}` is one that is started for it."""

    url: Annotated[str, AfterValidator(_store_url)] | None = Field(
        default=None, description="one that runs already: redis://[user:password@]host[:port][/database]"
    )
    listen: int | None = Field(
        default=None, ge=1, le=65535, description="the port where the gate listens for replica 1 (2: the next port)"
    )


class Stores(Part):
    """The stores that a Gateway keeps its state in, all behind one gate."""

    redis: RedisStore = Field(default=RedisStore(), description="a Redis or Valkey; {} is one that is started for it")


class FromAnswer(Part):
    """A value that an answer of the Gateway tells."""

    answer: Dotted = Field(description="a dotted path in the answer's JSON body")


class Sha256(Part):
    """A value that is a hash."""

    sha256: OverSignal = Field(description="the text that is hashed, over the signal; the value is lowercase hex")


class RequestForm(Part):
    """What is sent."""

    path: Annotated[UrlPath, placeholders("adapter")] = Field(
        default="/api/v1/signals/{adapter}", description="where signals go; {adapter} is the signal's"
    )
    headers: dict[str, Annotated[Word, placeholders(*SENT)]] = Field(
        default={}, description="more headers; may hold {fingerprint} {fresh} {now} (RFC 3339) {unix} (seconds)"
    )
    body: str | None = Field(
        default=None, min_length=1, description="a file with the body to send, relative to this file; same placeholders"
    )


class Answers(Part):
    """How an answer is read; the defaults are the Gateway's."""

    created: int = Field(default=201, ge=100, le=599, description="the status of an answer that made a record")
    duplicate: int = Field(default=202, ge=100, le=599, description="the status of an answer that counted a hit")
    record: Dotted = Field(default="remediationRequestName", description="the record's name: a dotted path in the body")
    count: Dotted = Field(default="metadata.count", description="the hits so far: a dotted path in the body")


class Background(Part):
    """Commands that are never gated: names (PING), or two words (SCRIPT LOAD)."""

    redis: list[Annotated[str, StringConstraints(min_length=1, to_upper=True)]] = Field(
        default=list(BACKGROUND), description="commands of Redis; HELLO AUTH SELECT QUIT pass in any case"
    )


class Records(Part):
    """How the names of the active records are read."""

    redis: Command = Field(description="a command whose reply holds the names; may hold {fingerprint} {fresh}")


class Hits(Part):
    """How the hits of a record are read."""

    redis: OfRecord = Field(description="a command asked once for each record; may hold {record} {fingerprint} {fresh}")


def _how_hits(value: object) -> str:
    told = isinstance(value, FromAnswer) or (isinstance(value, dict) and "answer" in value)
    return "<answer>" if told else "<redis>"


class Observe(Part):
    """How the final state is read, past the gate. Without it the answers alone are judged."""

    records: Records | None = Field(default=None, description="how the active records are read")
    hits: (
        Annotated[
            Annotated[Hits, Tag("<redis>")] | Annotated[FromAnswer, Tag("<answer>")],
            Discriminator(_how_hits),
        ]
        | None
    ) = Field(default=None, description="the hits of each record: a command, or {answer: path}, the highest count told")


class Cleanup(Part):
    """How all records of a fingerprint are deleted, as a sibling test does."""

    redis: Command = Field(description="a command; may hold {fingerprint} {fresh}")


class Expiry(Part):
    """What runs out."""

    redis: Command = Field(description="the keys whose time to live runs out; may hold {fingerprint} {fresh}")


class Environment(Part):
    """How environment actors act on this target."""

    cleanup: Cleanup | None = Field(default=None, description="what the actor `cleanup` does")
    expiry: Expiry | None = Field(default=None, description="what the actor `expiry` does")


def _how_fingerprint(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    hashed = isinstance(value, Sha256) or (isinstance(value, dict) and "sha256" in value)
    return "<sha256>" if hashed else "<answer>"


Fingerprint = Annotated[
    Annotated[OverSignal, Tag("<text>")] | Annotated[FromAnswer, Tag("<answer>")] | Annotated[Sha256, Tag("<sha256>")],
    Discriminator(_how_fingerprint),
]


Protocol = Annotated[str, AfterValidator(_known_protocol), Field(json_schema_extra={"enum": list(PROTOCOLS)})]


def _schema_of_target(schema: dict[str, Any]) -> None:
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["oneOf"] = [{"required": [way]} for way in ("protocol", "start", "url")]


class Target(File):
    """A target: how to start or reach one Gateway, which store it uses, and how its state is read."""

    model_config = {"json_schema_extra": _schema_of_target}

    name: Name = Field(description="what it is called in reports and in `expect` of a scenario")
    protocol: Protocol | None = Field(
        default=None, description="a bundled Gateway, instead of `start`; it has a model world too"
    )
    start: Start | None = Field(default=None, description="how to start it")
    url: Annotated[str, AfterValidator(_gateway_url)] | None = Field(
        default=None, description="one that runs already, instead of `start`; needs stores.redis.listen"
    )
    stores: Stores = Field(default=Stores(), description="the stores it uses, all behind one gate")
    replicas: int = Field(default=1, ge=1, le=9, description="how many processes of it, numbered from 1")
    second: Literal["ignored", "matters"] = Field(
        default="ignored", description="whether its names or values depend on the second of the wall clock"
    )
    fingerprint: Fingerprint = Field(
        default=FromAnswer(answer="fingerprint"),
        description="the signal's identity: {answer: path}, a text over the signal, or {sha256: text over the signal}",
    )
    correlation: Header | None = Field(
        default="X-Request-ID",
        description="a header whose value it passes on to its store, which tells requests apart; null: none",
    )
    request: RequestForm = Field(default=RequestForm(), description="what is sent")
    answers: Answers = Field(default=Answers(), description="how an answer is read")
    background: Background = Field(default=Background(), description="commands that are never gated")
    patience: float = Field(
        default=1.0, ge=0.01, le=60, description="seconds that a request may sleep before others run"
    )
    observe: Observe | None = Field(default=None, description="how the final state is read, past the gate")
    environment: Environment = Field(default=Environment(), description="how environment actors act on it")

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> Self:
        ways = [way for way in ("protocol", "start", "url") if getattr(self, way) is not None]
        if len(ways) != 1:
            given = " and ".join(ways) or "none of them"
            raise wrong(f"exactly one of `protocol`, `start` and `url` must be given, not {given}", "see `start`")
        listen = self.stores.redis.listen
        if self.url and listen is None:
            raise wrong("stores.redis.listen is missing", "with `url` the gate needs a port: {redis: {listen: 6380}}")
        if self.url and self.replicas > 1:
            raise wrong("with `url` there is 1 replica", "leave `replicas` out", ("replicas",))
        if listen is not None and listen + self.replicas - 1 > 65535:  # noqa: PLR2004 - the highest port there is
            raise wrong("leaves no port for the last replica", "choose a lower one", ("stores", "redis", "listen"))
        return self

    def misses(self, folder: Path) -> list[Fault]:
        """Name the folder to start in and the body to send, where they are not there."""
        faults = []
        if self.start is not None and not (folder / self.start.folder).is_dir():
            place, message = self.place("start", "folder"), f"start.folder: no such folder: {self.start.folder}"
            faults.append(Fault(place, message, "it is relative to this file"))
        return [*faults, *self._body_faults(folder)]

    def _body_faults(self, folder: Path) -> list[Fault]:
        try:
            text = self.body(folder)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "is no UTF-8 text of at most 1 MiB"
            message = f"request.body: {self.request.body}: {why}"
            return [Fault(self.place("request", "body"), message, "it is relative to this file")]
        return [
            Fault(self.place("request", "body"), f"request.body: unknown placeholder {{{name}}} in the file", hint)
            for name, hint in unknown(text or "", SENT, foreign=True)
        ]

    def body(self, folder: Path) -> str | None:
        """Read the body to send; None where the signal's own is sent.

        Raises:
            OSError: when it can't be read.
            ValueError: when it is no UTF-8 text of at most 1 MiB.

        """
        if self.request.body is None:
            return None
        with (folder / self.request.body).open("rb") as file:
            raw = file.read(_MOST_BODY + 1)
        if len(raw) > _MOST_BODY:
            raise ValueError("larger than 1 MiB")
        return raw.decode()

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when the meaning of the file does, or the body that it names."""
        body = self.body(self.folder) if self.folder else None
        own = super().digest
        return hashlib.sha256(f"{own}{body}".encode()).hexdigest()[:12] if body is not None else own
