"""``send_columns``: many rows of one entity in one call, one record of the lane, one chunk of the recording.

The columns travel as Arrow-layout buffers; no row is looked at. Source: behaviour of rerun-sdk 0.41.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun import _core, errors
from shmrerun.model import entity_paths
from shmrerun.model.parts import DURATION, SEQUENCE, TIMESTAMP, Column, ColumnSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from shmrerun.producer.stream import Stream

_STATIC_TIME = -(2**63)


def send_columns(stream: Stream | None, entity_path: str, indexes: Iterable[Any], columns: Iterable[Any], strict: bool | None) -> None:
    """Send columns to a stream's session; see :func:`shmrerun.send_columns`."""
    try:
        if not isinstance(entity_path, str):
            raise TypeError(f"entity_path must be a str, got {type(entity_path).__name__}")
        timelines = {str(index.timeline_name()): index.as_arrow_array() for index in indexes}
        components = [(column.component_descriptor(), column.as_arrow_array()) for column in columns]
        rows = _length(timelines, components)
        if rows and timelines and not components:
            raise RuntimeError("Detected malformed chunk: it has indexes but no component columns")
        if stream is None or not rows:
            if not timelines and not components:
                errors.say_once("no columns", f"send_columns without columns sends nothing (entity {entity_path})")
            return
        last = {descriptor.component: (descriptor, array) for descriptor, array in components}  # of equal ones the last wins
        if (order := _order(timelines)) is not None:
            timelines = {name: array.take(order) for name, array in timelines.items()}
            last = {name: (descriptor, array.take(order)) for name, (descriptor, array) in last.items()}
        times, parts = _times(timelines)
        known = []
        for descriptor, array in last.values():
            kind, cells = _list_parts(array)
            known.append(Column(descriptor.component, descriptor.archetype, descriptor.component_type, kind))
            parts += cells
        sets = ColumnSet(tuple(known))
        if not sets.id:
            sets.id = _core.columns(sets.definition)
        path = _core.path(entity_paths.canonical(entity_path).encode("utf-8", "surrogatepass"))
        stream.append(path, sets.id, times, tuple(parts), 0)
        stream._look()
    except Exception as error:
        errors.report("send_columns", error, strict)


def _length(timelines: dict[str, Any], components: list[tuple[Any, Any]]) -> int:
    """Rows of all columns. ValueError: they differ."""
    expected: int | None = None
    named = [("timeline", name, array) for name, array in timelines.items()]
    named += [("component", descriptor.component, array) for descriptor, array in components]
    for kind, name, array in named:
        if expected is None:
            expected = len(array)
        elif len(array) != expected:
            raise ValueError(f"All columns must have the same length. Expected {expected} but {kind} '{name}' has {len(array)}.")
    return expected or 0


def _order(timelines: dict[str, pa.Array]) -> pa.Array | None:
    """How rows come to be sorted by their times, those of the alphabetically first timeline before all others; None: they are."""
    import numpy as np
    import pyarrow as pa

    columns = [timelines[name].to_numpy(zero_copy_only=False) for name in sorted(timelines)]
    if not columns or bool(np.all(columns[0][1:] > columns[0][:-1])):
        return None
    order = np.lexsort(columns[::-1])  # stable
    return None if bool(np.all(order[1:] > order[:-1])) else pa.array(order)


def _times(timelines: dict[str, pa.Array]) -> tuple[bytes, list[Any]]:
    """Text of the timelines in order of name, and their values as parts."""
    import pyarrow as pa

    text, parts = b"", []
    for name in sorted(timelines):
        array = timelines[name]
        if pa.types.is_duration(array.type):
            kind, array = DURATION, array.cast(pa.duration("ns"))
        elif pa.types.is_timestamp(array.type):
            kind, array = TIMESTAMP, array.cast(pa.timestamp("ns", array.type.tz))
        else:
            kind, array = SEQUENCE, array.cast(pa.int64())
        if array.null_count:
            raise ValueError(f"timeline '{name}' has {array.null_count} nulls; every row needs a time")
        raw = name.encode()
        if not raw or len(raw) > 65_535:
            raise ValueError(f"a timeline's name has 1 to 65535 bytes, got {len(raw)}")
        text += bytes([kind]) + len(raw).to_bytes(4, "little") + raw
        start = array.offset * 8
        parts += [len(array), None, memoryview(array.buffers()[1])[start : start + 8 * len(array)] if len(array) else b""]
    return text, parts


def _list_parts(array: pa.Array) -> tuple[str, list[Any]]:
    """Type of the values, and parts of a list column: its rows, validity and offsets, then its values'."""
    import pyarrow as pa

    from shmrerun.model.arrow_types import parts_of, type_text

    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if not pa.types.is_list(array.type):
        raise TypeError(f"a component column must be a list array, got {array.type}")
    values = array.values[array.offsets[0].as_py() : array.offsets[-1].as_py()] if len(array) else array.values[:0]
    outer = pa.ListArray.from_arrays(array.offsets, pa.nulls(len(array.values)), mask=array.is_null() if array.null_count else None)
    return type_text(values.type), [*parts_of(outer)[:3], *parts_of(values)]
