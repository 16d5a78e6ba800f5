"""What a step did and came to, in words, from its typed outcome alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.core.masking import mask_text
from stress.core.outcomes import How
from stress.core.step import REPLY, Access
from stress.core.trace import Kind
from stress.report.explain.steps import COLLECTION, of_kubernetes
from stress.report.explain.words import SCRIPTS

if TYPE_CHECKING:
    from stress.core.outcomes import Value
    from stress.core.trace import Event

_LONGEST = 40


def deed(event: Event, of: str = "") -> str:
    """Say whose step it is, and of which object (empty: that is not said)."""
    named = f"{event.actor}'s {event.command}"
    return f"{named} of {of}" if of else named


def reported(event: Event, of: str = "") -> str:
    """Say whose step it is and what it came to: ``A's HGET, which saw 1,``."""
    came = came_to(event)
    return f"{deed(event, of)}, which {came}," if came else deed(event, of)


def came_to(event: Event) -> str:
    """Say what a step was refused with, found, saw or left; nothing where that is not known."""
    came, value = event.outcome, _text(event.outcome.value)
    nothing, code = came.how is How.ABSENT, value.split(" ")[0]
    if came.error:
        return f"{'found nothing' if nothing else 'was refused'}{f' ({code})' if code else ''}"
    if unknown(event):
        return f"gave {cut(value)}" if value else ""
    if refused(event):
        return "found nothing" if nothing else "was refused"
    return _value(event, value)


def _value(event: Event, value: str) -> str:
    """Say what a step saw, or left behind; an object of Kubernetes begins with its name."""
    name = event.object.rpartition("/")[2]
    if "SUBSCRIBE" in event.command or value == "OK":
        return ""
    if reads(event):
        return "found it" if value == name else f"saw {cut(value)}" if value else ""
    left = value.partition(" ")[2] if of_kubernetes(event) and value.startswith(f"{name} ") else ""
    left = value if "INCR" in event.command or "DECR" in event.command else left
    return f"left {cut(left)}" if left else ""


def reads(event: Event) -> bool:
    """Tell whether a step looks at what it touches and changes nothing; a reply that comes does neither."""
    looks = bool(event.touches) and event.command != REPLY
    return looks and all(touch.access is Access.READ for touch in event.touches)


def access_to(event: Event, name: str) -> Access | None:
    """Give how a step touches an object; None where it does not."""
    access = next((touch.access for touch in event.touches if touch.object == name), None)
    # One command of several deletes it; the others may have made it again.
    return Access.WRITE if access is Access.DELETE and "+" in event.command else access


def refused(event: Event) -> bool:
    """Tell whether a step was turned down, or found nothing to take away."""
    return event.outcome.how in (How.ABSENT, How.REFUSED)


def changes(event: Event) -> bool:
    """Tell whether a step changed anything."""
    return not refused(event) and any(touch.access is not Access.READ for touch in event.touches)


def makes(event: Event, name: str) -> bool:
    """Tell whether a step made an object that was not there. Of a script nobody knows what its reply says."""
    return access_to(event, name) is Access.CREATE and not refused(event) and not unknown(event)


def made(event: Event) -> str:
    """Name the object that a step made, or tried to make; empty where it is none."""
    names = (touch.object for touch in event.touches if touch.access is Access.CREATE)
    return next((name for name in names if not name.endswith(COLLECTION)), "")


def written(event: Event) -> str:
    """Name the one object that a step writes, or tried to; empty where it is none."""
    names = (touch.object for touch in event.touches if touch.access is not Access.READ)
    return next((name for name in names if not name.endswith(COLLECTION)), "")


def touched_by_another(one: Event, last: Event, name: str) -> bool:
    """Tell whether a step of another actor than that of ``last`` touches an object."""
    return one.kind is Kind.STEP and one.actor != last.actor and access_to(one, name) is not None


def plain(text: str) -> str:
    """Leave out the comma of what ends a clause."""
    return text.removesuffix(",")


def unknown(event: Event) -> bool:
    """Tell whether nobody knows what a step did: it is a script, or its commands came to different ends."""
    parts = event.outcome.parts
    return event.command.startswith(SCRIPTS) or len({part.how for part in parts}) > 1


def cut(text: str, most: int = _LONGEST) -> str:
    """Give a text on one line, masked; what is too long is cut."""
    # Masked before it is cut: of half a URL nobody could tell that it holds a password.
    flat = " ".join(mask_text(text).split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def _text(value: Value) -> str:
    if isinstance(value, tuple):
        return ", ".join(_text(one) for one in value)
    return "nil" if value is None else value
