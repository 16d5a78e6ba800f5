"""``python -m stress.gateways``: the command `stress-gateway gateway` without the rest of the harness.

A bundled Gateway is started for each target of a run off a fork server that has imported this module, which is ready in
half the time without the imports of a search.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from stress.config.gateways import PROTOCOLS
from stress.core.errors import Unavailable, UsageFault
from stress.gateways.kubestore import Pod
from stress.gateways.serve import serve, serve_kubernetes

if TYPE_CHECKING:
    from collections.abc import Sequence

_USAGE, _UNAVAILABLE = 64, 69


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until asked to end; give the exit code."""
    parser = argparse.ArgumentParser(prog="stress-gateway gateway", allow_abbrev=False)
    parser.add_argument("--protocol", choices=PROTOCOLS, required=True)
    store = parser.add_mutually_exclusive_group(required=True)
    store.add_argument("--redis", help="the URL of the store")
    store.add_argument("--kubeconfig", help="the file that leads to the API server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--replica", type=int, default=1, help="the number of this Gateway among its replicas")
    parser.add_argument("--namespace", default="default", help="where its leases are")
    words = parser.parse_args(argv)
    if words.kubeconfig is None:
        serving = serve(words.protocol, words.redis, words.port)
    else:
        pod = Pod(words.replica, words.namespace)
        serving = serve_kubernetes(words.protocol, words.kubeconfig, words.port, pod)
    try:
        asyncio.run(serving)
    except UsageFault as error:
        sys.stderr.write(f"{error}\n")
        return _USAGE
    except Unavailable as error:
        sys.stderr.write(f"unavailable: {error}\n")
        return _UNAVAILABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
