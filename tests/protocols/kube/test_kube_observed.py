"""What a reply of the Kubernetes API tells in full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from stress.protocols.kube.observed import UNREADABLE, observed


def alert(name: str, version: int, *, age: float = 0, **fields: object) -> dict[str, Any]:
    """Make an object that was made so many seconds of the clock ago."""
    stamp = (datetime.now(UTC) - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"name": name, "resourceVersion": str(version), "creationTimestamp": stamp, "managedFields": [version]}
    return {"apiVersion": "v1", "metadata": about, **fields}


def written(read: dict[str, Any] | None) -> str:
    """Write it with every `x` in a text replaced."""
    return observed(read, lambda text: text.replace("x", "{fresh}"))


def test_an_object_is_written_with_its_names_and_its_age() -> None:
    """Versions are symbols, who managed which field is no matter."""
    assert written(alert("alert-x", 41, age=60, spec={"count": 1, "pods": ["x", None, True]})) == (
        "{apiVersion: v1 metadata: {made 60 s ago name: alert-{fresh} {version:41}} "
        "spec: {count: 1 pods: [{fresh} None True]}}"
    )


def test_of_a_list_it_is_said_which_object_is_older() -> None:
    """Its own version is left out, as it changes with every write; clients may take the oldest of the items."""
    items = [alert("a", 9), alert("b", 10), alert("c", 8)]
    reported = written({"apiVersion": "v1", "kind": "AlertList", "metadata": {"resourceVersion": "77"}, "items": items})
    assert reported.startswith("[{apiVersion: v1 metadata: {made 0 s ago name: a {version:9}}}")
    assert reported.endswith("] by age [2, 0, 1]")


def test_what_is_not_read_in_full_is_said_to_be_so() -> None:
    """Protobuf has metadata alone; no body tells nothing."""
    assert [written({"kind": "Alert", "metadata": {"name": "a"}}), written(None)] == [UNREADABLE, ""]
