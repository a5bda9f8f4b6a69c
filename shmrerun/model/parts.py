r"""What a row is made of on its way from a producer to the aggregator.

A row of one entity has *columns* (one per component) and, for each column, *parts*: the Arrow-layout buffers of that
component's array, cut up so that they can be copied into a lane without pyarrow.

Parts
    A flat tuple. For each node of the column's Arrow type, in preorder: the node's length (``int``), then its buffers
    (anything with the buffer protocol, C-contiguous, or ``None`` for an absent validity bitmap), in the order of
    :data:`BUFFERS`. ``utf8 ["ab"]`` is ``(1, None, b"\0\0\0\0\2\0\0\0", b"ab")``.
    List and text offsets are int32 and start at 0; nothing is sliced.

Both sides of the lane import this module, so it imports nothing but the standard library.
"""

from __future__ import annotations

from typing import NamedTuple

# Node kinds of a layout program (see ``arrow_types.layout``). The numbers are shared with ``_core/layout.h``.
FIXED, BOOL, VARBIN, LIST, FIXED_LIST, STRUCT, UNION, NULL, OPAQUE = range(1, 10)

#: Number of buffers that each node kind has in ``parts``, after the node's length.
BUFFERS = {
    FIXED: 2,  # validity, values
    BOOL: 2,  # validity, bitmap
    VARBIN: 3,  # validity, int32 offsets, bytes
    LIST: 2,  # validity, int32 offsets; one child
    FIXED_LIST: 1,  # validity; one child
    STRUCT: 1,  # validity; n children
    UNION: 2,  # int8 type codes (0..n-1), int32 offsets; n children
    NULL: 0,
    OPAQUE: 1,  # an Arrow IPC stream that holds the array as its only column
}

SEQUENCE, DURATION, TIMESTAMP = range(1, 4)  # kinds of timelines; values are int64, nanoseconds for the last two

_NONE = 0xFFFF_FFFF


class Column(NamedTuple):
    """One component of an entity: descriptor and Arrow type of its instances.

    ``arrow`` is the type as pyarrow prints it (``"fixed_size_list<item: float not null>[3]"``), or what
    ``arrow_types.type_text`` makes of a type whose name does not parse back.
    """

    component: str
    archetype: str | None
    component_type: str | None
    arrow: str


def pack_strings(values: list[str | None]) -> bytes:
    """Join texts so that :func:`unpack_strings` gets them back: little-endian u32 length, UTF-8 bytes; 2**32-1 is None."""
    out = []
    for value in values:
        if value is None:
            out.append(_NONE.to_bytes(4, "little"))
        else:
            raw = value.encode("utf-8", "surrogatepass")
            out += (len(raw).to_bytes(4, "little"), raw)
    return b"".join(out)


def unpack_strings(data: bytes) -> list[str | None]:
    """Undo :func:`pack_strings`. Raises ValueError on bytes that it did not make (a lane is never trusted)."""
    out: list[str | None] = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        at += 4
        if size == _NONE:
            out.append(None)
            continue
        if at + size > len(data):
            msg = f"text of {size} bytes at offset {at} runs past the {len(data)} bytes of its definition"
            raise ValueError(msg)
        out.append(data[at : at + size].decode("utf-8", "surrogatepass"))
        at += size
    return out


class ColumnSet:
    """The columns of a row, in order; one object for each distinct set, made once and kept for the process.

    ``definition`` is what goes into a lane's dictionary. ``id`` is the extension's number for it, 0 until first logged.
    """

    __slots__ = ("columns", "definition", "id")
    columns: tuple[Column, ...]
    definition: bytes
    id: int

    _known: dict[tuple[Column, ...], ColumnSet] = {}

    def __new__(cls, columns: tuple[Column, ...]) -> ColumnSet:
        found = cls._known.get(columns)
        if found is None:
            found = super().__new__(cls)
            found.columns = columns
            found.definition = pack_strings([text for column in columns for text in column])
            found.id = 0
            found = cls._known.setdefault(columns, found)
        return found


def parse_columns(definition: bytes) -> tuple[Column, ...]:
    """The columns of a :attr:`ColumnSet.definition`. Raises ValueError on anything else."""
    texts = unpack_strings(definition)
    if len(texts) % 4:
        msg = f"a column definition has 4 texts a column, got {len(texts)}"
        raise ValueError(msg)
    columns = []
    for at in range(0, len(texts), 4):
        component, archetype, component_type, arrow = texts[at : at + 4]
        if not component or not arrow:
            msg = "a column definition lacks its component or its Arrow type"
            raise ValueError(msg)
        columns.append(Column(component, archetype, component_type, arrow))
    return tuple(columns)
