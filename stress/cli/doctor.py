"""`stress-gateway doctor`: is everything there that a run needs?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stress.cli.common import ALLOW, REPORTS, await_it, examples
from stress.config.formats import find
from stress.config.target import Target
from stress.core.errors import UsageFault
from stress.core.exits import UNAVAILABLE
from stress.core.masking import printed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stress.core.errors import Fault
    from stress.processes.probe import Finding, Probe


@click.command(
    "doctor",
    epilog=examples(
        "stress-gateway doctor",
        "stress-gateway doctor --target my-gateway.yaml",
        "stress-gateway doctor --target my-gateway.yaml --json",
    ),
)
@click.option("--target", "targets", multiple=True, help="Also what this target needs: a bundled name or a file.")
@ALLOW
@REPORTS
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(
    targets: tuple[str, ...],
    hosts: tuple[str, ...],
    reports: Path,
    as_json: bool,  # noqa: FBT001 - an option of the command line
) -> int:
    """Look for faults around a run, so that none is taken for a race.

    One line each, with the remedy. Exit code 0 when all is well, 69 when something is not. It only looks; whether a
    target file fits its service is seen by what requests do: stress-gateway try TARGET.
    """
    from stress.config.stores import protocols
    from stress.core.registry import PROTOCOLS
    from stress.diagnose.doctor.machine import machine

    started = [probe for name in protocols() for probe in PROTOCOLS[name].embedded()]
    probes = [*machine({"reports": reports}), *started, *probes_of(targets, hosts)]
    return await_it(_report(probes, as_json=as_json))


def probes_of(targets: Sequence[str], hosts: Sequence[str]) -> list[Probe]:
    """Give the probes of targets.

    Raises:
        UsageFault: with all that is wrong with their files.

    """
    from stress.diagnose.doctor.targets import of_target

    probes: list[Probe] = []
    faults: list[Fault] = []
    for name in targets:
        try:
            path = find(name, "targets")
            probes += of_target(Target.load(path), path.parent, frozenset(hosts))
        except UsageFault as fault:
            faults += fault.faults
    if faults:
        raise UsageFault(faults)
    return probes


async def _report(probes: Sequence[Probe], *, as_json: bool) -> int:
    from stress.processes.probe import examine

    findings = await examine(probes)
    if as_json:
        click.echo(printed([one._asdict() for one in findings]))
    else:
        for one in findings:
            click.echo(f"{'ok' if one.well else 'FAULT':5}  {one.line}")
        click.echo(_summary(findings))
    return 0 if all(one.well for one in findings) else UNAVAILABLE


def _summary(findings: Sequence[Finding]) -> str:
    faults = sum(not one.well for one in findings)
    if not faults:
        return "all is well"
    return f"{faults} fault{'s' if faults > 1 else ''}: until fixed, a failing test says nothing about races"
