"""How the answers of a target are read: who created, who counted, who was refused, and which record is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stress.checks import Reads
from stress.config.answers import form_of
from stress.core.trace import Answer, succeeded
from stress.core.values import number, word
from stress.executors.observe import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stress.config.answers import AnswerForm, Answers
    from stress.executors.live.client import Raw


class Flight(NamedTuple):
    """The request that an answer belongs to: its actor, the events between which it was in flight, its epochs."""

    actor: str
    started: int
    ended: int
    epochs: tuple[int, ...]
    hung_up: bool


class _Kind(NamedTuple):
    """What answers of one kind look like: their statuses (none: any 2xx), values in the body by path, and headers."""

    statuses: frozenset[int]
    body: dict[str, str | None]
    headers: dict[str, str | None]

    @property
    def closer(self) -> int:
        """How much it demands besides the status: of two kinds that fit the closer one is meant."""
        return len(self.body) + len(self.headers)

    def fits(self, raw: Raw) -> bool:
        """Tell whether an answer is of this kind."""
        if not (raw.status in self.statuses if self.statuses else succeeded(raw.status)):
            return False
        if any(word(raw.field(path)) != value for path, value in self.body.items()):
            return False
        return all(raw.headers.get(name) == value for name, value in self.headers.items())


def _kind(answered: int | list[int] | AnswerForm) -> _Kind:
    form = form_of(answered)
    body = {path: word(value) for path, value in form.values.items()}
    return _Kind(form.statuses, body, {name: word(value) for name, value in form.headers.items()})


class Reader:
    """Reads the answers of one target.

    ``normal`` are statuses that are no server's error: those that the target lists, to which may be added what requests
    one after another are answered with.
    """

    def __init__(self, answers: Answers, fingerprint: str | None) -> None:
        """Take what the target says; ``fingerprint`` is the path of it in an answer, if answers tell it."""
        self._record, self._count, self._fingerprint = answers.record, answers.count, fingerprint
        self._created, self._duplicate = _kind(answers.created), _kind(answers.duplicate)
        self._refused = None if answers.retry_later is None else _kind(answers.retry_later)
        self._alike = self._created == self._duplicate
        self.normal = set(answers.statuses)
        self._names: dict[int, bool] = {}

    def learn(self, answers: Iterable[Answer]) -> None:
        """Take in how identical requests were answered one after another.

        That is, whether accepted answers name their record, by status. Where each says that it created the same record,
        that tells nothing: whom there was a record for is answered as if there was none.
        """
        accepted = [one for one in answers if one.accepted]
        for one in accepted:
            self._names[one.status] = bool(one.record) and self._names.get(one.status, True)
        records = {one.record for one in accepted}
        if len(accepted) > 1 and all(one.created for one in accepted) and len(records) == 1:
            self._alike = True

    def fingerprint(self, raw: Raw) -> str | None:
        """Give the fingerprint that an answer tells; None where it tells none."""
        return text_of(raw.field(self._fingerprint))

    def read(self, raw: Raw, flight: Flight, naming: Callable[[str], str]) -> Answer:
        """Read one answer; ``naming`` replaces the names that the Gateway made up."""
        kinds = (self._created, self._duplicate, self._refused)
        fitting = [one for one in kinds if one is not None and one.fits(raw)]
        closest = [one for one in fitting if one.closer == max(other.closer for other in fitting)]
        created, duplicate, refused = (one in closest for one in kinds)
        record = text_of(raw.field(self._record))
        accepted = not refused and (created or duplicate or succeeded(raw.status))
        return Answer(
            actor=flight.actor,
            status=raw.status,
            record=None if record is None else naming(record),
            count=number(raw.field(self._count)),
            started=flight.started,
            ended=flight.ended,
            created=created and not duplicate and not refused,
            duplicate=duplicate and not created and not refused,
            epochs=flight.epochs,
            body=raw.body.decode("utf-8", "replace"),
            error=raw.error,
            hung_up=flight.hung_up,
            either=created and duplicate and not refused,
            refused=refused,
            normal=raw.status in self.normal,
            nameless=accepted and not record and self._name(raw.status),
        )

    def _name(self, status: int) -> bool:
        """Tell whether an accepted answer of a status names its record when no other request is in flight."""
        unseen = succeeded(status) and bool(self._names) and all(self._names.values())
        return self._names.get(status, unseen)

    def unreported(self, answers: Iterable[Answer]) -> frozenset[str]:
        """Give what a trace with these answers does not say as answers of this target do not tell it."""
        names = self._record is not None and all(self._names.values())
        created = not self._alike and not any(one.either for one in answers)
        return frozenset(kind for kind, reported in ((Reads.NAMES, names), (Reads.CREATED, created)) if not reported)
