"""What several commands have in common: their options, their examples, and how their work is run and interrupted."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator

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
WORKERS = click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="So many deployments of the target side by side; default: one a core, at most 4 (8 where schedules wait).",
)


def examples(*lines: str) -> str:
    """Give examples for the end of a help text, each on its line: click wraps a paragraph anew unless it is marked."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def await_it(work: Coroutine[object, object, int]) -> int:
    """Run a command's work; Ctrl-C, SIGTERM and a terminal that is closed (SIGHUP) cancel it, so that it cleans up."""
    import asyncio
    import signal

    async def cancellable() -> int:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has one
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        return runner.run(cancellable())


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
def told_to_end() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does, so that what runs beside is ended and what was measured is told."""
    import signal

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
