"""What both file formats have in common: strict models, faults with places and hints, digests."""

from __future__ import annotations

import hashlib
import json
import re
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, PrivateAttr, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from stress.config import yaml_file
from stress.core.errors import Fault, Place, UsageFault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

    from stress.config.yaml_file import Location

_LONGEST_SHOWN = 40
_MESSAGES = {
    "missing": "the key {key!r} is missing",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
"""Our words for the error types of pydantic; ``{ge}`` and the like come from its context."""


_RENAMED = {
    "each_order": "each_run",
    "explorer": "scheduler",
    "mend": "fix",
    "orders": "schedules",
    "walk": "random_walk",
}
"""What keys and values were called before the first release; there are no aliases."""


class Part(BaseModel):
    """A part of a file: unknown keys are faults, types are not converted, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"
_PATH = "^/"
_DOTTED = r"^[^.\s]+(\.[^.\s]+)*$"
_BODY_PATH = r"^(\.|[^.\s]+(\.[^.\s]+)*)$"
METHOD = "^[A-Z]+$"
"""What a method of HTTP looks like."""
_HEADER = r"^[A-Za-z0-9-]+$"
_EVENT = r"^(ADDED|MODIFIED|DELETED) [a-z0-9.-]+$"
_PATTERNS = {
    _NAME: "may hold letters, digits, '.', '_' and '-', at most 80",
    _PATH: "must begin with '/'",
    _DOTTED: "must be words with a '.' between them",
    _BODY_PATH: "must be words with a '.' between them, or '.' for the whole body",
    METHOD: "must be a method in capitals, such as POST",
    _HEADER: "may hold letters, digits and '-'",
    _EVENT: "must be ADDED, MODIFIED or DELETED and the plural of a resource",
}

Name = Annotated[str, StringConstraints(pattern=_NAME)]
"""A name that may be in the name of a folder."""

UrlPath = Annotated[str, StringConstraints(pattern=_PATH)]
"""The path of a URL."""

Dotted = Annotated[str, StringConstraints(pattern=_DOTTED)]
"""A place in a JSON body, such as ``metadata.count``."""

BodyPath = Annotated[str, StringConstraints(pattern=_BODY_PATH)]
"""A place in the body of an answer, such as ``metadata.count``; ``.`` is the whole body, JSON or plain text."""

EventName = Annotated[str, StringConstraints(pattern=_EVENT)]
"""An event of a watch as schedules call it, without the name of the object: ``ADDED remediationrequests``."""

Header = Annotated[str, StringConstraints(pattern=_HEADER)]
"""The name of an HTTP header."""

Word = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value, json_schema_input_type=str | int),
    StringConstraints(max_length=100_000),
]
"""One word of a command or a value of the environment: a text, or a whole number, which is one as well."""


Compared = Annotated[
    str,
    BeforeValidator(
        lambda value: str(value).lower() if isinstance(value, bool | int) else value,
        json_schema_input_type=str | int | bool,
    ),
    StringConstraints(max_length=100_000),
]
"""A value to compare with: a text, or a whole number, true or false as it is written."""


class File(Part):
    """A whole file."""

    _document: yaml_file.Document | None = PrivateAttr(default=None)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            UsageFault: with one fault for each thing that is wrong.

        """
        document = yaml_file.load(path)
        try:
            found = cls.model_validate(document.data)
        except ValidationError as error:
            faults = [fault_of(document, cls, one) for one in error.errors()]
            raise UsageFault(sorted(dict.fromkeys(faults))) from None
        found._document = document  # noqa: SLF001 - an instance of this very class
        if faults := found.misses(path.parent):
            raise UsageFault(faults)
        return found

    def misses(self, folder: Path) -> list[Fault]:  # noqa: ARG002 - the file formats that name files override it
        """Name what the file refers to, relative to a folder, and is not there."""
        return []

    @property
    def folder(self) -> Path | None:
        """The folder that the file was read from, which its own paths are relative to; None if it was not read."""
        return Path(self._document.path).parent if self._document is not None else None

    def place(self, *location: str | int, key: bool = False) -> Place:
        """Find where a value of this file stands, or its key, or the nearest thing around it."""
        if self._document is None:
            return Place(getattr(self, "name", type(self).__name__.lower()), 1, 1)
        return self._document.key_place(location) if key else self._document.place(location)

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when the meaning of the file does."""
        canonical = json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def __eq__(self, other: object) -> bool:
        """Compare what files say, not where they stand."""
        return type(self) is type(other) and self.model_dump() == getattr(other, "model_dump", dict)()

    __hash__ = None  # type: ignore[assignment]  # they hold lists


def wrong(message: str, hint: str = "", at: Location = ()) -> PydanticCustomError:
    """Make the error that a validator raises: it becomes one fault, at a location below the validator's own."""
    return PydanticCustomError("fault", "{message}", {"message": message, "hint": hint, "at": at})


def fault_of(document: yaml_file.Document, model: type[BaseModel], error: ErrorDetails) -> Fault:
    """Put an error of pydantic into one clear line, at the place of the value that is wrong."""
    context = error.get("ctx", {})
    path = (*error["loc"], *context.get("at", ()))
    location = document.within(path)
    name = ".".join(str(word) for word in location)
    value = error["input"]
    place = (document.key_place if "[key]" in path or error["type"] == "extra_forbidden" else document.place)(location)
    match error["type"]:
        case "fault":
            message, hint = str(context["message"]), str(context["hint"])
        case "extra_forbidden":
            hint = nearest(str(location[-1]), _keys(model, location[:-1]))
            return Fault(place, f"unknown key {name!r}", hint)
        case "literal_error":
            known = re.findall(r"'([^']*)'", str(context["expected"]))
            message, hint = f"unknown value {_shown(value)}", nearest(str(value), known)
            if path[-1] == "[key]":
                return Fault(place, f"unknown key {name!r}", hint)
        case "missing":
            message, hint = _MESSAGES["missing"].format(key=str(path[-1])), ""
        case kind:
            message, hint = _MESSAGES.get(kind) or _PATTERNS.get(str(context.get("pattern")), ""), ""
            shown = f", not {_shown(value)}" if not message.endswith("empty") else ""
            limits = {key: f"{limit:g}" if isinstance(limit, float) else limit for key, limit in context.items()}
            message = message.format(**limits) + shown if message else error["msg"].removeprefix("Value error, ")
            if kind == "string_type" and value is not None and not isinstance(value, dict | list):
                hint = f'write it in quotes: "{_written(value)}"'
    return Fault(place, f"{name}: {message}" if name else message, hint)


def _shown(value: object) -> str:
    """Show a value that is wrong, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value) if isinstance(value, str) else _written(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _written(value: object) -> str:
    """Write a plain value as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _keys(annotation: Any, location: Location) -> list[str]:  # noqa: ANN401 - a type of any kind
    """List the keys that may stand at a location, in whichever branch of a union."""
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _keys(arguments[0], location)
    if origin in (Union, UnionType):
        return list(dict.fromkeys(key for one in arguments for key in _keys(one, location)))
    if origin in (dict, list):
        return _keys(arguments[-1], location[1:]) if location else []
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return []
    if not location:
        return list(annotation.model_fields)
    field = annotation.model_fields.get(str(location[0]))
    return _keys(field.annotation, location[1:]) if field is not None else []


def nearest(name: str, known: Iterable[str], form: str = "{!r}") -> str:
    """Give the hint for a name that is not known; ``form`` is how a name is written."""
    names = list(known)
    now = _RENAMED.get(name)
    if now in names:
        return f"it is called {form.format(now)} now"
    close = get_close_matches(name, names, 1)
    if close:
        return f"did you mean {form.format(close[0])}?"
    if form == "{!r}":
        return f"known: {', '.join(names)}" if names else ""
    return f"known: {', '.join(form.format(one) for one in names)}"


def bundled(kind: str) -> Path:
    """Find the folder of bundled files: `scenarios/` of a checkout, or the copy inside an installed package."""
    package = Path(__file__).parent.parent
    checkout = package.parent / "scenarios"
    return (checkout if checkout.is_dir() else package / "_scenarios") / kind


def is_bundled(path: Path) -> bool:
    """Return whether a file or folder, however its path is written, is one that comes with gateway-stress."""
    return path.resolve().is_relative_to(bundled("").resolve())


def find(name: str, kind: str, place: Place | None = None) -> Path:
    """Find a bundled file by name, or any file by path; ``place`` is where the name was read.

    Raises:
        UsageFault: when there is neither, with the nearest name.

    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or "/" in name:
        return path
    known = {file.stem: file for file in sorted(bundled(kind).glob("*.yaml"))}
    if name not in known:
        message = f"{name!r} is no bundled name and no file" if place else "no such file or bundled name"
        raise UsageFault([Fault(place or Place(name, 1, 1), message, nearest(name, known))])
    return known[name]
