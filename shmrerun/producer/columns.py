"""``send_columns``: many rows of one entity in one call, one record of the lane, one chunk of the recording.

The columns travel as Arrow-layout buffers; no row is looked at. Source: behaviour of rerun-sdk 0.41.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun import _core, errors
from shmrerun.model import entity_paths
from shmrerun.model.batches import ComponentColumn
from shmrerun.model.parts import DURATION, SEQUENCE, TIMESTAMP, Column, ColumnSet
from shmrerun.model.time_columns import TimeColumn

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from shmrerun.producer.stream import Stream


class _Times(NamedTuple):
    """The times of all rows on one timeline."""

    name: str
    kind: int
    values: npt.NDArray[np.int64]


class _Cells(NamedTuple):
    """One component of all rows: a list column, taken apart."""

    descriptor: Any  # a ComponentDescriptor, rerun-sdk's as well
    rows: int
    arrow: str
    parts: tuple[Any, ...]
    source: Any  # the array, or a column of ours that makes one


def send_columns(stream: Stream | None, entity_path: str, indexes: Iterable[Any], columns: Iterable[Any], strict: bool | None) -> None:
    """Send columns to a stream's session; see :func:`shmrerun.send_columns`."""
    try:
        if not isinstance(entity_path, str):
            raise TypeError(f"entity_path must be a str, got {type(entity_path).__name__}")
        named = {str(index.timeline_name()): index for index in indexes}
        times = [_times(name, named[name]) for name in sorted(named)]
        cells = [_cells(column) for column in columns]
        rows = _length(times, cells)
        if rows and times and not cells:
            raise RuntimeError("Detected malformed chunk: it has indexes but no component columns")
        if stream is None or not rows:
            if not times and not cells:
                errors.say_once("no columns", f"send_columns without columns sends nothing (entity {entity_path})")
            return
        if (order := _order(times)) is not None:
            times = [one._replace(values=one.values[order]) for one in times]
        text = b"".join(_timeline(one) for one in times)
        parts = [part for one in times for part in (rows, None, one.values)]
        last = {one.descriptor.component: one for one in cells}  # of equal ones the last wins
        known = []
        for one in last.values():
            kind, own = (one.arrow, one.parts) if order is None else _sorted(one, order)
            known.append(Column(one.descriptor.component, one.descriptor.archetype, one.descriptor.component_type, kind))
            parts += own
        sets = ColumnSet(tuple(known))
        if not sets.id:
            sets.id = _core.columns(sets.definition)
        path = _core.path(entity_paths.canonical(entity_path).encode("utf-8", "surrogatepass"))
        stream.append(path, sets.id, text, tuple(parts), 0)
        stream._look()
    except Exception as error:
        errors.report("send_columns", error, strict)


def _length(times: list[_Times], cells: list[_Cells]) -> int:
    """Rows of all columns. ValueError: they differ."""
    named = [("timeline", one.name, len(one.values)) for one in times]
    named += [("component", one.descriptor.component, one.rows) for one in cells]
    for kind, name, rows in named:
        if rows != named[0][2]:
            raise ValueError(f"All columns must have the same length. Expected {named[0][2]} but {kind} '{name}' has {rows}.")
    return named[0][2] if named else 0


# ---- times


def _times(name: str, index: Any) -> _Times:
    import numpy as np

    if not 0 < len(name.encode()) <= 65_535:
        raise ValueError(f"a timeline's name has 1 to 65535 bytes, got {len(name.encode())}")
    if isinstance(index, TimeColumn) and type(index).as_arrow_array is TimeColumn.as_arrow_array:
        kind, values, nulls = index._numbers()
        if values is not None:
            if nulls:
                raise ValueError(f"timeline '{name}' has {nulls} nulls; every row needs a time")
            return _Times(name, kind, np.ascontiguousarray(values))
    import pyarrow as pa

    array = index.as_arrow_array()
    if pa.types.is_duration(array.type):
        kind, array = DURATION, array.cast(pa.duration("ns"))
    elif pa.types.is_timestamp(array.type):
        kind, array = TIMESTAMP, array.cast(pa.timestamp("ns", array.type.tz))
    else:
        kind, array = SEQUENCE, array.cast(pa.int64())
    if array.null_count:
        raise ValueError(f"timeline '{name}' has {array.null_count} nulls; every row needs a time")
    return _Times(name, kind, array.view(pa.int64()).to_numpy())


def _timeline(times: _Times) -> bytes:
    raw = times.name.encode()
    return bytes([times.kind]) + len(raw).to_bytes(4, "little") + raw


def _order(times: list[_Times]) -> npt.NDArray[np.intp] | None:
    """How rows come to be sorted by their times, those of the alphabetically first timeline before all others; None: they are."""
    if not times or bool((times[0].values[1:] > times[0].values[:-1]).all()):
        return None
    import numpy as np

    order = np.lexsort([one.values for one in reversed(times)])  # stable
    return None if bool((order[1:] > order[:-1]).all()) else order


# ---- components


def _cells(column: Any) -> _Cells:
    """Take a column apart: an archetype's as it is, without pyarrow."""
    descriptor = column.component_descriptor()
    own = column._parts() if type(column) is ComponentColumn else None
    if own is None:
        array = column.as_arrow_array()
        return _Cells(descriptor, len(array), *_list_parts(array), array)
    return _Cells(descriptor, own[1][0], *own, column)


def _sorted(cells: _Cells, order: npt.NDArray[np.intp]) -> tuple[str, tuple[Any, ...]]:
    import pyarrow as pa

    array = cells.source if isinstance(cells.source, pa.Array) else cells.source.as_arrow_array()
    return _list_parts(array.take(pa.array(order)))


def _list_parts(array: pa.Array) -> tuple[str, tuple[Any, ...]]:
    """Type of the values, and parts of a list column: its rows, validity and offsets, then its values'."""
    import pyarrow as pa

    from shmrerun.model.arrow_types import parts_of, type_text

    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if not pa.types.is_list(array.type):
        raise TypeError(f"a component column must be a list array, got {array.type}")
    starts = array.offsets.to_numpy()
    if bool((starts[1:] < starts[:-1]).any()):
        at = int((starts[1:] < starts[:-1]).argmax())
        raise ValueError(f"the offsets of a component column must not descend: row {at} is from {starts[at]} to {starts[at + 1]}")
    values = array.values[array.offsets[0].as_py() : array.offsets[-1].as_py()] if len(array) else array.values[:0]
    outer = pa.ListArray.from_arrays(array.offsets, pa.nulls(len(array.values)), mask=array.is_null() if array.null_count else None)
    return type_text(values.type), (*parts_of(outer)[:3], *parts_of(values))
