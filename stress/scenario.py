"""A scenario file: which requests, which other actors, which invariants, and what is expected of which target."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stress.formats import File, Part, nearest
from stress.signal import Signal

INVARIANTS = (
    "no_server_error",
    "one_active_record",
    "one_created_answer",
    "hits_equal_answers",
    "distinct_counts",
    "linearizable_hits",
    "test_t1_one_record",
    "test_t2_hits_at_least_requests",
)
ASSERTIONS = ("test_t1_one_record", "test_t2_hits_at_least_requests")
"""Those of them that are what a test asserts, and no promise of a Gateway whose records somebody else deletes."""


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
