"""Chunks that are made of gathered buffers equal those that are made of pyarrow's arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from helpers_rrd import FOO, SCALAR, ids, read, tuid, write
from test_arrow import ARRAYS

from shmrerun.model import arrow_types
from shmrerun.model.parts import OPAQUE, SEQUENCE, TIMESTAMP, Column
from shmrerun.rrd.chunk import ChunkSchema, EncodedChunk, chunk_from_batch, decode_stream, encode

PLAIN = {name: array for name, array in ARRAYS.items() if arrow_types.layout(array.type)[0][0] != OPAQUE} | {
    "structs of nothing": pa.array([{}, None], pa.struct([])),
    "lists of nothing": pa.array([[], None], pa.list_(pa.int8(), 0)),
    "one text": pa.array(["x" * 8]),
    "nothing": pa.array([], pa.bool_()),
}
TIMELINES = (("zeit", SEQUENCE), ("log_time", TIMESTAMP))


def kinds(array):
    return [kind for kind, _ in arrow_types.layout(array.type)]


def parts(array):
    return [part if part is None or isinstance(part, int) else bytes(part) for part in arrow_types.parts_of(array)]


def both(array, offsets, times=None, timelines=TIMELINES):
    """A chunk of an array, and of a column of numbers behind it, made in both ways."""
    rows = len(offsets) - 1
    offsets = np.array(offsets, np.int32).tobytes()
    times = times if times is not None else [np.arange(rows), np.arange(rows)[::-1] % 3]
    raw = [np.ascontiguousarray(column, np.int64).tobytes() for column in times]
    text = arrow_types.type_text(array.type)
    schema = ChunkSchema("/a b", timelines, (Column("x", "z.Arch", None, text), FOO, SCALAR), is_static=not timelines)
    chunk_id, row_ids = tuid(), ids(rows)
    each = np.arange(rows + 1, dtype=np.int32).tobytes()
    numbers, floats = pa.array(range(rows)), pa.array(np.arange(rows) / 2)
    built = schema.build(chunk_id, row_ids, raw, [(array, offsets), (numbers, each), (floats, each)])
    cells = [(offsets, kinds(array), parts(array)), (each, kinds(numbers), parts(numbers)), (each, kinds(floats), parts(floats))]
    return built, schema.gather(chunk_id, row_ids, raw, cells)


def decoded(encoded: EncodedChunk):
    return decode_stream(b"".join(encoded.payload), 1 + encoded.is_compressed, encoded.uncompressed_size)


def assert_same(built, gathered):
    assert (built.time_ranges, built.filled, built.sparse, built.num_rows) == (
        gathered.time_ranges,
        gathered.filled,
        gathered.sparse,
        gathered.num_rows,
    )
    for batch in (gathered.batch, decoded(encode(gathered))):
        batch.validate(full=True)
        assert batch.equals(built.batch, check_metadata=True)
        assert [column.null_count for column in batch.columns] == [column.null_count for column in built.batch.columns]
    assert encode(gathered).uncompressed_size <= encode(built).uncompressed_size
    again = chunk_from_batch(gathered.batch)
    assert (again.time_ranges, again.filled) == (gathered.time_ranges, gathered.filled)


@pytest.mark.parametrize("name", PLAIN)
def test_values_of_every_layout(name):
    """All values in one row, one in each, and rows without any."""
    array = PLAIN[name]
    for offsets in ([0, len(array)], [0, 0, *range(len(array) + 1), len(array)]):
        assert_same(*both(array, offsets))
    assert_same(*both(array, [0, len(array)], [[7]], (("frame", SEQUENCE),)))
    assert_same(*both(array, [0, len(array)], [], ()))


@pytest.mark.parametrize("rows", [1, 2, 64, 65, 5000])
@pytest.mark.parametrize("least", [-(2**63), -(2**63) + 1, 0, 2**63 - 6000])
def test_times_of_few_rows_and_many(rows, least):
    """Sorted or not, extreme or not; int64-min is no time and becomes the next one."""
    array = pa.array(np.arange(rows, dtype=np.float32))
    up = least + np.arange(rows)
    for times in (up, up[::-1], np.full(rows, least), np.roll(up, 1)):
        built, gathered = both(array, range(rows + 1), [times, up])
        assert_same(built, gathered)
        assert gathered.time_ranges[1][0] > -(2**63)


def test_bitmap_without_nulls_is_left_out():
    """A row with nulls may make rows beside it have a bitmap; a chunk's without any has none, as pyarrow writes it."""
    schema = ChunkSchema("/a", (), (FOO,), is_static=True)
    offsets = np.array([0, 2], np.int32).tobytes()
    for validity, nulls in ((b"\3", 0), (b"\1", 1), (None, 0)):
        chunk = schema.gather(tuid(), ids(1), [], [(offsets, [1], [2, validity, bytes(16)])])
        values = chunk.batch.column("foo").values
        assert values.null_count == nulls
        assert (values.buffers()[0] is None) == (not nulls)


@pytest.mark.parametrize("has_noise", [False, True])
def test_large_values_are_compressed_where_it_pays(has_noise):
    """Noise is left as it is, in the caller's own buffers; the rest is compressed."""
    values = np.random.default_rng(1).random(100_000) if has_noise else np.zeros(100_000)
    built, gathered = both(pa.array(values), [0, len(values)])
    encoded = encode(gathered)
    assert encoded.is_compressed == encode(built).is_compressed == (not has_noise)
    assert decoded(encoded).equals(built.batch, check_metadata=True)
    assert any(len(piece) == values.nbytes for piece in encoded.payload) == has_noise


def test_a_name_that_imitates_the_gap_for_the_chunk_id():
    """The id is put where it belongs, whatever entities and components are called."""
    for mark in "#!":
        gap = "chunk_" + mark * 32
        column = Column(gap, gap, None, "int64")
        schema = ChunkSchema(f"/{gap}/{gap}", ((gap, SEQUENCE),), (column,), is_static=False)
        one = np.array([0, 1], np.int32).tobytes()
        gathered = schema.gather(tuid(), ids(1), [bytes(8)], [(one, [1], [1, None, bytes(8)])])
        again = chunk_from_batch(gathered.batch)
        assert (again.chunk_id, again.entity_path) == (gathered.chunk_id, f"/{gap}/{gap}")
        assert gathered.batch.schema.names == ["rerun.controls.RowId", gap, gap]


def test_rerun_reads_them(tmp_path):
    """rerun-sdk, whose reader checks each message, finds what pyarrow wrote."""
    pytest.importorskip("rerun")
    pairs = [both(array, [0, 0, *range(len(array) + 1)]) for array in PLAIN.values()]
    write(tmp_path / "built.rrd", [built for built, _ in pairs])
    write(tmp_path / "gathered.rrd", [gathered for _, gathered in pairs])
    theirs, ours = read(tmp_path / "built.rrd"), read(tmp_path / "gathered.rrd")
    assert list(theirs) == list(ours)
    assert len(ours) == len(PLAIN)
    for batch, other in zip(theirs.values(), ours.values(), strict=True):
        assert other.equals(batch, check_metadata=True)
