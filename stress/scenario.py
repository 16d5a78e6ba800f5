"""A scenario file: which requests, which other actors, which invariants, and what is expected of which target."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stress.formats import File, Part, nearest

INVARIANTS = (
    "no_server_error",
    "one_active_record",
    "one_created_answer",
    "hits_equal_answers",
    "distinct_counts",
    "test_t1_one_record",
    "test_t2_hits_at_least_requests",
)
ASSERTIONS = ("test_t1_one_record", "test_t2_hits_at_least_requests")
"""Those of them that are what a test asserts, and no promise of a Gateway whose records somebody else deletes."""

_KINDS = ("pod", "deployment", "statefulset", "daemonset", "node", "service")


def _known(name: str) -> str:
    if name not in INVARIANTS:
        message = f"unknown invariant {name!r}; {nearest(name, INVARIANTS)}"
        raise ValueError(message)
    return name


Invariant = Annotated[str, AfterValidator(_known)]


class Source(Part):
    """Where a scenario comes from: the failing test and the races of the contract."""

    test: str = ""
    races: list[str] = []


class Signal(Part):
    """The alert that every request carries; ``{fresh}`` in any text is a new value for each order."""

    adapter: Literal["prometheus"] = "prometheus"
    alertname: str = "HighMemoryUsage"
    namespace: str = "default"
    severity: str = "warning"
    labels: dict[str, str] = {}

    def fingerprint(self, fresh: str) -> str:
        """SHA-256 of ``alertname:namespace:kind:name`` (contract section 1.5)."""
        kind = next((kind for kind in _KINDS if kind in self.labels), None)
        name = self.labels[kind].replace("{fresh}", fresh) if kind else "unknown"
        titles = {"statefulset": "StatefulSet", "daemonset": "DaemonSet"}
        title = titles.get(kind, kind.capitalize()) if kind else "Unknown"
        text = f"{self.alertname}:{self.namespace}:{title}:{name}".replace("{fresh}", fresh)
        return hashlib.sha256(text.encode()).hexdigest()

    def body(self, fresh: str) -> bytes:
        """Give an Alertmanager webhook, version 4 (contract section 1.3)."""
        labels = {
            "alertname": self.alertname,
            "severity": self.severity,
            "namespace": self.namespace,
            **self.labels,
        }
        alert = {
            "status": "firing",
            "labels": labels,
            "startsAt": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        text = json.dumps({"version": "4", "status": "firing", "receiver": "kubernaut", "alerts": [alert]})
        return text.replace("{fresh}", fresh).encode()


class EnvironmentActor(Part):
    """An environment actor, and how often it may act in one order."""

    at_most: int = Field(default=1, ge=1, le=9)


class Search(Part):
    """How to search, and for how long in the nightly profile: orders and seconds for each target."""

    explorer: Literal["auto", "exhaustive", "walk"] = "auto"
    orders: int = Field(default=5000, ge=1)
    seconds: float = Field(default=20, gt=0)


class Race(Part):
    """A race that is expected: the search goes on until each invariant has been seen broken."""

    race: list[Invariant] = Field(min_length=1)


class Scenario(File):
    """One scenario."""

    name: str
    story: str
    source: Source = Source()
    signal: Signal = Signal()
    before: int = Field(default=0, ge=0, le=100)
    concurrent: int = Field(default=2, ge=1, le=26)
    replicas: list[int] | None = None
    actors: dict[Literal["clock", "expiry", "cleanup"], EnvironmentActor] = {}
    invariants: list[Invariant] = Field(default=[n for n in INVARIANTS if n not in ASSERTIONS], min_length=1)
    search: Search = Search()
    expect: dict[str, Literal["holds"] | Race] = {}

    @model_validator(mode="after")
    def _agrees(self) -> Scenario:
        if self.replicas is not None and len(self.replicas) != self.concurrent:
            message = f"replicas names {len(self.replicas)} requests, concurrent says {self.concurrent}"
            raise ValueError(message)
        return self
