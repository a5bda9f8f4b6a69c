"""What a chunk's columns are: Arrow fields with Rerun's metadata, shared by all entities whose columns are the same.

Nothing here is of one entity, so a recording of many thousand entities that are logged alike has one :class:`Fields`.

Source: rerun-sdk 0.41, metadata of chunk columns (``sorbet:version`` 0.1.4).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

import pyarrow as pa

from shmrerun.model.arrow_types import parse_type
from shmrerun.model.parts import DURATION, SEQUENCE, TIMESTAMP, Column

if TYPE_CHECKING:
    from collections.abc import Callable

ROW_ID = "rerun.controls.RowId"
ROW_ID_TYPE = pa.binary(16)
_ROW_ID_METADATA = {
    "rerun:kind": "control",
    "ARROW:extension:name": "rerun.datatypes.TUID",
    "ARROW:extension:metadata": '{"namespace":"row"}',
}
ROW_ID_FIELD = pa.field(ROW_ID, ROW_ID_TYPE, nullable=False, metadata=_ROW_ID_METADATA | {"rerun:is_sorted": "true"})
_TIME_TYPES = {SEQUENCE: pa.int64(), DURATION: pa.duration("ns"), TIMESTAMP: pa.timestamp("ns")}


class Descriptor(NamedTuple):
    """What a component column holds; absent names are None."""

    archetype: str | None
    component: str
    component_type: str | None


class Fields:
    """Columns of chunks: timelines sorted by name, components by archetype and name. Equal only to itself; see :func:`fields_of`.

    Attributes
    ----------
    time_fields, component_fields : tuple of pyarrow.Field
    descriptors : tuple of Descriptor
        Of the components.
    time_order, cell_order : list of int
        Where each of the fields is found in what the caller gives: its timelines and components, or the columns of a batch.
    is_static : bool

    """

    __slots__ = ("__weakref__", "_schemas", "cell_order", "component_fields", "descriptors", "is_static", "time_fields", "time_order")

    def __init__(
        self,
        time_fields: tuple[pa.Field, ...],
        component_fields: tuple[pa.Field, ...],
        time_order: list[int],
        cell_order: list[int],
    ) -> None:
        self.time_fields = time_fields
        self.component_fields = component_fields
        self.descriptors = tuple(descriptor_of(field) for field in component_fields)
        self.time_order = time_order
        self.cell_order = cell_order
        self.is_static = not time_fields
        self._schemas: dict[int, tuple[pa.Schema, bool]] = {}

    def schema(self, mask: int) -> tuple[pa.Schema, bool]:
        """Of a batch, without metadata, and whether it has dictionaries. Bits of the mask: time fields whose values never descend."""
        found = self._schemas.get(mask)
        if found is None:
            times = [
                field.with_metadata(field.metadata | {b"rerun:is_sorted": b"true"}) if mask >> place & 1 else field
                for place, field in enumerate(self.time_fields)
            ]
            schema = pa.schema([ROW_ID_FIELD, *times, *self.component_fields])
            found = self._schemas[mask] = schema, any(_has_dictionary(field.type) for field in schema)
        return found


def _has_dictionary(t: pa.DataType) -> bool:
    return pa.types.is_dictionary(t) or any(_has_dictionary(t.field(i).type) for i in range(t.num_fields))


_shared: WeakValueDictionary[Any, Fields] = WeakValueDictionary()


def _share(key: Any, make: Callable[[], Fields]) -> Fields:
    """The one object for a key, as long as anybody has it."""
    found = _shared.get(key)
    if found is None:
        found = _shared[key] = make()
    return found


@functools.lru_cache(maxsize=512)
def fields_of(timelines: tuple[tuple[str, int], ...], columns: tuple[Column, ...]) -> Fields:
    """The fields of timelines and components in the caller's order; the same object for equal ones.

    ValueError: a component or timeline twice, or an Arrow type that does not parse.
    """
    return _share((timelines, columns), lambda: _make(timelines, columns))


def _make(timelines: tuple[tuple[str, int], ...], columns: tuple[Column, ...]) -> Fields:
    names = [name for name, _ in timelines]
    components = [column.component for column in columns]
    if len(set(names)) != len(names) or len(set(components)) != len(components):
        raise ValueError(f"A chunk has each timeline and component once, got {names} and {components}")
    times = sorted(range(len(names)), key=names.__getitem__)
    cells = sorted(range(len(columns)), key=lambda i: (columns[i].archetype or "", columns[i].component))
    return Fields(tuple(_time_field(*timelines[i]) for i in times), tuple(_component_field(columns[i]) for i in cells), times, cells)


def fields_in(schema: pa.Schema) -> Fields:
    """The fields of a decoded record batch, whose first column is that of the row ids; the same object for equal ones."""
    return _decoded(schema.remove_metadata().serialize().to_pybytes())


@functools.lru_cache(maxsize=512)
def _decoded(serialized: bytes) -> Fields:
    return _share(serialized, lambda: _read(pa.ipc.read_schema(pa.py_buffer(serialized))))


def _read(schema: pa.Schema) -> Fields:
    kinds = [(field.metadata or {}).get(b"rerun:kind", b"data") for field in schema]
    times = [i for i, kind in enumerate(kinds) if kind == b"index"]
    cells = [i for i, kind in enumerate(kinds) if kind == b"data" and i]
    return Fields(tuple(schema.field(i) for i in times), tuple(schema.field(i) for i in cells), times, cells)


def _time_field(name: str, kind: int) -> pa.Field:
    metadata = {"rerun:kind": "index", "rerun:index_name": name}
    return pa.field(name, _TIME_TYPES[kind], nullable=True, metadata=metadata)


def _component_field(column: Column) -> pa.Field:
    metadata = {"rerun:kind": "data", "rerun:component": column.component}
    if column.archetype:
        metadata["rerun:archetype"] = column.archetype
    if column.component_type:
        metadata["rerun:component_type"] = column.component_type
    item = pa.field("item", parse_type(column.arrow), nullable=True)
    return pa.field(column.component, pa.list_(item), nullable=True, metadata=metadata)


def descriptor_of(field: pa.Field) -> Descriptor:
    """What a component's field says that it is."""
    metadata = field.metadata or {}
    archetype, component, component_type = (
        metadata[key].decode("utf-8", "replace") if key in metadata else None
        for key in (b"rerun:archetype", b"rerun:component", b"rerun:component_type")
    )
    return Descriptor(archetype, component or field.name, component_type)
