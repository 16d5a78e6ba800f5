"""No duplicate is told a count that was never stored (R3, R5): a write that failed tells nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from stress.checks._contradiction import last_step
from stress.trace import Kind
from stress.verdict import Violation

if TYPE_CHECKING:
    from stress.trace import Trace

NEEDS: frozenset[str] = frozenset()
_STORED = re.compile(r"^2\d\d (\S+) .*?(\w+)=(\d+)")


def check(trace: Trace) -> list[Violation]:
    """Compare the counts in answers with those that the store showed; where it shows none, nothing is said."""
    stored: defaultdict[str, set[int]] = defaultdict(set)
    for event in trace.events:
        if event.kind is Kind.STEP and (seen := _STORED.match(event.reply)):
            stored[seen[1]].add(int(seen[3]))
    return [
        Violation(
            "no_phantom_count",
            f"a count of {answer.record} that was stored: {_listed(stored[answer.record])}",
            f"{answer.count} told to {answer.actor}",
            (answer.actor,),
            last_step(trace, answer.actor),
        )
        for answer in trace.answers
        if stored and answer.duplicate and answer.record is not None and answer.count is not None
        if answer.count not in stored[answer.record]
    ]


def _listed(counts: set[int]) -> str:
    return ", ".join(map(str, sorted(counts))) or "none"
