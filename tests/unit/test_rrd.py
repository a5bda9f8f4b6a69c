"""Messages and chunks of shmrerun.rrd: bytes, metadata, and what is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from helpers_rrd import SCALAR, STORE, ids, noise, points, read, scalars, several, times, tuid, verify, write

from shmrerun import framing
from shmrerun.model.parts import SEQUENCE
from shmrerun.rrd import encoder, proto
from shmrerun.rrd.chunk import Chunk, ChunkSchema, chunk_from_batch, decode, encode, tuid_text

# Protobuf and framing.


def test_tuid_has_the_documented_bytes():
    """Both counters are fixed64 with presence, so that a zero is written."""
    message = proto.Tuid(time_ns=0x18EA54E2FED231B8, inc=0x12192195EC77716A)
    assert message.SerializeToString().hex() == "09b831d2fee254ea18116a7177ec95211912"
    assert len(proto.Tuid(time_ns=0, inc=0).SerializeToString()) == 18
    assert tuid_text(bytes.fromhex("18ea54e2fed231b812192195ec77716a")) == "18EA54E2FED231B812192195ec77716a"


def test_messages_are_apart_from_the_default_pool():
    """The classes live in a pool of their own and wrap one another."""
    from google.protobuf import descriptor_pool

    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("rerun.log_msg.v1alpha1.ArrowMsg")
    request = proto.WriteMessagesRequest(log_msg=proto.LogMsg(arrow_msg=proto.ArrowMsg(is_static=False)))
    assert request.log_msg.WhichOneof("msg") == "arrow_msg"
    assert request.SerializeToString() == b"\x0a\x04\x12\x028\0"
    assert proto.WriteMessagesResponse().SerializeToString() == b""


def test_stream_header_is_golden():
    """The first 12 bytes are those of rerun-sdk 0.41.0."""
    assert encoder.stream_header().hex(" ") == "52 52 46 32 00 29 00 00 01 02 00 00"


def test_end_message_has_the_documented_footer():
    """The StreamFooter holds offset, size, checksum and magics; the checksum is XXH32 with Rerun's seed."""
    end = encoder.end_message(b"rerun", 16080)
    assert end[:21] == bytes(8) + (5).to_bytes(8, "little") + b"rerun"
    assert end[21:] == (16080).to_bytes(8, "little") + (5).to_bytes(8, "little") + bytes.fromhex(
        "199b2e43" + "52524632" + "464f4f54" + "01000000"
    )
    assert xxhash.xxh32_intdigest(bytes(range(64)), seed=7850921) == 0x9DD21832


@pytest.mark.parametrize("rows", [1, 3, 100_000])
@pytest.mark.parametrize("timelines", [(), (("frame", SEQUENCE),)])
@pytest.mark.parametrize("form", [scalars, noise])
def test_arrow_msg_is_what_protobuf_makes(rows, timelines, form):
    """The message written in pieces equals protobuf's own serialization, and its payload is not copied."""
    chunk = form(rows=rows, timelines=timelines)
    encoded = encode(chunk)
    buffers, size = encoder.arrow_msg(STORE, encoded)
    message = proto.ArrowMsg(
        store_id=proto.StoreId.FromString(STORE), compression=1 + encoded.is_compressed, uncompressed_size=encoded.uncompressed_size,
        encoding=1, payload=b"".join(encoded.payload), is_static=chunk.is_static, chunk_id=proto.Tuid(
            time_ns=int.from_bytes(chunk.chunk_id[:8], "big"), inc=int.from_bytes(chunk.chunk_id[8:], "big")),
    )  # fmt: skip
    assert b"".join(buffers) == framing.frame(framing.ARROW_MSG, message.SerializeToString())
    assert size == sum(map(len, buffers))
    assert all(any(buffer is piece for buffer in buffers) for piece in encoded.payload)


# Chunks.


def test_chunk_has_rerun_metadata_and_order():
    """Timelines are sorted by name and components by archetype and name, each with Rerun's metadata."""
    chunk = points()
    batch = chunk.batch
    assert batch.schema.names == [
        "rerun.controls.RowId", "a-b.c, d\\", "frame", "zeit", "foo", "Points3D:labels", "Points3D:positions",
    ]  # fmt: skip
    assert batch.schema.metadata == {
        b"rerun:id": b"chunk_" + tuid_text(chunk.chunk_id).encode(),
        b"rerun:entity_path": b"/world/points",
        b"sorbet:version": b"0.1.4",
    }
    assert batch.schema.field(0).metadata[b"rerun:is_sorted"] == b"true"
    assert batch.schema.field("zeit").metadata == {
        b"rerun:kind": b"index", b"rerun:index_name": b"zeit", b"rerun:is_sorted": b"true",
    }  # fmt: skip
    assert b"rerun:is_sorted" not in batch.schema.field("frame").metadata
    assert batch.schema.field("foo").metadata == {b"rerun:kind": b"data", b"rerun:component": b"foo"}
    assert batch.column("frame").to_pylist() == [3, 1, 2]
    assert batch.column("Points3D:labels").to_pylist() == [None, ["a", "b"], ["c"]]
    assert batch.column("foo").to_pylist() == [None, None, None]
    assert (chunk.num_rows, chunk.entity_path, chunk.is_static) == (3, "/world/points", False)


def test_static_time_is_clamped():
    """int64-min, which means static, is moved up by one, in sorted and in unsorted columns."""
    low = -(2**63)
    schema = ChunkSchema("/a", (("s", SEQUENCE), ("u", SEQUENCE)), (SCALAR,), is_static=False)
    columns = [times(low, low, 2), times(5, low, 7)]
    chunk = schema.build(tuid(), ids(3), columns, [(pa.array([1.0, 2.0, 3.0]), None)])
    assert chunk.batch.column("s").to_pylist() == [low + 1, low + 1, 2]
    assert chunk.batch.column("u").to_pylist() == [5, low + 1, 7]
    assert chunk.time_ranges == ((low + 1, 2), (low + 1, 7))
    assert columns[0][0] == low


def test_bad_buffers_are_refused():
    """Descending row ids, wrong sizes and wrong types raise ValueError instead of making a chunk readers misread."""
    schema = ChunkSchema("/a", (("frame", SEQUENCE),), (SCALAR,), is_static=False)
    good = [(pa.array([1.0, 2.0]), None)]
    first, second = tuid(), tuid()
    schema.build(tuid(), first + second, [times(1, 2)], good)
    for row_ids, time, cells in [
        (second + first, times(1, 2), good),
        (first + second[:8], times(1, 2), good),
        (first + second, times(1), good),
        (first + second, times(1, 2), []),
        (first + second, times(1, 2), [(pa.array([1, 2]), None)]),
        (first + second, times(1, 2), [(pa.array([1.0]), None)]),
        (first + second, times(1, 2), [(pa.array([1.0]), np.array([0, 1], "i4"))]),
        (first + second, times(1, 2), [(pa.array([1.0]), np.array([0, 1, 2], "i4"))]),
    ]:
        with pytest.raises(ValueError):
            schema.build(tuid(), row_ids, [time], cells)


def test_impossible_schemas_are_refused():
    """A name twice, static with timelines and temporal without are refused."""
    frame = (("frame", SEQUENCE),)
    for timelines, columns, static in [
        (frame * 2, (SCALAR,), False),
        (frame, (SCALAR, SCALAR), False),
        (frame, (SCALAR,), True),
        ((), (SCALAR,), False),
    ]:
        with pytest.raises(ValueError):
            ChunkSchema("/a", timelines, columns, static)


def test_encoded_chunk_decodes_to_its_batch():
    """Encoding and decoding give back the batch with all metadata, for one-row and odd chunks too."""
    gap = ChunkSchema("/chunk_" + "#" * 32, (), (SCALAR,), is_static=True)  # imitates the gap for the chunk id
    odd = gap.build(tuid(), ids(1), [], [(pa.array([1.0]), None)])
    none = scalars(rows=0)
    for chunk in [*several(), odd, none]:
        batch = decode_message(encode(chunk))
        batch.validate(full=True)
        assert batch.equals(chunk.batch, check_metadata=True)


def test_values_that_do_not_compress_are_left_as_they_are(tmp_path):
    """No copy of noise is made: the chunk's own buffer is what is written. Rerun verifies and reads it."""
    for chunk, is_compressed in [(noise(rows=40), False), (noise(rows=1), True), (scalars(rows=100_000), True)]:
        encoded = encode(chunk)
        assert encoded.is_compressed == is_compressed
        assert decode_message(encoded).equals(chunk.batch, check_metadata=True)
    chunk = noise(rows=40)
    values = chunk.batch.column(chunk.batch.num_columns - 1).values.buffers()[1]
    assert any(getattr(buffer, "address", 0) == values.address for buffer in encode(chunk).payload)
    write(tmp_path / "noise.rrd", [chunk])
    assert verify(tmp_path / "noise.rrd")[0] == 0
    (again,) = read(tmp_path / "noise.rrd").values()
    assert again.column("Scalars:scalars").equals(chunk.batch.column("Scalars:scalars"))


def test_decoded_chunk_has_what_the_footer_needs():
    """chunk_from_batch finds the same id, ranges, counts and descriptors as the chunk that was built."""
    for chunk in several():
        again = chunk_from_batch(chunk.batch)
        for name in Chunk.__slots__:
            if name not in ("_form", "_rows", "schema"):
                assert getattr(again, name) == getattr(chunk, name)
        assert again.schema.fields.descriptors == chunk.schema.fields.descriptors
        assert chunk_from_batch(chunk.batch).schema.fields is again.schema.fields
        assert decode_message(encode(again)).equals(chunk.batch, check_metadata=True)


def decode_message(encoded):
    payload = b"".join(encoded.payload)
    return decode(
        proto.ArrowMsg(encoding=1, compression=1 + encoded.is_compressed, uncompressed_size=encoded.uncompressed_size, payload=payload)
    )


def test_uncompressed_and_damaged_messages():
    """Both spellings of 'not compressed' decode; damage, hostile sizes and unknown encodings are ValueErrors."""
    chunk = scalars()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, chunk.batch.schema) as writer:
        writer.write_batch(chunk.batch)
    raw = sink.getvalue().to_pybytes()
    for compression in (0, 1):
        assert decode(proto.ArrowMsg(encoding=1, compression=compression, payload=raw)).equals(chunk.batch)
    packed = encode(chunk)
    for bad in [
        {"encoding": 0, "payload": raw},
        {"encoding": 1, "compression": 3, "payload": raw},
        {"encoding": 1, "compression": 2, "uncompressed_size": 2**63, "payload": packed.payload[0]},
        {"encoding": 1, "compression": 2, "uncompressed_size": 10, "payload": packed.payload[0]},
        {
            "encoding": 1,
            "compression": 2,
            "uncompressed_size": packed.uncompressed_size,
            "payload": packed.payload[0][:-9],
        },
        {"encoding": 1, "payload": raw[:40]},
        {"encoding": 1, "payload": b""},
    ]:
        with pytest.raises(ValueError):
            decode(proto.ArrowMsg(**bad))
    for metadata in [{}, {"rerun:id": "chunk_zz"}, {"rerun:id": "chunk_" + "0" * 32}]:
        with pytest.raises(ValueError, match="Not a chunk"):
            chunk_from_batch(chunk.batch.replace_schema_metadata(metadata))


def test_an_empty_list_of_unions_is_encoded_again():
    """Seen: the size of such a batch, once read back, was asked of pyarrow in a way that kills the process (pyarrow 26)."""
    import shmrerun as rr

    values = rr.BarChart(np.arange(3)).as_component_batches()[0].as_arrow_array()
    batch = scalars(rows=1).batch
    empty = pa.ListArray.from_arrays(pa.array([0, 0], pa.int32()), values.slice(0, 0))
    batch = batch.append_column(pa.field("BarChart:values", empty.type, metadata={"rerun:kind": "data"}), empty)
    again = decode_message(encode(chunk_from_batch(batch)))
    assert decode_message(encode(chunk_from_batch(again))).equals(again)
