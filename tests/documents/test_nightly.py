"""The nightly job: what it runs, what it leaves, and what it hands out."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import stress

ROOT = Path(__file__).parent.parent.parent
FAILS_STILL = 1
NIGHTLY = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly-stress.yml").read_text())
STRESS = NIGHTLY["jobs"]["stress"]
RACY = """\
name: my-scenario
story: Two identical signals at once.
signal: {labels: {pod: "p-{fresh}"}}
invariants: [no_server_error, one_created_answer]
expect: {my-gateway: holds}
"""


def step(word: str) -> dict[str, Any]:
    """Give the step of the job whose name has a word."""
    (found,) = [one for one in STRESS["steps"] if word in one.get("name", "")]
    return dict(found)


def in_shell(script: str, folder: Path, **env: str) -> None:
    """Run a step of the job as its runner does."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    subprocess.run(["bash", "-e", "-c", script], cwd=folder, check=True, env={"PATH": path, **env})


def test_the_nightly_job_runs_each_shard_once() -> None:
    """The numbers of the matrix are all there are, and what one shard finds ends no other."""
    shards = STRESS["strategy"]["matrix"]["shard"]
    assert shards == list(range(1, len(shards) + 1))
    assert STRESS["strategy"]["fail-fast"] is False
    assert step("Stress")["env"]["SHARD"] == "${{ matrix.shard }}/${{ strategy.job-total }}"


@pytest.mark.parametrize("profile", NIGHTLY[True]["workflow_dispatch"]["inputs"]["profile"]["options"])
def test_the_nightly_job_runs_each_of_its_profiles(profile: str) -> None:
    """Its command is the one that the makefile makes of profile and shard."""
    script = step("Stress")["run"].replace("make ", "make -n ")
    env = {"PATH": "/usr/bin:/bin", "PROFILE": profile, "SHARD": "2/4"}
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert f"/bin/stress-gateway run --profile '{profile}' --shard '2/4'" in done.stdout


def test_all_that_the_nightly_job_leaves_is_kept_for_14_days() -> None:
    """Also where the search has failed; no two shards write to one name."""
    kept = [one for one in STRESS["steps"] if "upload-artifact" in one.get("uses", "")]
    assert [one["with"]["name"].removesuffix("-${{ matrix.shard }}") for one in kept] == [
        "failing-schedules",
        "junit",
        "reports",
        "examples",
    ]
    assert {(one["if"], one["with"]["retention-days"]) for one in kept} == {("always()", 14)}
    assert {one["with"]["name"].partition("-${{")[1] for one in kept} == {"-${{"}


def test_the_nightly_job_hands_out_the_schedules_that_nobody_expected(tmp_path: Path) -> None:
    """One of two cases is as expected; the summary shows both, and how to replay the other from its file alone."""
    words = ("atomic-hit-count", "my-scenario.yaml", "--target", "redis-read-modify-write", "--executor", "model")
    (tmp_path / "my-scenario.yaml").write_text(
        RACY.replace("one_created_answer", "distinct_counts").replace("story", "before: 1\nstory")
    )
    assert stress(tmp_path, "run", *words).code == 1
    name = "my-scenario-redis-read-modify-write.txt"
    summary = tmp_path / "summary"
    in_shell(step("summary")["run"], tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    in_shell(step("Pick")["run"], tmp_path, GITHUB_STEP_SUMMARY=str(summary), ARTIFACT="failing-schedules-2")
    assert [path.name for path in (tmp_path / "failing-schedules").iterdir()] == [name]
    text = summary.read_text()
    assert text.startswith("**1 of 2 cases as expected**\n")
    replay = f"stress-gateway replay {name} --times 20"
    assert text.endswith(
        f"\n### Replay\n\nDownload `failing-schedules-2` from this page, unpack it, and run\n\n    {replay}\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "failing-schedules" / name).rename(elsewhere / name)
    said = stress(elsewhere, *shlex.split(replay)[1:])
    assert (said.code, said.out) == (FAILS_STILL, "STILL FAILING 20/20\n")


def test_a_night_without_a_report_or_a_surprise_says_so(tmp_path: Path) -> None:
    """The steps after a run that could not begin do not fail themselves, and hand out nothing."""
    summary = tmp_path / "summary"
    in_shell(step("summary")["run"], tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    in_shell(step("Pick")["run"], tmp_path, GITHUB_STEP_SUMMARY=str(summary), ARTIFACT="failing-schedules-2")
    assert summary.read_text() == "The run ended before it wrote a summary; see the log of the step before.\n"
    assert not (tmp_path / "failing-schedules").exists()
