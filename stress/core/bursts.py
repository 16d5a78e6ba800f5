"""What bursts came to: requests released together with the gate open, after a search that found nothing."""

from __future__ import annotations

from typing import NamedTuple

NO_LUCK = 0.05
"""How likely, at most, clean controls may be if requests one after another failed as often as those in a burst do."""


class Bursts(NamedTuple):
    """How many bursts were run, and how they ended.

    Of ``ran`` bursts ``violating`` broke an invariant; ``broken`` names those. After each of them, and until they say
    enough, the same requests were run one after another, in ``controls`` runs; ``sequential`` is what one of those
    broke (empty: none did). ``dropped`` bursts are not among those that ran: why is in ``why``, with how often each.
    ``erred`` bursts were answered with a server's error and broke nothing else; ``error`` is the first such answer.
    ``short`` says why there were fewer than wanted (empty: there were not).
    """

    ran: int = 0
    violating: int = 0
    broken: tuple[str, ...] = ()
    controls: int = 0
    sequential: str = ""
    dropped: int = 0
    why: tuple[str, ...] = ()
    erred: int = 0
    error: str = ""
    short: str = ""

    @property
    def ruling(self) -> tuple[str, str]:
        """Give ``race`` or ``inconclusive`` with the reason; two empty texts where they change nothing."""
        if self.race:
            return "race", f"{self}; broken: {', '.join(self.broken)}"
        return ("inconclusive", self.doubt) if self.doubt else ("", "")

    @property
    def race(self) -> bool:
        """Whether they show a race: two at least broke something that requests one after another do not."""
        return self.violating > 1 and not self.sequential and self.controls >= self.wanted_controls

    @property
    def wanted_controls(self) -> int:
        """How many clean controls are needed.

        If the last k failing runs of n + m were failing by chance, all of them would be bursts in (n / (n + m))^k.
        """
        if not self.violating:
            return 0
        return max(self.violating, int(self.ran * (float(NO_LUCK ** (-1 / self.violating)) - 1)))

    @property
    def doubt(self) -> str:
        """Say why nothing can be concluded, and what to do; empty where none failed, or a race was seen."""
        seen = f"seen in {self.violating} of {self.ran} bursts: {', '.join(self.broken)}"
        if self.violating and self.sequential:
            return f"{seen}; requests one after another, with the gate open, broke {self.sequential} too"
        if self.violating == 1:
            return f"{seen}; once may be chance: `burst: 1000` in the target runs more"
        if self.violating and not self.race:
            return f"{seen}; {self.controls} runs one after another were clean, too few to tell: --seconds"
        if self.erred and not self.violating:
            text = f"{self.erred} of {self.ran} bursts were answered with a server's error: {self.error}"
            return f"{text}; if that says to try again later, name it: `answers: {{retry_later: …}}`"
        return ""

    def __str__(self) -> str:
        """Say it in words: ``200 bursts, none fails``."""
        if self.race:
            return f"seen in {self.violating} of {self.ran} bursts, no schedule"
        words = f"{self.ran} {'burst' if self.ran == 1 else 'bursts'}, "
        words += f"{self.violating or 'none'} fail{'' if self.violating > 1 else 's'}"
        words += f", {self.erred} answered with a server's error" if self.erred else ""
        words += f", {self.dropped} more dropped ({'; '.join(self.why)})" if self.dropped else ""
        return words + (f" ({self.short})" if self.short else "")
