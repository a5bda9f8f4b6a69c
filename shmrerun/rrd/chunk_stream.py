"""Chunks of files, one after the other: :mod:`shmrerun.chunk`'s readers, stores and streams.

Source: names and behaviour of ``rerun.chunk`` of rerun-sdk 0.41.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from shmrerun import _core
from shmrerun.rrd.chunk import chunk_from_batch, tuid_text
from shmrerun.rrd.chunk_object import Chunk
from shmrerun.rrd.encoder import set_store_info, store_id
from shmrerun.rrd.file_writer import FileWriter
from shmrerun.rrd.filters import EntityFilter
from shmrerun.rrd.footer import Manifest
from shmrerun.rrd.lens_work import MODES, apply_lenses, as_lenses
from shmrerun.rrd.optimize import optimized
from shmrerun.rrd.schema import Schema

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from shmrerun.rrd.lens import Lens
    from shmrerun.rrd.optimize import OptimizationProfile
    from shmrerun.rrd.reader import Recording

_INSTEAD_OF_READER = (
    "write the chunks by write_rrd, and take datafusion.SessionContext().from_arrow(shmrerun.read(path).view(index)), a table that has "
    "every row as it was logged"
)
_EVERYTHING = ("/**", "/__properties/**")


class LazyChunkStream:
    """Chunks that are read and worked on when they are asked for.

    :meth:`filter`, :meth:`drop`, :meth:`split`, :meth:`map`, :meth:`flat_map` and :meth:`merge` take over the streams they are called
    on, which cannot be used again (ValueError). Iterating, :meth:`to_chunks`, :meth:`collect` and :meth:`write_rrd` run the stream, each
    time from its beginning. One chunk is in memory at a time, and some that are read ahead.
    """

    def __init__(self, make: Callable[[], Iterator[Chunk]]) -> None:
        self._make: Callable[[], Iterator[Chunk]] | None = make

    @staticmethod
    def from_iter(chunks: Iterable[Chunk]) -> LazyChunkStream:
        """A stream of chunks that are at hand."""
        return LazyChunkStream(lambda: iter(chunks))

    @staticmethod
    def merge(*streams: LazyChunkStream) -> LazyChunkStream:
        """The chunks of all streams, one stream after the other."""
        makers = [stream._take() for stream in streams]
        return LazyChunkStream(lambda: itertools.chain.from_iterable(make() for make in makers))

    def _run(self) -> Callable[[], Iterator[Chunk]]:
        if self._make is None:
            raise ValueError("This stream was taken over by another one that was made of it; use that one")
        return self._make

    def _take(self) -> Callable[[], Iterator[Chunk]]:
        make = self._run()
        self._make = None
        return make

    def filter(
        self, *, content: Any = None, has_timeline: str | None = None, is_static: bool | None = None, components: Any = None
    ) -> LazyChunkStream:
        """Keep what fits all that is said.

        Parameters
        ----------
        content
            Entities, by expressions as :meth:`Recording.view` takes them.
        has_timeline
            Chunks that have it.
        is_static
            Static chunks, or only others.
        components
            Names or descriptors; of a chunk with others too, these columns are kept.

        """
        test = _Test(content, has_timeline, is_static, components)
        return self.flat_map(lambda chunk: test.parts(chunk)[0])

    def drop(
        self, *, content: Any = None, has_timeline: str | None = None, is_static: bool | None = None, components: Any = None
    ) -> LazyChunkStream:
        """Leave out what :meth:`filter` would keep, and keep the rest."""
        test = _Test(content, has_timeline, is_static, components)
        return self.flat_map(lambda chunk: test.parts(chunk)[1])

    def split(
        self, *, content: Any = None, has_timeline: str | None = None, is_static: bool | None = None, components: Any = None
    ) -> tuple[LazyChunkStream, LazyChunkStream]:
        """What :meth:`filter` keeps, and what :meth:`drop` keeps; each reads the chunks by itself."""
        make = self._take()
        said = {"content": content, "has_timeline": has_timeline, "is_static": is_static, "components": components}
        return LazyChunkStream(make).filter(**said), LazyChunkStream(make).drop(**said)

    def map(self, fn: Callable[[Chunk], Chunk]) -> LazyChunkStream:
        """Put each chunk through a function."""
        make = self._take()
        return LazyChunkStream(lambda: map(fn, make()))

    def flat_map(self, fn: Callable[[Chunk], Iterable[Chunk]]) -> LazyChunkStream:
        """Put each chunk through a function that returns any number of chunks."""
        make = self._take()
        return LazyChunkStream(lambda: (made for chunk in make() for made in fn(chunk)))

    def lenses(self, lenses: Sequence[Lens] | Lens, *, output_mode: str = "drop_unmatched", content: Any = None) -> LazyChunkStream:
        """Put chunks through lenses.

        Parameters
        ----------
        lenses
            One, or several.
        output_mode
            What is kept beside what lenses make: ``"drop_unmatched"``: nothing; ``"forward_unmatched"``: components that no lens takes;
            ``"forward_all"``: all components.
        content
            Entities that the lenses are for, as of :meth:`filter`; chunks of others are kept.

        Raises
        ------
        ValueError
            There is no such mode; a lens makes nothing.
        RuntimeError
            While the stream is read: two lenses make the same, a selector or a cast fails, or columns do not have the same rows.

        """
        if output_mode not in MODES:
            raise ValueError(f"output_mode is one of {', '.join(map(repr, MODES))}, not {output_mode!r}")
        found = as_lenses(lenses)
        is_meant = _filter(content)

        def through(chunk: Chunk) -> Iterable[Chunk]:
            if not is_meant(chunk.entity_path):
                return [chunk]
            try:
                made = apply_lenses(batch := chunk.to_record_batch(), found, output_mode)
            except ValueError as error:
                raise RuntimeError(f"lenses cannot be applied: {error}") from error
            return [chunk if one is batch else Chunk._of(one) for one in made]

        return self.flat_map(through)

    def to_chunks(self) -> list[Chunk]:
        """All chunks in memory."""
        return list(self)

    def collect(self, *, optimize: OptimizationProfile | None = None) -> ChunkStore:
        """All chunks in memory, as a store.

        Parameters
        ----------
        optimize
            What size chunks are to have: ``OptimizationProfile.LIVE`` for viewers, ``OptimizationProfile.OBJECT_STORE`` for queries, or
            one of your own. None: that which they have.

        Raises
        ------
        ValueError
            The profile says what cannot be.

        Notes
        -----
        All values are kept; rerun-sdk drops static ones that others replace.

        """
        if optimize is None:
            return ChunkStore(self.to_chunks())
        return ChunkStore([Chunk._of(batch) for batch in optimized((chunk.to_record_batch() for chunk in self), optimize)])

    def write_rrd(self, path: str | os.PathLike[str], *, application_id: str, recording_id: str) -> None:
        """Write a file, with a footer, of all chunks. It takes its place when it is whole."""
        store = store_id(application_id, str(recording_id))
        with FileWriter(path) as writer:
            writer.message(set_store_info(store, _core.row_id()))
            for chunk in self:
                writer.batch(store, chunk.to_record_batch())

    def __iter__(self) -> Iterator[Chunk]:
        return self._run()()

    def __repr__(self) -> str:
        return "LazyChunkStream()"


def _filter(content: Any) -> EntityFilter:
    if hasattr(content, "to_exprs"):
        content = content.to_exprs()
    return EntityFilter(_EVERYTHING if content is None else content)


class _Test:
    """What :meth:`LazyChunkStream.filter` is told."""

    def __init__(self, content: Any, has_timeline: str | None, is_static: bool | None, components: Any) -> None:
        self._is_meant = _filter(content)
        self._timeline = has_timeline
        self._is_static = is_static
        if components is not None and (isinstance(components, str) or hasattr(components, "component")):
            components = [components]
        self._components = None if components is None else {getattr(one, "component", one) for one in components}

    def parts(self, chunk: Chunk) -> tuple[list[Chunk], list[Chunk]]:
        """What fits of a chunk, and what does not."""
        fits = (
            self._is_meant(chunk.entity_path)
            and (self._timeline is None or self._timeline in chunk.timeline_names)
            and self._is_static in (None, chunk.is_static)
        )
        if not fits or self._components is None:
            return ([chunk], []) if fits else ([], [chunk])
        batch = chunk.to_record_batch()
        data = [i for i, field in enumerate(batch.schema) if (field.metadata or {}).get(b"rerun:kind", b"data") == b"data" and i]
        mine = [i for i in data if (batch.schema.field(i).metadata or {}).get(b"rerun:component", b"").decode() in self._components]
        others = [i for i in data if i not in mine]
        if not mine or not others:
            return ([chunk], []) if mine else ([], [chunk])
        return [_without(batch, others)], [_without(batch, mine)]


def _without(batch: pa.RecordBatch, columns: list[int]) -> Chunk:
    """A chunk with fewer columns, and an id of its own."""
    rest = batch.select([i for i in range(batch.num_columns) if i not in columns])
    changed = {b"rerun:id": b"chunk_" + tuid_text(_core.row_id()).encode()}
    return Chunk(rest.replace_schema_metadata(batch.schema.metadata | changed))


def _summary(chunks: Iterable[Chunk]) -> str:
    """A line for each chunk: entity, rows, whether it is static, timelines, columns."""
    lines: list[tuple[str, str]] = []
    for chunk in chunks:
        columns = sorted(name for name in chunk.to_record_batch().schema.names if name != "rerun.controls.RowId")
        timelines = sorted(chunk.timeline_names)
        about = f"rows={chunk.num_rows} static={chunk.is_static} timelines={timelines} cols={columns}"
        lines.append((chunk.entity_path, about))
    return "\n".join(f"{entity} {about}" for entity, about in sorted(lines, key=lambda line: line[0]))


class LazyStore:
    """Chunks of a file's store, read when they are asked for."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    @property
    def recording(self) -> Recording:
        """The same store as tables."""
        return self._recording

    def stream(self) -> LazyChunkStream:
        """Its chunks, in the order of the file."""
        return LazyChunkStream(lambda: map(Chunk._read, self._recording.chunks()))

    def schema(self) -> Schema:
        """Its columns. Reads no chunk of a finished file."""
        return Schema(self._recording._contents.stored.schema)

    def summary(self) -> str:
        """A line for each chunk, in order of entities: entity, rows, whether it is static, timelines, columns. Reads all chunks."""
        return _summary(self.stream())

    def write_rrd(self, path: str | os.PathLike[str], *, application_id: str, recording_id: str) -> None:
        """Write a file of all chunks."""
        self.stream().write_rrd(path, application_id=application_id, recording_id=recording_id)

    def __len__(self) -> int:
        return len(self._recording)

    def __repr__(self) -> str:
        return f"LazyStore({len(self)} chunks)"


class ChunkStore:
    """Chunks in memory."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self._chunks = list({chunk.id: chunk for chunk in chunks}.values())

    @staticmethod
    def from_chunks(chunks: Iterable[Chunk]) -> ChunkStore:
        """Take chunks; of those with one id, one."""
        return ChunkStore(list(chunks))

    def stream(self) -> LazyChunkStream:
        """Its chunks."""
        return LazyChunkStream.from_iter(self._chunks)

    def schema(self) -> Schema:
        """Its columns."""
        manifest = Manifest()
        for chunk in self._chunks:
            manifest.add(chunk_from_batch(chunk.to_record_batch()), 0, 0, 0)
        return Schema(manifest.fields())

    def summary(self) -> str:
        """A line for each chunk, in order of entities: entity, rows, whether it is static, timelines, columns."""
        return _summary(self._chunks)

    def write_rrd(self, path: str | os.PathLike[str], *, application_id: str, recording_id: str) -> None:
        """Write a file of all chunks."""
        self.stream().write_rrd(path, application_id=application_id, recording_id=recording_id)

    def __len__(self) -> int:
        return len(self._chunks)

    def __getattr__(self, name: str) -> Any:
        """Say what to use instead of the method that rerun-sdk has here."""
        instead = f": rerun-sdk has it; here, {_INSTEAD_OF_READER}" if name == "reader" else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{instead}")

    def __repr__(self) -> str:
        return f"ChunkStore({len(self)} chunks)"
