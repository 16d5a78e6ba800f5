"""Print the table of figures: all of them (about eight minutes), or those of the groups that are named."""

from __future__ import annotations

import sys

from bench import blocked, gate, kube, kubewire, model, peers, search, size, wire

GROUPS = {
    "model": model,
    "peers": peers,
    "search": search,
    "gate": gate,
    "kube": kube,
    "kubewire": kubewire,
    "blocked": blocked,
    "size": size,
    "wire": wire,
}


def main() -> None:
    """Print each figure as it is measured."""
    for name in sys.argv[1:] or GROUPS:
        for figure in GROUPS[name].figures():
            print(f"{figure.name:74s} {figure.value:42s} {figure.asked}".rstrip(), flush=True)


main()
