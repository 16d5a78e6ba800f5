"""The program: its commands, each a module of its own, and what becomes of their failures."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from asyncio import CancelledError
from contextlib import suppress
from importlib import import_module
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import click

from stress.core.errors import Unavailable, Untested, UsageFault
from stress.core.exits import INCONCLUSIVE, INTERRUPT, OWN_BUG, REPORT, UNAVAILABLE, USAGE
from stress.core.masking import clean_lines, masked_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

_DISK = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO])
_ROOM = "free some space there; TMPDIR says where temporary files go"
LATER: dict[str, str] = {
    "doctor": "stress.cli.doctor",
    "gateway": "stress.cli.gateway",
    "init": "stress.cli.init",
    "list": "stress.cli.listing",
    "overhead": "stress.cli.overhead",
    "promote": "stress.cli.promote",
    "replay": "stress.cli.replay",
    "run": "stress.cli.run",
    "schema": "stress.cli.schema",
    "triage": "stress.cli.triage",
    "try": "stress.cli.try_",
    "wrap": "stress.cli.wrap",
}
"""The modules of the commands, imported when asked for: each defines ``command``."""


class Commands(click.Group):
    """A group whose usage errors exit 64 and whose known failures are one clear line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands."""
        return sorted({*super().list_commands(ctx), *LATER})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give a command; import its module where it has one of its own."""
        if cmd_name in LATER:
            found: click.Command = import_module(LATER[cmd_name]).command
            return found
        return super().get_command(ctx, cmd_name)

    def main(self, *args: Any, handlers: Mapping[int, Any] | None = None, **kwargs: Any) -> Any:  # noqa: ANN401 - click
        """Run, and turn what is expected to go wrong into a line and an exit code.

        ``handlers`` are those of signals that were set aside while this was imported.
        """
        try:
            for number, handler in (handlers or {}).items():
                signal.signal(number, handler)
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.UsageError as error:
            click.UsageError(clean_lines(error.format_message()), error.ctx).show()
            code = USAGE
        except (click.Abort, KeyboardInterrupt, CancelledError):
            _say("interrupted")
            code = INTERRUPT
        except UsageFault as fault:
            _say(str(fault))
            code = USAGE
        except Untested as error:
            _say(f"inconclusive: {error}")
            code = INCONCLUSIVE
        except Unavailable as error:
            _say(f"unavailable: {error}")
            code = UNAVAILABLE
        except OSError as error:
            code = OWN_BUG if error.errno not in _DISK else REPORT
            what = f"{error.filename}: {error.strerror}" if error.filename else f"output: {error.strerror}"
            _say(f"can't be written: {what} ({_ROOM})" if code == REPORT else _bug(error))
        except Exception as error:  # noqa: BLE001 - whatever else it is, it is our own fault
            _say(_bug(error))
            code = OWN_BUG
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - the signature of click
        """Run a command; a reader that is gone must not look like a race, as the exit code of click does."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # what is still to be written goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(REPORT) from None


def _say(lines: str) -> None:
    """Write to standard error, unless nobody takes it."""
    with suppress(OSError):
        click.echo(clean_lines(lines), err=True)


def _bug(error: Exception) -> str:
    return f"a bug of gateway-stress: {str(error) or type(error).__name__} ({_saved(error)})"


def _saved(error: Exception) -> str:
    """Keep what a bug report needs, out of the user's sight; say where."""
    trace = masked_lines("".join(traceback.format_exception(error)))
    try:
        with NamedTemporaryFile("w", prefix="gateway-stress-bug-", suffix=".txt", delete=False) as file:
            file.write(trace)
    except OSError:
        return "and no room to write down where"
    return f"please report it with {file.name}"


@click.group(cls=Commands)
@click.version_option(package_name="gateway-stress")
def main() -> None:
    """Reproduce races in a Gateway by controlling the order of its store commands."""


if __name__ == "__main__":
    main()
