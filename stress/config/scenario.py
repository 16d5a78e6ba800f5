"""A scenario file: which requests, which other actors, which invariants, and what is expected of which target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from stress.config.formats import EventName, File, Name, Part, find, wrong
from stress.config.goals import Goal  # noqa: TC001 - pydantic reads it
from stress.config.placeholders import unknown
from stress.config.registered import Invariant, known
from stress.config.signal import Signal
from stress.config.stores import of
from stress.core.letters import UnknownLetter, letters
from stress.core.registry import CHECKS, SCHEDULERS
from stress.core.step import letters as names_of

if TYPE_CHECKING:
    from pathlib import Path

    Sets = dict[str, Any]
else:
    Sets = of("sets")


def _judging() -> list[str]:
    """Name the invariants that judge a scenario which lists none."""
    return [name for name in CHECKS.names() if CHECKS[name].default]


class Source(Part):
    """Where a scenario comes from."""

    test: str = Field(default="", description="the failing test")


class Before(Part):
    """Requests before the concurrent ones, and an event of theirs that comes late."""

    requests: int = Field(ge=1, le=100, description="requests answered one after another before the others")
    late: EventName | None = Field(
        default=None,
        description="the first event of this type and resource, as `ADDED remediationrequests`, that a watch sends the "
        "replica of these requests is not delivered before the others begin; the search says when it is",
    )


class EnvironmentActor(Part):
    """An environment actor."""

    at_most: int = Field(default=1, ge=1, le=9, description="how often it may act in one schedule")
    sets: Sets | None = Field(
        default=None, description="what the actor `writer` writes, instead of what the target says: values by path"
    )


Acting = Literal["clock", "expiry", "cleanup", "writer", "client"]
"""Actors of the environment that a scenario may name."""


class Search(Part):
    """How to search each target, and for how long in the nightly profile."""

    scheduler: Annotated[str, AfterValidator(known("scheduler", SCHEDULERS.names))] = Field(
        default="auto",
        description="how schedules are chosen; auto: exhaustive, then walk while the budget lasts",
        json_schema_extra=lambda schema: schema.update(enum=list(SCHEDULERS.names())),
    )
    schedules: int = Field(default=5000, ge=1, le=10_000_000, description="at most so many schedules")
    seconds: float = Field(default=20, gt=0, le=86_400, description="at most so many seconds")


class Race(Part):
    """A race that is expected."""

    race: list[Invariant] = Field(
        min_length=1, description="the search goes on until each of these invariants has been seen broken"
    )


def _how_expected(value: object) -> str:
    return "<race>" if isinstance(value, Race | dict) else "<holds>"


Expected = Annotated[
    Annotated[Literal["holds"], Tag("<holds>")] | Annotated[Race, Tag("<race>")], Discriminator(_how_expected)
]


def _schema_of_scenario(schema: dict[str, Any]) -> None:
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"


class Scenario(File):
    """A scenario: which requests, which other actors, which invariants, and what is expected of which target."""

    model_config = {"json_schema_extra": _schema_of_scenario}

    name: Name = Field(description="what it is called in reports and commands")
    story: str = Field(min_length=1, description="what must be true, in one sentence")
    source: Source = Field(default=Source(), description="where it comes from")
    signal: Signal = Field(default=Signal(), description="what every request carries; {fresh} is new in each schedule")
    before: Annotated[
        Annotated[int, Field(ge=0, le=100), Tag("<number>")] | Annotated[Before, Tag("<parts>")],
        Discriminator(lambda value: "<parts>" if isinstance(value, dict | Before) else "<number>"),
    ] = Field(
        default=0,
        description="requests answered one after another before the others, each event delivered before the reply "
        "after it",
    )
    concurrent: int = Field(default=2, ge=1, le=26, description="identical requests in flight")
    replicas: list[Annotated[int, Field(ge=1, le=9)]] | None = Field(
        default=None, description="which replica each of them goes to, numbered from 1; default: all to replica 1"
    )
    actors: dict[Acting, EnvironmentActor] = Field(default={}, description="environment actors that may act")
    invariants: list[Invariant] = Field(
        default_factory=_judging,
        min_length=1,
        description="which checks judge a run; default: all but `test_…`, those of idempotency keys and of Kubernetes",
        json_schema_extra=lambda schema: schema.update(default=[*_judging()]),
    )
    races: dict[Name, Goal] = Field(
        default={}, description="goals: known races by name, which are searched for first and never expected"
    )
    quick: bool = Field(default=True, description="whether the quick profile runs it when no scenario is named")
    search: Search = Field(default=Search(), description="how to search")
    burst: int | None = Field(
        default=None, ge=0, le=100_000, description="how many bursts, instead of what the target says"
    )
    expect: dict[str, Expected] = Field(
        default={}, description="what is expected of which target: holds, or {race: [invariants]}; default: holds"
    )

    @property
    def earlier(self) -> Before | None:
        """The requests that come before the concurrent ones; None where there are none."""
        if isinstance(self.before, int):
            return Before(requests=self.before) if self.before else None
        return self.before

    @property
    def requests(self) -> int:
        """How many requests there are in all."""
        return self.concurrent + (self.earlier.requests if self.earlier else 0)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.replicas is not None and len(self.replicas) != self.concurrent:
            message = f"names {len(self.replicas)} requests, and concurrent says {self.concurrent}"
            raise wrong(message, "one number for each request", ("replicas",))
        for acting, actor in self.actors.items():
            if actor.sets is not None and acting != "writer":
                raise wrong(f"{acting} writes no values", "only `writer` has `sets`", ("actors", acting, "sets"))
        for target, expected in self.expect.items():
            for at, name in enumerate(expected.race if isinstance(expected, Race) else ()):
                if name not in self.invariants:
                    message = f"{name!r} is expected to break and is not in `invariants`"
                    raise wrong(message, "add it there", ("expect", target, "race", at))
        for name, goal in self.races.items():
            self._can_meet(name, goal)
        for where, text in _texts(self.signal.model_dump(exclude_unset=True), ("signal",)):
            for name, hint in unknown(text, ("fresh",), foreign=True):
                raise wrong(f"unknown placeholder {{{name}}}", hint, where)
        return self

    @property
    def places(self) -> list[int]:
        """The number of the replica of each concurrent request."""
        return self.replicas or [1] * self.concurrent

    def _can_meet(self, name: str, goal: Goal) -> None:
        """Refuse a goal that no run of this scenario can meet."""
        at = ("races", name)
        if goal.breaks not in self.invariants:
            raise wrong(f"{goal.breaks!r} is not in `invariants`", "add it there", (*at, "breaks"))
        may_act = {*names_of(self.concurrent), *self.actors, "watch"}
        for number, text in enumerate(goal.schedule):
            where = (*at, "schedule", number)
            try:
                moves = letters(text, self.concurrent)
            except UnknownLetter as unread:
                raise wrong(unread.message, unread.hint, where) from None
            if needed := {move.actor.partition(":")[0] for move in moves} - may_act:
                raise wrong(f"needs {' and '.join(sorted(needed))}", "let them act: `actors`", where)


def targets_of(path: Path, scenario: Scenario) -> dict[str, str]:
    """Give the files of the targets that the scenario in a file expects something of, by their names.

    Each is in ``targets/`` beside that file, beside it, or among the bundled ones.

    Raises:
        UsageFault: when one does not, with the nearest name.

    """
    found = {}
    for name in scenario.expect:
        beside = (path.parent / "targets" / f"{name}.yaml", path.parent / f"{name}.yaml")
        there = next((file for file in beside if file.is_file()), None)
        found[name] = str(there or find(name, "targets", scenario.place("expect", name, key=True)))
    return found


def _texts(value: object, where: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], str]]:
    """List every text inside a value, and where it stands."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in _texts(inner, (*where, key))]
    return [(where, value)] if isinstance(value, str) else []
