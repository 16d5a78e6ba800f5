"""Fixed counterpart: a name derived from the fingerprint while its record is active; the conflict is the lock."""

from __future__ import annotations

from stress.gateways.generations import by_generation as deduplicate

__all__ = ["deduplicate"]
