"""Tables of a recording, read when they are asked for, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from shmrerun.model import times
from shmrerun.rrd.arrays import ints, of_ints, row_ids, valid
from shmrerun.rrd.chunk import ChunkSchema
from shmrerun.rrd.join import Rows, Table, join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shmrerun.rrd.contents import Column, Contents

_MIN, _MAX = -(2**63), 2**63 - 1


class AsLogged:
    """Stands for rows as they were logged, one by one."""

    def __repr__(self) -> str:
        return "AS_LOGGED"


AS_LOGGED = AsLogged()


class RecordingView:
    """A table of a recording; :meth:`Recording.view` makes it. Nothing is read until its rows are.

    It is a stream of Arrow data, so ``pyarrow.table(view)``, ``polars.DataFrame(view)``, ``pandas.DataFrame.from_arrow(view)`` and
    ``duckdb.sql("select * from view")`` take it as it is, again and again.

    Notes
    -----
    Cells are lists, as in Rerun: what one call of ``log`` gave for a component is a list of values. A cell is null where nothing was
    logged, and an empty list where an empty one was (that is how a component is cleared). Nothing is filled in, and a ``Clear`` is a
    column like any other. Rows in which none of the columns has a value are left out.

    Memory: some chunks (4 MiB each, mostly) where rows come as they were logged; with an index what overlaps in time, and about
    100 MiB more. May be read from several threads, each its own iterator.
    """

    def __init__(
        self,
        contents: Contents,
        index: str | AsLogged | None,
        columns: list[Column],
        timelines: list[str],
        *,
        bounds: tuple[int, int] = (_MIN, _MAX),
        is_short: bool = False,
    ) -> None:
        self._contents = contents
        self._index = index
        self._columns = columns
        self._timelines = timelines
        self._bounds = bounds
        self._is_short = is_short

    @property
    def schema(self) -> pa.Schema:
        """Columns, with Rerun's metadata: the index, other timelines by name, components."""
        fields = [field.with_name(component) if self._is_short else field for _, _, component, field in self._columns]
        return pa.schema([self._contents.timelines[name] for name in self._timelines] + fields)

    def select(self, *columns: str) -> RecordingView:
        """The same table with fewer columns: the index, and those named, in the order given.

        Parameters
        ----------
        columns
            Names of timelines and of components, as :attr:`schema` has them.

        Raises
        ------
        KeyError
            There is no such column.

        """
        known = {column.component if self._is_short else column.name: column for column in self._columns}
        timelines, chosen = ([self._index] if isinstance(self._index, str) else []), []
        for name in columns:
            if name in known:
                chosen.append(known[name])
            elif name in self._timelines:
                if name != self._index:
                    timelines.append(name)
            else:
                raise KeyError(f"There is no column {name!r}; there are {', '.join(self.schema.names[:20]) or 'none'}")
        return RecordingView(self._contents, self._index, chosen, timelines, bounds=self._bounds, is_short=self._is_short)

    def filter_range(self, start: Any = None, end: Any = None) -> RecordingView:
        """The rows whose time on the index is in a range, both ends included.

        Parameters
        ----------
        start, end
            An int (of a timeline of timestamps or durations: nanoseconds), ``numpy.datetime64``, ``datetime`` or ``timedelta``.
            None: no bound.

        Raises
        ------
        ValueError
            The view has no index, or a time of another kind.

        Notes
        -----
        Chunks that lie outside of it are not read.

        """
        if not isinstance(self._index, str):
            raise ValueError("A range is one of an index: view(index=...)")  # noqa: TRY004  it is the view that is of another kind
        kind = self._contents.timelines[self._index].type
        low = _MIN if start is None else _time(start, kind)
        high = _MAX if end is None else _time(end, kind)
        bounds = max(low, self._bounds[0]), min(high, self._bounds[1])
        return RecordingView(self._contents, self._index, self._columns, self._timelines, bounds=bounds, is_short=self._is_short)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Iterate over the rows.

        Yields
        ------
        pyarrow.RecordBatch

        Raises
        ------
        ValueError
            A chunk does not decode, or holds a component in another type than the column's, to which it cannot be cast.

        """
        if self._index is None:
            return self._static()
        return self._indexed(self._index) if isinstance(self._index, str) else self._as_logged()

    def to_arrow_table(self) -> pa.Table:
        """All rows in memory."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows as a stream of Arrow's C data interface."""
        reader = pa.RecordBatchReader.from_batches(self.schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The columns for Arrow's C data interface."""
        return self.schema.__arrow_c_schema__()

    def __repr__(self) -> str:
        index = self._index if isinstance(self._index, str) else "static" if self._index is None else "rows as logged"
        return f"RecordingView({index}: {len(self._columns)} components of {self._contents.path})"

    # ---- the three kinds of tables

    def _numbers(self) -> dict[str, dict[str, int]]:
        """For each entity, the number of the column that each of its components is."""
        numbers: dict[str, dict[str, int]] = {}
        for number, column in enumerate(self._columns):
            numbers.setdefault(column.entity_path, {})[column.component] = number
        return numbers

    def _parts(self, batch: pa.RecordBatch, numbers: dict[str, int]) -> tuple[dict[int, pa.Array], dict[str, pa.Array]]:
        """Components of a chunk by number of the column, and its timelines."""
        fields = ChunkSchema.of(batch.schema).fields
        columns = {}
        for at, descriptor in zip(fields.cell_order, fields.descriptors, strict=True):
            number = numbers.get(descriptor.component)
            if number is not None:
                columns[number] = _fitting(batch.column(at), self._columns[number])
        return columns, {batch.schema.field(at).name: batch.column(at) for at in fields.time_order}

    def _as_logged(self) -> Iterator[pa.RecordBatch]:
        """Every row by itself, in the order of the file."""
        schema, numbers = self.schema, self._numbers()
        for place, batch in self._contents.batches(self._contents.find(numbers)):
            columns, found = self._parts(batch, numbers[place.entity_path])
            rows = batch.num_rows
            arrays = []
            for name in self._timelines:
                kind = self._contents.timelines[name].type
                arrays.append(_as_time(found[name], kind) if name in found else pa.nulls(rows, kind))
            arrays += [columns[i] if i in columns else pa.nulls(rows, column.field.type) for i, column in enumerate(self._columns)]
            table = pa.RecordBatch.from_arrays(arrays, schema=schema)
            if all(column.null_count for column in columns.values()):
                any_valid = np.any([valid(column) for column in columns.values()], axis=0) if columns else np.False_
                table = table.filter(pa.array(np.broadcast_to(any_valid, rows)))
            if table.num_rows:
                yield table

    def _static(self) -> Iterator[pa.RecordBatch]:
        """One row: of each static component the value that was logged last."""
        numbers = self._numbers()
        latest: dict[int, tuple[bytes, pa.Array]] = {}
        for place, batch in self._contents.batches(self._contents.find(numbers, is_static=True)):
            columns, _ = self._parts(batch, numbers[place.entity_path])
            for number, column in columns.items():
                rows = np.flatnonzero(valid(column))
                if not len(rows):
                    continue
                ids = batch.column(0).take(of_ints(rows)).to_pylist()
                best = max(range(len(ids)), key=ids.__getitem__)
                if number not in latest or ids[best] >= latest[number][0]:
                    latest[number] = ids[best], column.slice(int(rows[best]), 1)
        if not latest:
            return
        arrays = [latest[i][1] if i in latest else pa.nulls(1, column.field.type) for i, column in enumerate(self._columns)]
        yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _indexed(self, index: str) -> Iterator[pa.RecordBatch]:
        """Rows that have a time on the index, sorted by it and joined."""
        others = [name for name in self._timelines if name != index]
        schema = self.schema
        fields = list(schema)
        table = Table(fields[0], fields[1 : 1 + len(others)], fields[1 + len(others) :])
        places = self._contents.find(self._numbers(), index=index, bounds=self._bounds)
        return join(table, self._rows(index, others, places))

    def _rows(self, index: str, others: list[str], places: Iterable[Any]) -> Iterator[tuple[int, str, Rows]]:
        numbers = self._numbers()
        low, high = self._bounds
        for place, batch in self._contents.batches(places):
            columns, found = self._parts(batch, numbers[place.entity_path])
            if index not in found:
                raise ValueError(f"The footer does not fit its file: a chunk of {place.entity_path} is without {index!r}")
            on_index = _as_int(found[index])
            rows = Rows(
                on_index,
                row_ids(batch.column(0)),
                columns,
                {number: _as_int(found[name]) for number, name in enumerate(others) if name in found},
                sum(column.get_total_buffer_size() for column in columns.values()),  # nbytes crashes on unions (pyarrow 26)
            )
            keep = None
            if all(column.null_count for column in columns.values()):
                keep = np.any([valid(column) for column in columns.values()], axis=0) if columns else np.zeros(len(batch), bool)
            if self._bounds != (_MIN, _MAX):
                inside = (on_index >= low) & (on_index <= high)
                keep = inside if keep is None else keep & inside
            if keep is not None and not keep.all():
                rows = rows.take(np.flatnonzero(keep))
            if len(rows.times):
                yield place.start, place.entity_path, rows


def _as_int(column: pa.Array) -> Any:
    """Times as int64. ValueError: they are not what times of a chunk are."""
    if column.null_count:
        raise ValueError(f"{column.null_count} times of a chunk are null")
    return ints(column)


def _as_time(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type == kind else of_ints(_as_int(column), kind)


def _fitting(array: pa.Array, column: Column) -> pa.Array:
    """A chunk's column in the type that the table has."""
    kind = column.field.type
    if array.type == kind:
        return array
    try:
        return array.cast(kind)
    except pa.ArrowException as error:
        raise ValueError(
            f"{column.name} holds {array.type} in one chunk and {kind} in another ({error}). Read it chunk by chunk: chunks()"
        ) from None


def _time(value: Any, kind: pa.DataType) -> int:
    """A bound as a timeline has its times."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64):
        return int(value)
    try:
        if pa.types.is_timestamp(kind):
            return times.timestamp_nanos(value)
        if pa.types.is_duration(kind):
            return times.duration_nanos(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{value!r} is no time on this timeline, which has {kind}: {error}") from None
    raise ValueError(f"{value!r} is no time on this timeline, which has whole numbers")
