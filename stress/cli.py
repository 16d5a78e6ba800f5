"""Commands."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from stress.checks import run_checks
from stress.errors import Unavailable, UsageFault
from stress.formats import bundled, find
from stress.gateways.protocols import PROTOCOLS
from stress.gateways.serve import serve
from stress.order import parse
from stress.report.folder import ReportUnwritable, document, write, write_summary
from stress.report.terminal import Terminal
from stress.result import Finished
from stress.run import Search, run
from stress.scenario import Scenario
from stress.target import Target
from stress.worlds.wire import WireWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from stress.order import Order
    from stress.result import Happening, Result

QUICK_SECONDS = 16.0
_CLOCK_WEIGHT = 16
OWN_TARGET = ("concurrent-duplicates", "atomic-hit-count")
"""The scenarios of the two failing tests, which a target of the user's own is run on."""

_RACE, _INCONCLUSIVE, _NOT_FOUND, _USAGE, _UNAVAILABLE, _REPORT, _INTERRUPTED = 1, 2, 3, 64, 69, 74, 130
_SEVEREST_FIRST = (_RACE, _UNAVAILABLE, _REPORT, _INCONCLUSIVE, _NOT_FOUND)


class Commands(click.Group):
    """A group whose usage errors exit 64 and whose known failures are one clear line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the signature of click
        """Run, and turn what is expected to go wrong into a line and an exit code."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.UsageError as error:
            error.show()
            code = _USAGE
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            code = _INTERRUPTED
        except UsageFault as fault:
            click.echo(str(fault), err=True)
            code = _USAGE
        except Unavailable as error:
            click.echo(f"unavailable: {error}", err=True)
            code = _UNAVAILABLE
        except ReportUnwritable as error:
            click.echo(f"the report can't be written: {error}", err=True)
            code = _REPORT
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=Commands)
@click.version_option(package_name="gateway-stress")
def main() -> None:
    """Reproduce races in a Gateway by controlling the order of its store commands."""


def await_it(work: Coroutine[Any, Any, int]) -> int:
    """Run a command's work; Ctrl-C cancels it, so that it cleans up."""
    return asyncio.run(work)


@main.command("run")
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]...")
@click.option(
    "--target",
    "targets",
    multiple=True,
    help="A bundled target or a file; default: those the scenario names.",
)
@click.option("--profile", type=click.Choice(["quick", "nightly"]), default="quick", show_default=True)
@click.option("--orders", type=click.IntRange(1), help="At most so many orders a pair.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="At most so many seconds a pair.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--reports", type=click.Path(path_type=Path), default=Path("reports"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def run_command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    scenarios: tuple[str, ...],
    targets: tuple[str, ...],
    profile: str,
    orders: int | None,
    seconds: float | None,
    seed: int,
    reports: Path,
    as_json: bool,  # noqa: FBT001 - an option of the command line
) -> int:
    r"""Search scenarios for races.

    \b
    stress-gateway run
    stress-gateway run concurrent-duplicates --target redis-named-by-second
    stress-gateway run --target my-gateway.yaml
    """
    pairs = _pairs(scenarios, targets)
    total = QUICK_SECONDS if profile == "quick" and seconds is None else None
    return await_it(_run_all(pairs, Budget(total, seconds, orders, seed), reports, as_json=as_json))


def _pairs(scenarios: tuple[str, ...], targets: tuple[str, ...]) -> list[tuple[Scenario, Path]]:
    names = scenarios or (OWN_TARGET if targets else tuple(sorted(path.stem for path in bundled("").glob("*.yaml"))))
    found = []
    for name in names:
        scenario = Scenario.load(find(name, ""))
        found += [(scenario, find(target, "targets")) for target in targets or scenario.expect]
    if not found:
        raise click.UsageError("no target: name one with --target")
    return found


class Budget(NamedTuple):
    """What a run may spend: seconds for all pairs together, or seconds and orders for each pair, and the seed."""

    total: float | None
    seconds: float | None
    orders: int | None
    seed: int

    def share(self, pairs: list[tuple[Scenario, Path]], spent: float) -> float:
        """Give the seconds of the first of the ``pairs`` still to be run: by weight, with what others left over."""
        if self.total is not None:
            weights = [_weight(scenario, Target.load(path)) for scenario, path in pairs]
            return max(1.0, (self.total - spent) * weights[0] / sum(weights))
        return self.seconds or pairs[0][0].search.seconds


def _weight(scenario: Scenario, target: Target) -> int:
    """Weigh what a pair costs: more requests have more orders, and a move of the clock takes up to a real second."""
    timed = "clock" in scenario.actors and target.second == "matters"
    return scenario.concurrent * (_CLOCK_WEIGHT if timed else 1)


async def _run_all(pairs: list[tuple[Scenario, Path]], budget: Budget, reports: Path, *, as_json: bool) -> int:
    terminal = Terminal()
    begun = time.monotonic()
    tell: Callable[[Happening], None] = (lambda _: None) if as_json else terminal.handle
    results: list[Result] = []
    folders: list[Path] = []
    for scenario, path in pairs:
        async with WireWorld(scenario, Target.load(path), path.parent) as world:
            limit = budget.share(pairs[len(results) :], time.monotonic() - begun)
            most = budget.orders or scenario.search.orders
            search = Search(world, seconds=limit, orders=most, seed=budget.seed, tell=tell)
            result = await search.result()
        results.append(result)
        folders.append(write(result, reports))
        tell(Finished(result, str(folders[-1])))
    write_summary(results, folders, reports)
    if as_json:
        click.echo(json.dumps([document(result) for result in results], indent=2))
    else:
        terminal.table(results)
    return exit_code(results)


def exit_code(results: list[Result]) -> int:
    """Give the exit code of a run: of several, the severest."""
    codes = {_code(result) for result in results}
    return next((code for code in _SEVEREST_FIRST if code in codes), 0)


def _code(result: Result) -> int:
    if result.as_expected:
        return 0
    if result.unexpected and result.verdict.ruling == "race":
        return _RACE
    if result.verdict.ruling == "inconclusive" and not result.missing:
        return _INCONCLUSIVE
    return _INCONCLUSIVE if result.faults else _NOT_FOUND


@main.command()
@click.argument("order_file", type=click.Path(path_type=Path))
@click.option("--target", help="Another target than the one of the order file.")
@click.option("--times", type=click.IntRange(1), default=1, show_default=True)
def replay(order_file: Path, target: str | None, times: int) -> int:
    r"""Follow one order again.

    \b
    stress-gateway replay reports/latest/concurrent-duplicates-redis-named-by-second/order.txt --times 100
    """
    try:
        order = parse(order_file.read_text(), str(order_file))
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{order_file} can't be read: {error}") from None
    scenario = Scenario.load(find(order.head.scenario, ""))
    path = find(target or order.head.target, "targets")
    return await_it(_replay(scenario, path, order, times))


async def _replay(scenario: Scenario, path: Path, order: Order, times: int) -> int:
    failed = 0
    async with WireWorld(scenario, Target.load(path), path.parent) as world:
        for _ in range(times):
            trace = await run(order, world)
            if trace.fault.startswith("DIVERGED") and world.target.digest != order.head.target_digest:
                return await _search_instead(world)
            if trace.fault:
                click.echo(trace.fault)
                return _INCONCLUSIVE
            failed += bool(run_checks(scenario.invariants, trace))
    if failed not in (0, times):
        click.echo(f"inconclusive: failed {failed} of {times}")
        return _INCONCLUSIVE
    click.echo(f"STILL FAILING {failed}/{times}" if failed else f"FIXED {times}/{times}")
    return _RACE if failed else 0


async def _search_instead(world: WireWorld) -> int:
    """Search a changed target, on which the old order can't be followed any more."""
    search = Search(world, seconds=world.scenario.search.seconds, orders=world.scenario.search.orders)
    result = await search.result()
    if result.findings:
        folder = write(result, Path("reports"))
        click.echo(f"STILL FAILING by another order: {folder}/order.txt")
        return _RACE
    if result.verdict.holds:
        click.echo(f"FIXED (the order no longer exists; holds: {result.verdict.evidence[0].covered})")
        return 0
    click.echo(f"inconclusive: {result.verdict.reason}")
    return _INCONCLUSIVE


@main.command("list")
def list_command() -> None:
    """List the bundled scenarios and targets."""
    for path in sorted(bundled("").glob("*.yaml")):
        scenario = Scenario.load(path)
        click.echo(f"{scenario.name}: {scenario.story} [{', '.join(scenario.expect)}]")


@main.command()
@click.argument("kind", type=click.Choice(["scenario", "target"]))
def schema(kind: str) -> None:
    """Print the JSON Schema of a file format."""
    model = Scenario if kind == "scenario" else Target
    click.echo(json.dumps(model.model_json_schema(), indent=2, sort_keys=True))


@main.command()
@click.option("--protocol", type=click.Choice(PROTOCOLS), required=True)
@click.option("--redis", required=True, help="The store's URL.")
@click.option("--port", type=click.IntRange(1, 65535), required=True)
def gateway(protocol: str, redis: str, port: int) -> None:
    r"""Run a bundled Gateway.

    \b
    stress-gateway gateway --protocol redis-atomic --redis redis://127.0.0.1:6379/0 --port 8080
    """
    asyncio.run(serve(protocol, redis, port))


if __name__ == "__main__":
    main()
