"""The parts of a target file: how a Gateway is started, its stores, what is sent and answered, how state is read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Self, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag, create_model, model_validator

from stress.config.formats import METHOD, BodyPath, Part, UrlPath, Word, wrong
from stress.config.placeholders import placeholders
from stress.config.stores import StatePart, StorePart, of, protocols

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stress.config.yaml_file import Location

_SENT = tuple(name for parts in protocols().values() for name in parts.sent)
STARTED = (
    *("port", *(name for parts in protocols().values() for name in parts.started), "sink_url"),
    *("replica", "folder", "files", *_SENT),
)
SENT = ("fingerprint", "fresh", "now", "unix", *_SENT)

Filled = Annotated[Word, placeholders(*STARTED, "env.NAME")]
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


class StoresBase(Part):
    """The stores that a Gateway keeps its state in, all behind one gate; where none is named, a Redis."""

    @model_validator(mode="before")
    @classmethod
    def _usual_unless_said(cls, value: object) -> object:
        first = next(iter(protocols()))
        none = isinstance(value, dict) and not any(value.get(name) is not None for name in protocols())
        return {**value, first: {}} if isinstance(value, dict) and none else value

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


if TYPE_CHECKING:
    Stores = StoresBase
else:
    Stores = create_model(
        "Stores",
        __base__=StoresBase,
        __doc__=StoresBase.__doc__,
        __module__=__name__,
        **{
            name: (parts.store | None, Field(default=None, description=parts.about))
            for name, parts in protocols().items()
        },
    )


class FromAnswer(Part):
    """A value that an answer of the Gateway has."""

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


if TYPE_CHECKING:
    Settle = float | StatePart
else:
    Settle = Annotated[
        Annotated[float, Field(ge=0, le=60), Tag("<seconds>")] | Annotated[of("settle"), Tag("<key>")],
        Discriminator(lambda value: "<key>" if isinstance(value, dict | StatePart) else "<seconds>"),
    ]
"""How long a service works on after its answers, or what shows that it has ended."""


class BackgroundBase(Part):
    """What is never gated: commands of Redis (PING, SCRIPT LOAD), requests to Kubernetes (`get pods`)."""

    def of(self, protocol: str) -> list[str]:
        """Give what is never gated of a protocol."""
        rules: list[str] = getattr(self, protocol)
        return rules

    @property
    def rules(self) -> Iterable[str]:
        """All that is said of any protocol."""
        return (rule for _, rules in self for rule in rules)


if TYPE_CHECKING:
    Background = BackgroundBase
    Records: TypeAlias = StatePart
    Hits: TypeAlias = StatePart | FromAnswer
    Cleanup: TypeAlias = StatePart
    Expiry: TypeAlias = StatePart
    Writer: TypeAlias = StatePart
else:
    Background = create_model(
        "Background",
        __base__=BackgroundBase,
        __doc__=BackgroundBase.__doc__,
        __module__=__name__,
        **{name: (parts.background, list(parts.usual)) for name, parts in protocols().items()},
    )
    Records, Cleanup, Expiry, Writer = of("records"), of("cleanup"), of("expiry"), of("writer")
    Hits = of("hits", answer=FromAnswer)


class Observe(Part):
    """How the final state is read, past the gate. Without it the answers alone are judged."""

    records: Records | None = Field(default=None, description="how the active records are read")
    hits: Hits | None = Field(
        default=None,
        description="the hits of each record: a command, a field of it, or {answer: path}, the highest count answered",
    )

    @model_validator(mode="after")
    def _hits_of_its_records(self) -> Self:
        if (
            isinstance(self.hits, StatePart)
            and self.hits.of_records
            and not (isinstance(self.records, StatePart) and self.records.protocol == self.hits.protocol)
        ):
            raise wrong(self.hits.of_records, "say where in `records`", ("hits",))
        return self


class Environment(Part):
    """How environment actors act on this target."""

    cleanup: Cleanup | None = Field(default=None, description="what the actor `cleanup` does")
    expiry: Expiry | None = Field(default=None, description="what the actor `expiry` does")
    writer: Writer | None = Field(default=None, description="what the actor `writer` does, another status writer")


def _how_fingerprint(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    hashed = isinstance(value, Sha256) or (isinstance(value, dict) and "sha256" in value)
    return "<sha256>" if hashed else "<answer>"


Fingerprint = Annotated[
    Annotated[OverSignal, Tag("<text>")] | Annotated[FromAnswer, Tag("<answer>")] | Annotated[Sha256, Tag("<sha256>")],
    Discriminator(_how_fingerprint),
]
