"""A signal: the alert or event that every request of a scenario carries, its body and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from stress.config.formats import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

ADAPTERS = ("prometheus", "kubernetes-event")
"""The bodies that a Gateway understands, each under its own path."""

_KINDS = {
    "pod": "Pod",
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
    "node": "Node",
    "service": "Service",
}
_OWN_KEYS = {
    "prometheus": ("alertname", "severity", "labels"),
    "kubernetes-event": ("reason", "kind", "name", "type", "message"),
}


def fingerprint_of(title: str, namespace: str, kind: str, name: str) -> str:
    """SHA-256 of ``title:namespace:kind:name`` in lowercase hex (contract section 1.5, commit C0)."""
    return hashlib.sha256(f"{title}:{namespace}:{kind}:{name}".encode()).hexdigest()


def resource_of(labels: Mapping[str, str]) -> tuple[str, str]:
    """Give kind and name of what an alert is about: of its first label that names a resource (contract 1.5)."""
    return next(((title, labels[kind]) for kind, title in _KINDS.items() if kind in labels), ("Unknown", "unknown"))


class Signal(Part):
    """The signal that every request carries; ``{fresh}`` in any text is a new value for each schedule.

    A Prometheus alert has ``alertname``, ``severity`` and ``labels``; a Kubernetes event has ``reason``, ``kind``,
    ``name``, ``type`` and ``message``.
    """

    adapter: Literal["prometheus", "kubernetes-event"] = Field(
        default="prometheus", description="which body is sent: an Alertmanager webhook, or a Kubernetes event"
    )
    namespace: str = Field(default="default", description="the namespace that the signal comes from")
    alertname: str = Field(default="HighMemoryUsage", description="prometheus: the alert's name")
    severity: str = Field(default="warning", description="prometheus: the alert's severity")
    labels: dict[str, str] = Field(default={}, description="prometheus: more labels, such as `pod`")
    reason: str = Field(default="OOMKilled", description="kubernetes-event: why it was sent")
    kind: str = Field(default="Pod", description="kubernetes-event: the kind of what it is about")
    name: str = Field(default="{fresh}", description="kubernetes-event: the name of what it is about")
    type: Literal["Warning", "Error"] = Field(default="Warning", description="kubernetes-event: its type")
    message: str = Field(default="Container exceeded memory limit", description="kubernetes-event: its message")

    @model_validator(mode="after")
    def _keys_of_its_adapter(self) -> Self:
        other = next(name for name in ADAPTERS if name != self.adapter)
        wrong = [key for key in _OWN_KEYS[other] if getattr(self, key) != type(self).model_fields[key].default]
        if wrong:
            message = f"{wrong[0]!r} belongs to adapter {other}, and this is {self.adapter}"
            raise ValueError(message)
        return self

    @property
    def title(self) -> str:
        """The signal's name: what an alert is called, or why an event was sent."""
        return self.alertname if self.adapter == "prometheus" else self.reason

    @property
    def path(self) -> str:
        """Where a Gateway takes such signals (contract section 1.1)."""
        return f"/api/v1/signals/{self.adapter}"

    def fingerprint(self, fresh: str) -> str:
        """Give the fingerprint that the Gateway of commit C0 computes (contract section 1.5)."""
        kind, name = resource_of(self.labels) if self.adapter == "prometheus" else (self.kind, self.name)
        return fingerprint_of(*(text.replace("{fresh}", fresh) for text in (self.title, self.namespace, kind, name)))

    def body(self, fresh: str) -> bytes:
        """Give the body of a request, sent now (contract section 1.3)."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        body = self._webhook(now) if self.adapter == "prometheus" else self._event(now)
        return json.dumps(body).replace("{fresh}", fresh).encode()

    def _webhook(self, now: str) -> dict[str, object]:
        """Write an Alertmanager webhook, version 4."""
        labels = {"alertname": self.alertname, "severity": self.severity, "namespace": self.namespace, **self.labels}
        alert = {"status": "firing", "labels": labels, "startsAt": now}
        return {"version": "4", "status": "firing", "receiver": "kubernaut", "alerts": [alert]}

    def _event(self, now: str) -> dict[str, object]:
        """Write an event as the Kubernetes API has it."""
        return {
            "type": self.type,
            "reason": self.reason,
            "message": self.message,
            "involvedObject": {"kind": self.kind, "namespace": self.namespace, "name": self.name, "apiVersion": "v1"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
