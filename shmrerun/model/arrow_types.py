"""Arrow types as text, and Arrow arrays as the flat *parts* of :mod:`shmrerun.model.parts`.

A producer writes an array into its lane as buffers, and the aggregator makes an array of the buffers it gathered. What
both must agree on is the type. It travels as text: that of a type of the tables, which producers know by heart without
pyarrow, as pyarrow prints it; of any other type a serialized Arrow schema. No text is parsed but by Arrow itself.

pyarrow is imported by the first call, never with this module: a producer comes here only with a pyarrow array in hand.

Source
------
rerun-sdk 0.41: component datatypes (lists of ``T`` with ``item`` fields, dense unions with a ``_null_markers`` arm).
Arrow columnar format 1.5: buffers of each layout.
"""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun import _core
from shmrerun.model.parts import BOOL, FIXED, FIXED_LIST, LIST, NULL, OPAQUE, STRUCT, UNION, VARBIN
from shmrerun.model.tables.components import TYPES, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from shmrerun.model.tables.components import Tree

_IPC = "ipc:"
_LEVELS, _ARMS = _core.LAYOUT["TYPE_DEPTH_LIMIT"], _core.LAYOUT["TYPE_ARMS_LIMIT"]
MOST_LEVELS = 60  # Arrow's own readers end at 64, and a chunk adds some


def type_text(t: pa.DataType) -> str:
    """Return a text from which :func:`parse_type` makes exactly this type again.

    Parameters
    ----------
    t
        Any Arrow type. Extension types stand for their storage, at any depth: the name of an extension means nothing
        to the aggregator.

    Returns
    -------
    str
        ``str(t)`` of a type of the tables, of a plain type, and of a list of a plain type; of all others ``"ipc:"`` and
        the base64 text of a serialized schema.

    Raises
    ------
    ValueError
        The type is nested over 60 deep.

    Notes
    -----
    About 1 us for a type of the tables, 20 us for another one.

    """
    t = _storage(t)
    if t.num_fields and (levels := _levels(t)) > MOST_LEVELS:
        raise ValueError(f"an Arrow type nested {levels} deep, over the limit of {MOST_LEVELS}")
    text = str(t)
    known = _known().get(text)
    if known is not None and t.equals(known, check_metadata=True):
        return text
    import pyarrow as pa

    schema = pa.schema([pa.field("item", t)]).serialize()
    return _IPC + base64.b64encode(schema).decode("ascii")


@functools.lru_cache(maxsize=4096)
def parse_type(text: str) -> pa.DataType:
    """Return the Arrow type that a :func:`type_text` stands for.

    Parameters
    ----------
    text
        What :func:`type_text` returned: ``"fixed_size_list<item: float not null>[3]"``, say, or the ``"ipc:"`` form.

    Returns
    -------
    pyarrow.DataType
        The same object for the same text (cached).

    Raises
    ------
    ValueError
        Text that is neither; it may come out of a damaged lane.

    """
    import pyarrow as pa

    found = _known().get(text)
    if found is not None:
        return found
    if not text.startswith(_IPC):
        raise ValueError(f"Not an Arrow type: {text[:200]!r} (no type of the tables)")
    try:
        return _from_ipc(text[len(_IPC) :])
    except (ValueError, TypeError, OverflowError, OSError, pa.ArrowException) as error:
        raise ValueError(f"Not an Arrow type: {text[:200]!r} ({error})") from None


def _from_ipc(text: str) -> pa.DataType:
    """Return the type of the only field of a serialized schema."""
    import pyarrow as pa

    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))
    if len(schema) != 1:
        raise ValueError(f"the schema has {len(schema)} fields, not 1")
    return _storage(schema.field(0).type)


@functools.cache
def _known() -> dict[str, pa.DataType]:
    """All types that travel as pyarrow prints them: plain ones, lists of these, and those of the tables."""
    import pyarrow as pa

    makers = "null bool_ float16 float32 float64 string binary large_string large_binary string_view binary_view"
    makers += " date32 date64 month_day_nano_interval"
    makers += "".join(f" {sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
    plain = [getattr(pa, name)() for name in makers.split()]
    plain += [make(unit) for make in (pa.timestamp, pa.duration) for unit in ("s", "ms", "us", "ns")]
    plain += [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.timestamp("ns", "UTC"), pa.binary(16)]
    found = {str(t): t for t in plain}
    found |= {str(t): t for t in map(pa.list_, plain)}
    return found | {text_of(tree): _of_tree(tree, found) for tree in TYPES.values()}


def _of_tree(tree: Tree, plain: dict[str, pa.DataType]) -> pa.DataType:
    """Make the type of a tree of the tables."""
    import pyarrow as pa

    if isinstance(tree, str):
        return plain[tree]
    kind, *rest = tree
    size = rest.pop() if kind == "fixed_size_list" else None
    fields = [pa.field(name, _of_tree(inner, plain), nullable=nullable) for name, inner, nullable in rest]
    if kind == "struct":
        return pa.struct(fields)
    if kind == "dense_union":
        return pa.dense_union(fields)
    return pa.list_(fields[0]) if size is None else pa.list_(fields[0], size)


def _storage(t: pa.DataType) -> pa.DataType:
    """Replace extension types by their storage, at any depth of lists, structs and unions."""
    import pyarrow as pa

    if isinstance(t, pa.BaseExtensionType):
        return _storage(t.storage_type)
    if not t.num_fields or "extension<" not in str(t):
        return t
    fields = [t.field(i) for i in range(t.num_fields)]
    fields = [field.with_type(_storage(field.type)) for field in fields]
    if pa.types.is_struct(t):
        return pa.struct(fields)
    if pa.types.is_union(t):
        return pa.union(fields, t.mode, t.type_codes)
    if pa.types.is_fixed_size_list(t):
        return pa.list_(fields[0], t.list_size)
    if pa.types.is_list(t):
        return pa.list_(fields[0])
    return pa.large_list(fields[0]) if pa.types.is_large_list(t) else t


@functools.lru_cache(maxsize=4096)
def layout(t: pa.DataType) -> tuple[tuple[int, int], ...]:
    """Return the nodes of a type in preorder, each ``(kind, argument)`` with the kinds of :mod:`shmrerun.model.parts`.

    Parameters
    ----------
    t
        Any Arrow type; extension types are seen as their storage.

    Returns
    -------
    tuple of (int, int)
        The argument is the width in bytes of FIXED, the length of FIXED_LIST, the number of children of STRUCT and
        UNION, else 0. A type with a part that cannot be gathered buffer by buffer (64-bit offsets, views, dictionaries,
        maps, sparse unions, unions whose type codes are not 0..n-1), or that is over the limits of such gathering (32 levels, one of
        them for the list that holds a row's values; 64 arms of a union) is ``((OPAQUE, 0),)`` as a whole.

    """
    nodes: list[tuple[int, int]] = []
    t = _storage(t)
    if not _walk(t, nodes) or _levels(t) >= _LEVELS or any(kind == UNION and arms > _ARMS for kind, arms in nodes):
        return ((OPAQUE, 0),)
    return tuple(nodes)


def _levels(t: pa.DataType) -> int:
    """How deep a type is nested: 1 for a number."""
    return 1 + max((_levels(t.field(i).type) for i in range(t.num_fields)), default=0)


def _walk(t: pa.DataType, nodes: list[tuple[int, int]]) -> bool:
    """Append the nodes of ``t``; False if one of them has no kind but OPAQUE."""
    from pyarrow import types

    if types.is_null(t):
        node = (NULL, 0)
    elif types.is_boolean(t):
        node = (BOOL, 0)
    elif types.is_string(t) or types.is_binary(t):
        node = (VARBIN, 0)
    elif types.is_list(t):
        node = (LIST, 0)
    elif types.is_fixed_size_list(t):
        node = (FIXED_LIST, t.list_size)
    elif types.is_struct(t):
        node = (STRUCT, t.num_fields)
    elif types.is_union(t) and t.mode == "dense" and t.num_fields and list(t.type_codes) == list(range(t.num_fields)):
        node = (UNION, t.num_fields)
    elif types.is_primitive(t) or types.is_decimal(t) or (types.is_fixed_size_binary(t) and t.byte_width):
        node = (FIXED, t.bit_width // 8)
    else:
        return False
    nodes.append(node)
    return node[0] in (FIXED, BOOL, VARBIN, NULL) or all(_walk(t.field(i).type, nodes) for i in range(t.num_fields))


def parts_of(array: pa.Array) -> tuple[Any, ...]:
    """Cut a pyarrow array up into parts.

    Parameters
    ----------
    array
        Any array, sliced or not; of an extension array the storage.

    Returns
    -------
    tuple
        Lengths and buffers as :mod:`shmrerun.model.parts` describes them. Buffers are views of the array's memory wherever
        nothing has to be shifted, so the parts keep the array alive. ``(length, ipc_bytes)`` for an OPAQUE type.

    Raises
    ------
    TypeError
        ``array`` is not a ``pyarrow.Array`` (a ChunkedArray for example).

    Notes
    -----
    Cost grows with the number of nodes, not with the data, unless a slice does not start at its buffer's start: then
    offsets and bitmaps of that slice are copied.

    """
    import pyarrow as pa

    if not isinstance(array, pa.Array):
        raise TypeError(f"expected a pyarrow.Array, got {type(array).__name__}")
    t = _storage(array.type)
    nodes = layout(t)
    if nodes[0][0] == OPAQUE:
        while isinstance(array, pa.ExtensionArray):
            array = array.storage
        batch = pa.RecordBatch.from_arrays([array], schema=pa.schema([pa.field("item", array.type)]))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return (len(array), sink.getvalue().to_pybytes())
    out: list[Any] = []
    _cut(array, nodes, 0, out)
    return tuple(out)


def _cut(array: pa.Array, nodes: tuple[tuple[int, int], ...], at: int, out: list[Any]) -> int:
    """Append the parts of ``array``, whose type starts at node ``at``; returns the node behind it."""
    import pyarrow as pa

    while isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind, argument = nodes[at]
    at += 1
    length, offset = len(array), array.offset
    out.append(length)
    if kind == NULL:
        return at
    buffers = array.buffers()
    if kind == UNION:
        return _cut_union(array, buffers, nodes, at, out)
    out.append(_bits(buffers[0], offset, length) if buffers[0] is not None and array.null_count else None)
    if kind == FIXED:
        out.append(_span(buffers[1], offset * argument, length * argument))
    elif kind == BOOL:
        out.append(_bits(buffers[1], offset, length))
    elif kind in (VARBIN, LIST):
        first, last, offsets = _offsets(buffers[1], offset, length)
        out.append(offsets)
        if kind == LIST:
            return _cut(array.values.slice(first, last - first), nodes, at, out)
        out.append(_span(buffers[2], first, last - first))
    elif kind == FIXED_LIST:
        return _cut(array.values.slice(offset * argument, length * argument), nodes, at, out)
    else:
        for i in range(argument):
            at = _cut(array.field(i), nodes, at, out)  # StructArray.field() applies the slice
    return at


def _cut_union(array: pa.Array, buffers: list[Any], nodes: tuple[tuple[int, int], ...], at: int, out: list[Any]) -> int:
    """Append codes, offsets and children of a dense union, each child cut down to the values that are referred to."""
    import numpy as np

    length, offset, count = len(array), array.offset, array.type.num_fields
    codes = _span(buffers[1], offset, length)
    places = np.frombuffer(_span(buffers[2], 4 * offset, 4 * length), np.int32).copy()  # rebased below
    arms = np.frombuffer(codes, np.int8)
    children = []
    for i in range(count):
        used = arms == i
        mine = places[used]
        first = int(mine.min()) if len(mine) else 0
        last = int(mine.max()) + 1 if len(mine) else 0
        places[used] -= first
        children.append(array.field(i).slice(first, last - first))
    out += (codes, places.data.cast("B") if length else b"")
    for child in children:
        at = _cut(child, nodes, at, out)
    return at


def _span(buffer: Any, start: int, size: int) -> Any:
    """Return ``size`` bytes of a buffer from ``start`` on, without a copy."""
    return memoryview(buffer)[start : start + size] if size else b""


def _bits(buffer: Any, start: int, count: int) -> Any:
    """Return ``count`` bits from bit ``start`` on as a bitmap of its own, unused bits 0."""
    first, shift = divmod(start, 8)
    size = (count + 7) // 8
    if not size:
        return b""
    view = memoryview(buffer)[first : (start + count + 7) // 8]
    if not shift and not count % 8:
        return view
    bits = (int.from_bytes(view, "little") >> shift) & ((1 << count) - 1)
    return bits.to_bytes(size, "little")


def _offsets(buffer: Any, start: int, length: int) -> tuple[int, int, Any]:
    """Return first and last of the int32 offsets of a slice, and the offsets made to start at 0."""
    if not length:
        return 0, 0, b"\0\0\0\0"
    view = memoryview(buffer)[4 * start : 4 * (start + length + 1)].cast("B").cast("i")
    first, last = view[0], view[length]
    if not first:
        return first, last, view.cast("B")
    import numpy as np

    return first, last, np.subtract(view, np.int32(first), dtype=np.int32).data.cast("B")


class _Node(NamedTuple):
    """A node of a type, ready for ``pyarrow.Array.from_buffers``."""

    kind: int
    type: pa.DataType
    children: tuple[_Node, ...]


_plans: dict[int, _Node] = {}  # by id(type): equality of types ignores their fields' metadata; the node keeps it alive


def _plan(t: pa.DataType) -> _Node:
    found = _plans.get(id(t))
    if found is None:
        if len(_plans) > 4096:
            _plans.clear()
        found = _plans[id(t)] = _Node(OPAQUE, t, ()) if layout(t)[0][0] == OPAQUE else _branch(t)
    return found


def _branch(t: pa.DataType) -> _Node:
    kind = layout(t)[0][0]
    leaf = kind in (FIXED, BOOL, VARBIN, NULL)
    return _Node(kind, t, () if leaf else tuple(_branch(t.field(i).type) for i in range(t.num_fields)))


def build_array(t: pa.DataType, nodes: Sequence[Any]) -> pa.Array:
    """Make an array of gathered parts, the inverse of :func:`parts_of`.

    Parameters
    ----------
    t
        The type; pass what :func:`parse_type` returned, for the sake of its cache.
    nodes
        Lengths and buffers in preorder, of one row or of many gathered into one. Buffers are bytes-like, or None for
        an absent validity bitmap. An OPAQUE type has ``[total_length, [ipc_bytes, ...]]``.

    Returns
    -------
    pyarrow.Array
        A view of the buffers given (of a copy for OPAQUE).

    Raises
    ------
    ValueError
        Buffers too small for their lengths, offsets that end behind their child, parts left over or missing. Offsets in
        between are not looked at: encoding as IPC does not follow them.

    """
    plan = _plan(t)
    try:
        if plan.kind == OPAQUE:
            length, streams = nodes
            return _join_opaque(t, length, streams)
        array, used = _build(plan, nodes, 0)
    except (IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"The parts do not fit {t}: {error}") from None
    if used != len(nodes):
        raise ValueError(f"The parts do not fit {t}: {len(nodes)} given, {used} used")
    return array


def _build(node: _Node, nodes: Sequence[Any], at: int) -> tuple[pa.Array, int]:
    import pyarrow as pa

    kind, t, branches = node
    length = nodes[at]
    at += 1
    if length < 0:
        raise IndexError(f"a node has length {length}")
    if kind == NULL:
        return pa.nulls(length), at
    count = 3 if kind == VARBIN else 1 if kind in (FIXED_LIST, STRUCT) else 2
    buffers = [None if part is None else pa.py_buffer(part) for part in nodes[at : at + count]]
    if len(buffers) != count:
        raise IndexError(f"{len(nodes)} parts end inside a node")
    at += count
    null_count = -1 if buffers[0] is not None else 0
    if kind == UNION:
        buffers.insert(0, None)  # Arrow C++ keeps a place for the validity bitmap that unions do not have
        null_count = 0
    if not branches and kind != STRUCT:
        return pa.Array.from_buffers(t, length, buffers, null_count), at
    children = []
    for branch in branches:
        child, at = _build(branch, nodes, at)
        children.append(child)
    return pa.Array.from_buffers(t, length, buffers, null_count, 0, children), at


def _join_opaque(t: pa.DataType, length: int, streams: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    arrays = []
    for stream in streams:
        with pa.ipc.open_stream(pa.py_buffer(stream)) as reader:
            for batch in reader:
                column = batch.column(0)
                if column.type != t:
                    column = column.cast(t)
                arrays.append(column)
    whole = pa.concat_arrays(arrays) if len(arrays) != 1 else arrays[0]
    if len(whole) != length:
        raise ValueError(f"The parts do not fit {t}: {len(whole)} values in the streams, {length} announced")
    return whole


def parts_to_array(text: str, parts: Sequence[Any]) -> pa.Array:
    """Make an array of the parts of a single row, given the :func:`type_text` of its type.

    Parameters
    ----------
    text
        The type's text.
    parts
        What :func:`parts_of` returned.

    Raises
    ------
    ValueError
        As :func:`parse_type` and :func:`build_array`.

    """
    t = parse_type(text)
    if _plan(t).kind == OPAQUE:
        length, stream = parts
        return build_array(t, [length, [stream]])
    return build_array(t, parts)
