"""What readers of files as chunks have in common, and the one of recordings: :class:`shmrerun.chunk.RrdReader`.

Source: names and behaviour of ``rerun.chunk`` of rerun-sdk 0.41.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from shmrerun.rrd.chunk_stream import LazyStore
from shmrerun.rrd.reader import Recording, read

if TYPE_CHECKING:
    import os

    from shmrerun.rrd.chunk_stream import LazyChunkStream
    from shmrerun.rrd.stored import StoreEntry


@runtime_checkable
class StreamingReader(Protocol):
    """What all readers of files have; ``isinstance`` tells. Some take arguments as well."""

    def stream(self) -> LazyChunkStream:
        """Chunks of the file."""
        ...


@runtime_checkable
class IndexedReader(StreamingReader, Protocol):
    """What readers of files with an index have beside it."""

    def store(self) -> LazyStore:
        """The file's store, whose chunks are read when they are asked for."""
        ...


class RrdReader:
    """Chunks of a file. For tables see :func:`shmrerun.read`.

    Parameters
    ----------
    path
        As for :func:`shmrerun.read`, whose errors and warnings are raised.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._recording = read(path)

    @property
    def path(self) -> str:
        """Of the file."""
        return self._recording.path

    def recordings(self) -> list[StoreEntry]:
        """The recordings in the file."""
        return [entry for entry in self._recording.stores if entry.kind == "recording"]

    def blueprints(self) -> list[StoreEntry]:
        """The blueprints in the file."""
        return [entry for entry in self._recording.stores if entry.kind == "blueprint"]

    def stream(self, *, store: StoreEntry | None = None) -> LazyChunkStream:
        """Chunks of a store, the first recording if none is given. ValueError: there is no such store."""
        return self.store(store=store).stream()

    def store(self, *, store: StoreEntry | None = None) -> LazyStore:
        """A store, the first recording if none is given. ValueError: there is no such store."""
        if store is None and not self.recordings():
            raise ValueError(f"The file holds no recording ({self.path})")
        return LazyStore(self._recording if store in (None, self._recording.store) else Recording(self.path, store))

    def __repr__(self) -> str:
        return f"RrdReader({self.path})"
