"""What several commands have in common: their options, their examples, and how their work is run and interrupted."""

from __future__ import annotations

import math
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from stress.cli.entry import leave_the_terminal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator

EXECUTOR = click.option(
    "--executor", type=click.Choice(["live", "model", "both"]), help="Default: both for a bundled target, else wire."
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
WORKERS = click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="So many deployments of the target side by side; default: one a core, at most 4 (8 where schedules wait).",
)


class Seconds(click.FloatRange):
    """A number of seconds, more than none."""

    def __init__(self) -> None:
        """Take any."""
        super().__init__(0, min_open=True)

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuse what compares with nothing."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail("nan is no number of seconds", param, ctx)
        return number


def examples(*lines: str) -> str:
    """Give examples for the end of a help text, each on its line: click wraps a paragraph again unless it is marked."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def await_it(work: Coroutine[object, object, int]) -> int:
    """Run a command's work; Ctrl-C, SIGTERM and SIGHUP cancel it, so that it cleans up.

    Raises:
        Exception: what a connection of ours raised meanwhile: what came after it is not to be trusted.

    """
    import asyncio
    import signal

    async def cancellable() -> int:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has one
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(partial(_noticed, bugs))
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
            cancel = partial(loop.call_soon_threadsafe, task.cancel)
            signal.signal(signal.SIGHUP, partial(_hung_up, cancel))  # at once: the loop may write before its turn comes
        return await work

    bugs: list[BaseException] = []
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        code = runner.run(cancellable())
    if bugs:
        raise bugs[0]
    return code


def _noticed(bugs: list[BaseException], loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Note what the protocol of a connection raised, instead of a traceback on the terminal."""
    error = context.get("exception")
    if "protocol" in context and error is not None and not isinstance(error, OSError):
        bugs.append(error)
    else:
        loop.default_exception_handler(context)


def _hung_up(cancel: Callable[[], object], *_: object) -> None:
    leave_the_terminal()
    cancel()


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give uvloop's event loop where it is installed (the extra `fast`)."""
    try:
        return cast("Callable[[], asyncio.AbstractEventLoop]", import_module("uvloop").new_event_loop)
    except ImportError:
        return None


def words_of(text: str, option: str) -> list[str]:
    """Split a command that was given in one text into words, as a shell does that expands nothing.

    Raises:
        BadParameter: when it has none, or a quote is left open.

    """
    import shlex

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no command: {error}", param_hint=option) from None
    if not words:
        raise click.BadParameter("is empty", param_hint=option)
    return words


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt as Ctrl-C does: what runs beside is ended, and what was measured is reported."""
    import signal

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
