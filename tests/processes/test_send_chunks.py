"""Chunks and tables that are sent, from any process, are in the file as they were made; rerun-sdk 0.41 is the judge."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from helpers import check, read_rows, run
from helpers_rrd import several, write

import shmrerun as rr
from shmrerun.chunk import Chunk, ChunkStore, LazyChunkStream, RrdReader


def their_batches(path):
    """Batches of a file by chunk id, as rerun-sdk reads them, less the recording's own properties."""
    from rerun.chunk import RrdReader as Theirs

    batches = [chunk.to_record_batch() for chunk in Theirs(str(path)).stream()]
    found = {batch.schema.metadata[b"rerun:id"].decode(): batch for batch in batches}
    return {key: batch for key, batch in found.items() if b"__properties" not in batch.schema.metadata[b"rerun:entity_path"]}


def test_everything_that_has_chunks(tmp_path):
    """Chunks of ours and of rerun-sdk's, recordings, stores, streams and batches: all are sent, with their ids, values and metadata."""
    path = tmp_path / "source.rrd"
    write(path, several())
    run(
        f"""
        import rerun.chunk as theirs
        import shmrerun as rr
        from shmrerun.chunk import RrdReader
        path = {str(path)!r}
        reader, real = RrdReader(path), theirs.RrdReader(path)
        for name, chunks in dict(
            recording=rr.read(path), stream=reader.stream(), store=reader.store(), collected=reader.stream().collect(),
            listed=list(reader.stream()), batches=rr.read(path).chunks(), generator=(chunk for chunk in reader.stream()),
            their_stream=real.stream(), their_store=real.store(),
            their_list=real.stream().to_chunks(), their_collected=real.stream().collect(),
        ).items():
            with rr.RecordingStream("app", recording_id="sent") as recording:
                recording.save(f"{{name}}.rrd")
                recording.send_chunks(chunks)
        with rr.RecordingStream("app", recording_id="sent") as recording:
            recording.save("one.rrd")
            for chunk in real.stream():
                rr.send_chunks(chunk, recording=recording)
        """,
        tmp_path,
    )
    want = their_batches(path)
    found = sorted(tmp_path.glob("*.rrd"))
    assert len(found) == 13
    for file in found:
        if file.name != "source.rrd":
            check(file)
            ours = their_batches(file)
            if file.name == "their_collected.rrd":  # their store merges chunks
                assert sum(map(len, ours.values())) == sum(map(len, want.values()))
                continue
            assert ours.keys() == want.keys(), file
            assert all(ours[key].equals(batch, check_metadata=True) for key, batch in want.items()), file
            assert rr.read(file).store == ("recording", "app", "sent")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_send(tmp_path, method):
    """Children of every start method send tables and chunks into the parent's file; a killed one loses nothing of what it sent."""
    run(
        f"""
        import multiprocessing, os, signal
        import pyarrow as pa
        import shmrerun as rr
        from shmrerun.chunk import Chunk

        def work(number):
            for part in range(3):
                first = 100 * number + 10 * part
                table = pa.table({{"step": range(first, first + 10), f"/{{number}}:x": [float(value) for value in range(10)]}})
                rr.send_dataframe(table, index="step")
            rr.send_chunks(Chunk.from_columns("/all", [rr.TimeColumn("step", sequence=[number])], rr.Scalars.columns(scalars=[number])))
            os.kill(os.getpid(), signal.SIGKILL)

        if __name__ == "__main__":
            rr.init("app", recording_id="sent")
            rr.save("a.rrd")
            context = multiprocessing.get_context({method!r})
            children = [context.Process(target=work, args=(number,)) for number in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            rr.disconnect()
        """,
        tmp_path,
    )
    check(tmp_path / "a.rrd")
    rows = read_rows(tmp_path / "a.rrd")
    assert [[row["step"] for row in rows[f"/{number}"]] for number in range(3)] == [list(range(100 * n, 100 * n + 30)) for n in range(3)]
    assert sorted(row["step"] for row in rows["/all"]) == [0, 1, 2]
    assert rr.read(tmp_path / "a.rrd").columns("/1:x", index="step").to_arrow_table().num_rows == 30


def test_large_sends(tmp_path):
    """What is more than a record of shared memory holds goes in several, each chunk whole."""
    run(
        """
        import numpy as np, pyarrow as pa
        import shmrerun as rr
        from shmrerun.chunk import Chunk
        noise = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()
        rr.init("app", recording_id="sent")
        rr.save("a.rrd")
        chunks = [Chunk.from_columns(f"/{n}", [], rr.EncodedImage.columns(blob=[noise])) for n in range(20)]
        rr.send_chunks(chunks)
        rr.send_chunks(Chunk.from_columns("/large", [], rr.EncodedImage.columns(blob=[noise * 7])))
        rr.disconnect()
        """,
        tmp_path,
    )
    check(tmp_path / "a.rrd")
    recording = rr.read(tmp_path / "a.rrd")
    assert sum(entity.num_rows for path, entity in recording.entities.items() if not path.startswith("/__")) == 21


# ---- in this process


INDEXED = pa.table({"step": [3, 1, 2], "/a:Scalars:scalars": [1.0, 2.0, 3.0], "/b:foo": ["x", None, "z"]})


def both(call):
    """Outcome of a call with our class and with rerun-sdk's: chunks without ids, or the error's type."""
    import rerun.chunk

    outcomes = []
    for cls in (Chunk, rerun.chunk.Chunk):
        try:
            found = call(cls)
            batches = [chunk.to_record_batch() for chunk in (found if isinstance(found, list) else [found])]
            outcomes.append(
                [
                    (
                        {key: value for key, value in batch.schema.metadata.items() if key != b"rerun:id"},
                        [(field.name, field.type, field.nullable, field.metadata) for field in batch.schema],
                        [column.to_pylist() for column in batch.columns[1:]],
                    )
                    for batch in batches
                ]
            )
        except Exception as error:
            outcomes.append(type(error))
    return outcomes


def field(name, of, **metadata):
    return pa.field(name, of, metadata={f"rerun:{key}": value for key, value in metadata.items()} or None)


FRAMES = rr.TimeColumn("f", sequence=[0, 1])
STEPS, VALUES = pa.array([0, 2, 1]), pa.array([1.0, 2.0, 3.0])
LISTS = pa.array([[1.0], None, []], pa.list_(pa.float64()))
IDS = pa.array([bytes(15) + bytes([number]) for number in (1, 2, 3)], pa.binary(16))
ROW_ID = field("rerun.controls.RowId", pa.binary(16), kind="control")
FRAME = field("frame", pa.int64(), kind="index", index_name="frame")
CHUNK_ID = {"rerun:id": "chunk_18EA54E2FED231B80000000000000009"}


def batch(*columns, **metadata):
    fields = [name if isinstance(name, pa.Field) else pa.field(name, column.type) for name, column in columns]
    return pa.RecordBatch.from_arrays([column for _, column in columns], schema=pa.schema(fields, metadata=metadata.get("metadata")))


_times = [STEPS.cast(kind) for kind in (pa.int32(), pa.timestamp("ns"), pa.timestamp("ns", "UTC"), pa.timestamp("us"), pa.duration("ns"))]
_values = [
    pa.array([[[1]], [[2]], []]), pa.array([[1], [2], []], pa.large_list(pa.int64())),
    pa.array([[1, 2], [2, 3], [3, 4]], pa.list_(pa.int64(), 2)),
    pa.array([1, None, 3]), pa.array(["a", "b", "a"]).dictionary_encode(), pa.nulls(3), pa.array([{"a": 1}, None, {"a": 2}]),
    pa.array([[1], [2], [3]], pa.list_(pa.field("x", pa.int64(), nullable=False))),
]  # fmt: skip
_said = [
    {}, {"index": "i"}, {"index": None}, {"index": ["i"], "entity_path": "foo/bar"}, {"index": "k"}, {"index": []},
    {"index": "i", "entity_path": ""}, {"index": ["i", "i"]},
]  # fmt: skip
_names = ("/a:Points3D:positions", "/b:c", "bar", "/c", "d:e", "/a/b\\:c:d")
_named = {"kind": "data", "entity_path": "/z", "component": "A:b", "archetype": "my.A", "component_type": "my.B"}
TABLES = [
    *[(batch(("i", STEPS), ("x", VALUES)), said) for said in _said],
    *[(batch(("i", times), ("x", VALUES)), {"index": "i"}) for times in _times],
    *[(batch(("i", STEPS), ("x", values)), {"index": "i"}) for values in _values],
    *[(batch(("i", STEPS), (name, LISTS)), {"index": "i", "entity_path": "/arg"}) for name in _names],
    (batch(("i", STEPS), ("/a:x", VALUES), ("/b:x", VALUES), ("/a:y", LISTS)), {"index": "i"}),
    (batch(("property:p:x", VALUES)), {"index": None}),
    (batch((FRAME, STEPS), (field("q", LISTS.type, **_named), LISTS)), {}),
    (batch((field("frame", pa.int64(), kind="index"), STEPS), ("x", VALUES)), {}),
    (batch((field("frame", pa.int64(), index_name="other"), STEPS), ("x", VALUES)), {}),
    (batch((field("frame", pa.int64(), is_table_index="true"), STEPS), ("x", VALUES)), {}),
    (batch((FRAME, STEPS), ("x", VALUES)), {"index": None}),
    (batch((FRAME, STEPS), ("j", STEPS), ("x", VALUES)), {"index": "j"}),
    (batch(("i", STEPS), ("/c:x", VALUES), metadata={"rerun:entity_path": "/bp"}), {"index": "i", "entity_path": "/arg"}),
    (batch(("i", STEPS)), {"index": "i"}),
    (batch(("i", pa.array([1, None, 2])), ("x", VALUES)), {"index": "i"}),
    (batch((ROW_ID, IDS), (FRAME, STEPS), ("x", VALUES), metadata=CHUNK_ID | {"rerun:entity_path": "/e"}), {}),
    (batch((ROW_ID, IDS), ("x", VALUES), metadata=CHUNK_ID | {"rerun:entity_path": "/e"}), {}),
    (batch((ROW_ID, IDS), ("/a:x", VALUES), ("/b:x", VALUES), metadata=CHUNK_ID), {}),
    (batch((ROW_ID, IDS), ("x", VALUES), metadata=CHUNK_ID), {"index": None}),
    (batch((ROW_ID, IDS), (FRAME, STEPS), ("x", VALUES)), {}),
    (batch((FRAME, STEPS), ("x", VALUES), metadata=CHUNK_ID), {}),
    (batch(("i", STEPS[:0]), ("x", VALUES[:0])), {"index": "i"}),
    (batch(("i", STEPS), ("x", VALUES), ("x", VALUES)), {"index": "i"}),
    (batch(("i", STEPS), ("j", _times[1]), (field("x", pa.float64(), foo="bar"), VALUES), metadata={"hello": "w"}), {"index": ["j", "i"]}),
    (5, {}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(TABLES)))
def test_tables_as_chunks(number):
    """What columns stand for, and what is refused, is as in rerun-sdk, for each way to say it."""
    table, said = TABLES[number]
    ours, theirs = both(lambda cls: cls.from_record_batch(table, **said))
    assert ours == theirs


def test_ids_are_kept_where_both_are_there():
    """A table that is a chunk already keeps chunk id and row ids, rows sorted by them; anything else gets new ones."""
    table = batch((ROW_ID, IDS.take(pa.array([2, 0, 1]))), ("x", VALUES), metadata=CHUNK_ID)
    (kept,) = Chunk.from_record_batch(table)
    assert kept.id == CHUNK_ID["rerun:id"]
    assert kept.to_record_batch().column(0).to_pylist() == IDS.to_pylist()
    assert kept.to_record_batch().column(1).to_pylist() == [[2.0], [3.0], [1.0]]
    for said in ({"index": None}, {"entity_path": "/x"}):
        (new,) = Chunk.from_record_batch(table, **said)
        assert new.id != kept.id
        ids = new.to_record_batch().column(0).to_pylist()
        assert sorted(ids) == ids
        assert not {*ids} & {*IDS.to_pylist()}


@pytest.mark.parametrize(
    "make",
    [
        lambda cls: cls.from_columns("/p", [FRAMES, rr.TimeColumn("t", duration=[1.5, 0])], rr.Scalars.columns(scalars=[1, 2])),
        lambda cls: cls.from_columns("/p", [], rr.Points3D.columns(positions=np.zeros((4, 3)), radii=[1, 2, 3, 4]).partition([1, 3])),
        lambda cls: cls.from_columns("a b", [rr.TimeColumn("f", sequence=[0])], rr.AnyValues.columns(x=[1], y=["a"])),
        lambda cls: cls.from_columns("/p", [FRAMES], rr.Scalars.columns(scalars=[1])),
        lambda cls: cls.from_columns("/p", [FRAMES], []),
        lambda cls: cls.from_columns("/p", [], []),
        lambda cls: cls.from_property("my prop", rr.AnyValues(a=1, b=[1, 2])),
        lambda cls: cls.from_property("p", rr.Points2D([[1, 2], [3, 4]])),
        lambda cls: cls.from_property("p", 5),
    ],
)  # fmt: skip
def test_chunks_of_columns(make):
    """Chunks of columns and of properties are those that rerun-sdk makes of the same."""
    ours, theirs = both(make)
    assert ours == theirs


def test_what_a_chunk_says():
    """A chunk tells what rerun-sdk's tells: ids, paths, counts, names, kinds."""
    import rerun.chunk

    columns = [rr.TimeColumn("f", sequence=[0, 1])], rr.Scalars.columns(scalars=[1.0, 2.0])
    ours, theirs = (cls.from_columns("/p", *columns) for cls in (Chunk, rerun.chunk.Chunk))
    for name in ("entity_path", "num_rows", "num_columns", "is_static", "is_empty", "timeline_names"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert len(ours) == len(theirs)
    assert repr(ours).replace(ours.id, "") == repr(theirs).replace(theirs.id, "")
    assert (len(ours.id), ours.id[:6]) == (len(theirs.id), theirs.id[:6])
    assert "Scalars:scalars=[2.0]" in str(ours)
    assert ours.id not in ours.format(redact=True)
    assert all(len(line) <= 30 for line in ours.format(width=30).splitlines())
    moved = ours.with_entity_path("q r")
    assert (moved.entity_path, moved.num_rows) == ("/q\\ r", 2)
    assert moved.id != ours.id
    with pytest.raises(ValueError, match="Not a chunk"):
        Chunk(pa.record_batch({"x": [1]}))


def test_errors_of_sending(tmp_path):
    """What cannot be sent is an error also without a recording, as in rerun-sdk; nothing else happens then."""
    chunk = Chunk.from_columns("/p", [], rr.Scalars.columns(scalars=[1.0]))
    rr.send_chunks(chunk)
    rr.send_chunks([chunk])
    rr.send_dataframe(INDEXED, index="step")
    for call, error, words in (
        (lambda: rr.send_chunks(5), TypeError, "int"),
        (lambda: rr.send_dataframe(5), TypeError, "int"),
        (lambda: rr.send_record_batch(INDEXED), TypeError, "Table"),
        (lambda: rr.send_record_batch(INDEXED.to_batches()[0]), ValueError, "index=None"),
    ):
        with pytest.raises(error, match=words):
            call()
    disabled = rr.RecordingStream("app", default_enabled=False)
    with pytest.raises(TypeError, match="got 'int'"):
        disabled.send_chunks([chunk, 5])


def test_streams_of_chunks(tmp_path):
    """Filters, splits, maps and merges give what rerun-sdk's give, and the file that is written is whole."""
    import rerun.chunk

    path, out = tmp_path / "a.rrd", tmp_path / "b.rrd"
    write(path, several())
    said = [
        {"content": "/a"}, {"content": ["/**", "- /a"]}, {"content": "/__properties/**"}, {"has_timeline": "frame"},
        {"is_static": True}, {"components": "Points3D:labels"}, {"components": ["foo", "Points3D:positions"], "content": "/world/**"},
        {"is_static": False, "content": "/a"},
    ]  # fmt: skip
    for how in said:
        for name in ("filter", "drop"):
            shown = []
            for reader in (RrdReader, rerun.chunk.RrdReader):
                chunks = getattr(reader(str(path)).stream(), name)(**how).to_chunks()
                shown.append(sorted((c.entity_path, c.num_rows, tuple(c.to_record_batch().schema.names)) for c in chunks))
            assert shown[0] == shown[1], (name, how)
    stream = RrdReader(path).stream()
    kept, rest = stream.split(content="/a")
    with pytest.raises(ValueError, match="taken over"):
        stream.to_chunks()
    only_b = rest.flat_map(lambda chunk: [chunk] * (chunk.entity_path == "/b"))
    moved = LazyChunkStream.merge(kept.map(lambda chunk: chunk.with_entity_path("/moved")), only_b)
    moved.write_rrd(out, application_id="new", recording_id="id")
    check(out)
    assert list(rr.read(out).entities) == ["/b", "/moved"]
    assert len(moved.collect()) == len(ChunkStore.from_chunks(moved)) == 5
    with pytest.raises(ZeroDivisionError):
        RrdReader(path).stream().map(lambda chunk: 1 / 0).write_rrd(out, application_id="x", recording_id="y")
    assert rr.read(out).application_id == "new"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.rrd", "b.rrd"]
    RrdReader(out).store().write_rrd(out, application_id="self", recording_id="s")
    assert (rr.read(out).application_id, len(rr.read(out))) == ("self", 5)


def test_older_names_warn():
    """The names that moved out of rerun.experimental are there, with a warning."""
    from shmrerun import experimental

    with pytest.warns(DeprecationWarning, match=r"use shmrerun\.chunk\.Chunk"):
        assert experimental.Chunk is Chunk
    with pytest.warns(DeprecationWarning, match=r"use shmrerun\.send_chunks"):
        assert experimental.send_chunks is rr.send_chunks
    with pytest.raises(AttributeError, match="use rerun-sdk itself"):
        _ = experimental.ViewerClient
    assert "RrdReader" in dir(experimental)
