"""What the Kubernetes API contributes to a target file."""

from __future__ import annotations

from stress.config.target import Target
from stress.protocols.kube.parts import resources


def test_a_target_names_the_resources_that_are_read_or_changed_past_the_gate() -> None:
    """Those of observe and environment, each once; a target without Kubernetes has none."""
    where = {"kubernetes": "configmaps", "where": {"data.over": True, "data.hits": 1}}
    target = Target.model_validate(
        {
            "name": "t",
            "protocol": "kube-status",
            "stores": {"kubernetes": {}},
            "observe": {"records": where},
            "environment": {"expiry": {"kubernetes": "leases.coordination.k8s.io", "where": {}}, "cleanup": where},
        }
    )
    assert resources(target) == ("configmaps", "leases.coordination.k8s.io")
    assert target.environment.cleanup.where == {"data.over": "true", "data.hits": "1"}  # type: ignore[union-attr]
    assert resources(Target.model_validate({"name": "t", "protocol": "redis-atomic"})) == ()
