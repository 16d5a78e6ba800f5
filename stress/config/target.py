"""A target file: how to start or reach one Gateway, which store it uses, and how its state is read."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from stress.config.answers import Answers
from stress.config.formats import File, Header, Name, wrong
from stress.config.gateways import PROTOCOLS
from stress.config.placeholders import not_set, unknown
from stress.config.registered import known
from stress.config.requires import Requirement  # noqa: TC001 - pydantic reads it
from stress.config.secrets_of import secrets_of
from stress.config.stores import StatePart, of, protocol_of, protocols
from stress.config.target_parts import (
    SENT,
    Background,
    Environment,
    Fingerprint,
    FromAnswer,
    Observe,
    RequestForm,
    Settle,
    Start,
    Stores,
)
from stress.core.errors import Fault
from stress.core.masking import name_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from stress.config.yaml_file import Location

_MOST_BODY = 1024 * 1024


def _gateway_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "http" and parts.hostname and (parts.port is None or parts.port) and not parts.query
    except ValueError:
        good = False
    if not good:
        raise wrong(f"{url!r} is no address of a Gateway", "write http://127.0.0.1:8080")
    return url.rstrip("/")


Protocol = Annotated[
    str, AfterValidator(known("protocol", lambda: PROTOCOLS)), Field(json_schema_extra={"enum": list(PROTOCOLS)})
]


if TYPE_CHECKING:
    Put: TypeAlias = StatePart | dict[str, Any]
    Manifest: TypeAlias = dict[str, Any]
else:
    Put, Manifest = of("put"), of("setup")


def _schema_of_target(schema: dict[str, Any]) -> None:
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["oneOf"] = [{"required": [way]} for way in ("protocol", "start", "url")]


class Target(File):
    """A target: how to start or reach one Gateway, which store it uses, and how its state is read."""

    model_config = {"json_schema_extra": _schema_of_target}

    name: Name = Field(description="what it is called in reports and in `expect` of a scenario")
    protocol: Protocol | None = Field(
        default=None, description="a bundled Gateway, instead of `start`; it has a model executor too"
    )
    start: Start | None = Field(default=None, description="how to start it")
    url: Annotated[str, AfterValidator(_gateway_url)] | None = Field(
        default=None, description="one that runs already, instead of `start`; needs a `listen` port for each store"
    )
    scenarios: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[],
        description="the scenarios that it is run on when none is named: bundled names, or files relative to this one",
    )
    seconds: float | None = Field(
        default=None, gt=0, le=86_400, description="what the quick profile spends on it, on all scenarios together"
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
        description="a header whose value it passes on to its store, which distinguishes requests; null: none",
    )
    request: RequestForm = Field(default=RequestForm(), description="what is sent")
    answers: Answers = Field(default=Answers(), description="how an answer is read")
    background: Background = Field(default=Background(), description="what is never gated")
    requires: list[Requirement] = Field(
        default=[], description="what must be there before the first schedule, as `stress-gateway doctor` checks it"
    )
    setup: list[str | Manifest] = Field(
        default=[],
        description="what the API server must have before the first schedule: files of manifests, or objects",
    )
    each_run: list[Put] = Field(
        default=[],
        description="what is made before each run and deleted after it: objects of the Kubernetes API, "
        "{redis: [command]}; may hold {fresh} {fingerprint}, an object {namespace} too",
    )
    patience: float = Field(
        default=1.0, ge=0.01, le=60, description="seconds that a request may sleep before others run"
    )
    settle: Settle | None = Field(
        default=None,
        description="seconds that it may work on after an answer, or {key: …, empty: true}: a key in Redis that is "
        "empty once all is done; without it, what the first requests show decides",
    )
    burst: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="how often, after a search that found nothing, all requests are released with the gate open",
    )
    observe: Observe | None = Field(default=None, description="how the final state is read, past the gate")
    environment: Environment = Field(default=Environment(), description="how environment actors act on it")

    @model_validator(mode="before")
    @classmethod
    def _read_the_former_name(cls, value: object) -> object:
        """Take `each_schedule` of older files for `each_run`."""
        if not isinstance(value, dict) or "each_schedule" not in value or "each_run" in value:
            return value
        return {"each_run" if key == "each_schedule" else key: one for key, one in value.items()}

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> Self:
        ways = [way for way in ("protocol", "start", "url") if getattr(self, way) is not None]
        if len(ways) != 1:
            given = " and ".join(ways) or "none of them"
            raise wrong(f"exactly one of `protocol`, `start` and `url` must be given, not {given}", "see `start`")
        for name in self.stores.used if self.url else ():
            if name not in self.stores.listens:
                message = f"stores.{name}.listen is missing"
                raise wrong(message, f"with `url` the gate needs a port: {{{name}: {{listen: 6380}}}}")
        if self.url and self.replicas > 1:
            raise wrong("with `url` there is 1 replica", "leave `replicas` out", ("replicas",))
        for name, port in self.stores.listens.items():
            if port + self.replicas - 1 > 65535:  # noqa: PLR2004 - the highest port there is
                raise wrong("leaves no port for the last replica", "choose a lower one", ("stores", name, "listen"))
        return self

    @model_validator(mode="after")
    def _has_what_it_names(self) -> Self:
        observed = self.observe.records if self.observe is not None else None
        acting = ((("environment", name), getattr(self.environment, name)) for name in ("cleanup", "expiry", "writer"))
        for where, part in ((("observe", "records"), observed), *acting):
            self._needs(part.protocol if part is not None else "", where)
        self._needs_for_headers()
        if self.setup:
            self._needs(protocol_of("setup", None), ("setup",))
        for at, (protocol, _) in enumerate(self.puts):
            self._needs(protocol, ("each_run", at))
        if isinstance(self.settle, StatePart):
            self._needs(self.settle.protocol, ("settle",), ", or give seconds")
        return self

    def _needs_for_headers(self) -> None:
        lacking = {name: parts for name, parts in protocols().items() if name not in self.stores.used}
        for name, text in self.request.headers.items():
            for protocol, parts in lacking.items():
                for word in parts.sent:
                    if f"{{{word}}}" in text:
                        hint = f"add `stores: {{{protocol}: {{}}}}`, or write the {word}"
                        raise wrong(f"{{{word}}} is of {parts.server}", hint, ("request", "headers", name))

    def _needs(self, protocol: str, where: Location, otherwise: str = "") -> None:
        if protocol and protocol not in self.stores.used:
            raise wrong(f"the target has no {protocol}", f"add `stores: {{{protocol}: {{}}}}`{otherwise}", where)

    @property
    def puts(self) -> list[tuple[str, Put]]:
        """What is made before each run, each with the protocol of its store."""
        return [(protocol_of("put", one), one) for one in self.each_run]

    def scenario_paths(self) -> list[str]:
        """Give what its scenarios are found by: names of bundled ones, or paths."""
        files = [(name, self.folder / name) for name in self.scenarios] if self.folder is not None else []
        return [str(path) if path.suffix in (".yaml", ".yml") else name for name, path in files]

    @cached_property
    def with_token(self) -> bool:
        """Whether it needs a service account's token, ``{token}``; its body file is read for this once."""
        sent = [self.request.path, *self.request.query.values(), *self.request.headers.values()]
        started = [*dict(self.start.texts).values(), *self.start.files.values()] if self.start is not None else []
        body = self.body(self.folder) if self.folder is not None else None
        return any("{token}" in text for text in (*sent, *started, body or ""))

    @property
    def ordered(self) -> bool:
        """Whether it sends the commands of all requests in the order in which it comes to them."""
        return any(one.in_order for one in self.stores.used.values())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file; what it names that is secret is masked from now on (`stress.core.masking`).

        Raises:
            UsageFault: with one fault for each thing that is wrong.

        """
        found = super().load(path)
        stores = [url for one in found.stores.used.values() for url in one.urls.values()]
        texts = [found.url, *stores, found.body(path.parent)]
        objects = [*found.setup, *(one for one in found.each_run if isinstance(one, dict))]
        given = secrets_of(filter(None, texts), found.request, found.start, objects, path.parent)
        name_secrets(given, but=[found.name])
        return found

    def is_service_of(self, other: Target) -> bool:
        """Whether both are the same service, perhaps in two versions: of one name, or started or reached in one way.

        All bundled Gateways with the same stores are one service.
        """
        if self.name == other.name:
            return True
        if self.start is not None and other.start is not None:
            return self.start.command == other.start.command
        alike = self.stores.used.keys() == other.stores.used.keys()
        bundled = self.protocol is not None and other.protocol is not None and alike
        return bundled or (self.url is not None and self.url == other.url)

    def misses(self, folder: Path) -> list[Fault]:
        """Name the folder to start in, the body to send and other files that it names, where they are not there."""
        faults = self._missing_files(folder)
        if self.start is not None and not (folder / self.start.folder).is_dir():
            place, message = self.place("start", "folder"), f"start.folder: no such folder: {self.start.folder}"
            faults.append(Fault(place, message, "it is relative to this file"))
        headers: list[tuple[Location, str]] = [
            (("request", "headers", name), text) for name, text in self.request.headers.items()
        ]
        started = [(("start", *where), text) for where, text in self.start.texts] if self.start is not None else []
        for where, text in (*started, *headers):
            for name in not_set(text):
                message = f"{'.'.join(map(str, where))}: the variable {name} of your environment is not set"
                hint = f"export {name}=…, or write {{env.{name}|…}}"
                faults.append(Fault(self.place(*where), message, hint))
        for at, pattern in enumerate(self.start.sources if self.start is not None else ()):
            if not any(file.is_file() for file in folder.glob(pattern)):
                message = f"start.sources.{at}: no file matches {pattern}"
                faults.append(Fault(self.place("start", "sources", at), message, "it is relative to this file"))
        return [*faults, *self._body_faults(folder)]

    def _missing_files(self, folder: Path) -> list[Fault]:
        named: list[tuple[Location, object]] = [(("setup", at), one) for at, one in enumerate(self.setup)]
        for store, one in self.stores.used.items():
            named += [(("stores", store, key), name) for key, name in one.files.items()]
        hint = "it is relative to this file"
        return [
            Fault(self.place(*where), f"{'.'.join(map(str, where))}: no such file: {name}", hint)
            for where, name in named
            if isinstance(name, str) and not (folder / name).is_file()
        ]

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
