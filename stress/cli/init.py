"""`stress-gateway init`: from a start command and one request to a target, a scenario, and the first search."""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Never

import click

from stress.cli.common import REPORTS, Seconds, await_it, examples, words_of
from stress.core.exits import USAGE
from stress.core.masking import clean, is_secret_name, name_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.diagnose.proposal.curl import Sample
    from stress.diagnose.proposal.propose import Proposal
    from stress.diagnose.proposal.variables import Launch

_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
_NAME_ONLY = re.compile(r"[A-Za-z_]\w*")
_IN_SHELL = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")


@click.command(
    "init",
    epilog=examples(
        'stress-gateway init --request "curl -d \'{\\"schedule\\": \\"7\\"}\' http://127.0.0.1:8000/orders" '
        "-- uvicorn app:app",
        "stress-gateway init --request request.sh --env QUEUE={redis_url} -- node server.js",
        'stress-gateway init --kubernetes --path /jobs --data \'{"job": "7"}\' -- ./controller',
    ),
)
@click.argument("words", nargs=-1, metavar="[COMMAND]...", type=click.UNPROCESSED)
@click.option("--start", metavar="COMMAND", help="The start command in one text, instead of after `--`.")
@click.option("--request", metavar="CURL", help="One request that the service accepts: a line of curl, or its file.")
@click.option("--path", metavar="PATH", help="Instead of --request: where the request goes.")
@click.option("--method", metavar="METHOD", help="With --path: its method.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="With --path: one of its headers.")
@click.option("--data", metavar="TEXT", help="With --path: its body, or @FILE.")
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable of the service; may hold what start.env of a target may: {port}, {redis_url}, {kube_url} …",
)
@click.option("--kubernetes", is_flag=True, help="It keeps its state in Kubernetes: KUBECONFIG leads to an API server.")
@click.option("--setup", multiple=True, metavar="FILE", help="With --kubernetes: manifests that must be there.")
@click.option("--name", help="What the service is called; default: its folder.")
@click.option("--force", is_flag=True, help="Overwrite files that are there and say something else.")
@click.option("--seconds", type=Seconds(), help="At most so many seconds for the first search.")
@REPORTS
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    context: click.Context,
    words: tuple[str, ...],
    start: str | None,
    request: str | None,
    path: str | None,
    method: str | None,
    headers: tuple[str, ...],
    data: str | None,
    variables: tuple[str, ...],
    kubernetes: bool,  # noqa: FBT001 - an option of the command line
    setup: tuple[str, ...],
    name: str | None,
    force: bool,  # noqa: FBT001 - an option of the command line
    seconds: float | None,
    reports: Path,
) -> int:
    """Write target and scenario of a service from one request, and search it for the first time.

    The service is started in this folder behind the gate and sent the request, one after another. The exit code is
    that of the search; files that are there already and say something else are shown as a diff and left (64).
    """
    from stress.cli.run import command as run
    from stress.diagnose.proposal.propose import name_of
    from stress.diagnose.proposal.variables import Launch

    service = name_of(name or Path.cwd().name)
    own = list(words) or words_of(start or _ask("the start command", "after `--`, or by --start"), "--start")
    sample = _sample(request, path, method, headers, data)
    if sample.host and sample.host not in ("localhost", "127.0.0.1", "[::1]", "::1"):
        click.echo(f"nothing is sent to {clean(sample.host)}: the service is started here")
    sample, exports = _without_secrets(sample, service)
    while own and _ASSIGNED.match(own[0]) is not None:  # as a shell takes them: PORT=3000 node server.js
        variables = (*variables, own.pop(0))
    launch = Launch(own, dict(map(_variable, variables)))
    exports += _kept_apart(launch)
    _name_secrets_in_files(sample)
    proposal = _proposed(service, launch, sample, ["kubernetes"] if kubernetes else [], setup if kubernetes else ())
    if not _write(proposal, force=force):
        return USAGE
    for one in exports:
        click.echo(f"a credential is in no file: export {one}=… before each further run")
    click.echo(f"searching it: stress-gateway run --target {proposal.target}")
    code = context.invoke(run, targets=(proposal.target,), seconds=seconds, reports=reports)
    return int(code)


def _ask(what: str, how: str) -> str:
    """Ask for what is missing, on a terminal; elsewhere that is a fault of the call."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what} is missing: give it {how}")
    answered: str = click.prompt(what)
    return answered


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or _NAME_ONLY.fullmatch(name) is None:
        raise click.BadParameter(f"{text!r} is no NAME=VALUE", param_hint="--env")
    return name, value


def _sample(
    request: str | None, path: str | None, method: str | None, headers: tuple[str, ...], data: str | None
) -> Sample:
    """Read the sample request, however it was given."""
    from stress.diagnose.proposal.curl import Unread, parse, read

    if path is not None:
        if request is not None:
            raise click.UsageError("--request and --path are two requests: give one")
        return _of_options(path, method, headers, data)
    if method or headers or data is not None:
        raise click.UsageError("--method, --header and --data need --path")
    text = request or _ask("a request that it accepts, as a line of curl", "by --request or --path")
    try:
        file = Path(text)
        return parse(read(file, text) if _is_file(file) else text, Path.cwd())
    except Unread as error:
        _refuse(error, "--request")


def _of_options(path: str, method: str | None, headers: tuple[str, ...], data: str | None) -> Sample:
    """Read a request from the options of this command, as if they were of curl; a body is JSON unless it is said."""
    import shlex

    from stress.diagnose.proposal.curl import Unread, parse

    words = ["curl", f"http://127.0.0.1{path if path.startswith('/') else f'/{path}'}"]
    words += [word for header in headers for word in ("-H", header)]
    if data is not None:
        words += ["--json" if not any(one.lower().startswith("content-type:") for one in headers) else "-d", data]
    words += ["-X", method or "POST"] if method or data is not None else []
    try:
        return parse(shlex.join(words), Path.cwd())
    except Unread as error:
        _refuse(error, "--path")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a line of curl may be longer than any name
        return False


def _refuse(error: Exception, hint: str) -> Never:
    raise click.BadParameter(clean(str(error)), param_hint=hint) from None


def _without_secrets(sample: Sample, service: str) -> tuple[Sample, list[str]]:
    """Put `{env.NAME}` where credentials stand in headers, and set these variables for this process."""
    from dataclasses import replace

    from stress.config.placeholders import not_set

    headers, names = dict(sample.headers), []
    for header, value in sample.headers.items():
        if not is_secret_name(header):
            continue
        if "$" in value:  # a variable that no shell has put in
            headers[header] = _IN_SHELL.sub(r"{env.\1}", value)
            if missing := not_set(headers[header]):
                raise click.BadParameter(f"{header}: the variable {missing[0]} is not set", param_hint="--request")
            continue
        variable = re.sub(r"\W+", "_", f"{service}_{header}").upper()
        os.environ[variable] = value
        name_secrets([value, value.rpartition(" ")[2]])
        headers[header] = f"{{env.{variable}}}"
        names.append(variable)
    return replace(sample, headers=headers), names


def _kept_apart(launch: Launch) -> list[str]:
    """Do the same with variables of the service that are credentials."""
    secret = [name for name, text in launch.env.items() if is_secret_name(name) and "{" not in text]
    for name in secret:
        os.environ[name] = launch.env[name]
        name_secrets([launch.env[name]])
        launch.env[name] = f"{{env.{name}}}"
    return secret


def _name_secrets_in_files(sample: Sample) -> None:
    """Say which credentials will stand in a file as they are: there is no other way to send them."""
    from stress.diagnose.proposal.places import places

    for place in places(sample):
        if place.part in ("body", "query") and is_secret_name(place.name):
            click.echo(f"a credential will stand in a file as it is: {clean(place.shown)}")


def _proposed(service: str, launch: Launch, sample: Sample, stores: Sequence[str], setup: Sequence[str]) -> Proposal:
    """Find everything out; ask on a terminal for variables that could not be guessed."""
    from stress.diagnose.proposal.curl import Unread
    from stress.diagnose.proposal.propose import Proposer
    from stress.diagnose.proposal.variables import Unguessed

    async def work() -> int:
        proposer = Proposer(service, launch, sample, stores=stores, setup=setup, say=_say)
        found.append(await proposer.propose())
        return 0

    found: list[Proposal] = []
    while not found:
        try:
            await_it(work())
        except Unguessed as error:
            if not sys.stdin.isatty():
                _refuse(error, "--env")
            click.echo(clean(str(error)))
            what = {"port": "its port", "store": "where its Redis is"}[error.what]
            value = {"port": "{port}", "store": "{redis_url}"}[error.what]
            answered: str = click.prompt(f"the variable that says {what} (NAME, or NAME=VALUE with {value})")
            name, text = _variable(answered if "=" in answered else f"{answered}={value}")
            launch.env[name] = text
        except Unread as error:
            _refuse(error, "--request")
    return found[0]


def _say(line: str) -> None:
    click.echo(clean(line))


def _write(proposal: Proposal, *, force: bool) -> bool:
    """Write the files; where some are there and differ, show how and write none, unless that was asked for."""
    differing = False
    for name, text in proposal.files.items():
        path = Path(name)
        before = path.read_text() if path.exists() else None
        if before is not None and before != text and not force:
            differing = True
            lines = difflib.unified_diff(
                before.splitlines(), text.splitlines(), name, f"{name} (proposed)", lineterm=""
            )
            click.echo("\n".join(map(clean, lines)))
    if differing:
        click.echo(
            f"nothing was written: --force overwrites what is there, or search it: "
            f"stress-gateway run --target {proposal.target}",
            err=True,
        )
        return False
    for name, text in proposal.files.items():
        same = Path(name).exists() and Path(name).read_text() == text
        if not same:
            Path(name).write_text(text)
        click.echo(f"{'unchanged' if same else 'wrote'}: {name}")
    return True
