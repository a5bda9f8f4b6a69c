"""Chunks as users have them in hand: :class:`shmrerun.chunk.Chunk`.

Source: names and behaviour of ``rerun.chunk.Chunk`` of rerun-sdk 0.41.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from shmrerun import _core
from shmrerun.model.auto_index import AUTO_INDEX, AutoIndex
from shmrerun.model.entity_paths import canonical, escape_entity_path_part
from shmrerun.rrd.chunk import chunk_from_batch, tuid_text
from shmrerun.rrd.fields import ROW_ID_TYPE, Descriptor
from shmrerun.rrd.from_arrow import as_lists, assemble, chunks_of, in_time_order
from shmrerun.rrd.lens_work import apply_lenses, apply_selector, as_lenses
from shmrerun.rrd.selector import as_selector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shmrerun.rrd.lens import Lens
    from shmrerun.rrd.selector import Selector

_ID_BYTES = len("chunk_") + 32


class Chunk:
    """Rows of one entity, as a recording has them: an Arrow record batch with row ids, times and lists of components.

    Made by :meth:`from_columns`, :meth:`from_record_batch`, :meth:`from_dataframe`, :meth:`from_property`, or read from a file.
    Immutable; safe to share between threads, and to pickle.
    """

    __slots__ = ("_batch",)

    def __init__(self, record_batch: pa.RecordBatch) -> None:
        """Take a batch that is a chunk already, as :meth:`to_record_batch` returns it. ValueError: it is none."""
        chunk_from_batch(record_batch)
        self._batch = record_batch

    @classmethod
    def _of(cls, record_batch: pa.RecordBatch) -> Chunk:
        self = cls.__new__(cls)
        self._batch = record_batch
        return self

    @classmethod
    def _read(cls, record_batch: pa.RecordBatch) -> Chunk:
        """Take a batch that was read from a file. ValueError: it is no chunk."""
        metadata = record_batch.schema.metadata or {}
        if (
            len(metadata.get(b"rerun:id", b"")) != _ID_BYTES
            or b"rerun:entity_path" not in metadata
            or record_batch.column(0).type != ROW_ID_TYPE
        ):
            return cls(record_batch)  # which says what is wrong
        return cls._of(record_batch)

    @classmethod
    def from_record_batch(
        cls, record_batch: pa.RecordBatch, *, index: str | list[str] | AutoIndex | None = AUTO_INDEX, entity_path: str | None = None
    ) -> list[Chunk]:
        """Take a table's columns for timelines and components.

        Parameters
        ----------
        record_batch
            Components are lists, one a row; a column of anything else is taken as lists of one value.
        index
            Names of the columns that are timelines: int64, ``timestamp[ns]`` or ``duration[ns]``, without nulls. None: static data.
            Left out: what the columns' metadata say (``rerun:kind`` = ``index``, ``rerun:index_name``), and then a batch with row ids
            and the chunk id in ``rerun:id`` keeps both.
        entity_path
            Of the components that name none by ``rerun:entity_path``, of the column or of the batch, or by their own name, as
            ``/points:Points3D:positions`` does. Default: the root.

        Returns
        -------
        list of Chunk
            One for each entity.

        Raises
        ------
        ValueError
            It is not said what the index is, or it is not there, has nulls, or is of another type; ``index=None`` of a batch that names
            one; there is no component; a name comes twice; a batch that keeps its ids has several entities.
        TypeError
            Not a ``pyarrow.RecordBatch``.

        """
        return [cls._of(batch) for batch in chunks_of(record_batch, index, entity_path)]

    @classmethod
    def from_dataframe(
        cls, dataframe: Any, *, index: str | list[str] | AutoIndex | None = AUTO_INDEX, entity_path: str | None = None
    ) -> Iterator[Chunk]:
        """Take a data frame's columns for timelines and components, batch by batch; see :meth:`from_record_batch`.

        Parameters
        ----------
        dataframe
            ``pyarrow.Table``, ``RecordBatch``, ``RecordBatchReader``, or anything with ``__arrow_c_stream__``: of polars, pandas,
            duckdb, DataFusion, or a :class:`shmrerun.RecordingView`.
        index, entity_path
            As for :meth:`from_record_batch`.

        Yields
        ------
        Chunk

        Raises
        ------
        TypeError
            It is nothing of the kind, said by the call. What :meth:`from_record_batch` raises comes when chunks are taken.

        """
        if isinstance(dataframe, pa.RecordBatchReader):
            reader = dataframe
        elif isinstance(dataframe, pa.Table):
            reader = dataframe.to_reader()
        elif isinstance(dataframe, pa.RecordBatch):
            reader = [dataframe]
        elif hasattr(dataframe, "__arrow_c_stream__"):
            reader = pa.RecordBatchReader.from_stream(dataframe)
        else:
            raise TypeError(f"a data frame is a pyarrow table or anything with __arrow_c_stream__, got {type(dataframe).__name__}")
        return (chunk for batch in reader for chunk in cls.from_record_batch(batch, index=index, entity_path=entity_path))

    @classmethod
    def from_columns(cls, entity_path: str, indexes: Iterable[Any], columns: Iterable[Any]) -> Chunk:
        """Make a chunk of the arguments of :func:`shmrerun.send_columns`.

        Parameters
        ----------
        entity_path
            Text, split at unescaped slashes.
        indexes
            ``TimeColumn`` or the like; none: static rows.
        columns
            ``Archetype.columns(...)`` or the like.

        Returns
        -------
        Chunk
            The rows in the order of their times.

        Raises
        ------
        ValueError
            Columns of different lengths, or a timeline twice. Of equal components the last one wins.
        RuntimeError
            There are indexes, but no columns.

        """
        times = [(str(one.timeline_name()), _as_time(one.as_arrow_array())) for one in indexes]
        columns = list(columns)
        if times and not columns:
            raise RuntimeError("Detected malformed chunk: it has indexes but no component columns")
        last = {column.component_descriptor().component: column for column in columns}
        components = [(_descriptor(one), one.as_arrow_array()) for one in last.values()]
        return cls._of(assemble(entity_path, *in_time_order(times, components)))

    @classmethod
    def from_property(cls, name: str, values: Any) -> Chunk:
        """Make the static chunk of a property of the recording; see :func:`shmrerun.send_property`.

        Parameters
        ----------
        name
            Of the property.
        values
            Anything that can be logged.

        Raises
        ------
        TypeError
            ``values`` are nothing that can be logged.

        """
        found = values.as_component_batches() if hasattr(values, "as_component_batches") else values
        try:
            batches = list(found)
            components = [(_descriptor(batch), _one_row(batch.as_arrow_array())) for batch in batches]
        except (TypeError, AttributeError):
            raise TypeError(f"values of a property are an archetype, or batches of components, got {type(values).__name__}") from None
        return cls._of(assemble(f"/__properties/{escape_entity_path_part(name)}", [], components))

    @property
    def id(self) -> str:
        """The chunk's id: ``chunk_``, 16 hex digits of time, 16 of a counter."""
        return self._metadata(b"rerun:id")

    @property
    def entity_path(self) -> str:
        """Whose rows they are, as canonical text."""
        return self._metadata(b"rerun:entity_path")

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        rows: int = self._batch.num_rows
        return rows

    @property
    def num_columns(self) -> int:
        """Number of columns: row ids, timelines and components."""
        columns: int = self._batch.num_columns
        return columns

    @property
    def is_static(self) -> bool:
        """Whether its rows are without times."""
        return not self.timeline_names

    @property
    def is_empty(self) -> bool:
        """Whether it has no rows."""
        return not self.num_rows

    @property
    def timeline_names(self) -> list[str]:
        """Names of its timelines."""
        return [field.name for field in self._batch.schema if (field.metadata or {}).get(b"rerun:kind") == b"index"]

    def to_record_batch(self) -> pa.RecordBatch:
        """The record batch, with all metadata. It is the chunk's own; nothing is copied."""
        return self._batch

    def with_entity_path(self, entity_path: str) -> Chunk:
        """The same rows of another entity, in a chunk with an id of its own."""
        changed = {b"rerun:id": b"chunk_" + tuid_text(_core.row_id()).encode(), b"rerun:entity_path": canonical(entity_path).encode()}
        return Chunk._of(self._batch.replace_schema_metadata(self._batch.schema.metadata | changed))

    def apply_lenses(self, lenses: Sequence[Lens] | Lens) -> list[Chunk]:
        """Make chunks of this one by lenses. Components that no lens takes are kept; without a lens that takes one, so is the chunk.

        Parameters
        ----------
        lenses
            One, or several.

        Raises
        ------
        ValueError
            A lens makes nothing, two make the same, a selector or a cast fails, or columns do not have the same rows.

        """
        return [
            self if batch is self._batch else Chunk._of(batch)
            for batch in apply_lenses(self._batch, as_lenses(lenses), "forward_unmatched")
        ]

    def apply_selector(self, source: Any, selector: Selector | str) -> Chunk:
        """Replace a component by what a selector finds in it; rows get new ids.

        Parameters
        ----------
        source
            The component's name, or its descriptor.
        selector
            A :class:`shmrerun.chunk.Selector`, or its text.

        Raises
        ------
        ValueError
            There is no such component, the selector fails, or it finds no such field.

        """
        return Chunk._of(apply_selector(self._batch, getattr(source, "component", source), as_selector(selector)))

    def format(self, *, width: int = 240, redact: bool = False, trim_metadata_keys: bool = True) -> str:
        """The chunk as text for people: a line for what it is, one for each column, one for each row.

        Parameters
        ----------
        width
            Longest line.
        redact
            Leave out ids, which differ from run to run.
        trim_metadata_keys
            Leave out ``rerun:`` before the keys of metadata.

        """
        what = f"Chunk of {self.entity_path}, {self.num_rows} rows{', static' if self.is_static else ''}"
        lines = [f"{what}, {'[**REDACTED**]' if redact else self.id}"]
        for field in self._batch.schema:
            about = [(key.decode(), value.decode()) for key, value in (field.metadata or {}).items() if key != b"rerun:kind"]
            told = ", ".join(f"{key.removeprefix('rerun:') if trim_metadata_keys else key}: {value}" for key, value in sorted(about))
            lines.append(f"  {field.name}: {field.type}{f' ({told})' if told else ''}")
        rows = self._batch.select(range(1, self.num_columns)).to_pylist()
        lines += ["  " + "  ".join(f"{name}={value}" for name, value in row.items()) for row in rows]
        return "\n".join(line if len(line) <= width else line[: width - 3] + "..." for line in lines)

    def _metadata(self, key: bytes) -> str:
        text: str = self._batch.schema.metadata[key].decode("utf-8", "replace")
        return text

    def __repr__(self) -> str:
        return f"Chunk(id={self.id}, entity_path={self.entity_path}, num_rows={self.num_rows}, num_columns={self.num_columns})"

    def __str__(self) -> str:
        return self.format()

    def __len__(self) -> int:
        return self.num_rows

    def __reduce__(self) -> tuple[Any, ...]:
        return Chunk, (self._batch,)


def _descriptor(column: Any) -> Descriptor:
    found = column.component_descriptor()
    return Descriptor(found.archetype, found.component, found.component_type)


def _as_time(column: pa.Array) -> pa.Array:
    """Times of any unit in nanoseconds."""
    if pa.types.is_duration(column.type):
        return column.cast(pa.duration("ns"))
    return column.cast(pa.timestamp("ns", column.type.tz)) if pa.types.is_timestamp(column.type) else column.cast(pa.int64())


def _one_row(values: pa.Array) -> pa.Array:
    """One list of all values."""
    values = values.storage if isinstance(values, pa.ExtensionArray) else values
    return as_lists(pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values))
