"""Chunks: rows of one entity as an Arrow record batch with Rerun's metadata, and the bytes of that batch.

Many chunks of a recording differ in nothing but their data, so all that does not change is made once: Arrow fields and the order of
columns, shared by all entities (:mod:`~shmrerun.rrd.fields`), and for one entity a :class:`ChunkSchema` with the serialized schema, which
has a gap for the chunk id. The latter is some kilobytes; whoever writes many entities keeps those of the present ones.

Source: rerun-sdk 0.41, chunk encoding (``sorbet:version`` 0.1.4), TUIDs and LZ4 of ``ArrowMsg``.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from shmrerun.rrd.arrays import ints, valid
from shmrerun.rrd.fields import ROW_ID_TYPE, fields_in, fields_of
from shmrerun.rrd.record_batch import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shmrerun.model.parts import Column

SORBET_VERSION = "0.1.4"
STATIC_TIME = -(2**63)  # int64-min means "static" to Rerun and is never a time

_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
_GAP = b"chunk_" + b"#" * 32  # stands for the chunk id in a serialized schema; '#' is never in an entity path unescaped
_LZ4 = pa.Codec("lz4_raw")
_SAMPLED_BYTES = 256 << 10  # a larger chunk is compressed only if samples say that it pays
_SAMPLES, _SAMPLE_BYTES = 4, 8 << 10
_FEW_ROWS = 128  # their times are faster looked through one by one than as an array
_MAX_UNCOMPRESSED = 1 << 32  # more than any message written by Rerun or by us; LZ4 blocks end at 2 GiB


def tuid_text(tuid: bytes) -> str:
    """Spell a TUID as Rerun does: 16 upper-case hex digits of time, 16 lower-case ones of the counter."""
    digits = tuid.hex()
    return digits[:16].upper() + digits[16:]


class _Form(NamedTuple):
    """For one combination of sorted and unsorted time columns: the schema, and serialized with the entity's metadata around the id."""

    schema: pa.Schema
    before_id: bytes
    after_id: bytes


class ChunkSchema:
    """All that chunks of one entity with the same timelines and components have in common.

    Parameters
    ----------
    entity_path
        Canonical text, ``/world/points``.
    timelines
        Names and kinds (:data:`~shmrerun.model.parts.SEQUENCE` ...), in the order in which :meth:`build` gets their values.
    columns
        Components, in the order in which :meth:`build` gets their cells.
    is_static
        Whether rows are without time; then ``timelines`` is empty.

    Raises
    ------
    ValueError
        A component or timeline twice, a static chunk with timelines, or an Arrow type that does not parse.

    Notes
    -----
    In the chunk, timelines are sorted by name and components by archetype and name, whatever the caller's order.

    """

    __slots__ = ("_forms", "entity_path", "fields")

    def __init__(self, entity_path: str, timelines: tuple[tuple[str, int], ...], columns: tuple[Column, ...], is_static: bool) -> None:
        if is_static and timelines:
            raise ValueError(f"A static chunk has no timelines, got {[name for name, _ in timelines]}")
        if not is_static and not timelines:
            raise ValueError("A chunk without timelines is static")
        self.entity_path = entity_path
        self.fields = fields_of(timelines, columns)
        self._forms: dict[int, _Form] = {}

    @classmethod
    def of(cls, schema: pa.Schema) -> ChunkSchema:
        """Return the schema of a decoded record batch; equal ones share their ``fields``.

        Raises
        ------
        ValueError
            The batch has no entity path or does not begin with row ids.

        """
        metadata = schema.metadata or {}
        path = metadata.get(b"rerun:entity_path")
        if path is None or not len(schema) or schema.field(0).type != ROW_ID_TYPE:
            raise ValueError("Not a chunk: it lacks its entity path or its row ids")
        found = cls.__new__(cls)
        found.entity_path = path.decode("utf-8", "replace")
        found.fields = fields_in(schema)
        found._forms = {}
        return found

    @property
    def is_static(self) -> bool:
        """Whether rows are without time."""
        return self.fields.is_static

    def build(self, chunk_id: bytes, row_ids: Any, times: Sequence[Any], cells: Sequence[Sequence[Any]]) -> Chunk:
        """Make a chunk of gathered columns.

        Parameters
        ----------
        chunk_id
            16 bytes, big-endian TUID.
        row_ids
            Buffer of ``n`` times 16 bytes, big-endian TUIDs, ascending.
        times
            For each timeline, in the caller's order, a buffer of ``n`` int64. int64-min becomes int64-min + 1.
        cells
            For each component, in the caller's order, ``(values, offsets)`` or ``(values, offsets, validity)``:
            a ``pyarrow.Array`` of the values of all rows, ``n + 1`` int32 list offsets starting anywhere (None: one
            value in each row), and a bitmap whose zero bits are rows in which the component was not logged.

        Raises
        ------
        ValueError
            Row ids that descend, buffers of a wrong size, values of another type. Readers would take such a chunk
            for damaged, or misread it.

        Notes
        -----
        Nothing is copied. The chunk keeps the buffers alive.

        """
        fields = self.fields
        rows, rest = divmod(memoryview(row_ids).nbytes, 16)
        if rest or len(times) != len(fields.time_order) or len(cells) != len(fields.cell_order):
            raise ValueError(f"{self.entity_path}: buffers do not match the {len(fields.cell_order)} components")
        if rows > 1:
            ids = np.frombuffer(row_ids, "S16")
            if not (ids[1:] >= ids[:-1]).all():
                raise ValueError(f"{self.entity_path}: row ids of a chunk must ascend")
        arrays = [pa.Array.from_buffers(ROW_ID_TYPE, rows, [None, pa.py_buffer(row_ids)], 0)]
        ranges: list[tuple[int, int]] = []
        values = []
        mask = 0
        for place, i in enumerate(fields.time_order):
            column = memoryview(times[i])
            if column.nbytes != 8 * rows:
                raise ValueError(f"{self.entity_path}: {column.nbytes} bytes of times for {rows} rows")
            column, is_sorted = _check_times(column.cast("B") if rows else b"", ranges)
            mask |= is_sorted << place
            values.append(column)
            arrays.append(pa.Array.from_buffers(fields.time_fields[place].type, rows, [None, pa.py_buffer(column)], 0))
        for place, i in enumerate(fields.cell_order):
            values_of_rows = cells[i][0]
            if values_of_rows.type != fields.component_fields[place].type.value_type:
                raise ValueError(f"values are {values_of_rows.type}, the column has {fields.component_fields[place].type.value_type}")
            arrays.append(list_array(rows, *cells[i], of=fields.component_fields[place].type))
        form = self._forms.get(mask) or self._make_form(mask)
        batch = pa.RecordBatch.from_arrays(arrays, schema=form.schema)
        filled, sparse = _count(arrays[1 + len(values) :], values)
        return Chunk(chunk_id, self, batch, time_ranges=tuple(ranges), filled=filled, sparse=sparse, form=form)

    def gather(
        self, chunk_id: bytes, row_ids: bytes, times: Sequence[bytes], cells: Sequence[tuple[bytes, Sequence[int], Sequence[Any]]]
    ) -> Chunk:
        """Make a chunk of columns that were gathered from lanes: :meth:`build` without arrays, in a fifth of the time.

        Parameters
        ----------
        chunk_id, row_ids, times
            As in :meth:`build`. There is a row.
        cells
            For each component, what :meth:`~shmrerun.rrd.record_batch.Columns.add_lists` takes.

        Notes
        -----
        Nothing is checked: what is wrong with a row was found when it was gathered.

        """
        fields = self.fields
        columns = Columns(len(row_ids) // 16)
        columns.add_values(row_ids)
        ranges: list[tuple[int, int]] = []
        mask = filled = 0
        for place, i in enumerate(fields.time_order):
            column, is_sorted = _check_times(times[i], ranges)
            mask |= is_sorted << place
            columns.add_values(column)
        for place, i in enumerate(fields.cell_order):
            columns.add_lists(*cells[i])
            filled |= (cells[i][2][0] > 0) << place
        form = self._forms.get(mask) or self._make_form(mask)
        return Chunk(chunk_id, self, columns, time_ranges=tuple(ranges), filled=filled, sparse={}, form=form)

    def _make_form(self, mask: int) -> _Form:
        plain, has_dictionary = self.fields.schema(mask)
        if has_dictionary:  # dictionaries travel in messages of their own, which only the stream writer makes
            before = after = b""
        else:
            before, gap, after = self._serialized(plain, b"#").partition(_GAP)
            if _GAP in after:  # a name imitates the gap: it is where another one differs
                whole, other = before + gap + after, self._serialized(plain, b"!")
                at = next(i for i, (one, two) in enumerate(zip(whole, other, strict=True)) if one != two) - _GAP.index(b"#")
                before, after = whole[:at], whole[at + len(_GAP) :]
        form = self._forms[mask] = _Form(plain, before, after)
        return form

    def _serialized(self, plain: pa.Schema, fill: bytes) -> bytes:
        text: bytes = plain.with_metadata(_metadata(_GAP.replace(b"#", fill), self.entity_path)).serialize().to_pybytes()
        return text


def _metadata(chunk_id: bytes, entity_path: str) -> dict[str | bytes, str | bytes]:
    return {"rerun:id": chunk_id, "rerun:entity_path": entity_path, "sorbet:version": SORBET_VERSION}


class Chunk:
    """Rows of one entity, ready to be encoded.

    Attributes
    ----------
    chunk_id : bytes
        16 bytes, big-endian TUID.
    schema : ChunkSchema
    num_rows : int
    time_ranges : tuple of (int, int)
        Smallest and largest time on each of ``schema.fields.time_fields``; empty without rows.
    filled : int
        Bit ``i`` is set if component ``i`` of the schema has a value in any row.
    sparse : dict
        For each component with null rows: number of rows with the component, and its own ``time_ranges``.

    """

    __slots__ = ("_form", "_rows", "chunk_id", "filled", "num_rows", "schema", "sparse", "time_ranges")

    def __init__(
        self,
        chunk_id: bytes,
        schema: ChunkSchema,
        rows: pa.RecordBatch | Columns,
        *,
        time_ranges: tuple[tuple[int, int], ...],
        filled: int,
        sparse: dict[int, tuple[int, tuple[tuple[int, int], ...]]],
        form: _Form | None = None,
    ) -> None:
        self.chunk_id = chunk_id
        self.schema = schema
        self.num_rows: int = rows.rows if isinstance(rows, Columns) else rows.num_rows
        self.time_ranges = time_ranges
        self.filled = filled
        self.sparse = sparse
        self._rows = rows
        self._form = form

    @property
    def entity_path(self) -> str:
        """Canonical text of the entity's path."""
        return self.schema.entity_path

    @property
    def is_static(self) -> bool:
        """Whether the rows have no time."""
        return self.schema.is_static

    @property
    def batch(self) -> pa.RecordBatch:
        """The record batch with all of its metadata."""
        if isinstance(self._rows, Columns):
            with pa.ipc.open_stream(b"".join(self._stream(self._rows.message()))) as reader:
                return reader.read_next_batch()
        if self._form is None:
            return self._rows
        return self._rows.replace_schema_metadata(_metadata(b"chunk_" + tuid_text(self.chunk_id).encode(), self.entity_path))

    def _stream(self, message: Iterable[Any]) -> tuple[Any, ...]:
        """The Arrow IPC stream around a record batch's message, in pieces."""
        assert self._form is not None
        return self._form.before_id, b"chunk_" + tuid_text(self.chunk_id).encode(), self._form.after_id, *message, _END_OF_STREAM


def chunk_from_batch(batch: pa.RecordBatch) -> Chunk:
    """Return the chunk of a decoded record batch, with what a footer needs computed from the data.

    Raises
    ------
    ValueError
        The batch is not a chunk: no chunk id, no entity path, no row ids, or null times.

    """
    text = (batch.schema.metadata or {}).get(b"rerun:id", b"").decode("ascii", "replace")
    try:
        chunk_id = bytes.fromhex(text.removeprefix("chunk_"))
    except ValueError:
        chunk_id = b""
    if len(chunk_id) != 16:
        raise ValueError(f"Not a chunk: its id is {text[:80]!r}")
    schema = ChunkSchema.of(batch.schema)
    values = []
    ranges: list[tuple[int, int]] = []
    for i in schema.fields.time_order:
        column = batch.column(i)
        if column.null_count or column.type.bit_width != 64 or column.type.num_fields:
            raise ValueError(f"{schema.entity_path}: times of {batch.schema.names[i]!r} are not dense 64-bit integers")
        values.append(_check_times(ints(column).data.cast("B") if len(column) else b"", ranges)[0])
    filled, sparse = _count([batch.column(i) for i in schema.fields.cell_order], values)
    return Chunk(chunk_id, schema, batch, time_ranges=tuple(ranges), filled=filled, sparse=sparse)


class EncodedChunk(NamedTuple):
    """A chunk as it is written: buffers that, joined, are the LZ4 block of its Arrow IPC stream, or that stream itself."""

    chunk_id: bytes
    is_static: bool
    payload: tuple[Any, ...]
    is_compressed: bool
    uncompressed_size: int


def encode(chunk: Chunk) -> EncodedChunk:
    """Encode a chunk; about 10 us for a chunk of few rows, else the time of one copy and one LZ4 run.

    Large values that LZ4 makes hardly smaller, such as most images, are left as they are: the chunk's own buffers are in the payload, and
    nothing is copied.
    """
    rows, form = chunk._rows, chunk._form
    if isinstance(rows, Columns):
        pieces = chunk._stream(rows.message())
        pays = sum(map(len, pieces)) < _SAMPLED_BYTES or _pays(rows.buffers)
    elif rows.get_total_buffer_size() >= _SAMPLED_BYTES and not _pays(buffer for column in rows.columns for buffer in column.buffers()):
        pieces, pays = _written(chunk.batch), False  # nbytes crashes on unions (pyarrow 26)
    else:
        pieces = chunk._stream((rows.serialize(),)) if form is not None and form.before_id else _written(chunk.batch)
        pays = True
    size = sum(map(len, pieces))
    payload = (_LZ4.compress(b"".join(pieces), asbytes=True),) if pays else pieces
    return EncodedChunk(chunk.chunk_id, chunk.is_static, payload, pays, size)


def _written(batch: pa.RecordBatch) -> tuple[Any, ...]:
    """The Arrow IPC stream of a batch, in pieces."""
    pieces = _Pieces()
    with pa.PythonFile(pieces, mode="w") as file, pa.ipc.new_stream(file, batch.schema) as writer:
        writer.write_batch(batch)
    return tuple(pieces.buffers)


class _Pieces:
    """A file that keeps the buffers which are written to it."""

    closed = False

    def __init__(self) -> None:
        self.buffers: list[Any] = []

    def write(self, data: Any) -> int:
        self.buffers.append(data)
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _pays(buffers: Iterable[Any]) -> bool:
    """Whether LZ4 saves a tenth, judged by samples from all over the buffers that have much."""
    whole = packed = 0
    for buffer in buffers:
        if buffer is None or len(buffer) < _SAMPLED_BYTES // 4:
            continue
        view = memoryview(buffer)
        step = len(view) // _SAMPLES
        for number in range(_SAMPLES):
            sample = view[number * step : number * step + min(_SAMPLE_BYTES, step)]
            whole += len(view) * len(sample)
            packed += len(view) * len(_LZ4.compress(sample, asbytes=True))
    return packed <= 0.9 * whole if whole else True


def decode(arrow_msg: Any) -> pa.RecordBatch:
    """Return the record batch of an ``ArrowMsg``.

    Parameters
    ----------
    arrow_msg
        An :class:`~shmrerun.rrd.proto.ArrowMsg`, compressed or not.

    Raises
    ------
    ValueError
        Damaged or of another encoding. Memory is bounded by 255 times the payload, the most LZ4 can yield.

    """
    if arrow_msg.encoding != 1:
        raise ValueError(f"ArrowMsg of encoding {arrow_msg.encoding}")
    return decode_stream(arrow_msg.payload, arrow_msg.compression, arrow_msg.uncompressed_size)


def decode_stream(payload: bytes | memoryview, compression: int, size: int) -> pa.RecordBatch:
    """Return the first record batch of an Arrow IPC stream that is compressed (2: LZ4) or not; see :func:`decode`."""
    if compression not in (0, 1, 2):
        raise ValueError(f"Arrow data of compression {compression}")
    try:
        if compression == 2:
            if size > min(_MAX_UNCOMPRESSED, 255 * len(payload)):
                raise ValueError(f"Arrow data claim {size} bytes in an LZ4 block of {len(payload)}")
            payload = _LZ4.decompress(payload, decompressed_size=size)
        with pa.ipc.open_stream(pa.py_buffer(payload)) as reader:
            batch = reader.read_next_batch()
        batch.validate()  # buffers as large as their lengths want, so that a damaged message is never read beyond
        _ = batch.schema.names  # UnicodeDecodeError, which is a ValueError
    except (pa.ArrowException, OSError, EOFError, StopIteration, OverflowError) as error:
        raise ValueError(f"Arrow data do not decode: {error}") from None
    return batch


def _check_times(column: Any, ranges: list[tuple[int, int]]) -> tuple[Any, bool]:
    """Append the range of a buffer of int64; returns the buffer without int64-min, and whether it never descends."""
    rows = len(column) // 8
    if not rows:
        return column, True
    if rows > _FEW_ROWS:
        values = np.frombuffer(column, np.int64)
        is_sorted = bool((values[1:] >= values[:-1]).all())
        low, high = (int(values[0]), int(values[-1])) if is_sorted else (int(values.min()), int(values.max()))
        if low == STATIC_TIME:
            column = np.maximum(values, STATIC_TIME + 1).tobytes()
    else:
        few = struct.unpack(f"<{rows}q", column)
        ascending = tuple(sorted(few))
        is_sorted = few == ascending
        low, high = ascending[0], ascending[-1]
        if low == STATIC_TIME:
            column = struct.pack(f"<{rows}q", *(max(value, STATIC_TIME + 1) for value in few))
    ranges.append((max(low, STATIC_TIME + 1), max(high, STATIC_TIME + 1)))
    return column, is_sorted


@functools.lru_cache(maxsize=256)
def _one_each(rows: int) -> pa.Buffer:
    """Offsets of lists with one value each."""
    return pa.py_buffer(np.arange(rows + 1, dtype=np.int32))


def list_array(rows: int, values: pa.Array, offsets: Any = None, validity: Any = None, *, of: pa.DataType | None = None) -> pa.Array:
    """Lists of a component's values, one list a row, over the given buffers; see :meth:`ChunkSchema.build`."""
    t = of or pa.list_(pa.field("item", values.type, nullable=True))
    if offsets is not None:
        buffer = pa.py_buffer(offsets)
        if buffer.size != 4 * (rows + 1):
            raise ValueError(f"{buffer.size} bytes of list offsets for {rows} rows")
    elif len(values) != rows:
        raise ValueError(f"{len(values)} values for {rows} rows of one each")
    else:
        buffer = _one_each(rows)
    if validity is None:
        return pa.Array.from_buffers(t, rows, [None, buffer], 0, 0, [values])
    return pa.Array.from_buffers(t, rows, [pa.py_buffer(validity), buffer], -1, 0, [values])


def _count(columns: Sequence[pa.Array], times: Sequence[Any]) -> tuple[int, dict[int, tuple[int, tuple[tuple[int, int], ...]]]]:
    """Return :attr:`Chunk.filled` and :attr:`Chunk.sparse`; ``times`` are buffers of int64."""
    filled = 0
    sparse = {}
    for i, column in enumerate(columns):
        nulls = column.null_count
        filled |= _has_values(column, nulls) << i
        if nulls:
            present = valid(column)
            mine = [np.frombuffer(column_of_times, np.int64)[present] for column_of_times in times] if nulls < len(column) else []
            ranges = [(int(values.min()), int(values.max())) for values in mine]
            sparse[i] = (len(column) - nulls, tuple(ranges))
    return filled, sparse


def _has_values(column: pa.Array, nulls: int) -> bool:
    """Tell whether any row holds a list that is not empty."""
    rows = len(column)
    if nulls == rows or not pa.types.is_list(column.type):
        return nulls < rows
    if not rows:
        return False
    _, offsets = column.buffers()[:2]
    if nulls:  # a null row may cover values
        lengths = np.diff(np.frombuffer(offsets, np.int32, rows + 1, 4 * column.offset))
        return bool(lengths[valid(column)].any())
    (first,), (last,) = (struct.unpack_from("<i", offsets, 4 * (column.offset + row)) for row in (0, rows))
    return bool(last > first)
