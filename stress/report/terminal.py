"""The terminal: a progress line, the story of each race as columns, a table at the end."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.cells import set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stress.core.masking import clean
from stress.report.events import Finished, Progress
from stress.report.explain.endings import draws, lines_below
from stress.report.explain.race import race, title
from stress.report.explain.unordered import BURST_FILE, heading, unordered
from stress.report.explain.words import program, replay_command
from stress.report.json import not_met, reasons, schedule_path, summed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress.report.events import Happening, Result

_COLOURS = {"yes": "green", "NO": "red"}
_VERDICT, _EXPECTED = len("inconclusive"), len("expected")
_WIDEST = 120


class Unread(Console):
    """A console that says when nobody reads it any more; rich itself would end the program with exit code 1, a race."""

    def on_broken_pipe(self) -> None:
        """Leave it to the command.

        Raises:
            BrokenPipeError: always.

        """
        raise BrokenPipeError


class Terminal:
    """Writes to a console; without a terminal there is no progress line and no colour.

    When it is ``quiet`` it writes a line for each case, its verdict, and below a race the command that replays it.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        """Write to standard output by default."""
        self._quiet = quiet
        piped = False if not sys.stdout.isatty() else None
        if console is None and isinstance(sys.stdout, TextIOWrapper):
            # What the encoding of the terminal lacks is written out; it must not end the run.
            sys.stdout.reconfigure(errors="backslashreplace")
        self._console = console or Unread(highlight=False, soft_wrap=True, force_terminal=piped)
        self._program = program()
        self._line = False

    def handle(self, happening: Happening) -> None:
        """Show one happening."""
        if self._quiet:
            if isinstance(happening, Finished):
                self._verdict(happening.result, happening.folder)
        elif isinstance(happening, Progress) and self._console.is_terminal:
            line = (
                f"{happening.schedules} schedules, {happening.rate:.0f}/s, {happening.outcomes} outcomes, "
                f"{happening.left:.0f} s left: {happening.scenario} on {happening.target} ({happening.executor})"
            )
            # A line that fills the whole width would begin the next one, and could not be overwritten.
            self._console.print(Text(set_cell_size(clean(line), self._console.width - 1)), end="\r")
            self._line = True
        elif isinstance(happening, Finished):
            self._clear()
            result = happening.result
            self._races(result, happening.folder)
            where = f"{result.scenario.name} on {result.target.name}"
            proven = any(one.exhausted for one in result.verdict.evidence)
            for drew in () if result.findings or proven else draws(result.verdict.evidence):
                self._console.print(Text(clean(f"sampled: {where}: {drew}")))
            if left := not_met(result):
                self._console.print(Text(clean(f"{left}: {where}")))
            for note in result.notes:
                self._console.print(Text(clean(f"note: {where}: {note}")))
            # Who can't even begin was reported why on standard error.
            for reason in () if result.stopped else reasons(result):
                self._console.print(Text(clean(f"inconclusive: {where}: {reason}"), style="yellow"))

    def table(self, results: Sequence[Result]) -> None:
        """Show one row for each case; long cells fold so that it fits the width. A quiet one has said all before."""
        if self._quiet:
            return
        table = Table(box=SIMPLE_HEAD, expand=True)
        table.add_column("scenario on target", overflow="fold", ratio=5)
        table.add_column("verdict", width=_VERDICT)
        table.add_column("as expected", width=_EXPECTED)
        table.add_column("covered", overflow="fold", ratio=4)
        for result in results:
            expected = "yes" if result.as_expected else "NO"
            table.add_row(
                Text(f"{clean(result.scenario.name)}\non {clean(result.target.name)}"),
                Text(clean(str(result.verdict.ruling))),
                Text(expected, style=_COLOURS[expected]),
                Text(clean(summed(result))),
            )
        self._clear()
        self._console.print(table, soft_wrap=False, width=min(self._console.width, _WIDEST))

    def say(self, line: str) -> None:
        """Write one line."""
        self._clear()
        self._console.print(Text(clean(line)))

    def _clear(self) -> None:
        if self._line:
            self._console.print(" " * (self._console.width - 1), end="\r")
            self._line = False

    def _verdict(self, result: Result, folder: str) -> None:
        """Write the line of a case: the ruling, whose, what is broken or why there is none, and if it was expected."""
        ruling = str(result.verdict.ruling)
        broken = dict.fromkeys(name for finding in result.findings for name in finding.invariants)
        broken |= dict.fromkeys(result.unordered.bursts.broken if result.unordered else ())
        why = ", ".join(broken) or (result.verdict.reason if ruling == "inconclusive" else "")
        line = f"{ruling}: {result.scenario.name} on {result.target.name}"
        line += f": {why}" if why else ""
        line += "" if result.as_expected else f" (expected {result.expected})" if result.expected else " (not expected)"
        self._console.print(Text(clean(line), style="" if result.as_expected else "bold red"))
        files = [schedule_path(folder, number) for number in range(1, len(result.findings) + 1)]
        files += [f"{folder}/{BURST_FILE}"] if result.unordered is not None else []
        for file in files if folder else ():
            command = replay_command(file, self._program)
            self._console.print(Text(clean(f"  replay: {command}")))

    def _races(self, result: Result, folder: str) -> None:
        for number, finding in enumerate(result.findings, start=1):
            self._console.print(Text(title(result, finding), style="bold" if result.as_expected else "bold red"))
            for line in race(finding, schedule_path(folder, number), self._program, self._console.width - 2):
                self._console.print(Text(f"  {line}" if line else ""))
            self._console.print()
        if (bare := result.unordered) is not None:
            self._console.print(Text(heading(result, bare), style="bold" if result.as_expected else "bold red"))
            for line in unordered(bare, folder, self._program, self._console.width - 2):
                self._console.print(Text(f"  {line}"))
            self._console.print()
        if reported := lines_below(result, self._console.width - 2):
            for line in reported:
                self._console.print(Text(f"  {line}" if line else ""))
            self._console.print()
