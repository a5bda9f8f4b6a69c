"""The table of contents at the end of an ``.rrd`` file: which chunk is where and what times it spans.

A :class:`Manifest` is filled while chunks are written and keeps some tens of bytes for each; the table itself is made
at the end. Without it a file can be streamed but not opened at random.

Source: rerun-sdk 0.41, ``RrdFooter``/``RrdManifest`` as ``rerun rrd merge`` writes them.
"""

from __future__ import annotations

import hashlib
from array import array
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from shmrerun.rrd import proto
from shmrerun.rrd.arrays import of_bools, of_ints, of_texts
from shmrerun.rrd.fields import ROW_ID
from shmrerun.rrd.footer_form import form_of, ipc_stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from shmrerun.rrd.chunk import Chunk
    from shmrerun.rrd.fields import Descriptor, Fields

    _Sparse = dict[int, tuple[int, tuple[tuple[int, int], ...]]]

_LZ4 = pa.Codec("lz4_raw")
_MAX_LZ4 = 1 << 30  # a larger table is written as it is: LZ4 blocks end at 2 GiB
_FORM_CHUNKS = 64  # a manifest with more is made each time
_PROPERTIES = "/__properties"
_ARCHETYPES = ("rerun.archetypes.", "rerun.blueprint.archetypes.")
_NAME = str.maketrans(dict.fromkeys(", -.\\", "_"))


class Manifest:
    """Chunks of one store in one stream.

    Notes
    -----
    About 85 bytes are kept for a chunk with two timelines, and 150 for an entity; more only for chunks in which components are absent
    from some rows. Not thread-safe.

    """

    def __init__(self) -> None:
        self._ids = bytearray()
        self._numbers = array("Q")  # rows, offset, size, uncompressed size of each chunk
        self._owners = array("i")  # of each chunk: its entity with its columns, by number
        self._times = array("q")  # of each chunk: smallest and largest time on each of its timelines
        self._sparse: dict[int, _Sparse] = {}  # by chunk
        self._known: dict[Fields, dict[str, int]] = {}  # columns and path of an owner -> its number
        self._paths: list[str] = []  # of the owners
        self._fields: list[Fields] = []
        self._filled: list[int] = []  # bits of the components that had a value

    def __len__(self) -> int:
        return len(self._ids) // 16

    @property
    def rows(self) -> int:
        """Rows of all chunks."""
        return sum(self._numbers[::4])

    def add(self, chunk: Chunk, byte_offset: int, byte_size: int, uncompressed_size: int) -> None:
        """Note a chunk that was written.

        Parameters
        ----------
        chunk
            The chunk; nothing of its data is kept.
        byte_offset
            Offset of the ``ArrowMsg`` protobuf from the start of the stream, behind the message's 16-byte header.
        byte_size
            Length of that protobuf.
        uncompressed_size
            Bytes of the chunk's Arrow IPC stream, as the message says.

        """
        fields = chunk.schema.fields
        known = self._known.get(fields)
        if known is None:
            known = self._known[fields] = {}
        owner = known.get(chunk.entity_path)
        if owner is None:
            owner = known[chunk.entity_path] = len(self._paths)
            self._paths.append(chunk.entity_path)
            self._fields.append(fields)
            self._filled.append(0)
        if chunk.sparse and chunk.num_rows:
            self._sparse[len(self)] = chunk.sparse
        self._ids += chunk.chunk_id
        self._numbers.extend((chunk.num_rows, byte_offset, byte_size, uncompressed_size))
        self._owners.append(owner)
        self._filled[owner] |= chunk.filled
        if chunk.num_rows:
            for low_high in chunk.time_ranges:
                self._times.extend(low_high)
        else:
            self._times.extend((0, 0) * len(fields.time_fields))  # table() makes them null

    def payload(self, store_id: bytes) -> bytes:
        """Return the serialized ``RrdFooter`` of a stream with this store alone; ``b""`` without chunks."""
        return footer_payload([(store_id, self)])

    def message(self, store_id: bytes) -> Any:
        """Return the ``RrdManifest`` of this store."""
        schema, table = self._filled_in() or self._made()
        data = proto.DataframePart(encoder_version=1, payload=table, uncompressed_size=len(table))
        if len(table) <= _MAX_LZ4:
            data.payload = _LZ4.compress(table, asbytes=True)
            data.compression = 2
        return proto.RrdManifest(
            store_id=proto.StoreId.FromString(store_id),
            sorbet_schema=proto.Schema(arrow_schema=schema),
            # Rerun hashes arrow-rs' encoding, which differs from pyarrow's; readers want 32 bytes and compare nothing
            sorbet_schema_sha256=hashlib.sha256(schema).digest(),
            data=data,
        )

    def _made(self) -> tuple[bytes, bytes]:
        return ipc_stream(pa.schema(self.fields())), ipc_stream(self.table())

    def _filled_in(self) -> tuple[bytes, bytes] | None:
        """Schema and table by a form, from the second manifest on that differs from another one in its words only."""
        if len(self) > _FORM_CHUNKS or self._sparse or 0 in self._numbers[::4]:
            return None
        form = form_of(tuple(self._paths), tuple(self._fields), tuple(self._owners), tuple(self._filled))
        if not form.is_repeated:
            form.is_repeated = True
            return None
        words = np.concatenate([np.frombuffer(part, np.uint64) for part in (self._ids, self._numbers, self._times)])
        return form.fill(words, lambda words: self._with_words(words)._made())

    def _with_words(self, words: npt.NDArray[np.uint64]) -> Manifest:
        """Return the manifest with other ids, numbers and times."""
        other = copy(self)
        ids, numbers = np.cumsum((len(self._ids) // 8, len(self._numbers)))
        other._ids = bytearray(words[:ids].tobytes())
        other._numbers, other._times = array("Q", words[ids:numbers].tobytes()), array("q", words[numbers:].tobytes())
        return other

    def fields(self) -> list[pa.Field]:
        """Return one field for each distinct column of the recording, sorted by name."""
        row_id = {
            "rerun:kind": "control",
            "ARROW:extension:name": "rerun.datatypes.TUID",
            "ARROW:extension:metadata": '{"namespace":"row"}',
        }
        fields = [pa.field(ROW_ID, pa.binary(16), nullable=False, metadata=row_id)]
        for name, kind in sorted(self._timelines().items()):
            index = {"rerun:kind": "index", "rerun:index_name": name}
            fields.append(pa.field(name, kind, nullable=True, metadata=index))
        columns: dict[str, tuple[pa.DataType, dict[bytes, bytes]]] = {}
        filled: set[str] = set()
        for path, owned, bits in zip(self._paths, self._fields, self._filled, strict=True):
            for i, field in enumerate(owned.component_fields):
                component = owned.descriptors[i].component
                name = _column_name(path, component)
                _, metadata = columns.setdefault(name, (field.type, dict(field.metadata or {})))
                metadata[b"rerun:entity_path"] = path.encode("utf-8")
                if owned.is_static:
                    metadata[b"rerun:is_static"] = b"true"
                if component == "Clear:is_recursive":
                    metadata[b"rerun:is_tombstone"] = b"true"
                if bits >> i & 1:
                    filled.add(name)
        for name, (kind, metadata) in columns.items():
            if name not in filled:
                metadata[b"rerun:is_semantically_empty"] = b"true"
            fields.append(pa.field(name, kind, nullable=True, metadata=metadata))
        return sorted(fields, key=lambda field: str(field.name))

    def _shown(self) -> set[Descriptor]:
        """Return the descriptors that have a sorbet field.

        An entity may hold one component under two archetypes; the field is the first one's. Readers call a manifest
        corrupt that has times of a descriptor without a field (`rerun rrd merge` writes no footer at all then), so
        those columns are left out.
        """
        owners: dict[tuple[str, str], Descriptor] = {}
        for path, fields in zip(self._paths, self._fields, strict=True):
            for descriptor in fields.descriptors:
                owners.setdefault((path, descriptor.component), descriptor)
        return set(owners.values())

    def _groups(self) -> list[_Group]:
        """Chunks with the same columns, of all entities."""
        numbers = {fields: number for number, fields in enumerate(self._known)}
        kinds = np.array([numbers[fields] for fields in self._fields], np.int32)[np.array(self._owners, np.int32)]
        widths = np.array([2 * len(fields.time_fields) for fields in numbers], np.int64)[kinds]
        starts = np.cumsum(widths) - widths
        times = np.array(self._times, np.int64)
        order = np.argsort(kinds, kind="stable")
        bounds = np.searchsorted(kinds[order], np.arange(len(numbers) + 1))
        found = []
        for number, fields in enumerate(numbers):
            places = order[bounds[number] : bounds[number + 1]]
            width = len(fields.time_fields)
            mine = times[starts[places][:, None] + np.arange(2 * width)].reshape(len(places), width, 2)
            found.append(_Group(fields, places, mine, []))
        for place, sparse in self._sparse.items():
            found[kinds[place]].sparse.append((place, sparse))
        return found

    def _timelines(self) -> dict[str, pa.DataType]:
        timelines: dict[str, pa.DataType] = {}
        for fields in self._known:
            for field in fields.time_fields:
                timelines.setdefault(field.name, field.type)
        return timelines

    def table(self) -> pa.RecordBatch:
        """Return the table with one row for each chunk."""
        total = len(self)
        groups = self._groups()
        numbers = np.frombuffer(self._numbers, np.uint64).reshape(total, 4)
        rows = numbers[:, 0]
        static = np.zeros(total, np.bool_)
        for group in groups:
            static[group.places] = group.fields.is_static
        table = _Table()
        table.add("chunk_entity_path", of_texts([self._paths[owner] for owner in self._owners]))
        ids = pa.py_buffer(bytes(self._ids))
        table.add("chunk_id", pa.Array.from_buffers(pa.binary(16), total, [None, ids], 0))
        table.add("chunk_is_static", of_bools(static))
        names = ("chunk_num_rows", "chunk_byte_offset", "chunk_byte_size", "chunk_byte_size_uncompressed")
        for i, name in enumerate(names):
            table.add(name, of_ints(numbers[:, i], pa.uint64()))

        holders: dict[Descriptor, list[tuple[_Group, int]]] = {}  # groups with a component, and its index there
        for group in groups:
            for i, descriptor in enumerate(group.fields.descriptors):
                holders.setdefault(descriptor, []).append((group, i))
        descriptors = sorted(holders, key=lambda d: (d.archetype or "", d.component, d.component_type or ""))
        for descriptor in descriptors:
            has = np.zeros(total, np.bool_)
            for group, _ in holders[descriptor]:
                if group.fields.is_static:
                    has[group.places] = True
            table.add("has_static_data", of_bools(has), descriptor=descriptor, index="rerun:static")

        timelines = sorted(self._timelines().items())
        for name, kind in timelines:
            spans = _Spans(total, rows)
            for group in groups:
                spans.take(group, name)
            table.add("start", spans.array(0, kind), timeline=name, nullable=True)
            table.add("end", spans.array(1, kind), timeline=name, nullable=True)
        shown = self._shown()
        for name, kind in timelines:
            for descriptor in descriptors:
                if descriptor not in shown:
                    continue
                spans = _Spans(total, rows)
                taken = [spans.take(group, name, i) for group, i in holders[descriptor]]
                if not any(taken):
                    continue
                for what, column in (
                    ("start", spans.array(0, kind)),
                    ("end", spans.array(1, kind)),
                    ("num_rows", of_ints(spans.counts, pa.uint64())),
                ):
                    table.add(what, column, timeline=name, descriptor=descriptor, nullable=True)
        return table.batch()


class _Group(NamedTuple):
    """Chunks with the same columns, for the table."""

    fields: Fields
    places: npt.NDArray[np.int64]  # rows of the table
    times: npt.NDArray[np.int64]  # chunk x timeline x (smallest, largest)
    sparse: list[tuple[int, _Sparse]]  # by row of the table


class _Spans:
    """Smallest and largest time and number of rows, for each chunk, on one timeline and of one component or all."""

    def __init__(self, total: int, rows: npt.NDArray[np.uint64]) -> None:
        self.counts = np.zeros(total, np.uint64)
        self._rows = rows
        self._ends = np.zeros((2, total), np.int64)

    def take(self, group: _Group, timeline: str, component: int | None = None) -> bool:
        """Enter the chunks of a group; False if they are without the timeline."""
        names = [field.name for field in group.fields.time_fields]
        if timeline not in names:
            return False
        at = names.index(timeline)
        places = group.places
        self._ends[:, places] = group.times[:, at].T
        self.counts[places] = self._rows[places]
        if component is not None:
            for place, sparse in group.sparse:
                if component in sparse:
                    count, ranges = sparse[component]
                    self.counts[place] = count
                    if count:
                        self._ends[:, place] = ranges[at]
        return True

    def array(self, end: int, kind: pa.DataType) -> pa.Array:
        """Return the smallest (0) or largest (1) times as ``kind``, null in chunks without rows."""
        absent = self.counts == 0
        return of_ints(self._ends[end], kind, absent if absent.any() else None)


class _Table:
    """Columns of a manifest with the names and metadata that readers find them by."""

    def __init__(self) -> None:
        self._fields: list[pa.Field] = []
        self._columns: list[pa.Array] = []

    def add(
        self,
        name: str,
        column: pa.Array,
        *,
        timeline: str | None = None,
        descriptor: Descriptor | None = None,
        index: str | None = None,
        nullable: bool = False,
    ) -> None:
        """Add a column of the timeline and the component given, or a column of the chunk itself."""
        self._fields.append(_table_field(name, column.type, timeline, descriptor, index, nullable))
        self._columns.append(column)

    def batch(self) -> pa.RecordBatch:
        """Return all columns."""
        return pa.RecordBatch.from_arrays(self._columns, schema=pa.schema(self._fields))


@lru_cache(maxsize=512)
def _table_field(
    name: str, kind: pa.DataType, timeline: str | None, descriptor: Descriptor | None, index: str | None, nullable: bool
) -> pa.Field:
    """The field of a manifest's column: see :meth:`_Table.add`. Small recordings of one program have the same ones again and again."""
    metadata: dict[str, str] = {}
    if timeline is not None or index is not None:
        metadata["rerun:index"] = timeline if timeline is not None else str(index)
        parts = [timeline] if timeline is not None else []
        if descriptor is not None:
            parts.append(_short_name(descriptor))
            metadata["rerun:component"] = descriptor.component
            if descriptor.archetype is not None:
                metadata["rerun:archetype"] = descriptor.archetype
            if descriptor.component_type is not None:
                metadata["rerun:component_type"] = descriptor.component_type
        name = ":".join([*parts, name]).translate(_NAME).lstrip("_")
    return pa.field(name, kind, nullable=nullable, metadata=metadata or None)


def footer_payload(stores: Iterable[tuple[bytes, Manifest]]) -> bytes:
    """Return the serialized ``RrdFooter`` of a stream with several stores (a recording and its blueprints).

    Parameters
    ----------
    stores
        Serialized ``StoreId`` and manifest of each. Stores without chunks are left out; ``b""`` if none is left.

    """
    manifests = [manifest.message(store_id) for store_id, manifest in stores if len(manifest)]
    payload: bytes = proto.RrdFooter(manifests=manifests).SerializeToString()
    return payload


def _short_name(descriptor: Descriptor) -> str:
    """Name a component in the manifest's columns: ``Points3D:positions``."""
    if descriptor.archetype is None:
        return descriptor.component
    short = descriptor.archetype
    for prefix in _ARCHETYPES:
        short = short.removeprefix(prefix)
    return short + ":" + descriptor.component.removeprefix(short + ":")


def _column_name(entity_path: str, component: str) -> str:
    """Name a column of the recording: ``/world:Points3D:positions``, ``property:RecordingInfo:name``."""
    if entity_path == _PROPERTIES or entity_path.startswith(_PROPERTIES + "/"):
        rest = entity_path[len(_PROPERTIES) + 1 :]
        return f"property:{rest}:{component}" if rest else f"property:{component}"
    return f"{entity_path}:{component}"
