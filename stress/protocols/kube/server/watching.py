"""A watch: the lines that a client is owed, from the past, from what is there, and from every write that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress.protocols.kube.server import views
from stress.protocols.kube.server.lists import Options, version_of
from stress.protocols.kube.server.status import Refused
from stress.protocols.kube.server.storage import Change, Stored, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress.protocols.kube.server.status import Json
    from stress.protocols.kube.server.storage import Collection, Storage

MOST_BYTES = 64 * 1024 * 1024
"""How much a client may be behind; one that is further is cut off, and lists again."""
_END_OF_INITIAL = {"k8s.io/initial-events-end": "true"}


class Watch:
    """One open watch. It listens from its creation until `close`."""

    def __init__(
        self, storage: Storage, collection: Collection, namespace: str, found: Options, view: views.View
    ) -> None:
        """Begin where the options say.

        Raises:
            Refused: when the version is not a number.

        """
        version = version_of(found)
        self._storage = storage
        self._collection = collection
        self._namespace = namespace
        self._fits = found.fits
        self._view = view
        self._lines: list[bytes] = []
        self._behind = 0
        self.seconds = found.seconds
        """For how long the client wants to watch; None for as long as it likes."""
        self.bookmarks = found.bookmarks
        self.ended = False
        """Whether nothing more will come."""
        self.news: Callable[[], None] = _nothing
        """Called when there is something to take."""
        if found.initial or version == 0:
            self._initial(marked=found.initial and found.bookmarks)
        else:
            self._past(version)
        if not self.ended:
            collection.listeners.append(self._hear)

    def take(self) -> bytes:
        """Give the lines that have come since the last time."""
        lines, self._lines, self._behind = self._lines, [], 0
        return b"".join(lines)

    def bookmark(self, annotations: dict[str, str] | None = None) -> None:
        """Tell the client how far it has come."""
        metadata: Json = {"annotations": annotations} if annotations else {}
        metadata["resourceVersion"] = str(self._storage.version)
        resource = self._collection.resource
        value = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        if self._view is views.View.PARTIAL:
            value |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        self._add("BOOKMARK", encode(value))

    def close(self) -> None:
        """Stop listening."""
        self.ended = True
        if self._hear in self._collection.listeners:
            self._collection.listeners.remove(self._hear)

    def _initial(self, *, marked: bool) -> None:
        for stored in self._collection.sorted(self._namespace):
            if self._fits is None or self._fits(stored.value):
                self._show("ADDED", stored)
        if marked:
            self.bookmark(_END_OF_INITIAL)

    def _past(self, version: int) -> None:
        try:
            for change in self._collection.since(version):
                self._hear(change)
        except Refused as refused:
            # The answer has begun by then: what is wrong is sent as an event.
            self._add("ERROR", encode(refused.status))
            self.ended = True

    def _hear(self, change: Change) -> None:
        before, now = self._sees(change.old), self._sees(change.new)
        if change.new is not None and now:
            self._show("MODIFIED" if before else "ADDED", change.new)
        elif before:
            self._show("DELETED", change.gone)

    def _sees(self, stored: Stored | None) -> bool:
        if stored is None or (self._namespace and stored.key[0] != self._namespace):
            return False
        return self._fits is None or self._fits(stored.value)

    def _show(self, kind: str, stored: Stored) -> None:
        self._add(kind, views.one(stored, self._view))

    def _add(self, kind: str, value: bytes) -> None:
        line = b'{"type":"%s","object":%s}\n' % (kind.encode(), value)
        self._behind += len(line)
        if self._behind > MOST_BYTES:
            self._lines.clear()
            self.close()
        else:
            self._lines.append(line)
        self.news()


def _nothing() -> None:
    """Hear of news when nobody waits yet."""
