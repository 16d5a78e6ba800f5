"""YAML read with care: safe tags only, no duplicate keys, no bombs, and the place of every key and value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from stress.core.errors import Fault, Place, UsageFault

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 1024 * 1024
_MOST_NODES = 10_000
_DEEPEST = 50

Location = tuple[str | int, ...]


class Document:
    """The data of one file, and where each part of it stands: ``keys`` has the keys, ``places`` the values."""

    def __init__(self, path: str) -> None:
        """Begin empty."""
        self.path = path
        self.data: dict[str, Any] = {}
        self.places: dict[Location, Place] = {}
        self.keys: dict[Location, Place] = {}

    def place(self, location: Location) -> Place:
        """Find where a value stands, or the nearest thing around it."""
        while location and location not in self.places:
            location = location[:-1]
        return self.places.get(location, Place(self.path, 1, 1))

    def key_place(self, location: Location) -> Place:
        """Find where the key of a value stands, or the nearest thing around it."""
        return self.keys.get(location) or self.place(location)

    def within(self, location: Location) -> Location:
        """Leave out of a location the words that the file does not have, such as the name of a union's branch."""
        data: Any = self.data
        found: list[str | int] = []
        for word in location:
            if isinstance(data, list):
                known: Any = range(len(data))
            else:
                known = data if isinstance(data, dict) else ()
            if word in known:
                found.append(word)
                data = data[word]
        return tuple(found)


class _Shallow(yaml.SafeLoader):
    """Reads nodes down to a depth that no recursion suffers from."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _DEEPEST:
            problem = f"nested too deeply, at most {_DEEPEST} deep"
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call] # the stubs have no type for it
            raise yaml.composer.ComposerError(None, None, problem, mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def load(path: Path, hint: str = "") -> Document:
    """Read one YAML mapping; ``hint`` is what to write in a file that has none (empty: as for a format of ours).

    Raises:
        UsageFault: for a file that is missing, unreadable, too big, no YAML, a bomb, or no mapping.

    """
    document = Document(str(path))
    try:
        node = yaml.compose(_text(path, document), Loader=_Shallow)
    except yaml.YAMLError as error:
        raise UsageFault([_no_yaml(document, error)]) from None
    if node is None:
        raise _fault(document, "the file is empty", hint or "see scenarios/README.md for its keys")
    if not isinstance(node, yaml.MappingNode):
        raise _fault(document, "must be a mapping of keys to values", hint or "write `name: …` in its first line")
    document.data = _Reader(document).value(node, ())
    return document


def _text(path: Path, document: Document) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise _fault(document, f"the file is larger than {_MOST_BYTES} bytes")
        return raw.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise _fault(document, "is not UTF-8", "it must be a text file") from None
        why = error.strerror if isinstance(error, OSError) else error
        raise _fault(document, f"can't be read: {why}", "check the path") from None


def _no_yaml(document: Document, error: yaml.YAMLError) -> Fault:
    """Say what is no YAML, and where."""
    if isinstance(error, yaml.reader.ReaderError):
        return Fault(Place(document.path, 1, 1), f"not YAML: the character {chr(int(error.character))!r} may not stand")
    mark = getattr(error, "problem_mark", None)
    place = Place(document.path, mark.line + 1, mark.column + 1) if mark else Place(document.path, 1, 1)
    if isinstance(error, yaml.composer.ComposerError) and "another document" in str(error.problem):
        return Fault(place, "a second document begins here", "one file holds one document: leave out the line `---`")
    return Fault(place, f"not YAML: {getattr(error, 'problem', None) or 'unreadable'}")


def _fault(document: Document, message: str, hint: str = "") -> UsageFault:
    return UsageFault([Fault(Place(document.path, 1, 1), message, hint)])


class _Reader:
    """Turns nodes into plain data and counts what an alias unfolds to."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0
        self._scalars = yaml.SafeLoader("")

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._document.path, node.start_mark.line + 1, node.start_mark.column + 1)

    def value(self, node: yaml.Node, location: Location) -> Any:  # noqa: ANN401 - plain data of any type
        place = self._document.places[location] = self._place(node)
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(location) > _DEEPEST:
            raise UsageFault([Fault(place, "unfolds to too much", "write it out without aliases")])
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*location, index)) for index, item in enumerate(node.value)]
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError):
            raise UsageFault([Fault(place, f"unknown tag or value {node.tag}", "write plain values")]) from None

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in node.value:
            place = self._place(key)
            if not isinstance(key, yaml.ScalarNode):
                raise UsageFault([Fault(place, "a key must be a word", "write `key: value`")])
            name = str(key.value)
            if name in found:
                raise UsageFault([Fault(place, f"the key {name!r} stands here twice", "leave one of them out")])
            self._document.keys[*location, name] = place
            found[name] = self.value(item, (*location, name))
        return found
