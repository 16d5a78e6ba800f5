"""What the rates of a test say about why it fails. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stress.diagnose.triage.rate import Rate

Condition = Literal["plain", "busy", "after", "beside"]
"""How the command is run: by itself, with all cores busy, after another command, or beside one."""
CONDITIONS: tuple[Condition, ...] = ("plain", "busy", "after", "beside")

Kind = Literal["always passes", "always fails", "environment", "timing", "order-dependent", "now and then", "unknown"]
ADVICE: Mapping[Kind, str] = {
    "always passes": "it may still fail as often as the interval says: more runs narrow it",
    "always fails": "it is no flake: something is broken, or missing",
    "environment": "fix what the doctor found, and triage again",
    "timing": "it waits for a time instead of an event, or races: search the Gateway with `stress-gateway run`",
    "order-dependent": "both share state: give each its own keys, namespace or database, or clean up before",
    "now and then": "it races by itself: search the Gateway with `stress-gateway run`, which needs no luck",
    "unknown": "there are too few runs: let it finish",
}


def kind_of(rates: Mapping[Condition, Rate]) -> Kind:
    """Say why a test fails, from its rate under each condition.

    What shows without any help counts before what needs some: a test that fails by itself now and then will do so
    beside another one too. A test that fails beside another and under contention needs no other than load, so that is
    timing. Where a condition was not run, nothing is said of it.
    """
    ran = {name: rate for name, rate in rates.items() if rate.of}
    plain = ran.get("plain")
    if plain is None:
        return "unknown"
    fails = {name for name, rate in ran.items() if rate.failed}
    if plain.failed == plain.of:
        fixed = any(not ran[name].failed for name in ("after", "beside") if name in ran)
        return "order-dependent" if fixed else "always fails"
    if plain.failed:
        return "now and then"
    if "after" in fails or ("beside" in fails and "busy" not in fails):
        return "order-dependent"
    return "timing" if fails else "always passes"
