"""From the definition of a shape, and rows gathered from many lanes, to a chunk. Pure functions of their arguments."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from shmrerun import _ring
from shmrerun._record import FIXED, LIST, SEQUENCE, TIMESTAMP, parse_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from shmrerun.rrd.chunk import Chunk, ChunkSchema

_STATIC, _TICK, _COLUMNS = (_ring.LAYOUT[name] for name in ("ROW_STATIC", "ROW_TICK", "ROW_COLUMNS"))


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


class Group:
    """One shape of a session: rows of the same entity, timelines and columns make its chunks."""

    def __init__(self, flags: int, path: bytes, times: bytes, columns: bytes) -> None:
        self.path = path.decode("utf-8")
        self.is_static = bool(flags & _STATIC)
        self.has_tick = bool(flags & _TICK)
        self.has_columns = bool(flags & _COLUMNS)
        self.timelines = parse_times(times)
        self.columns = parse_columns(columns)
        if self.is_static != (not self.timelines):
            raise ValueError("a static shape has timelines, or another has none")
        self._schema: ChunkSchema | None = None
        self._types: list[pa.DataType] = []

    def nodes(self) -> list[tuple[int, int, bool]]:
        """Layout of all columns for the hopper: (kind, argument, whether a column begins here)."""
        from shmrerun._arrow import layout, parse_type

        self._types = [parse_type(column.arrow) for column in self.columns]
        nodes = [(*node, at == 0) for kind in self._types for at, node in enumerate(layout(kind))]
        if not self.has_columns:
            return nodes
        times = [(FIXED, 8, True)] * len(self.timelines)
        return times + [node for kind in self._types for node in ((LIST, 0, True), *((*inner, False) for inner in layout(kind)))]

    def times_in_records(self) -> int:
        """How many times each record has before its parts."""
        return 0 if self.has_columns else len(self.timelines)

    def chunk(self, row_ids: bytes, times: list[bytes], ticks: bytes, columns: list[tuple[bytes, list[Any]]]) -> Chunk:
        """One chunk of the gathered rows, which are in order of row id; log_tick joins the timelines here."""
        from shmrerun._arrow import build_array

        if self.has_columns:
            return self._chunk_of_columns(row_ids, columns)
        cells = [(build_array(kind, nodes), offsets) for kind, (offsets, nodes) in zip(self._types, columns, strict=True)]
        return self.schema().build(_ring.row_id(), row_ids, [*times, ticks] if self.has_tick else times, cells)

    def schema(self) -> ChunkSchema:
        """The schema of this shape's chunks."""
        from shmrerun.rrd.chunk import ChunkSchema

        if self._schema is None:
            timelines = (*self.timelines, ("log_tick", SEQUENCE)) if self.has_tick else self.timelines
            self._schema = ChunkSchema(self.path, timelines, self.columns, self.is_static)
        return self._schema

    def _chunk_of_columns(self, row_id: bytes, columns: list[tuple[bytes, list[Any]]]) -> Chunk:
        """The chunk of one record of columns: its ids follow from the record's, so a replay writes the same rows."""
        from shmrerun._arrow import build_array

        time, counter = row_id[:8], int.from_bytes(row_id[8:], "big")
        times = [nodes[2] for _, nodes in columns[: len(self.timelines)]]
        lists = [nodes for _, nodes in columns[len(self.timelines) :]]
        rows = columns[0][1][0]
        ids = b"".join(time + (counter + at).to_bytes(8, "big") for at in range(rows))
        cells = [(build_array(kind, nodes[3:]), nodes[2], nodes[1]) for kind, nodes in zip(self._types, lists, strict=True)]
        return self.schema().build(time + (counter - 1).to_bytes(8, "big"), ids, times, cells)

    def chunk_of_one(self, row_id: bytes, log_time: int, parts: tuple[Any, ...]) -> Chunk:
        """A chunk of one row of the aggregator's own."""
        from shmrerun._arrow import layout
        from shmrerun._record import BUFFERS

        columns, at = [], 0
        for kind in self._types:
            size = sum(1 + BUFFERS[node] for node, _ in layout(kind))
            columns.append((struct.pack("<ii", 0, parts[at]), list(parts[at : at + size])))
            at += size
        return self.chunk(row_id, [struct.pack("<q", log_time)], b"", columns)
