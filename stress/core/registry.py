"""What files may name: each check, scheduler and wire protocol is registered in the file that defines it."""

from __future__ import annotations

from importlib import import_module
from pkgutil import walk_packages
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


class Registry(Generic[Item]):
    """Things of one kind by name; the modules of ``package``, each of which registers its own, load on first use.

    With ``called`` only the modules of that name do, where the others are what it takes to use a thing.
    """

    def __init__(self, package: str, called: str = "") -> None:
        """Begin with nothing loaded."""
        self._package, self._called, self._loaded = package, called, False
        self._items: dict[str, Item] = {}

    def register(self, name: str, item: Item) -> None:
        """Let a thing be known by a name.

        Raises:
            ValueError: when the name is taken.

        """
        if name in self._items:
            message = f"{name!r} is registered already"
            raise ValueError(message)
        self._items[name] = item

    def names(self) -> tuple[str, ...]:
        """Name all things, sorted: which module was imported first makes no difference."""
        return tuple(sorted(self._all()))

    def __getitem__(self, name: str) -> Item:
        """Give the thing of a name; a KeyError when there is none."""
        return self._all()[name]

    def _all(self) -> dict[str, Item]:
        if not self._loaded:
            self._loaded = True  # modules of the package may ask while they load
            for module in walk_packages(import_module(self._package).__path__, f"{self._package}."):
                if not self._called or module.name.rpartition(".")[2] == self._called:
                    import_module(module.name)
        return self._items


CHECKS: Registry[Any] = Registry("stress.checks")
"""The checks, which a scenario lists as its invariants: `stress.checks.Check`."""
SCHEDULERS: Registry[Any] = Registry("stress.schedulers")
"""The schedulers: `stress.schedulers.registered.Registered`."""
PROTOCOLS: Registry[Any] = Registry("stress.protocols", "protocol")
"""The wire protocols, by their keys in `stores` of a target file: `stress.protocols.base.WireProtocol`."""
