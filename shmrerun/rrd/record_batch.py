"""The RecordBatch message of an Arrow IPC stream, made around buffers that are there already.

pyarrow makes it of arrays, which takes longer than all the rest of a chunk of few rows. What comes here was gathered from lanes:
every length and offset was checked then.

Source: Arrow columnar format, "Encapsulated message format", Message.fbs (MetadataVersion V5); binary format of FlatBuffers.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any

from shmrerun.model.parts import BUFFERS, NULL, UNION

if TYPE_CHECKING:
    from collections.abc import Sequence

_PADDING = [bytes(-size % 8) for size in range(8)]  # by the size of a buffer, modulo 8
_V5, _RECORD_BATCH = 4, 3  # MetadataVersion, MessageHeader


class Columns:
    """Field nodes and buffers of a record batch, in preorder, as they are added."""

    __slots__ = ("buffers", "nodes", "rows")

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.nodes: list[int] = []  # length and number of nulls of each
        self.buffers: list[bytes | None] = []

    def add_values(self, buffer: bytes) -> None:
        """A column of values of a fixed width, none of them null."""
        self.nodes += (self.rows, 0)
        self.buffers += (None, buffer)

    def add_lists(self, offsets: bytes, kinds: Sequence[int], parts: Sequence[Any]) -> None:
        """A column of lists, none of them null.

        Parameters
        ----------
        offsets
            int32 offsets that start at 0 and end with the number of values.
        kinds
            Of the nodes of the values' type, in preorder; none is OPAQUE.
        parts
            Of the values: see :mod:`shmrerun.model.parts`. Bits behind the end of a validity bitmap are 0.

        """
        self.nodes += (self.rows, 0)
        self.buffers += (None, offsets)
        at = 0
        for kind in kinds:
            length, nulls, first = parts[at], 0, at + 1
            at = first + BUFFERS[kind]
            if kind == NULL:
                nulls = length
            elif kind == UNION:
                self.buffers += parts[first:at]
            else:
                validity = parts[first]
                if validity is not None:
                    nulls = length - int.from_bytes(validity, "little").bit_count()
                self.buffers += (validity if nulls else None, *parts[first + 1 : at])
            self.nodes += (length, nulls)

    def message(self) -> list[bytes]:
        """The message in pieces: what is in front of the buffers, the buffers themselves, and what pads them."""
        places: list[int] = []
        pieces = [b""]
        at = 0
        for buffer in self.buffers:
            size = len(buffer) if buffer is not None else 0
            places += (at, size)
            if buffer:
                pieces.append(buffer)
                if size % 8:
                    pieces.append(_PADDING[size % 8])
                at += size + -size % 8
        nodes, buffers = len(self.nodes) // 2, len(self.buffers)
        head = _head(nodes, buffers)
        # Offsets are relative to where they stand: Message's table at 16, RecordBatch's at 48, nodes at 72, buffers behind them.
        pieces[0] = head.pack(
            0xFFFF_FFFF, head.size - 8,
            16,
            12, 20, 4, 6, 16, 8,
            12, _V5, _RECORD_BATCH, at, 16,
            10, 20, 8, 4, 16,
            12, 16, self.rows, 12 + 16 * nodes,
            nodes, *self.nodes,
            buffers, *places,
        )  # fmt: skip
        return pieces


@functools.lru_cache(maxsize=256)
def _head(nodes: int, buffers: int) -> struct.Struct:
    """Marker and size; then the FlatBuffer: its root, vtable and table of Message, vtable and table of RecordBatch, two vectors."""
    return struct.Struct(f"<II I 6H ihBxqI 5H2x iIqI I{2 * nodes}q 4xI{2 * buffers}q")
