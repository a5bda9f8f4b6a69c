"""Tables of Arrow as chunks: which column is a timeline, which a component, and of which entity.

Source: ``Chunk.from_record_batch`` of rerun-sdk 0.41, by experiment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from shmrerun import _core
from shmrerun.model.auto_index import AutoIndex
from shmrerun.model.entity_paths import canonical
from shmrerun.rrd.arrays import ints, of_ints
from shmrerun.rrd.chunk import SORBET_VERSION, list_array, tuid_text
from shmrerun.rrd.fields import ROW_ID, ROW_ID_FIELD, ROW_ID_TYPE, Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TIME_TYPES = (pa.int64(), pa.timestamp("ns"), pa.duration("ns"))


class _Component(NamedTuple):
    entity_path: str
    descriptor: Descriptor
    array: pa.Array


def chunks_of(batch: pa.RecordBatch, index: str | Iterable[str] | AutoIndex | None, entity_path: str | None) -> list[pa.RecordBatch]:
    """Return the chunks that a table stands for, one for each entity; see :meth:`shmrerun.chunk.Chunk.from_record_batch`."""
    if not isinstance(batch, pa.RecordBatch):
        raise TypeError(f"record_batch must be a pyarrow.RecordBatch, got {type(batch).__name__}")
    schema = batch.schema
    metadata = schema.metadata or {}
    is_row_id = [_metadata(field).get(b"rerun:kind") == b"control" or field.name == ROW_ID for field in schema]
    row_ids = next((batch.column(i) for i, it_is in enumerate(is_row_id) if it_is and schema.field(i).type == ROW_ID_TYPE), None)
    is_identified = isinstance(index, AutoIndex) and row_ids is not None and b"rerun:id" in metadata
    chosen = _indexes(schema, is_row_id, index, is_identified=is_identified)
    times = [_timeline(schema.field(i), batch.column(i)) for i in chosen]
    default = metadata.get(b"rerun:entity_path")
    components = [
        _component(schema.field(i), batch.column(i), default, entity_path)
        for i in range(len(schema))
        if i not in chosen and not is_row_id[i]
    ]
    if not components:
        raise ValueError("The record batch has no component columns, so there is nothing to log")
    paths = list(dict.fromkeys(component.entity_path for component in components))
    if is_identified and len(paths) > 1:
        raise ValueError(
            f"The record batch is an identified chunk, with row ids and a chunk id, but has columns of {len(paths)} entities: "
            f"{', '.join(paths)}. Drop its metadata 'rerun:id', or its row ids, to have a chunk made of each"
        )
    keeps = is_identified and entity_path is None
    return [
        assemble(
            path,
            times,
            [(component.descriptor, component.array) for component in components if component.entity_path == path],
            row_ids=row_ids if keeps else None,
            chunk_id=metadata[b"rerun:id"] if keeps else None,
        )
        for path in paths
    ]


def assemble(
    entity_path: str,
    times: Sequence[tuple[str, pa.Array]],
    components: Sequence[tuple[Descriptor, pa.Array]],
    *,
    row_ids: pa.Array | None = None,
    chunk_id: bytes | None = None,
) -> pa.RecordBatch:
    """Return a chunk of timelines and components of one entity; new ids where none are given.

    Raises
    ------
    ValueError
        Columns of different lengths, a name twice, times that are null or of a type that no timeline has.

    """
    path = canonical(entity_path)
    _check(times, components)
    rows = len([*times, *components][0][1]) if times or components else 0
    made = _core.row_id()
    if row_ids is None:
        low = int.from_bytes(made[8:], "big")
        halves = np.empty((rows, 2), ">u8")
        halves[:, 0] = int.from_bytes(made[:8], "big")
        halves[:, 1] = np.arange(low + 1, low + 1 + rows, dtype=np.uint64)
        row_ids = pa.Array.from_buffers(ROW_ID_TYPE, rows, [None, pa.py_buffer(halves.tobytes())])
    elif (order := _disorder(row_ids)) is not None:
        row_ids = row_ids.take(order)
        times = [(name, column.take(order)) for name, column in times]
        components = [(descriptor, column.take(order)) for descriptor, column in components]
    arrays, fields = [row_ids], [ROW_ID_FIELD]
    for name, column in sorted(times, key=lambda entry: entry[0]):
        kind = pa.timestamp("ns") if pa.types.is_timestamp(column.type) else column.type
        about = {"rerun:kind": "index", "rerun:index_name": name}
        values = ints(column)
        if (values[1:] >= values[:-1]).all():
            about["rerun:is_sorted"] = "true"
        arrays.append(column.view(kind))
        fields.append(pa.field(name, kind, nullable=True, metadata=about))
    for descriptor, column in sorted(components, key=lambda entry: (entry[0].archetype or "", entry[0].component)):
        about = {"rerun:kind": "data", "rerun:component": descriptor.component}
        if descriptor.archetype:
            about["rerun:archetype"] = descriptor.archetype
        if descriptor.component_type:
            about["rerun:component_type"] = descriptor.component_type
        lists = as_lists(column)
        arrays.append(lists)
        fields.append(pa.field(descriptor.component, lists.type, nullable=True, metadata=about))
    metadata = {
        "rerun:id": chunk_id or b"chunk_" + tuid_text(made).encode(),
        "rerun:entity_path": path,
        "sorbet:version": SORBET_VERSION,
    }
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def in_time_order(
    times: Sequence[tuple[str, pa.Array]], components: Sequence[tuple[Descriptor, pa.Array]]
) -> tuple[Sequence[tuple[str, pa.Array]], Sequence[tuple[Descriptor, pa.Array]]]:
    """The same rows in the order of their times: of the first timeline by name, then the second, and so on; for :func:`assemble`."""
    _check(times, components)
    if not times:
        return times, components
    order = np.lexsort([ints(column) for _, column in sorted(times, key=lambda entry: entry[0], reverse=True)])
    if (order[1:] > order[:-1]).all():
        return times, components
    rows = of_ints(order)
    return [(name, column.take(rows)) for name, column in times], [(descriptor, column.take(rows)) for descriptor, column in components]


def _disorder(row_ids: pa.Array) -> pa.Array | None:
    """How to take rows so that their ids ascend; None: they do."""
    ids = np.frombuffer(row_ids.buffers()[1], "S16", len(row_ids), 16 * row_ids.offset) if len(row_ids) else np.empty(0, "S16")
    return None if (ids[1:] >= ids[:-1]).all() else of_ints(np.argsort(ids, kind="stable"))


def as_lists(column: pa.Array) -> pa.Array:
    """A component's column with a list in each row; what is none becomes a list of one, and null where it is null."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if not pa.types.is_list(column.type):
        if column.null_count and not pa.types.is_null(column.type):
            return pa.array([None] * len(column), pa.list_(column.type)) if column.null_count == len(column) else _one_or_null(column)
        return list_array(len(column), column)
    item = column.type.value_field
    if item.name == "item" and item.nullable:
        return column
    return column.cast(pa.list_(pa.field("item", item.type, nullable=True)))


def _one_or_null(column: pa.Array) -> pa.Array:
    there = column.is_valid()
    offsets = np.concatenate([[0], np.cumsum(np.asarray(there))]).astype(np.int32)
    validity = np.packbits(np.asarray(there), bitorder="little")
    return list_array(len(column), column.drop_null(), offsets, validity)


def _metadata(field: pa.Field) -> dict[bytes, bytes]:
    return field.metadata or {}


def _indexes(schema: pa.Schema, is_row_id: list[bool], index: Any, *, is_identified: bool) -> list[int]:
    """Which columns are timelines."""
    said = [
        i for i, field in enumerate(schema) if _metadata(field).get(b"rerun:kind") == b"index" or b"rerun:index_name" in _metadata(field)
    ]
    if isinstance(index, AutoIndex):
        if not said and not is_identified:
            raise ValueError(
                "The record batch names no index column, so it can be temporal or static. "
                "Give index=<column> for temporal data, index=None for static data"
            )
        return said
    if index is None:
        if said:
            names = ", ".join(repr(schema.field(i).name) for i in said)
            raise ValueError(f"index=None asks for static data, but the record batch names its index: {names}. Drop that metadata")
        return []
    chosen = []
    for name in [index] if isinstance(index, str) else index:
        found = [i for i, field in enumerate(schema) if field.name == name and not is_row_id[i]]
        if not found:
            raise ValueError(f"The record batch has no index column {name!r}; it has {', '.join(schema.names[:20])}")
        chosen += found
    return list(dict.fromkeys(chosen))


def _timeline(field: pa.Field, column: pa.Array) -> tuple[str, pa.Array]:
    return _metadata(field).get(b"rerun:index_name", b"").decode("utf-8", "replace") or field.name, column


def _component(field: pa.Field, column: pa.Array, default: bytes | None, entity_path: str | None) -> _Component:
    """Whose component a column is: by its metadata, the batch's, its name, the caller's word, in this order."""
    metadata = _metadata(field)
    said, archetype, component, component_type = (
        metadata[key].decode("utf-8", "replace") if key in metadata else None
        for key in (b"rerun:entity_path", b"rerun:archetype", b"rerun:component", b"rerun:component_type")
    )
    path = said if said is not None else default.decode("utf-8", "replace") if default is not None else None
    name = field.name
    if path is None and component is None and name.startswith("/") and ":" in name:
        path, _, name = name.partition(":")
    path = path if path is not None else entity_path if entity_path is not None else "/"
    return _Component(canonical(path), Descriptor(archetype, component or name, component_type), column)


def _check(times: Sequence[tuple[str, pa.Array]], components: Sequence[tuple[Descriptor, pa.Array]]) -> None:
    expected: int | None = None
    seen: set[tuple[str, str]] = set()
    named = [("timeline", name, column) for name, column in times]
    named += [("component", descriptor.component, column) for descriptor, column in components]
    for kind, name, column in named:
        if (kind, name) in seen:
            raise ValueError(f"A chunk has each {kind} once, but {name!r} comes twice")
        seen.add((kind, name))
        if expected is not None and len(column) != expected:
            raise ValueError(f"All columns must have the same length. Expected {expected} but {kind} '{name}' has {len(column)}.")
        expected = len(column)
    for name, column in times:
        if column.null_count:
            raise ValueError(f"The index column {name!r} has {column.null_count} nulls; each row needs a time. Static data have no index")
        is_time = column.type in _TIME_TYPES or (pa.types.is_timestamp(column.type) and column.type.unit == "ns")
        if not is_time:
            raise ValueError(f"The index column {name!r} is {column.type}; times are int64, timestamp[ns] or duration[ns]")
