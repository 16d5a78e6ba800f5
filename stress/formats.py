"""What both file formats have in common: strict models, faults with places and hints, digests."""

from __future__ import annotations

import hashlib
import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from stress import yamlfile
from stress.errors import Fault, Place, UsageFault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails


class Part(BaseModel):
    """A part of a file: unknown keys are faults, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class File(Part):
    """A whole file."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            UsageFault: with one fault for each thing that is wrong.

        """
        document = yamlfile.load(path)
        try:
            return cls.model_validate(document.data)
        except ValidationError as error:
            raise UsageFault([_fault(document, cls, one) for one in error.errors()]) from None

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when the meaning of the file does."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _fault(document: yamlfile.Document, model: type[BaseModel], error: ErrorDetails) -> Fault:
    location = tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        known = _keys(model, location[:-1])
        return Fault(document.place(location), f"unknown key {str(location[-1])!r}", nearest(str(location[-1]), known))
    name = ".".join(str(word) for word in location)
    message = error["msg"].removeprefix("Value error, ")
    return Fault(document.place(location), f"{name}: {message}" if name else message)


def _keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    for word in location:
        inner = model.model_fields[str(word)].annotation if str(word) in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def nearest(name: str, known: Iterable[str]) -> str:
    """Give the hint for a name that is not known."""
    names = list(known)
    close = get_close_matches(name, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}" if names else ""


def bundled(kind: str) -> Path:
    """Find the folder of bundled files: `scenarios/` of a checkout, or the copy inside an installed package."""
    package = Path(__file__).parent
    checkout = package.parent / "scenarios"
    return (checkout if checkout.is_dir() else package / "_scenarios") / kind


def find(name: str, kind: str) -> Path:
    """Find a bundled file by name, or any file by path.

    Raises:
        UsageFault: when there is neither, with the nearest name.

    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or "/" in name:
        return path
    known = {file.stem: file for file in sorted(bundled(kind).glob("*.yaml"))}
    if name not in known:
        raise UsageFault([Fault(Place(name, 1, 1), "no such file or bundled name", nearest(name, known))])
    return known[name]
