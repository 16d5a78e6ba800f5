"""Where the program begins, before it imports anything that takes time: Ctrl-C is no traceback here either."""

from __future__ import annotations

import os
import signal
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_INTERRUPT = 130


def main() -> None:
    """Run the command line. What ends it while it still imports ends it at once, as there is nothing to clean up."""
    for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, stream) is None:  # closed by who started us: what is opened next must not be taken for it
            setattr(sys, stream, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - to the end
    interrupt = signal.default_int_handler
    own: dict[int, Callable[[int, FrameType | None], None]]
    own = {signal.SIGINT: interrupt, signal.SIGTERM: interrupt, signal.SIGHUP: _hang_up}
    handlers = {number: one for number, one in own.items() if signal.getsignal(number) is not signal.SIG_IGN}
    for number in handlers:  # what is ignored stays so, as nohup wants it
        signal.signal(number, _end)
    from stress.cli.main import main as run

    run(handlers=handlers)


def leave_the_terminal() -> None:
    """Write nowhere from now on what a terminal that is gone would refuse: there may be reports still to write."""
    for output in (1, 2):
        if stat.S_ISCHR(os.fstat(output).st_mode):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, output)
            os.close(nowhere)


def _hang_up(number: int, frame: FrameType | None) -> None:
    leave_the_terminal()
    signal.default_int_handler(number, frame)


def _end(_: int, __: FrameType | None) -> NoReturn:
    with suppress(OSError):
        os.write(2, b"\ninterrupted\n")
    os._exit(_INTERRUPT)
