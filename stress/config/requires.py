"""What a target needs around it before the first schedule, in its own words: each item is one probe of the doctor."""

from __future__ import annotations

import shlex
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from stress.config.formats import Part, Word, wrong
from stress.config.placeholders import placeholders

Kind = Literal["file", "program", "host", "tcp", "http", "command"]
KINDS: tuple[Kind, ...] = ("file", "program", "host", "tcp", "http", "command")

Text = Annotated[str, StringConstraints(min_length=1)]
Named = Annotated[Text, placeholders("env.NAME")]


def _address(text: str) -> str:
    try:
        parts = urlsplit(f"//{text}")
        good = parts.hostname and parts.port and text == parts.netloc and "@" not in text
    except ValueError:
        good = False
    if not good:
        raise wrong(f"{text!r} is no host and port", "write 127.0.0.1:5432, or [::1]:5432")
    return text


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        good = False
    if not good:
        raise wrong("is no URL", "write http://127.0.0.1:8080/ready")
    return text


def _words(value: object) -> object:
    """Split a text into words, as a shell does that expands nothing."""
    try:
        return shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise wrong(f"{value!r} is no command: {error}", "write its words as a list") from None


def _schema(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": [kind]} for kind in KINDS]


class Requirement(Part):
    """One thing that must be there, named by exactly one of its keys, and how to fix it."""

    model_config = {"json_schema_extra": _schema}

    file: Named | None = Field(
        default=None,
        description="a file or folder, relative to this file; may hold $VARIABLE, {env.NAME|default} and ~",
    )
    program: Named | None = Field(
        default=None,
        description="a program by its name on PATH, or by its path relative to this file; may hold $VARIABLE, "
        "{env.NAME|default} and ~",
    )
    host: Text | None = Field(default=None, description="a name of a host that must resolve")
    tcp: Annotated[str, AfterValidator(_address)] | None = Field(
        default=None, description="host:port where somebody must listen"
    )
    http: Annotated[str, AfterValidator(_url)] | None = Field(default=None, description="a URL that must answer 2xx")
    command: (
        Annotated[
            list[Word],
            Field(min_length=1),
            BeforeValidator(_words, json_schema_input_type=str | list[str | int] | None),
        ]
        | None
    ) = Field(
        default=None,
        description="a command that must exit 0 within 10 s, run in this file's folder, without a shell",
    )
    fix: Text | None = Field(default=None, description="what to do where it is not so, in one line")

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            named = " and ".join(given) or "none of them"
            raise wrong(f"exactly one of {', '.join(KINDS)} must be given, not {named}", "write one item for each")
        return self

    @property
    def kind(self) -> Kind:
        """Which of the keys it has."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def what(self) -> str | list[str]:
        """The value of that key."""
        found: str | list[str] = getattr(self, self.kind)
        return found
