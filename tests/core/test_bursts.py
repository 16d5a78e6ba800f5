"""What bursts show: a race, a doubt, or nothing."""

from __future__ import annotations

from dataclasses import replace

from stress.core.bursts import Bursts
from stress.core.verdict import Evidence, judge

SEARCHED = Evidence("live", "auto", 6, 1.0, exhausted=True, total=6)


def _verdict(bursts: Bursts) -> tuple[str, str]:
    verdict = judge([], [replace(SEARCHED, bursts=bursts)])
    return str(verdict.ruling), verdict.reason


def test_clean_bursts_stand_in_the_words_of_what_holds() -> None:
    """A search that found nothing holds, and says how many bursts were run and dropped."""
    bursts = Bursts(ran=200, dropped=3, why=("3 crossed a second",))
    text = "live: exhausted 6 of 6; 200 bursts, none fails, 3 more dropped (3 crossed a second)"
    assert _verdict(bursts) == ("holds", text)


def test_two_failing_bursts_with_enough_clean_controls_are_a_race() -> None:
    """Eleven of 200 with 62 clean controls are a race without a schedule."""
    bursts = Bursts(ran=200, violating=11, broken=("hits_equal_answers",), controls=62)
    assert bursts.wanted_controls == 62
    assert _verdict(bursts) == ("race", "seen in 11 of 200 bursts, no schedule; broken: hits_equal_answers")


def test_too_few_controls_are_no_race() -> None:
    """Where clean controls may be chance, nothing is concluded."""
    bursts = Bursts(ran=200, violating=11, broken=("hits_equal_answers",), controls=61)
    assert _verdict(bursts)[0] == "inconclusive"


def test_one_failing_burst_may_be_chance() -> None:
    """One violating burst concludes nothing, and says how to run more."""
    ruling, reason = _verdict(Bursts(ran=200, violating=1, broken=("distinct_counts",), controls=5000))
    assert (ruling, reason.partition(";")[0]) == ("inconclusive", "seen in 1 of 200 bursts: distinct_counts")


def test_what_fails_one_after_another_is_no_race_of_bursts() -> None:
    """A control that fails too takes the race back."""
    bursts = Bursts(ran=9, violating=2, broken=("distinct_counts",), controls=99, sequential="distinct_counts")
    assert _verdict(bursts)[0] == "inconclusive"


def test_a_server_error_alone_never_condemns() -> None:
    """Bursts that are answered 503, all of them, conclude nothing, and the body is shown."""
    ruling, reason = _verdict(Bursts(ran=200, erred=200, error="503 [busy]"))
    assert ruling == "inconclusive"
    assert reason.startswith("200 of 200 bursts were answered with a server's error: 503 [busy];")
    assert "retry_later" in reason
