"""The key `answers` of a target file: what an answer looks like that created, counted or refused, and what it names."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag, WithJsonSchema, model_validator

from stress.config.formats import BodyPath, Header, Part, wrong

Status = Annotated[int, Field(ge=100, le=599)]


def _plain(value: object) -> object:
    if value is not None and not isinstance(value, str | int | float):
        raise wrong("must be a text, a number, true, false or null", "write one plain value")
    return value


Plain = Annotated[Any, AfterValidator(_plain), WithJsonSchema({"type": ["string", "number", "boolean", "null"]})]
"""A value that a file and an answer may both hold."""


def _how(value: object) -> str:
    if isinstance(value, dict | BaseModel):
        return "<mapping>"
    return "<list>" if isinstance(value, list) else "<value>"


Statuses = Annotated[
    Annotated[Status, Tag("<value>")] | Annotated[list[Status], Tag("<list>"), Field(min_length=1)],
    Discriminator(lambda value: "<list>" if isinstance(value, list) else "<value>"),
]
Body = Annotated[
    Annotated[Plain, Tag("<value>")] | Annotated[dict[BodyPath, Plain], Tag("<mapping>")],
    Discriminator(lambda value: "<mapping>" if isinstance(value, dict) else "<value>"),
]


class AnswerForm(Part):
    """What an answer of one kind looks like: all that is given must fit."""

    status: Statuses | None = Field(
        default=None, description="its status, or several that it may have; default: any 2xx"
    )
    body: Body = Field(default={}, description="values by their dotted paths in its body, or all that its body is")
    headers: dict[Header, Plain] = Field(default={}, description="values of its headers, by name")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise wrong("fits every answer", "say its `status`, `body` or `headers`")
        return self

    @property
    def statuses(self) -> frozenset[int]:
        """The statuses that it names; empty where any 2xx fits."""
        return frozenset([self.status] if isinstance(self.status, int) else self.status or ())

    @property
    def values(self) -> dict[str, Plain]:
        """The values in its body by their paths."""
        return self.body if isinstance(self.body, dict) else {".": self.body}


Answered = Annotated[
    Annotated[Status, Tag("<value>")]
    | Annotated[list[Status], Tag("<list>"), Field(min_length=1)]
    | Annotated[AnswerForm, Tag("<mapping>")],
    Discriminator(_how),
]


def form_of(answered: int | list[int] | AnswerForm) -> AnswerForm:
    """Give what answers of one kind look like, however short it was written."""
    return answered if isinstance(answered, AnswerForm) else AnswerForm(status=answered)


class Answers(Part):
    """How an answer is read; the defaults are the Gateway's. An answer of which two kinds fit is of the closer one."""

    created: Answered = Field(
        default=201, description="an answer that made a record: a status, several, or {status, body, headers}"
    )
    duplicate: Answered = Field(default=202, description="an answer that counted a hit, in the same forms")
    retry_later: Answered | None = Field(
        default=None, description="an answer that accepted nothing and is no error, in the same forms: [429, 503]"
    )
    record: BodyPath | None = Field(
        default="remediationRequestName",
        description="the record's name: a dotted path in the body, `.` is the whole body; null: no answer names one",
    )
    count: BodyPath = Field(
        default="metadata.count", description="the hits so far: a dotted path in the body, `.` is the whole body"
    )

    @model_validator(mode="after")
    def _refuses_what_it_does_not_accept(self) -> Self:
        plain = {name: form.statuses for name, form in self._forms.items() if not form.values and not form.headers}
        for name in ("created", "duplicate"):
            if both := plain.get(name, frozenset()) & plain.get("retry_later", frozenset()):
                raise wrong(f"{min(both)} is `{name}` too", "leave it out of one of them", ("retry_later",))
        return self

    @property
    def _forms(self) -> dict[str, AnswerForm]:
        kinds = (("created", self.created), ("duplicate", self.duplicate), ("retry_later", self.retry_later))
        return {name: form_of(one) for name, one in kinds if one is not None}

    @property
    def statuses(self) -> frozenset[int]:
        """All statuses that it lists, in whatever form."""
        return frozenset().union(*(form.statuses for form in self._forms.values()))
