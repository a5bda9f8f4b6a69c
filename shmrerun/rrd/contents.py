"""One store of a file: its columns, its timelines, and which chunks hold what of them."""

from __future__ import annotations

import itertools
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shmrerun.rrd.arrays import ints, valid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from shmrerun.rrd.stored import RrdFile, Stored

_AHEAD = 3  # chunks that are decoded ahead, by as many threads
_SMALL_BYTES = 16 << 10  # up to which a chunk is decoded at once: to hand it over costs more
_MIN, _MAX = -(2**63), 2**63 - 1


class Column(NamedTuple):
    """A component of an entity, as a column of tables."""

    name: str
    entity_path: str
    component: str
    field: pa.Field


class Place(NamedTuple):
    """Where a chunk is."""

    entity_path: str
    offset: int
    size: int
    rows: int
    is_static: bool
    start: int  # its first time on the index that was asked for


class Contents:
    """What a store of a file holds.

    Attributes
    ----------
    path : str
        Of the file.
    columns : list of Column
        Components of all entities, by entity, archetype and name.
    timelines : dict
        Name to :class:`pyarrow.Field`, by name.

    """

    def __init__(self, file: RrdFile, stored: Stored) -> None:
        self.file = file
        self.stored = stored
        self.path = file.path
        self.columns, self.timelines = _columns(stored.schema)

    def __len__(self) -> int:
        rows: int = self.stored.table.num_rows
        return rows

    @cached_property
    def places(self) -> list[Place]:
        """Of all chunks, in the order of the file."""
        names = ("chunk_entity_path", "chunk_byte_offset", "chunk_byte_size", "chunk_num_rows", "chunk_is_static")
        return list(map(Place, *map(self._values, names), itertools.repeat(0)))

    def _values(self, name: str) -> list[Any]:
        """A column of the table in the order of the file."""
        values: list[Any] = self.stored.table.column(name).to_pylist()  # pyarrow's take would import all of pyarrow.compute
        order = self._order
        return values if (order[1:] > order[:-1]).all() else [values[at] for at in order.tolist()]

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """Of all chunks, in the order of the file."""
        return ints(self.stored.table.column("chunk_num_rows"))[self._order]

    @cached_property
    def static(self) -> npt.NDArray[np.bool_]:
        """Which chunks are static, in the order of the file."""
        return np.array(self._values("chunk_is_static"), np.bool_)

    @cached_property
    def owners(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        """The entities, and the number of each chunk's, in the order of the file."""
        numbers: dict[str, int] = {}
        owners = [numbers.setdefault(path, len(numbers)) for path in self._values("chunk_entity_path")]
        return list(numbers), np.array(owners, np.int64)

    @cached_property
    def _order(self) -> npt.NDArray[np.intp]:
        """Rows of the table in the order of the file."""
        return np.argsort(ints(self.stored.table.column("chunk_byte_offset")), kind="stable")

    def spans(self, timeline: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """First and last times of the chunks, in the order of the file, and which chunks have any."""
        found = self._spans.get(timeline)
        if found is None:
            nothing = np.zeros(len(self), np.int64)
            found = nothing, nothing, np.zeros(len(self), np.bool_)
        return found

    @cached_property
    def _spans(self) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]]:
        table = self.stored.table
        ends: dict[bytes, dict[str, pa.Array]] = {}
        for number, field in enumerate(table.schema):
            metadata = field.metadata or {}
            timeline = metadata.get(b"rerun:index")
            if timeline is not None and b"rerun:component" not in metadata and field.type.bit_width == 64:
                ends.setdefault(timeline, {})[field.name.rpartition(":")[2]] = table.column(number)
        found = {}
        for timeline, columns in ends.items():
            if {"start", "end"} <= columns.keys():
                first, last = (ints(columns[name])[self._order] for name in ("start", "end"))
                found[timeline.decode("utf-8", "replace")] = first, last, valid(columns["start"])[self._order]
        return found

    def find(
        self,
        entities: Mapping[str, Collection[str]],
        *,
        index: str | None = None,
        is_static: bool | None = None,
        bounds: tuple[int, int] = (_MIN, _MAX),
    ) -> list[Place]:
        """The chunks that may hold any of the components of the entities given.

        Parameters
        ----------
        entities
            Path to components.
        index
            Only chunks with that timeline, by their first times on it; None: in the order of the file.
        is_static
            Only static ones, or only others.
        bounds
            Smallest and largest time on the index.

        """
        places = self.places
        chosen = [i for i, place in enumerate(places) if place.entity_path in entities and is_static in (None, place.is_static)]
        if index is None:
            return [places[i] for i in chosen]
        first, last, has = self.spans(index)
        chosen = [i for i in chosen if has[i] and last[i] >= bounds[0] and first[i] <= bounds[1]]
        chosen.sort(key=first.__getitem__)
        return [places[i]._replace(start=int(first[i])) for i in chosen]

    def batches(self, places: Iterable[Place]) -> Iterator[tuple[Place, pa.RecordBatch]]:
        """Iterate over chunks; some are decoded ahead, in threads that end with the iterator. ValueError: one does not decode."""
        places = list(places)
        if len(places) < 2:
            yield from ((place, self.file.batch(place.offset, place.size)) for place in places)
            return
        with ThreadPoolExecutor(_AHEAD) as pool:
            ahead: deque[tuple[Place, Any]] = deque()
            try:
                for place in itertools.chain(places, itertools.repeat(None, _AHEAD)):
                    if place is not None:
                        is_small = place.size <= _SMALL_BYTES
                        ahead.append((place, None if is_small else pool.submit(self.file.batch, place.offset, place.size)))
                    if ahead and (place is None or len(ahead) > _AHEAD):
                        done, found = ahead.popleft()
                        yield done, self.file.batch(done.offset, done.size) if found is None else found.result()
            finally:
                for _, found in ahead:
                    if found is not None:
                        found.cancel()


def _columns(schema: pa.Schema) -> tuple[list[Column], dict[str, pa.Field]]:
    columns: list[tuple[tuple[str, str, str], Column]] = []
    timelines: dict[str, pa.Field] = {}
    for field in schema:
        metadata = field.metadata or {}
        kind = metadata.get(b"rerun:kind", b"data")
        if kind == b"index":
            timelines[field.name] = field
        elif kind == b"data":
            path, component, archetype = (
                metadata.get(key, b"").decode("utf-8", "replace") for key in (b"rerun:entity_path", b"rerun:component", b"rerun:archetype")
            )
            column = Column(field.name, path, component or field.name.rpartition(":")[2], field)
            columns.append(((path, archetype, column.component), column))
    columns.sort(key=lambda entry: entry[0])
    return [column for _, column in columns], dict(sorted(timelines.items()))
