"""``python -m stress.gateways``: the command `stress-gateway gateway` without the rest of the harness.

A bundled Gateway is started for each pair of a run; it is ready in half the time without the imports of a search.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from stress.errors import Unavailable
from stress.gateways.protocols import PROTOCOLS
from stress.gateways.serve import serve

_UNAVAILABLE = 69


def main() -> int:
    """Serve until told to end; give the exit code."""
    parser = argparse.ArgumentParser(prog="stress-gateway gateway", allow_abbrev=False)
    parser.add_argument("--protocol", choices=PROTOCOLS, required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--port", type=int, required=True)
    words = parser.parse_args()
    try:
        asyncio.run(serve(words.protocol, words.redis, words.port))
    except Unavailable as error:
        sys.stderr.write(f"unavailable: {error}\n")
        return _UNAVAILABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
