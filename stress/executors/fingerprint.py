"""Who a signal is and who sent it: fingerprints as the target says, and the marks that distinguish requests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from stress.config.placeholders import filled, unknown
from stress.config.target_parts import FromAnswer, Sha256

if TYPE_CHECKING:
    from stress.config.signal import Signal
    from stress.config.target import Target
    from stress.config.target_parts import Fingerprint

_OF_SIGNAL = ("adapter", "alertname", "namespace", "severity", "reason", "kind", "name")


def of_signal(signal: Signal) -> dict[str, str]:
    """Give the values that a text over the signal may use; `{labels.pod}` is the label `pod`."""
    values = {key: getattr(signal, key) for key in _OF_SIGNAL}
    return values | {f"labels.{name}": value for name, value in signal.labels.items()}


def unsaid(how: Fingerprint, signal: Signal) -> str:
    """Name the first placeholder of a fingerprint's text that a signal has no value for, or nothing."""
    text = how.sha256 if isinstance(how, Sha256) else how if isinstance(how, str) else ""
    return next((name for name, _ in unknown(text, ("fresh", *of_signal(signal)))), "")


class Marks:
    """The fingerprint of a signal on a target: computed as the target says, or as contract 1.5 until an answer has it.

    ``field`` is the dotted path of the answer that has it, ``header`` the correlation header; each may be None.
    """

    def __init__(self, signal: Signal, target: Target) -> None:
        """Take apart what a run only fills in."""
        how = target.fingerprint
        self.field = how.answer if isinstance(how, FromAnswer) else None
        self._signal = signal
        self._hashed = isinstance(how, Sha256)
        text = how.sha256 if isinstance(how, Sha256) else how if isinstance(how, str) else ""
        # A label's own `{fresh}` is filled in with the schedule's value, after the label.
        self._text = filled(text, of_signal(signal))
        self.header = target.correlation

    def fingerprint(self, fresh: str) -> str:
        """Give the fingerprint of the signal of one schedule."""
        if self.field is not None:
            return self._signal.fingerprint(fresh)
        text = filled(self._text, {"fresh": fresh})
        return hashlib.sha256(text.encode()).hexdigest() if self._hashed else text

    def mark(self, fresh: str, actor: str) -> str:
        """Give what the store's frames of one request carry, where its Gateway passes the correlation header on."""
        if self.header is not None and self.header.lower() == "traceparent":
            return hashlib.sha256(f"{fresh}-{actor}".encode()).hexdigest()[:32]
        return f"{fresh}-{actor}"

    def correlation(self, fresh: str, actor: str) -> dict[str, str]:
        """Give the correlation header of one request; `traceparent` has the form of W3C Trace Context, section 3.2."""
        mark = self.mark(fresh, actor)
        if self.header is None:
            return {}
        return {self.header: f"00-{mark}-{mark[:16]}-01" if self.header.lower() == "traceparent" else mark}
