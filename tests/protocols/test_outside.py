"""Where the code outside the protocols' folders still says which store it is about."""

from __future__ import annotations

import re
from pathlib import Path

STRESS = Path(__file__).parent.parent.parent / "stress"
NAMES = re.compile(r"\bredis\b|\bkube\b|kubernetes", re.IGNORECASE)
ADAPTER = "kubernetes-event"
"""The name of a body of requests, which is no store."""
LINES = {
    # Examples and options of commands.
    "cli/gateway.py": 10,
    "cli/init.py": 6,
    "cli/promote.py": 1,
    "cli/replay.py": 1,
    "cli/run.py": 1,
    "cli/try_.py": 1,
    "cli/wrap.py": 6,
    "engine/wrap/schedule.py": 1,
    # Texts of the format of a target that are about several protocols at once.
    "config/gateways.py": 2,
    "config/placeholders.py": 1,
    "config/scenario.py": 1,
    "config/secrets_of.py": 1,
    "config/signal.py": 3,
    "config/target.py": 3,
    "config/target_parts.py": 2,
    "checks/no_repeated_create.py": 1,
    "core/masking.py": 3,
    "core/verdict.py": 1,
    "engine/behaviour.py": 1,
    # What `init` knows of the variables that services read.
    "diagnose/proposal/propose.py": 1,
    "diagnose/proposal/variables.py": 9,
    # Reports read the words of commands, as an event does not say of which protocol it is.
    "report/explain/deeds.py": 3,
    "report/explain/retries.py": 1,
    "report/explain/steps.py": 3,
    "report/explain/telling.py": 2,
    "report/explain/values.py": 5,
    # The model imitates both stores, until prediction takes its place (DESIGN section 3).
    "executors/model/executor.py": 2,
    "executors/model/kube.py": 11,
    "executors/model/kube_memory.py": 1,
    "executors/model/redis.py": 7,
    "executors/model/redis_memory.py": 1,
}
"""How many lines of a file name one. It only gets shorter: a number here goes down or away, and none comes."""


def test_no_other_line_outside_the_protocols_names_one() -> None:
    """Each file outside `protocols/` and `gateways/` names stores in exactly as many lines as are known."""
    found = {}
    for file in STRESS.rglob("*.py"):
        name = file.relative_to(STRESS).as_posix()
        lines = (line.replace(ADAPTER, "") for line in file.read_text().splitlines())
        count = sum(NAMES.search(line) is not None for line in lines)
        if count and not name.startswith(("protocols/", "gateways/")):
            found[name] = count
    assert found == LINES
