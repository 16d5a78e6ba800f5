"""A target file: how to start or reach one Gateway, which store it uses, and how its state is read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from stress.formats import File, Part

BACKGROUND = ("HELLO", "PING", "CLIENT", "AUTH", "SELECT", "COMMAND", "INFO", "ECHO", "QUIT", "SCRIPT")


class Ready(Part):
    """When a started Gateway is ready: a path that answers 2xx, within seconds."""

    path: str | None = None
    within: float = Field(default=10.0, gt=0)


class Start(Part):
    """How to start a replica; texts may hold {port} {redis_host} {redis_port} {redis_url} {replica} {folder}."""

    command: list[str] = Field(min_length=1)
    env: dict[str, str] = {}
    folder: str = "."
    ready: Ready = Ready()


class RequestForm(Part):
    """Where a signal is sent."""

    path: str = "/api/v1/signals/prometheus"
    headers: dict[str, str] = {}


class Answers(Part):
    """How an answer is read: statuses, and dotted paths in the JSON body."""

    created: int = 201
    duplicate: int = 202
    record: str = "remediationRequestName"
    count: str = "metadata.count"


class Observe(Part):
    """Commands that read the final state past the gate: the active records, and the hits of each."""

    records: dict[Literal["redis"], list[str]] | None = None
    hits: dict[Literal["redis"], list[str]] | None = None


class Environment(Part):
    """How environment actors act on this target."""

    cleanup: dict[Literal["redis"], list[str]] | None = None
    expiry: dict[Literal["redis"], list[str]] | None = None


class Target(File):
    """One target."""

    name: str
    protocol: str | None = None
    start: Start | None = None
    replicas: int = Field(default=1, ge=1, le=9)
    second: Literal["ignored", "matters"] = "ignored"
    request: RequestForm = RequestForm()
    answers: Answers = Answers()
    background: dict[Literal["redis"], list[str]] = {"redis": list(BACKGROUND)}
    patience: float = Field(default=1.0, ge=0.01, le=60)
    observe: Observe | None = None
    environment: Environment = Environment()

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> Target:
        if (self.protocol is None) == (self.start is None):
            message = "exactly one of `protocol` and `start` must say how to start it"
            raise ValueError(message)
        return self
