"""A bundled Gateway in a process that the standard library's fork server has forked for the harness."""

from __future__ import annotations

import os
import select
from multiprocessing import forkserver
from typing import TYPE_CHECKING, NamedTuple

from stress.gateways.__main__ import main
from stress.stores.process import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Start(NamedTuple):
    """What a Gateway is started with: the words that follow `stress-gateway gateway`, and its environment."""

    words: Sequence[str]
    env: Mapping[str, str]

    def _bootstrap(self, harness: int) -> int:
        """Be the Gateway in a session of its own, and give its exit code: what the fork server asks of what it is sent.

        ``harness`` is a pipe that is at its end when the harness is gone. Outputs go to the file that came along.
        """
        # The server lives for as long as any of its children has this open, and they are to end with it.
        os.close(forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]  # noqa: SLF001
        die_with_parent()
        if select.select([harness], [], [], 0.0)[0]:  # it ended, and the server with it, before the kernel knew
            return 1
        os.setsid()
        (log,) = forkserver.get_inherited_fds() or [2]
        for output in (1, 2):
            os.dup2(log, output)
        os.close(log)
        os.environ.clear()
        os.environ.update(self.env)
        try:
            return main(self.words)
        except SystemExit as end:  # argparse ends so
            return end.code if isinstance(end.code, int) else 0
