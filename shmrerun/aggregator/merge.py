"""From the definition of a shape, and rows gathered from many lanes, to a chunk. Pure functions of their arguments.

A recording may have many thousand entities, and each stays known as long as the recording. So what entities that are logged alike have in
common is one :class:`Shape`, and what can be made again when an entity is written (its schema, serialized) is kept for the last ones only.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun import _core
from shmrerun.model.parts import FIXED, LIST, OPAQUE, SEQUENCE, TIMESTAMP, Column, parse_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from shmrerun.rrd.chunk import Chunk, ChunkSchema

_STATIC, _TICK, _COLUMNS, _MESSAGE = (_core.LAYOUT[f"ROW_{name}"] for name in ("STATIC", "TICK", "COLUMNS", "MESSAGE"))


SCHEMAS = 2048  # of the entities written last are kept, 2 kB each; another one costs 20 us


def parse_times(text: bytes) -> tuple[tuple[str, int], ...]:
    """Timelines (name, kind) of a definition. ValueError: not one (a lane is never trusted)."""
    found: list[tuple[str, int]] = []
    at = 0
    while at < len(text):
        if at + 5 > len(text):
            raise ValueError("a timeline definition is cut off")
        kind, size = struct.unpack_from("<BI", text, at)
        at += 5
        if not SEQUENCE <= kind <= TIMESTAMP or not 0 < size <= len(text) - at:
            raise ValueError(f"a timeline definition names kind {kind} and {size} bytes of name")
        found.append((text[at : at + size].decode("utf-8"), kind))
        at += size
    return tuple(found)


class Taken(NamedTuple):
    """Rows of one group on their way into a chunk, in order of row id."""

    group: Group
    number: int  # of the group, in the hopper
    token: Any  # what the hopper wants back: commit or restore
    rows: int
    row_ids: bytes
    times: list[bytes]
    ticks: bytes
    columns: list[tuple[bytes, list[Any]]]

    @property
    def cells(self) -> tuple[bytes, list[bytes], bytes, list[tuple[bytes, list[Any]]]]:
        """What :meth:`Group.chunk` takes."""
        return self.row_ids, self.times, self.ticks, self.columns


class Shape:
    """Timelines and columns of rows, whatever their entity.

    Parameters
    ----------
    flags, times, columns
        Of a definition in a lane's dictionary.

    Raises
    ------
    ValueError
        They contradict themselves, or do not parse.
    """

    __slots__ = ("columns", "has_columns", "has_tick", "is_message", "is_opaque", "is_static", "kinds", "nodes", "timelines", "types")

    def __init__(self, flags: int, times: bytes, columns: bytes) -> None:
        from shmrerun.model.arrow_types import layout, parse_type

        self.is_static = bool(flags & _STATIC)
        self.has_tick = bool(flags & _TICK)
        self.has_columns = bool(flags & _COLUMNS)
        self.is_message = bool(flags & _MESSAGE)  # rows are messages of the log, ready-made
        self.timelines = parse_times(times)
        self.columns = parse_columns(columns)
        if self.is_static != (not self.timelines):
            raise ValueError("a static shape has timelines, or another has none")
        if self.is_message and (self.timelines or self.has_columns or [column.arrow for column in self.columns] != ["binary"]):
            raise ValueError("messages come without times, as bytes of one column")
        self.types = [parse_type(column.arrow) for column in self.columns]
        self.kinds = [[kind for kind, _ in layout(column)] for column in self.types]  # of each column's nodes
        self.is_opaque = [OPAQUE] in self.kinds
        #: Layout of all columns for the hopper: (kind, argument, whether a column begins here).
        self.nodes = [(*node, at == 0) for kind in self.types for at, node in enumerate(layout(kind))]
        if self.has_columns:
            values = [node for kind in self.types for node in ((LIST, 0, True), *((*inner, False) for inner in layout(kind)))]
            self.nodes = [(FIXED, 8, True)] * len(self.timelines) + values

    @property
    def is_alone(self) -> bool:
        """Whether each row is written by itself, and shares nothing with rows of other shapes."""
        return self.has_columns or self.is_message

    @property
    def times_in_records(self) -> int:
        """How many times each record has before its parts."""
        return 0 if self.has_columns else len(self.timelines)

    @property
    def family(self) -> tuple[Any, ...]:
        """What shapes have in common whose rows of one entity may share a chunk."""
        return self.timelines, self.has_tick, self.is_alone, tuple(column.arrow for column in self.columns)


@functools.lru_cache(maxsize=SCHEMAS)
def _schema(path: str, timelines: tuple[tuple[str, int], ...], columns: tuple[Column, ...]) -> ChunkSchema:
    from shmrerun.rrd.chunk import ChunkSchema

    return ChunkSchema(path, timelines, columns, not timelines)


class Group:
    """One shape of one entity in a session: its rows make its chunks."""

    __slots__ = ("path", "shape")

    def __init__(self, path: str, shape: Shape) -> None:
        self.path = path
        self.shape = shape

    def chunk(self, row_ids: bytes, times: list[bytes], ticks: bytes, columns: list[tuple[bytes, list[Any]]]) -> Chunk:
        """One chunk of the gathered rows, which are in order of row id; log_tick joins the timelines here."""
        shape = self.shape
        if shape.has_columns:
            return self._chunk_of_columns(row_ids, columns)
        if shape.has_tick:
            times = [*times, ticks]
        if shape.is_opaque:
            return self.schema().build(_core.row_id(), row_ids, times, self.cells(columns))
        cells = [(offsets, kinds, parts) for kinds, (offsets, parts) in zip(shape.kinds, columns, strict=True)]
        return self.schema().gather(_core.row_id(), row_ids, times, cells)

    def cells(self, columns: list[tuple[bytes, list[Any]]]) -> list[tuple[pa.Array, bytes]]:
        """Values and list offsets of each gathered column."""
        from shmrerun.model.arrow_types import build_array

        return [(build_array(kind, nodes), offsets) for kind, (offsets, nodes) in zip(self.shape.types, columns, strict=True)]

    def schema(self, columns: tuple[Column, ...] = ()) -> ChunkSchema:
        """The schema of this shape's chunks, or of those that it shares with others: then with all their columns."""
        timelines = self.shape.timelines
        return _schema(self.path, (*timelines, ("log_tick", SEQUENCE)) if self.shape.has_tick else timelines, columns or self.shape.columns)

    def _chunk_of_columns(self, row_id: bytes, columns: list[tuple[bytes, list[Any]]]) -> Chunk:
        """The chunk of one record of columns: its ids follow from the record's, so a replay writes the same rows."""
        import numpy as np

        from shmrerun.model.arrow_types import build_array

        time, counter = row_id[:8], int.from_bytes(row_id[8:], "big")
        times = [nodes[2] for _, nodes in columns[: len(self.shape.timelines)]]
        lists = [nodes for _, nodes in columns[len(self.shape.timelines) :]]
        rows = columns[0][1][0]
        ids = np.empty((rows, 2), ">u8")
        ids[:, 0] = int.from_bytes(time, "big")
        ids[:, 1] = np.arange(rows, dtype=np.uint64) + np.uint64(counter)
        chunk_id = time + (counter - 1).to_bytes(8, "big")
        if not (self.shape.is_opaque or not rows or any(nodes[1] for nodes in lists)):
            parts = [(nodes[2], kinds, nodes[3:]) for kinds, nodes in zip(self.shape.kinds, lists, strict=True)]
            return self.schema().gather(chunk_id, ids.tobytes(), times, parts)
        cells = [(build_array(kind, nodes[3:]), nodes[2], nodes[1]) for kind, nodes in zip(self.shape.types, lists, strict=True)]
        return self.schema().build(chunk_id, ids, times, cells)

    def chunk_of_one(self, row_id: bytes, log_time: int, parts: tuple[Any, ...]) -> Chunk:
        """A chunk of one row of the aggregator's own."""
        from shmrerun.model.arrow_types import layout
        from shmrerun.model.parts import BUFFERS

        columns, at = [], 0
        for kind in self.shape.types:
            size = sum(1 + BUFFERS[node] for node, _ in layout(kind))
            columns.append((struct.pack("<ii", 0, parts[at]), list(parts[at : at + size])))
            at += size
        return self.chunk(row_id, [struct.pack("<q", log_time)], b"", columns)


class Family:
    """Groups whose rows may share a chunk: same entity and timelines, and components of the same sequence of Arrow types.

    So a row of ``translations`` and a row of ``scales`` make one chunk of two rows, in which each of them has a null where the
    other has its value. It is what Rerun's batcher does, and it keeps an entity that is logged piecemeal in few chunks.
    """

    __slots__ = ("columns", "numbers")

    def __init__(self, number: int, shape: Shape) -> None:
        self.numbers = [number]  # of the groups, in the hopper
        self.columns = {column.component: column for column in shape.columns}

    def admit(self, number: int, shape: Shape) -> bool:
        """Take a group in. False: one of its components has another descriptor here."""
        mine = {column.component: column for column in shape.columns}
        if any(self.columns.get(name, column) != column for name, column in mine.items()):
            return False
        self.columns |= mine
        self.numbers.append(number)
        return True

    @staticmethod
    def chunk(taken: list[Taken]) -> Chunk:
        """One chunk of the rows of several groups, by row id; a component is null in rows of groups that lack it."""
        import numpy as np
        import pyarrow as pa

        from shmrerun.rrd.arrays import spread
        from shmrerun.rrd.chunk import list_array

        first = taken[0]
        ids = np.frombuffer(b"".join(part.row_ids for part in taken), "S16")
        order = np.argsort(ids, kind="stable")
        times = [b"".join(column) for column in zip(*(part.times for part in taken), strict=True)]
        if first.group.shape.has_tick:
            times.append(b"".join(part.ticks for part in taken))
        places = np.empty_like(order)  # of each row, in order of row id
        places[order] = np.arange(len(order))
        columns: dict[str, Column] = {}
        pieces: dict[str, list[pa.Array]] = {}
        where: dict[str, list[Any]] = {}  # rows of each piece
        end = 0
        for part in taken:
            start, end = end, end + part.rows
            for column, cell in zip(part.group.shape.columns, part.group.cells(part.columns), strict=True):
                columns[column.component] = column
                pieces.setdefault(column.component, []).append(list_array(part.rows, *cell))
                where.setdefault(column.component, []).append(places[start:end])
        merged = []
        for name, lists in pieces.items():
            at = np.concatenate(where[name])
            source = np.argsort(at)
            whole = spread(pa.concat_arrays(lists) if len(lists) > 1 else lists[0], source, at[source], len(order))
            validity, offsets = whole.buffers()[:2]
            merged.append((whole.values, offsets.slice(0, 4 * (len(order) + 1)), validity if whole.null_count else None))
        schema = first.group.schema(tuple(columns.values()))
        sorted_times = [np.frombuffer(column, np.int64)[order].tobytes() for column in times]
        return schema.build(_core.row_id(), ids[order].tobytes(), sorted_times, merged)
