"""Verdicts, and the only function that may say `holds`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.core.bursts import Bursts


class Ruling(StrEnum):
    """What a search concludes about one scenario on one target."""

    HOLDS = "holds"
    RACE = "race"
    INCONCLUSIVE = "inconclusive"


class Cause(StrEnum):
    """Whose fault a failing schedule is."""

    GATEWAY = "gateway"
    """An invariant is broken: the Gateway must change."""
    ENVIRONMENT = "environment"
    """Only what a test asserts is broken: no change in the Gateway can help, isolate the test."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One invariant broken in one run: what was expected, what was seen, and which answers and steps contradict.

    ``answers`` are names of actors, ``steps`` are indexes of events of the trace.
    """

    invariant: str
    expected: str
    observed: str
    answers: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    epoch: int = 0

    def __str__(self) -> str:
        """Give one line: ``one_active_record: expected …, observed …``."""
        return f"{self.invariant}: expected {self.expected}; observed {self.observed}"


class Sampled(NamedTuple):
    """What one sampler drew: ``schedules``, how many broke an invariant, and how many distinct classes they were.

    ``bound`` is the least probability with which one schedule of PCT meets a race of ``depth``, 1/(n k^(d-1)), with the
    n ``actors`` and k ``steps`` that were measured (None: this sampler has no such bound).
    """

    scheduler: str
    schedules: int
    failing: int
    classes: int
    bound: float | None = None
    actors: int = 0
    steps: int = 0
    depth: int = 0

    def __str__(self) -> str:
        """Say in words what was drawn and what it showed."""
        text = f"{self.scheduler}: {self.failing} of {counted(self.schedules, 'schedule')} fail"
        text += f", {counted(self.classes, 'class')} seen"
        if self.bound is None:
            return text
        where = f"(n = {self.actors}, k = {self.steps})"
        return f"{text}, each meets a race of depth {self.depth} with probability >= {self.bound:.2g} {where}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much of the space of schedules one search covered in one executor.

    ``total`` is the number of schedules that exist, known only once ``exhausted``; ``bound`` is the largest b
    such that every schedule with at most b preemptions was run (None: not even b = 0). ``classes`` counts the
    equivalence classes that were run, where one schedule of each is enough (None: schedules were counted).
    ``clock_schedules`` counts the schedules run in which the clock moved; ``clock_cut`` tells that some of those were
    left out although every schedule without the clock was run. ``sampled`` counts schedules drawn at random,
    ``replayed`` those that another executor had found, ``tried`` those that had failed in an earlier run, ``aimed``
    those of the scenario's goals. ``outcomes`` is the number of distinct outcomes seen. ``stopped`` tells that the
    search ended with a race, long before it had covered anything. ``shared_only`` marks an assumption: requests share
    only the store. ``renamed`` tells that classes are counted up to the names of identical requests. ``draws`` tells
    what each sampler drew. ``beside`` is a schedule, by its actors, that broke what no schedule of a search did that
    had run them all, ``differs`` says in which two schedules requests went on differently after equal observations: of
    either follows that requests share more than the store. ``shared_connection`` names two requests that shared a
    connection to the store (``A and B``; empty: none did). Then ``exhausted`` is never said, but ``in_order``: every
    schedule was run that keeps the connection's own order, or that differs in what the store shows where requests share
    more. ``polling`` says what was not explored of a request that asks the same again and again (empty: there was
    none); this too leaves ``in_order`` alone. ``pipelines`` are commands that a request sent together, which were
    released as one step: what comes between them on the server was not explored. ``unsteered`` are commands of no
    request that conflict with what requests do and came when they came: then too ``exhausted`` is never said, but
    ``in_order``. ``worker`` is the command that a worker looks for work with that is an actor (empty: there was none):
    one turn of it in each schedule, so that this too leaves ``in_order`` alone. ``skipped`` counts schedules from whose
    runs nothing follows: without them, and those that they would have led to, the search is neither exhausted nor has
    run a class of each. ``bursts`` is what requests released together showed after it (None: there were no bursts).
    """

    executor: str
    scheduler: str
    schedules: int
    seconds: float
    exhausted: bool = False
    total: int | None = None
    classes: int | None = None
    bound: int | None = None
    sampled: int = 0
    replayed: int = 0
    stopped: bool = False
    outcomes: int = 0
    clock_schedules: int = 0
    clock_cut: bool = False
    shared_only: bool = False
    not_checked: tuple[str, ...] = ()
    tried: int = 0
    renamed: bool = False
    draws: tuple[Sampled, ...] = ()
    beside: str = ""
    differs: str = ""
    shared_connection: str = ""
    in_order: bool = False
    pipelines: tuple[str, ...] = ()
    unsteered: tuple[str, ...] = ()
    worker: str = ""
    skipped: int = 0
    polling: str = ""
    aimed: int = 0
    bursts: Bursts | None = None

    @property
    def remedy(self) -> str:
        """Say what lifts the bound that a shared connection sets; empty where none was shared."""
        if not self.shared_connection:
            return ""
        return (
            f"requests {self.shared_connection} share a connection: give each its own, let each reach a replica of its "
            "own (`replicas: 2` in the target, `replicas: [1, 2]` in the scenario), or, if the client writes in "
            "program order, as in one thread, say `stores.redis.ordered: true`"
        )

    @property
    def covered(self) -> str:
        """Say in words how much was covered."""
        return self._searched if self.bursts is None else f"{self._searched}; {self.bursts}"

    @property
    def _searched(self) -> str:
        """Say in words what the search covered."""
        if self.beside or self.differs:
            shown = f"found beside the search: {self.beside}" if self.beside else self.differs
            so_far = "" if self.beside else f"; {self._counted}"
            return f"bounded: requests share more than the store ({shown}){so_far}"
        if self.stopped and not self.exhausted:
            ran = self.schedules + self.sampled
            text = [f"stopped at a race after {counted(ran, 'schedule')}"] if ran else []
            text += [f"{counted(self.replayed, 'failing schedule')} of the model followed"] if self.replayed else []
            text += [f"{counted(self.aimed, 'schedule')} of goals run"] if self.aimed else []
            text += [f"{counted(self.tried, 'schedule')} of an earlier run tried"] if self.tried else []
            return ", ".join(text)
        words = self._all if self.exhausted else self._some
        if self.sampled and self.schedules:
            words += f", {self.sampled} more sampled"
        if self.skipped:
            words += f", but for those that begin as {self.skipped} skipped"
        if self.shared_only and self.executor == "live":
            words += ", assuming that requests share only the store"
        if self.polling:
            words += f"; not explored: {self.polling}"
        if self.shared_connection:
            words += f"; requests {self.shared_connection} share a connection: schedules in which a later command of "
            words += "one overtakes an earlier one of the other on it cannot be produced"
        if self.worker:
            words += f"; what looks for work with {self.worker} is ordered, one turn of it in each"
        if self.unsteered:
            words += f"; {', '.join(self.unsteered)} is of no request and came when it came"
        return words

    @property
    def _all(self) -> str:
        if self.classes is None:
            ran_in_all = "" if self.schedules == self.total else f" ({counted(self.schedules, 'schedule')})"
            return f"exhausted {self.total} of {self.total}{ran_in_all}"
        return f"exhausted {self.classes} of {self._counted}"

    @property
    def _counted(self) -> str:
        """Say how many classes and schedules were run."""
        schedules = counted(self.schedules, "schedule")
        names = " up to renaming" if self.renamed else ""
        return schedules if self.classes is None else f"{counted(self.classes, 'class')}{names} ({schedules})"

    @property
    def _some(self) -> str:
        if self.in_order:
            words = f"bounded: {self._counted}"
        elif self.clock_cut:
            words = f"bounded: every schedule without the clock, {self.clock_schedules} with it"
        elif self.bound is not None and self.bound >= 1:
            bound, ran = counted(self.bound, "preemption"), counted(self.schedules, "schedule")
            words = f"bounded: every schedule with up to {bound} ({ran})"
        elif self.classes is not None:
            words = f"{counted(self.classes, 'class')} of schedules, not all"
        elif self.sampled and not self.schedules:
            words = f"sampled only: {counted(self.sampled, 'schedule')}"
        else:
            words = f"{counted(self.schedules, 'schedule')}, cut off below one preemption"
        return words


def counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 schedule``, ``2 preemptions``."""
    plural = noun + ("es" if noun.endswith(("ch", "ss")) else "s")
    return f"{number} {noun if number == 1 else plural}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ruling with the evidence that it rests on, one entry per executor."""

    ruling: Ruling
    reason: str
    evidence: tuple[Evidence, ...]

    @property
    def holds(self) -> bool:
        """Whether the ruling is `holds`."""
        return self.ruling is Ruling.HOLDS


def _after_bursts(ran: Sequence[Evidence]) -> Verdict | None:
    """Give the verdict where bursts show what no schedule did; None where they show nothing."""
    for ruling, reason in [one.bursts.ruling for one in ran if one.bursts is not None]:
        if ruling:
            return Verdict(Ruling(ruling), reason, tuple(ran))
    return None


def judge(
    violations: Sequence[Violation],
    evidence: Sequence[Evidence],
    faults: Sequence[str] = (),
    *,
    exhaustively: bool = False,
) -> Verdict:
    """Rule on one scenario and target. Nothing else in the code base may issue `holds`.

    A violation is a race whatever else happened. Without one, any fault, an empty search, or a search cut
    off below one preemption is `inconclusive`. With ``exhaustively`` (a bundled fixed counterpart) at least one
    executor must have run every schedule. Bursts may show a race that no schedule does, or a doubt.
    """
    proof = tuple(evidence)
    if violations:
        broken = sorted({violation.invariant for violation in violations})
        return Verdict(Ruling.RACE, "broken: " + ", ".join(broken), proof)
    ran = [one for one in proof if one.schedules or one.sampled or one.replayed or one.tried or one.aimed]
    if faults or not ran:
        return Verdict(Ruling.INCONCLUSIVE, faults[0] if faults else "no schedule was run", proof)
    if exhaustively and not any(one.exhausted for one in ran):
        return Verdict(Ruling.INCONCLUSIVE, f"not exhausted: {ran[0].covered}", proof)
    if not any(one.exhausted or one.in_order or one.clock_cut or (one.bound or 0) >= 1 for one in ran):
        return Verdict(Ruling.INCONCLUSIVE, f"cut off: {ran[0].covered}", proof)
    return _after_bursts(ran) or Verdict(
        Ruling.HOLDS, "; ".join(f"{one.executor}: {one.covered}" for one in ran), proof
    )
