"""What the runs say: as a table for people, and as one document for programs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from stress.core.masking import clean
from stress.diagnose.triage.kinds import ADVICE, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stress.diagnose.triage.kinds import Condition, Kind
    from stress.diagnose.triage.measure import Tally
    from stress.diagnose.triage.rate import Rate

_MEANS: Mapping[Condition, str] = {
    "plain": "by itself",
    "busy": "with all cores busy",
    "after": "after the other",
    "beside": "beside the other",
}
_MOST_ENDINGS = 3
_MOST_TESTS = 30

Tallies = dict["Condition", "Tally"]


def kind_of_command(tallies: Tallies, faults: Sequence[str] = ()) -> Kind:
    """Say why the command fails; ``faults`` are what the doctor found."""
    return "environment" if faults else kind_of({name: tally.rate for name, tally in tallies.items()})


def lines(command: Sequence[str], tallies: Tallies, faults: Sequence[str] = ()) -> Iterator[str]:
    """Tell it line by line."""
    kind = kind_of_command(tallies, faults)
    yield f"{kind.upper()}: {clean(shlex.join(command))}"
    yield f"  {ADVICE[kind]}"
    yield from (f"  FAULT {fault}" for fault in faults)
    if not tallies:
        return
    yield ""
    yield "  how often it failed (95 % interval)"
    for name, tally in tallies.items():
        yield f"  {_MEANS[name]:20} {tally.rate}"
        for ending, count in tally.endings.most_common(_MOST_ENDINGS):
            yield f"  {'':20} {count} x {clean(ending)}"
    yield from _of_tests(tallies)


def _of_tests(tallies: Tallies) -> Iterator[str]:
    tests = by_test(tallies)
    if not tests:
        return
    failing = {name: rates for name, rates in tests.items() if any(rate.failed for rate in rates.values())}
    yield ""
    yield f"  {len(tests)} test{'s' if len(tests) > 1 else ''}, {len(tests) - len(failing)} of them always passed"
    for name, rates in sorted(failing.items())[:_MOST_TESTS]:
        text = ", ".join(f"{condition} {rate.failed}/{rate.of}" for condition, rate in rates.items())
        yield f"  {kind_of(rates)}: {clean(name)}: {text}"
    if len(failing) > _MOST_TESTS:
        yield f"  and {len(failing) - _MOST_TESTS} more: --json has all"


def by_test(tallies: Tallies) -> dict[str, dict[Condition, Rate]]:
    """Give the rates of each test that a JUnit file reported, under each condition."""
    found: dict[str, dict[Condition, Rate]] = {}
    for condition, tally in tallies.items():
        for name, rate in tally.tests.items():
            found.setdefault(name, {})[condition] = rate
    return found


def document(
    command: Sequence[str], tallies: Tallies, faults: Sequence[str] = (), *, interrupted: bool = False
) -> dict[str, Any]:
    """Give it as JSON can hold it."""
    kind = kind_of_command(tallies, faults)
    return {
        "command": [clean(word) for word in command],
        "kind": kind,
        "advice": ADVICE[kind],
        "interrupted": interrupted,
        "faults": list(faults),
        "conditions": {
            name: {**_rate(tally.rate), "endings": {clean(one): many for one, many in tally.endings.most_common()}}
            for name, tally in tallies.items()
        },
        "tests": {
            clean(name): {"kind": kind_of(rates), **{one: _rate(rate) for one, rate in rates.items()}}
            for name, rates in sorted(by_test(tallies).items())
        },
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {"failed": rate.failed, "of": rate.of, "interval": [round(end, 4) for end in rate.interval]}
