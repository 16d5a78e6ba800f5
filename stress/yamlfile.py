"""YAML read with care: safe tags only, no duplicate keys, no bombs, and the place of every value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from stress.errors import Fault, Place, UsageFault

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 1024 * 1024
_MOST_NODES = 10_000
_DEEPEST = 50

Location = tuple[str | int, ...]


class Document:
    """The data of one file, and where each part of it stands."""

    def __init__(self, path: str) -> None:
        """Begin empty."""
        self.path = path
        self.data: dict[str, Any] = {}
        self.places: dict[Location, Place] = {}

    def place(self, location: Location) -> Place:
        """Find where a value stands, or the nearest thing around it."""
        while location and location not in self.places:
            location = location[:-1]
        return self.places.get(location, Place(self.path, 1, 1))


def load(path: Path) -> Document:
    """Read one YAML mapping.

    Raises:
        UsageFault: for a file that is missing, unreadable, too big, no YAML, a bomb, or no mapping.

    """
    document = Document(str(path))
    try:
        raw = path.read_bytes()
        if len(raw) > _MOST_BYTES:
            raise _fault(document, f"the file is larger than {_MOST_BYTES} bytes")
        node = yaml.compose(raw.decode(), Loader=yaml.SafeLoader)
    except OSError as error:
        raise _fault(document, f"can't be read: {error.strerror}", "check the path") from None
    except UnicodeDecodeError:
        raise _fault(document, "is not UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = Place(str(path), mark.line + 1, mark.column + 1) if mark else Place(str(path), 1, 1)
        raise UsageFault([Fault(place, f"not YAML: {getattr(error, 'problem', None) or 'unreadable'}")]) from None
    except RecursionError:
        raise _fault(document, "is nested too deeply") from None
    if node is None:
        raise _fault(document, "the file is empty")
    if not isinstance(node, yaml.MappingNode):
        raise _fault(document, "must be a mapping of keys to values")
    document.data = _Reader(document).value(node, ())
    return document


def _fault(document: Document, message: str, hint: str = "") -> UsageFault:
    return UsageFault([Fault(Place(document.path, 1, 1), message, hint)])


class _Reader:
    """Turns nodes into plain data and counts what an alias unfolds to."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0
        self._scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, location: Location) -> Any:  # noqa: ANN401 - plain data of any type
        mark = node.start_mark
        place = Place(self._document.path, mark.line + 1, mark.column + 1)
        self._document.places.setdefault(location, place)
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(location) > _DEEPEST:
            raise UsageFault([Fault(place, "unfolds to too much", "write it out without aliases")])
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*location, index)) for index, item in enumerate(node.value)]
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError):
            raise UsageFault([Fault(place, f"unknown tag or value {node.tag}")]) from None

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            place = Place(self._document.path, key.start_mark.line + 1, key.start_mark.column + 1)
            if name in found:
                raise UsageFault([Fault(place, f"the key {name!r} stands here twice", "leave one of them out")])
            found[name] = self.value(item, (*location, name))
            self._document.places[(*location, name)] = place
        return found
