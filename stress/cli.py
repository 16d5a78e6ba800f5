"""Commands."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import click

from stress import again
from stress.batch import INTERRUPT, OWN_BUG, REPORT, UNAVAILABLE, USAGE, Batch, Budget, Job, Where, part_of
from stress.errors import Fault, OwnBug, Place, Unavailable, UsageFault
from stress.examples import Folder, Nothing
from stress.formats import bundled, find
from stress.gateways.protocols import PROTOCOLS
from stress.gateways.serve import serve
from stress.order import Order, parse
from stress.scenario import Scenario
from stress.shard import Shard
from stress.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

QUICK_SECONDS = 15.0
OWN_TARGET = ("concurrent-duplicates", "atomic-hit-count")
"""The scenarios of the two failing tests, which a target of the user's own is run on."""


LATER: dict[str, str] = {
    "promote": "stress.commands.promote",
}
"""Commands that have a module of their own, imported when asked for: it defines ``command``."""


class Commands(click.Group):
    """A group whose usage errors exit 64 and whose known failures are one clear line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, those in modules of their own too."""
        return sorted({*super().list_commands(ctx), *LATER})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give a command; import its module where it has one of its own."""
        if cmd_name in LATER:
            found: click.Command = import_module(LATER[cmd_name]).command
            return found
        return super().get_command(ctx, cmd_name)

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the signature of click
        """Run, and turn what is expected to go wrong into a line and an exit code."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.UsageError as error:
            error.show()
            code = USAGE
        except (click.Abort, KeyboardInterrupt, asyncio.CancelledError):
            click.echo("interrupted", err=True)
            code = INTERRUPT
        except UsageFault as fault:
            click.echo(str(fault), err=True)
            code = USAGE
        except Unavailable as error:
            click.echo(f"unavailable: {error}", err=True)
            code = UNAVAILABLE
        except Exception as error:  # noqa: BLE001 - whatever else it is, it is our own fault
            click.echo(f"a bug of gateway-stress: {str(error) or type(error).__name__} ({_saved(error)})", err=True)
            code = OWN_BUG
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - the signature of click
        """Run a command; a reader that is gone must not look like a race, as the exit code of click does."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # what is still to be written goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(REPORT) from None


def _saved(error: Exception) -> str:
    """Keep what a bug report needs, out of the user's sight; say where."""
    told = "".join(traceback.format_exception(error))
    trace = error.trace if isinstance(error, OwnBug) else None
    events = [str(event) for event in getattr(trace, "events", ())]
    try:
        with NamedTemporaryFile("w", prefix="gateway-stress-bug-", suffix=".txt", delete=False) as file:
            file.write("\n".join([told, *events]) + "\n")
    except OSError:
        return "and no room to write down where"
    return f"please report it with {file.name}"


@click.group(cls=Commands)
@click.version_option(package_name="gateway-stress")
def main() -> None:
    """Reproduce races in a Gateway by controlling the order of its store commands."""


def await_it(work: Coroutine[Any, Any, int]) -> int:
    """Run a command's work; Ctrl-C and SIGTERM cancel it, so that it cleans up."""

    async def cancellable() -> int:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has one
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        return runner.run(cancellable())


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give uvloop's event loop where it is installed (the extra `fast`)."""
    try:
        return cast("Callable[[], asyncio.AbstractEventLoop]", import_module("uvloop").new_event_loop)
    except ImportError:
        return None


def _examples(*lines: str) -> str:
    """Give examples for the end of a help text, each on its line: click wraps a paragraph anew unless it is marked."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


WORLD = click.option(
    "--world", type=click.Choice(["wire", "model", "both"]), help="Default: both for a bundled target, else wire."
)
ALLOW = click.option(
    "--allow-host", "hosts", multiple=True, metavar="HOST", help="Allow a target or store on another host than this."
)
REPORTS = click.option(
    "--reports",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="The folder that reports are written to.",
)
LANES = click.option(
    "--lanes",
    type=click.IntRange(1),
    metavar="N",
    help="So many orders at the same time through one Gateway; default: what was measured to be best.",
)


def _shard_named(_: click.Context, __: click.Parameter, text: str | None) -> Shard | None:
    """Read the value of --shard."""
    try:
        return None if text is None else Shard.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@main.command(
    "run",
    epilog=_examples(
        "stress-gateway run",
        "stress-gateway run concurrent-duplicates --target redis-named-by-second",
        "stress-gateway run --target my-gateway.yaml",
    ),
)
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]...")
@click.option(
    "--target",
    "targets",
    multiple=True,
    help="A bundled target or a file; default: those the scenario names.",
)
@click.option(
    "--profile",
    type=click.Choice(["quick", "nightly"]),
    default="quick",
    show_default=True,
    help=f"quick: {QUICK_SECONDS:g} seconds for all pairs together; nightly: for each pair what its scenario says.",
)
@click.option("--orders", type=click.IntRange(1), help="At most so many orders a pair.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="At most so many seconds a pair.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed draws the same orders.")
@click.option(
    "--shard", callback=_shard_named, metavar="I/N", help="Only part I of N, which together have each pair once."
)
@click.option(
    "--examples",
    type=click.Path(path_type=Path),
    default=Path(".gateway-stress/examples"),
    show_default=True,
    help="The folder of orders that failed, which are tried first, and of searches that were interrupted.",
)
@click.option("--no-examples", is_flag=True, help="Try and keep no such orders, and go on with no search.")
@click.option("--fresh", is_flag=True, help="Begin each search anew, also one that was interrupted.")
@WORLD
@ALLOW
@LANES
@REPORTS
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def run_command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    scenarios: tuple[str, ...],
    targets: tuple[str, ...],
    profile: str,
    orders: int | None,
    seconds: float | None,
    seed: int,
    shard: Shard | None,
    examples: Path,
    no_examples: bool,  # noqa: FBT001 - an option of the command line
    fresh: bool,  # noqa: FBT001 - an option of the command line
    world: str | None,
    hosts: tuple[str, ...],
    lanes: int | None,
    reports: Path,
    as_json: bool,  # noqa: FBT001 - an option of the command line
) -> int:
    """Search scenarios for races."""
    if seconds is not None and math.isnan(seconds):
        raise click.BadParameter("nan is no number of seconds", param_hint="--seconds")
    jobs = _sharded(_jobs(scenarios, targets), shard)
    total = QUICK_SECONDS if profile == "quick" and seconds is None else None
    budget = Budget(total, seconds, orders, seed)
    where = Where(world or "", frozenset(hosts), lanes)
    kept = Nothing() if no_examples else Folder(examples)
    return await_it(Batch(jobs, budget, where, reports, as_json=as_json, examples=kept, fresh=fresh).run())


def _sharded(jobs: list[Job], shard: Shard | None) -> list[Job]:
    """Give the pairs of a shard; say so where it has none."""
    if shard is None:
        return jobs
    own = part_of(jobs, shard)
    if not own:
        click.echo(f"nothing to do: shard {shard} has none of the pairs, of which there are {len(jobs)}", err=True)
    return own


def _jobs(scenarios: Sequence[str], targets: Sequence[str]) -> list[Job]:
    names = scenarios or (OWN_TARGET if targets else tuple(sorted(path.stem for path in bundled("").glob("*.yaml"))))
    found = []
    faults = []
    for name in names:
        try:
            scenario = Scenario.load(find(name, ""))
            for target in targets or scenario.expect:
                find(target, "targets", None if targets else scenario.place("expect", target, key=True))
                found.append(Job.load(name, target))
        except UsageFault as fault:
            faults += [one for one in fault.faults if one not in faults]
    if faults:
        raise UsageFault(faults)
    if not found:
        raise click.UsageError("no target: the scenario expects nothing of a bundled one, so name one with --target")
    return found


@main.command(
    epilog=_examples(
        "stress-gateway replay reports/latest/atomic-hit-count-redis-read-modify-write/order.txt --times 100",
        "stress-gateway replay order.txt --target my-fixed-gateway.yaml",
    )
)
@click.argument("order_file", type=click.Path(path_type=Path))
@click.option("--target", help="Another target than the one of the order file: a bundled name or a file.")
@click.option("--times", type=click.IntRange(1), default=1, show_default=True, help="How often to follow the order.")
@WORLD
@ALLOW
@LANES
@REPORTS
def replay(  # noqa: PLR0913, PLR0917 - one parameter for each option
    order_file: Path,
    target: str | None,
    times: int,
    world: str | None,
    hosts: tuple[str, ...],
    lanes: int | None,
    reports: Path,
) -> int:
    """Follow one order again: STILL FAILING (exit 1), FIXED (0) or DIVERGED (2).

    When the Gateway has changed and no longer allows the order, its scenario is searched instead.
    """
    try:
        text = order_file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{order_file} can't be read: {error}") from None
    order = parse(text, str(order_file))
    job = _job_of(order, target, str(order_file), text.splitlines())
    return await_it(_replay(order, job, times, Where(world or "", frozenset(hosts), lanes), reports))


async def _replay(order: Order, job: Job, times: int, where: Where, reports: Path) -> int:
    told = await again.replay(order, job, times, where, reports)
    click.echo(told.line)
    return told.code


def _job_of(order: Order, target: str | None, file: str, lines: Sequence[str]) -> Job:
    """Find the files of an order: by their path or bundled name, else as they are attached to it.

    Raises:
        UsageFault: when one is not there or wrong; one that is named or attached in the order's ``file`` is told by its
            line there.

    """
    begins: dict[str, int] = {}  # the lines of the order's file before that of a name or an attachment
    attached = {kind: (path, text) for (kind, _, path), text in ((n.partition(" "), t) for n, t in order.attachments)}
    with TemporaryDirectory() as folder:
        names = {"scenario": order.head.scenario, "target": target or order.head.target}
        for kind in ("scenario", "target"):
            if kind == "target" and target is not None:
                continue
            begins[names[kind]] = _line(lines, f"{kind}:")
            path, text = attached.get(kind, ("", ""))
            if Path(path).is_file():
                names[kind] = path
            elif path:
                names[kind] = str(Path(folder) / f"{kind}.yaml")
                Path(names[kind]).write_text(text)
                begins[names[kind]] = _line(lines, f"--- {kind} {path}") + 1
        try:
            job = Job.load(names["scenario"], names["target"])
        except UsageFault as fault:
            raise UsageFault([_moved(one, file, begins) for one in fault.faults]) from None
        return job if job.folder != Path(folder) else job._replace(folder=Path.cwd())


def _line(lines: Sequence[str], begin: str) -> int:
    """Count the lines before the first that begins so."""
    return next((number for number, line in enumerate(lines) if line.startswith(begin)), 0)


def _moved(fault: Fault, file: str, begins: Mapping[str, int]) -> Fault:
    """Tell a fault of what stands in an order's file by its line there."""
    path, line, column = fault.place
    if path not in begins:
        return fault
    message = fault.message if Path(path).is_absolute() else f"{path}: {fault.message}"
    return Fault(Place(file, begins[path] + line, column), message, fault.hint)


@main.command("list", epilog=_examples("stress-gateway list"))
def list_command() -> None:
    """List the bundled scenarios, the races and targets of each."""
    for path in sorted(bundled("").glob("*.yaml")):
        scenario = Scenario.load(path)
        click.echo(f"{scenario.name}: {scenario.story} [{', '.join(scenario.expect)}]")


@main.command(
    epilog=_examples(
        "stress-gateway schema scenario",
        "stress-gateway schema target > target.schema.json",
    )
)
@click.argument("kind", type=click.Choice(["scenario", "target"]))
def schema(kind: str) -> None:
    """Print the JSON Schema of a file format."""
    model = Scenario if kind == "scenario" else Target
    click.echo(json.dumps(model.model_json_schema(), indent=2, sort_keys=True))


@main.command(
    epilog=_examples(
        "stress-gateway gateway --protocol redis-atomic --redis redis://127.0.0.1:6379/0 --port 8080",
    )
)
@click.option("--protocol", type=click.Choice(PROTOCOLS), required=True)
@click.option("--redis", required=True, help="The store's URL.")
@click.option("--port", type=click.IntRange(1, 65535), required=True)
def gateway(protocol: str, redis: str, port: int) -> None:
    """Run a bundled Gateway."""
    asyncio.run(serve(protocol, redis, port))


if __name__ == "__main__":
    main()
