"""Rows of several entities, sorted by their times on one timeline, with what was logged at the same time side by side.

Chunks are read in the order of their first times, and rows are given out as soon as no chunk that follows can have earlier ones. So what
is in memory is what overlaps in time, and some tens of megabytes more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from shmrerun.rrd.arrays import of_ints, spread, union, valid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    _Int = npt.NDArray[np.int64]

_MIN = -(2**63)
WINDOW_BYTES = 32 << 20  # of columns that are collected before rows are given out
_OWN_ROWS = 4096  # of a chunk, on average, from which on it makes a batch by itself


class Rows(NamedTuple):
    """Rows of one chunk.

    Attributes
    ----------
    times
        On the timeline that rows are sorted by.
    ids
        Row ids as two rows of big-endian halves.
    columns
        By number, those of the table that the chunk has; lists.
    others
        By number, the chunk's other timelines.
    size
        Bytes of the columns, about.

    """

    times: _Int
    ids: npt.NDArray[Any]
    columns: dict[int, pa.Array]
    others: dict[int, _Int]
    size: int

    def take(self, rows: slice | npt.NDArray[np.intp]) -> Rows:
        """Some of the rows, in order."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self.times))
            columns = {number: column.slice(start, stop - start) for number, column in self.columns.items()}
        else:
            columns = {number: _some(column, rows) for number, column in self.columns.items()}
        others = {number: times[rows] for number, times in self.others.items()}
        times = self.times[rows]
        return Rows(times, self.ids[:, rows], columns, others, self.size * len(times) // len(self.times))

    def split(self, below: int) -> tuple[Rows | None, Rows | None]:
        """Rows with times below a bound, and the others."""
        times = self.times
        early = times < below
        count = int(np.count_nonzero(early))
        if count == 0:
            return None, self
        if count == len(times):
            return self, None
        if early[:count].all():
            return self.take(slice(count)), self.take(slice(count, None))
        return self.take(np.flatnonzero(early)), self.take(np.flatnonzero(~early))


def _some(column: pa.Array, rows: npt.NDArray[np.intp]) -> pa.Array:
    """Rows of a column that may be null."""
    there = np.flatnonzero(valid(column)[rows])
    return spread(column, rows[there], there, len(rows))


class Table(NamedTuple):
    """What the joined table has: its index, other timelines and components, each as a field."""

    index: pa.Field
    others: list[pa.Field]
    columns: list[pa.Field]

    @property
    def schema(self) -> pa.Schema:
        """Of the record batches."""
        return pa.schema([self.index, *self.others, *self.columns])


def join(table: Table, chunks: Iterable[tuple[int, str, Rows]]) -> Iterator[pa.RecordBatch]:
    """Iterate over the joined rows.

    Parameters
    ----------
    table
        The columns.
    chunks
        First time, entity, and rows of each chunk, in ascending order of the former.

    Yields
    ------
    pyarrow.RecordBatch
        Sorted by time. Rows of one entity at one time share a row of the table as long as no component comes twice; one that does
        begins a further row. So no value is lost, and the k-th rows of all entities at a time stand side by side. Another timeline has
        the greatest of its values among the rows that are joined.

    """
    waiting: dict[str, list[Rows]] = {}
    size, limit = 0, WINDOW_BYTES
    for start, entity, rows in chunks:
        if size >= limit:
            early = {}
            for name, pieces in waiting.items():
                halves = [piece.split(start) for piece in pieces]
                early[name] = [half for half, _ in halves if half is not None]
                waiting[name] = [half for _, half in halves if half is not None]
            yield from _joined(table, early)
            size = sum(piece.size for pieces in waiting.values() for piece in pieces)
            limit = max(WINDOW_BYTES, 2 * size)
        waiting.setdefault(entity, []).append(rows)
        size += rows.size
    yield from _joined(table, waiting)


def _joined(table: Table, entities: dict[str, list[Rows]]) -> Iterator[pa.RecordBatch]:
    """One batch of all rows given, or none if there are none."""
    sorted_entities = [_Entity(pieces) for pieces in entities.values() if pieces]
    if not sorted_entities:
        return
    first = sorted_entities[0]
    if len(sorted_entities) == 1 and first.is_strict and len(first.times) >= _OWN_ROWS * len(first.pieces) and len(first.pieces) > 1:
        for piece in first.pieces:  # nothing is joined: a batch of each, over the same memory
            yield from _joined(table, {"": [piece]})
        return
    times = union([entity.times for entity in sorted_entities])
    slots = 1 + max(int(entity.slots.max()) for entity in sorted_entities)
    places = [_places(times, entity.times) for entity in sorted_entities]
    joined = np.arange(len(times))
    if slots > 1:
        keys = [place * slots + entity.slots for place, entity in zip(places, sorted_entities, strict=True)]
        joined = union(keys)
        places = [_places(joined, key) for key in keys]
    total = len(joined)
    arrays = [of_ints(times[joined // slots], table.index.type)]
    arrays += [_other(field, number, sorted_entities, places, total) for number, field in enumerate(table.others)]
    columns: dict[int, pa.Array] = {}
    for entity, place in zip(sorted_entities, places, strict=True):
        columns |= entity.columns(place, total)
    arrays += [columns[i] if i in columns else pa.nulls(total, field.type) for i, field in enumerate(table.columns)]
    yield pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def _places(among: _Int, values: _Int) -> _Int:
    """Where ascending values are among others, which have all of them once."""
    if len(among) == len(values) and np.array_equal(among, values):
        return np.arange(len(among))
    return np.searchsorted(among, values)


class _Entity:
    """The rows of one entity, sorted by time and row id, with the row of the table among those of the same time (slot) for each."""

    def __init__(self, pieces: list[Rows]) -> None:
        self.pieces = pieces
        self.starts = np.cumsum([0, *(len(piece.times) for piece in pieces)])
        times = np.concatenate([piece.times for piece in pieces])
        self.order: npt.NDArray[np.intp] | None = None
        self.is_strict = bool((times[1:] > times[:-1]).all())
        if not self.is_strict:
            high, low = np.concatenate([piece.ids for piece in pieces], axis=1).astype(np.uint64)
            later = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] >= low[:-1]))
            if not ((times[1:] > times[:-1]) | ((times[1:] == times[:-1]) & later)).all():
                self.order = np.lexsort((low, high, times))
                times = times[self.order]
        self.times = times
        self.valid = {number: self._sorted(self._valid(number)) for number in sorted({n for piece in pieces for n in piece.columns})}
        self.slots = _slots(times, list(self.valid.values()))

    def _sorted(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values if self.order is None else values[self.order]

    def _valid(self, number: int) -> npt.NDArray[np.bool_]:
        parts = []
        for piece in self.pieces:
            column = piece.columns.get(number)
            if column is None:
                parts.append(np.zeros(len(piece.times), np.bool_))
            else:
                parts.append(valid(column))
        return np.concatenate(parts)

    def columns(self, places: _Int, total: int) -> dict[int, pa.Array]:
        """Each of the entity's columns with ``total`` rows, of which those at ``places`` are the entity's."""
        found = {}
        for number, is_valid in self.valid.items():
            having = [(i, piece.columns[number]) for i, piece in enumerate(self.pieces) if number in piece.columns]
            rows = np.flatnonzero(is_valid)
            at = places[rows]
            source = rows if self.order is None else self.order[rows]
            if len(having) < len(self.pieces):  # places among the pieces that have the column
                lengths = np.zeros(len(self.pieces), np.int64)
                lengths[[i for i, _ in having]] = [len(column) for _, column in having]
                shift = np.cumsum(lengths) - lengths - self.starts[:-1]
                source = source + shift[np.searchsorted(self.starts, source, side="right") - 1]
            values = having[0][1] if len(having) == 1 else pa.concat_arrays([column for _, column in having])
            found[number] = spread(values, source, at, total)
        return found

    def other(self, number: int) -> tuple[npt.NDArray[np.bool_], _Int]:
        """Another timeline's values, and which rows have one."""
        has, values = [], []
        for piece in self.pieces:
            times = piece.others.get(number)
            has.append(np.full(len(piece.times), times is not None))
            values.append(np.zeros(len(piece.times), np.int64) if times is None else times)
        return self._sorted(np.concatenate(has)), self._sorted(np.concatenate(values))


def _slots(times: _Int, has: list[npt.NDArray[np.bool_]]) -> _Int:
    """For sorted rows, which row of the table among those of the same time each goes to."""
    total = len(times)
    slots = np.zeros(total, np.int64)
    begins = np.flatnonzero(np.concatenate([[True], times[1:] != times[:-1]]))
    if len(begins) == total:
        return slots
    counts = [np.add.reduceat(column.astype(np.int64), begins) for column in has]
    crowded = np.flatnonzero(np.any([count > 1 for count in counts], axis=0)) if counts else np.empty(0, np.intp)
    if not len(crowded):
        return slots
    if all(column.all() for column in has):  # each row has all components: one row of the table each
        return np.arange(total) - np.repeat(begins, np.diff(np.append(begins, total)))
    ends = np.append(begins[1:], total)
    for group in crowded:
        slot, taken = 0, 0
        for row in range(begins[group], ends[group]):
            mine = sum(1 << i for i, column in enumerate(has) if column[row])
            if mine & taken:
                slot, taken = slot + 1, 0
            taken |= mine
            slots[row] = slot
    return slots


def _other(field: pa.Field, number: int, entities: list[_Entity], places: list[_Int], total: int) -> pa.Array:
    """Values of another timeline: of the rows that are joined, the greatest."""
    values = np.full(total, _MIN)
    absent = np.ones(total, np.bool_)
    for entity, place in zip(entities, places, strict=True):
        has, times = entity.other(number)
        at = place[has]
        np.maximum.at(values, at, times[has])
        absent[at] = False
    return of_ints(values, field.type, absent)
