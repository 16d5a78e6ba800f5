"""`stress-gateway wrap`: a user's own test, under schedules of its store commands."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stress.cli.common import ALLOW, REPORTS, Seconds, await_it, examples, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.engine.wrap.answer import Answer
    from stress.engine.wrap.pool import Pool
    from stress.engine.wrap.schedule import Schedule
    from stress.engine.wrap.search import Asked
    from stress.protocols.wrapped import Wanted

_SEARCHED, _REPLAYED = 40, 3
_MOST_WORKERS = 4


@click.command(
    "wrap",
    epilog=examples(
        "stress-gateway wrap --store redis -- pytest -q test_dedup.py",
        "stress-gateway wrap --store redis --suite 'pytest -q' -- pytest -q test_dedup.py",
        "stress-gateway wrap --store kubernetes --sink 18091 -- go test -count=1 ./test/integration/...",
        "stress-gateway wrap --store redis --redirect 'CACHE_ADDR={host}:{port}' -- go test -count=1 ./dedup",
        "stress-gateway wrap --schedule reports/latest/schedule.txt --times 20 -- pytest -q test_dedup.py",
        "stress-gateway wrap --bisect --store redis -- pytest -q test_dedup.py",
    ),
)
@click.argument("words", nargs=-1, required=True, metavar="COMMAND...", type=click.UNPROCESSED)
@click.option(
    "--store",
    metavar="KIND",
    help="Start a store of this kind (redis, kubernetes); default: the one the environment names.",
)
@click.option("--schedule", "file", type=click.Path(path_type=Path), help="Follow the schedule of this file instead.")
@click.option(
    "--suite", metavar="COMMAND", help="The whole suite: what it writes to the same objects is tried between steps."
)
@click.option(
    "--times", type=click.IntRange(1), metavar="N", help="Runs of each kind at most; default: 40, with --schedule 3."
)
@click.option("--seconds", type=Seconds(), default=120.0, show_default=True, help="For all of it, about.")
@click.option("--timeout", type=Seconds(), default=120.0, show_default=True, help="For one run of the command.")
@click.option(
    "--only",
    multiple=True,
    metavar="KEY|RESOURCE",
    help="Gate these objects only; may hold * and ?. Default: what two callers write.",
)
@click.option(
    "--redirect",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another variable, with {host}, {port} or {url} of the gate.",
)
@click.option(
    "--sink",
    "sinks",
    multiple=True,
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Answer on this port what the command needs beside its store.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="So many starts side by side; default: one a core, at most 4.",
)
@click.option("--bisect", is_flag=True, help="Exit 125 instead of 2, as `git bisect run` wants it.")
@ALLOW
@REPORTS
def command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    words: tuple[str, ...],
    store: str | None,
    file: Path | None,
    suite: str | None,
    times: int | None,
    seconds: float,
    timeout: float,
    only: tuple[str, ...],
    redirect: tuple[str, ...],
    sinks: tuple[int, ...],
    workers: int | None,
    bisect: bool,  # noqa: FBT001 - an option of the command line
    hosts: tuple[str, ...],
    reports: Path,
) -> int:
    """Run a test of your own under schedules of its store commands, and say which one makes it fail.

    The test stays as it is, in any language: its exit code is the verdict of a run. Its clients are led to the gate by
    the variables of the environment that they are configured by (REDIS_URL, REDIS_HOST and REDIS_PORT, KUBECONFIG with
    USE_EXISTING_CLUSTER, KUBEBUILDER_ASSETS, and their like).

    Exit code 1: it fails under a schedule, which fails again in every replay. 0: no failing schedule was found in so
    many, which proves nothing; with --schedule: it passes. 2: inconclusive, for the reason that is given: no command
    came to the gate, never two at once, it fails alone as well, a replay differs, its time ran out. 64: a bad call. 69:
    a store or a command that is not there.
    """
    from stress.config.stores import protocols
    from stress.core.registry import PROTOCOLS
    from stress.engine.wrap.answer import Answer, bisect_code
    from stress.engine.wrap.command import Command
    from stress.engine.wrap.pool import Pool
    from stress.engine.wrap.schedule import parse
    from stress.engine.wrap.search import Asked
    from stress.protocols.wrapped import Wanted

    environment = dict(os.environ)
    schedule = parse(_read(file), str(file)) if file is not None else None
    known = list(protocols())
    if store is not None and store not in known:
        raise click.BadParameter(f"{store!r} is none of {', '.join(known)}", param_hint="--store")
    named = next((name for name in known if PROTOCOLS[name].named_by(environment)), "")
    embedded = store is not None or (schedule is not None and not named)
    kind = store or (schedule.store if schedule is not None else "") or named or known[0]
    wanted = Wanted(embedded, environment, hosts, sinks)
    test = Command(words, Path.cwd(), environment)
    asked = Asked(
        command=test,
        suite=test._replace(words=tuple(words_of(suite, "--suite"))) if suite else None,
        times=times or (_REPLAYED if schedule is not None else _SEARCHED),
        seconds=seconds,
        only=only,
        limit=timeout,
    )
    answer = Answer(" ".join(words))
    width = workers or min(len(os.sched_getaffinity(0)), _MOST_WORKERS)
    pool = Pool(kind, wanted, 1 if schedule is not None else width, [_redirect(one) for one in redirect])
    code = await_it(_searched(asked, pool, answer, schedule))
    _report(answer, reports, kind, _invocation(store, redirect, only, wanted, words), searched=schedule is None)
    if bisect:
        return bisect_code(code)
    return code


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{file} can't be read: {error}", param_hint="--schedule") from None


def _redirect(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", text, re.DOTALL)
    if match is None:
        raise click.BadParameter(f"{text!r}: write NAME=VALUE", param_hint="--redirect")
    return match["name"], match["value"]


def _invocation(
    store: str | None, redirect: tuple[str, ...], only: tuple[str, ...], wanted: Wanted, words: tuple[str, ...]
) -> tuple[str, ...]:
    """Give the words of the call that a replay needs as well."""
    options = [("--store", store)] if store else []
    options += [("--redirect", one) for one in redirect] + [("--only", one) for one in only]
    options += [("--sink", str(one)) for one in wanted.sinks] + [("--allow-host", one) for one in wanted.hosts]
    return ("stress-gateway", *(word for pair in options for word in pair), "--", *words)


async def _searched(asked: Asked, pool: Pool, answer: Answer, schedule: Schedule | None) -> int:
    from stress.engine.wrap.search import Search

    async with pool:
        search = Search(asked, pool, answer, _progress())
        await (search.run() if schedule is None else search.replay(schedule))
    if _seen():
        click.echo("\r\x1b[K", nl=False, err=True)
    return answer.code


def _report(answer: Answer, reports: Path, kind: str, invocation: tuple[str, ...], *, searched: bool) -> None:
    from stress.engine.wrap.report import SCHEDULE, write
    from stress.engine.wrap.text import lines

    place = str(reports / "latest" / SCHEDULE) if searched else ""
    text = list(lines(answer, place, invocation))
    if searched:  # also where who reads along is gone before the end
        write(answer, reports, kind, text)
        text.append(f"report: {reports / 'latest'}")
    for line in text:
        click.echo(line)


def _seen() -> bool:
    import sys

    return sys.stderr.isatty()


def _progress() -> Callable[[str], None]:
    def tell(line: str) -> None:
        if _seen():
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)

    return tell
