"""Reading recordings back, with rerun-sdk 0.41 as the judge: its readers of chunks, and its tables by DataFusion."""

from __future__ import annotations

import copy
import datetime as dt
import gc
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections import Counter

import hypothesis
import numpy as np
import pyarrow as pa
import pytest
from helpers_rrd import FOO, LABELS, SCALAR, STORE, ids, scalars, several, tuid, write
from hypothesis import strategies as st

import shmrerun as rr
import shmrerun.errors
from shmrerun import framing
from shmrerun.model.parts import SEQUENCE, TIMESTAMP, Column
from shmrerun.rrd import encoder, join, proto
from shmrerun.rrd.chunk import ChunkSchema, encode
from shmrerun.rrd.filters import EntityFilter
from shmrerun.rrd.footer import Manifest, footer_payload

STEP, TIME = ("step", SEQUENCE), ("time", TIMESTAMP)


def their_reader(path):
    """rerun-sdk's reader of a file, which warns of one without a footer."""
    from rerun.chunk import RrdReader

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="RRD file has no footer")
        return RrdReader(str(path))


def their_chunks(path):
    """What rerun-sdk's reader gives: a record batch for each chunk, in the order of the file."""
    return [chunk.to_record_batch() for chunk in their_reader(path).stream()]


def their_table(path, index, contents="/**", store=None):
    """The table that rerun-sdk makes, sorted by its index."""
    pytest.importorskip("datafusion")
    shown = {"include_semantically_empty_columns": True, "include_tombstone_columns": True}
    store = store or their_reader(path).stream().collect()
    table = store.reader(index=index, contents=contents, **shown).to_arrow_table()
    return table if index is None or not table.num_rows else table.sort_by(index)


def as_theirs(view, index):
    """Our table as rerun-sdk shows it: of several rows at a time, each column's last value."""
    rows = {}
    for row in pa.table(view).to_pylist():
        rows.setdefault(row[index], {}).update({name: value for name, value in row.items() if value is not None})
    return rows


def plain(table):
    """Rows as dicts of what is not null, in which NaN equals itself."""
    return [{name: repr(value) for name, value in row.items() if value is not None} for row in table.to_pylist()]


# ---- chunks and tables, value for value


def test_chunks_are_what_rerun_reads(tmp_path):
    """Each chunk comes back with its row ids, times, values and metadata, as rerun-sdk reads it."""
    path = tmp_path / "a.rrd"
    write(path, several())
    with rr.read(path) as recording:
        ours = list(recording.chunks())
    theirs = their_chunks(path)
    assert len(ours) == len(theirs) == len(several())
    assert all(our.equals(their, check_metadata=True) for our, their in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("footer", [True, False])
def test_what_there_is(tmp_path, footer):
    """Stores, entities, timelines, ranges and counts are those of the file, with a footer and without."""
    path = tmp_path / "a.rrd"
    write(path, several(), footer=footer)
    recording = rr.read(path)
    assert recording.is_complete == footer
    assert recording.problems == ()
    assert recording.stores == (recording.store,) == (("recording", "app", "recording"),)
    assert (recording.application_id, recording.recording_id, len(recording)) == ("app", "recording", 10)
    assert list(recording.entities) == ["/__properties", "/__properties/one\\ two/x", "/a", "/b", "/empty", "/s", "/world/points"]
    entity = recording.entities["/a"]
    assert (entity.num_rows, entity.num_static_rows, entity.timelines) == (8, 1, ("frame", "log_time"))
    assert list(entity.components) == ["Clear:is_recursive", "Scalars:scalars"]
    assert entity.components["Scalars:scalars"].metadata[b"rerun:component_type"] == b"rerun.components.Scalar"
    assert list(recording.timelines) == ["a-b.c, d\\", "frame", "log_time", "zeit"]
    frame, log_time, zeit = (recording.timelines[name] for name in ("frame", "log_time", "zeit"))
    assert (frame.type, frame.start, frame.end, frame.num_rows) == (pa.int64(), 0, 5, 12)
    assert (log_time.start, log_time.end) == (np.datetime64(0, "ns"), np.datetime64(5, "ns"))
    assert (zeit.start, zeit.end, zeit.num_rows) == (np.timedelta64(5, "ns"), np.timedelta64(9, "ns"), 3)


@pytest.fixture(scope="module")
def every_archetype(tmp_path_factory):
    """A file with every archetype in every form, as the compat tests log it."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = str(tmp_path_factory.mktemp("reader") / "all.rrd")
    program = os.path.join(here, "compat", "round_trip_program.py")
    done = subprocess.run([sys.executable, program, "shmrerun", path], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return path


def test_every_archetype(every_archetype):
    """The table of each entity has the types and values that rerun-sdk reads, for all archetypes, one or many, empty and cleared."""
    recording = rr.read(every_archetype)
    theirs = {}
    for batch in their_chunks(every_archetype):
        theirs.setdefault(batch.schema.metadata[b"rerun:entity_path"].decode(), []).append(batch)
    assert {*recording.entities} == {*theirs}
    assert len(theirs) > 900
    for path, batches in theirs.items():
        table = recording[path].to_arrow_table()
        assert len(table) == sum(map(len, batches))
        for name in {name for batch in batches for name in batch.schema.names[1:]}:
            want = pa.chunked_array(
                [b.column(name) if name in b.schema.names else pa.nulls(len(b), table.field(name).type) for b in batches]
            )
            assert table.column(name).combine_chunks().equals(want.combine_chunks()), (path, name)


def test_every_archetype_by_time(every_archetype):
    """Tables over a timeline have rerun-sdk's rows, for all archetypes."""
    recording = rr.read(every_archetype)
    store = their_reader(every_archetype).stream().collect()
    for name in sorted({path.split("/")[1] for path in recording.entities} - {"__properties", "Clear"}):
        contents = [f"/{name}/**", f"- /{name}/one"]  # which is static: rerun-sdk shows that in each row
        theirs = their_table(every_archetype, "case", contents, store)
        view = recording.view("case", contents)
        assert {*view.schema.names} == {*theirs.schema.names}
        ours = {time: {n: repr(v) for n, v in row.items()} for time, row in as_theirs(view, "case").items()}
        assert ours == {row["case"]: {n: repr(v) for n, v in row.items() if v is not None} for row in theirs.to_pylist()}, name


def test_static_values(every_archetype, tmp_path):
    """Without an index there is one row, with the values that rerun-sdk shows: of each component the last static one."""
    for path in (every_archetype, tmp_path / "a.rrd"):
        if path != every_archetype:
            made = [ChunkSchema("/s", (), (SCALAR, FOO), is_static=True), ChunkSchema("/s", (), (SCALAR,), is_static=True)]
            first, second, third = ids(2), ids(1), ids(1)
            write(path, [
                made[1].build(tuid(), third, [], [(pa.array([9.0]), None)]),
                made[0].build(tuid(), first, [], [(pa.array([1.0, 2.0]), None), (pa.array([3]), np.array([0, 1, 1], "i4"), b"\x01")]),
                made[1].build(tuid(), second, [], [(pa.array([8.0]), None)]),
                *several(),
            ])  # fmt: skip
        ours, theirs = rr.read(path).view(None).to_arrow_table(), their_table(path, None)
        assert ours.num_rows == theirs.num_rows == 1
        assert plain(ours) == plain(theirs.select(ours.schema.names))
        assert plain(ours.select([])) or {*plain(theirs)[0]} <= {*ours.schema.names}


# ---- random recordings

_times = st.one_of(st.none(), st.integers(-2, 3))
_row = st.fixed_dictionaries({
    "step": st.integers(-2, 4),
    "scalar": st.one_of(st.none(), st.lists(st.floats(allow_nan=False, width=32), max_size=2)),
    "foo": st.one_of(st.none(), st.lists(st.integers(-9, 9), max_size=2)),
    "labels": st.one_of(st.none(), st.lists(st.text(max_size=2), max_size=2)),
})  # fmt: skip
_chunk = st.fixed_dictionaries({
    "entity": st.sampled_from(["/a", "/a/b", "/c"]),
    "rows": st.lists(_row, min_size=1, max_size=5),
    "other": st.booleans(),
    "only_other": st.booleans(),
    "components": st.sets(st.sampled_from(["scalar", "foo", "labels"]), min_size=1),
})  # fmt: skip
_components = {"scalar": SCALAR, "foo": FOO, "labels": LABELS}
_values = {"scalar": pa.float64(), "foo": pa.int64(), "labels": pa.string()}


def build(chunk):
    """A chunk of the library's own making."""
    timelines = (TIME,) if chunk["only_other"] else (STEP, TIME) if chunk["other"] else (STEP,)
    names = sorted(chunk["components"])
    schema = ChunkSchema(chunk["entity"], timelines, tuple(_components[name] for name in names), is_static=False)
    rows = [row if any(row[name] is not None for name in names) else row | {names[0]: []} for row in chunk["rows"]]  # as log makes them
    cells = []
    for name in names:
        lists = pa.array([row[name] for row in rows], pa.list_(_values[name]))
        validity = np.packbits([row[name] is not None for row in rows], bitorder="little").tobytes()
        cells.append((lists.values, np.asarray(lists.offsets), validity))
    steps = np.array([row["step"] for row in rows], np.int64)
    return schema.build(tuid(), ids(len(rows)), [steps if name == "step" else steps * 7 % 5 for name, _ in timelines], cells)


@hypothesis.given(
    chunks=st.lists(_chunk, min_size=1, max_size=8),
    shuffled=st.randoms(),
    footer=st.booleans(),
    window=st.sampled_from([0, 99, 1 << 20]),
)
@hypothesis.settings(max_examples=40, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate])
def test_random_recordings(tmp_path_factory, chunks, shuffled, footer, window):
    """Whatever was logged in whatever order: every value is in the tables once, in order, and where rerun-sdk has it."""
    path = str(tmp_path_factory.mktemp("random") / "a.rrd")
    made = [build(chunk) for chunk in chunks]
    shuffled.shuffle(made)
    write(path, made, footer=footer)
    logged = logged_values(path)
    before, join.WINDOW_BYTES = join.WINDOW_BYTES, window
    try:
        recording = rr.read(path)
        for index in recording.timelines:
            view = recording.view(index)
            table = pa.table(view)
            assert table.column(index).to_pylist() == sorted(table.column(index).to_pylist())
            theirs = their_table(path, index)
            assert {*table.schema.names} == {*theirs.schema.names}
            crowded = {time for time, count in Counter(table.column(index).to_pylist()).items() if count > 1}
            ours, theirs = (
                as_theirs(view, index),
                {row[index]: {n: v for n, v in row.items() if v is not None} for row in theirs.to_pylist()},
            )
            for time in crowded:  # rerun-sdk takes the other timelines of some of the rows
                for name in recording.timelines:
                    ours[time].pop(name, None)
                    theirs[time].pop(name, None)
            assert ours == theirs
            some = pa.table(view.filter_range(1, 2))
            for name in table.schema.names[len(recording.timelines) :]:
                want = logged.get((index, name), [])
                assert [value for value in table.column(name).to_pylist() if value is not None] == [value for _, value in want]
                assert [v for v in some.column(name).to_pylist() if v is not None] == [v for time, v in want if 1 <= time <= 2]
    finally:
        join.WINDOW_BYTES = before


def test_large_chunks_of_one_entity(tmp_path):
    """Large chunks that come one after the other are a batch each, over the chunks' memory; the rows are those of any other way."""
    rows = 5000
    schema = ChunkSchema("/a", (STEP, TIME), (SCALAR, LABELS), is_static=False)

    def made(start):
        steps = np.arange(start, start + rows)
        some = np.packbits(np.arange(rows) % 3 == 0, bitorder="little").tobytes()
        labels = pa.array([str(step) for step in steps])
        cells = [(pa.array(steps / 2), None), (labels, np.arange(rows + 1, dtype="i4"), some)]
        return schema.build(tuid(), ids(rows), [steps, steps * 10], cells)

    write(str(tmp_path / "a.rrd"), [made(start) for start in (0, rows, 3 * rows)])
    write(str(tmp_path / "b.rrd"), [made(start) for start in (0, rows - 1, 3 * rows)])  # a time that comes twice
    for name, batches in (("a.rrd", 3), ("b.rrd", 1)):
        recording = rr.read(tmp_path / name)
        for view in (
            recording.view("step"),
            recording.columns("/a:Scalars:scalars", index="time"),
            recording.view("step").filter_range(7, 7000),
        ):
            found = view.to_arrow_table()
            before, join._OWN_ROWS = join._OWN_ROWS, 1 << 40
            try:
                joined = view.to_arrow_table()
            finally:
                join._OWN_ROWS = before
            assert found.equals(joined)
            assert len(joined.to_batches()) == 1
        assert len(list(recording.view("step").batches())) == batches


def logged_values(path):
    """By timeline and column: times and values of all rows, by time and row id, as rerun-sdk reads the chunks."""
    found = {}
    for batch in their_chunks(path):
        entity = batch.schema.metadata[b"rerun:entity_path"].decode()
        kinds = {field.name: field.metadata[b"rerun:kind"] for field in batch.schema}
        for index in (name for name, kind in kinds.items() if kind == b"index"):
            for name in (name for name, kind in kinds.items() if kind == b"data"):
                columns = batch.column(index).cast(pa.int64()).to_pylist(), batch.column(0).to_pylist(), batch.column(name).to_pylist()
                found.setdefault((index, f"{entity}:{name}"), []).extend(zip(*columns, strict=True))
    return {
        key: [(time, value) for time, _, value in sorted(rows, key=lambda row: row[:2]) if value is not None] for key, rows in found.items()
    }


# ---- what takes a recording as it is


def test_data_frames(tmp_path):
    """pyarrow, polars, pandas and duckdb take recordings and views as they are, again and again."""
    path = tmp_path / "a.rrd"
    write(path, [scalars("/a", 4), scalars("/b", 2, 3)])
    recording = rr.read(path)
    view = recording.view("frame", "/a")
    assert pa.table(recording).num_rows == pa.table(recording).num_rows == 6
    assert pa.schema(view) == pa.table(view).schema == view.schema
    assert pa.RecordBatchReader.from_stream(view).read_all() == view.to_arrow_table()
    polars = pytest.importorskip("polars")
    assert polars.DataFrame(view)["/a:Scalars:scalars"].explode().to_list() == [0, 1, 2, 3]
    pandas = pytest.importorskip("pandas")
    assert [list(cell) for cell in pandas.DataFrame.from_arrow(recording.view("frame"))["/b:Scalars:scalars"].dropna()] == [[3], [4]]
    duckdb = pytest.importorskip("duckdb")
    query = 'select frame, "/a:Scalars:scalars"[1] from view where frame > 1 order by frame'
    assert duckdb.sql(query).fetchall() == [(2, 2.0), (3, 3.0)]
    assert duckdb.sql("select count(*) from recording").fetchall() == [(6,)]


def test_selections(tmp_path):
    """Columns, ranges of each kind of time, entities by expression and by name; what does not exist is named."""
    path = tmp_path / "a.rrd"
    write(path, several())
    recording = rr.read(path)
    assert recording.columns("/a:Scalars:scalars", index="frame").schema.names == ["frame", "/a:Scalars:scalars"]
    assert recording.columns("/a:Scalars:scalars", "log_time").schema.names == ["log_time", "/a:Scalars:scalars"]
    assert pa.table(recording.columns("/a:Scalars:scalars")).column(0).to_pylist() == [[0], [1], [2], [3], [4], [5], [1]]
    assert pa.table(recording.columns("property:RecordingInfo:name")).to_pylist() == [{"property:RecordingInfo:name": ["name"]}]
    assert recording["a"].select("Scalars:scalars").schema.names == ["Scalars:scalars"]
    assert recording["//world/points/"].schema.names[-1] == "Points3D:positions"
    zeit = recording.view("zeit")
    assert pa.table(zeit.filter_range(dt.timedelta(0), 6)).column("frame").to_pylist() == [3, 1]
    log_time = recording.view("log_time", ["/**", "- /a"])
    late = log_time.filter_range(np.datetime64(1, "ns")).filter_range(end=dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(1))
    assert [value.value for value in pa.table(late).column("log_time").to_pylist()] == [1, 2]
    assert {name.partition(":")[0] for name in recording.view("frame", ["/a/**", "/__properties"]).schema.names[4:]} == {"/a", "property"}
    for wrong, error, words in (
        (lambda: recording["/nothing"], KeyError, "/nothing"),
        (lambda: recording.view("tick"), KeyError, "frame, log_time"),
        (lambda: recording.columns("/a:x"), KeyError, "/a:x"),
        (lambda: recording.view("frame", "/a/*"), ValueError, "ends in"),
        (lambda: recording.view("frame", [1]), TypeError, "int"),
        (lambda: recording["/a"].filter_range(1), ValueError, "index"),
        (lambda: recording.view("frame").filter_range(1.5), ValueError, "whole numbers"),
        (lambda: recording.view("zeit").filter_range("x"), ValueError, "no time"),
    ):
        with pytest.raises(error, match=words):
            wrong()


@pytest.mark.parametrize(
    ("expressions", "meant"),
    [
        (None, "/ /a /a/b /a/b/c /ab"), ("/**", "/ /a /a/b /a/b/c /ab"), ("/a", "/a"), ("a/**", "/a /a/b /a/b/c"), ([], ""),
        (["/a/**", "- /a/b"], "/a /a/b/c"), (["/a/**", "-/a/b/**", "+ /a/b/c"], "/a /a/b/c"), ("+ /**\n- /a/**", "/ /ab"),
        (["- /**"], ""), ("/", "/"),
        ("/__properties/**", "/__properties /__properties/x"), (["/__properties/x", "/ab"], "/__properties/x /ab"),
    ],
)  # fmt: skip
def test_expressions(expressions, meant):
    """Of the expressions that fit an entity the most specific one decides; properties must be named."""
    is_meant = EntityFilter(expressions)
    assert [path for path in ("/", "/__properties", "/__properties/x", "/a", "/a/b", "/a/b/c", "/ab") if is_meant(path)] == meant.split()


# ---- files that are not whole


def test_files_that_are_none(tmp_path):
    """What is no recording is refused in words, and leaves no file open."""
    gc.collect()  # what other tests left
    before = len(os.listdir("/proc/self/fd"))
    path = tmp_path / "a.rrd"
    for data, words in (
        (b"", "empty"),
        (b"PAR1" * 9, "PAR1"),
        (b"RRF1" + bytes(8), "RRF1"),
        (b"RRF2", "RRF2"),
        (encoder.stream_header(), "holds no"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=words):
            rr.read(path)
    with pytest.raises(FileNotFoundError):
        rr.read(tmp_path / "b.rrd")
    with pytest.raises((ValueError, OSError)):
        rr.read(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="regular"):
        rr.read(tmp_path / "fifo")
    gc.collect()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_every_cut(tmp_path):
    """A file that ends anywhere is read to its last whole message, and says so; nothing but a ValueError ever comes of one."""
    path, cut = tmp_path / "a.rrd", tmp_path / "b.rrd"
    manifest = write(path, several())
    data = path.read_bytes()
    table = manifest.table()
    ends = [
        offset + size
        for offset, size in zip(table.column("chunk_byte_offset").to_pylist(), table.column("chunk_byte_size").to_pylist(), strict=True)
    ]
    for size in [*range(0, len(data), 101), *ends, len(data) - 1]:
        cut.write_bytes(data[:size])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                recording = rr.read(cut)
            except ValueError:
                assert size < ends[0]
                continue
        whole = sum(end <= size for end in ends)
        assert len(recording) == len(list(recording.chunks())) == whole
        assert not recording.is_complete
        assert bool(caught) == bool(recording.problems)
        if size in ends or ends[0] < size < ends[-1]:
            assert bool(recording.problems) == (size not in ends)


@hypothesis.given(st.data())
@hypothesis.settings(max_examples=150, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate])
def test_every_damage(tmp_path_factory, data):
    """Bytes that were changed anywhere cost what they hold: the rest is read, or a ValueError comes, never a crash."""
    path = tmp_path_factory.mktemp("damage") / "a.rrd"
    write(path, several(), footer=data.draw(st.booleans()))
    content = bytearray(path.read_bytes())
    for part, value in data.draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4)):
        content[int(part * len(content))] = value
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            recording = rr.read(path)
            for index in [None, *recording.timelines]:
                pa.table(recording.view(index)).validate(full=True)
            pa.table(recording).validate(full=True)
        except ValueError:
            pass


def test_a_damaged_chunk_costs_itself(tmp_path):
    """Without a footer a chunk that does not decode is told and left out; with one, its table raises and others are read."""
    path = tmp_path / "a.rrd"
    manifest = write(path, [scalars("/a"), scalars("/b"), scalars("/c")], footer=False)
    offset = manifest.table().column("chunk_byte_offset")[1].as_py()
    size = manifest.table().column("chunk_byte_size")[1].as_py()
    content = bytearray(path.read_bytes())
    content[offset + size // 2 : offset + size // 2 + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.warns(shmrerun.errors.RerunWarning, match=f"chunk at byte {offset}"):
        recording = rr.read(path)
    assert list(recording.entities) == ["/a", "/c"]
    assert len(recording.problems) == 1
    write(path, [scalars("/a"), scalars("/b"), scalars("/c")])
    content = bytearray(path.read_bytes())
    content[offset + size // 2 : offset + size // 2 + 40] = b"\xff" * 40
    path.write_bytes(content)
    recording = rr.read(path)
    assert pa.table(recording["/c"]).num_rows == 3
    with pytest.raises(ValueError, match=r"decode|damaged"):
        pa.table(recording["/b"])


def test_lying_footers(tmp_path):
    """A footer that names places outside of its file, or lacks columns, is not believed: the messages are read instead."""
    path = tmp_path / "a.rrd"
    for lie in ("offset", "columns", "checksum", "elsewhere"):
        manifest = write(path, [scalars("/a"), scalars("/b")], footer=False)
        if lie == "offset":
            manifest._numbers[1] = 1 << 40
        payload = manifest.payload(STORE)
        if lie == "columns":
            footer = proto.RrdFooter.FromString(payload)
            footer.manifests[0].data.payload, footer.manifests[0].data.compression = footer.manifests[0].sorbet_schema.arrow_schema, 0
            payload = footer.SerializeToString()
        size = os.path.getsize(path)
        end = bytearray(encoder.end_message(payload, size + 16 + 5 * (lie == "elsewhere")))
        if lie == "checksum":
            end[-15] ^= 1
        with open(path, "ab") as file:
            file.write(end)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recording = rr.read(path)
        assert not recording.is_complete
        assert len(recording) == len(list(recording.chunks())) == 2
        assert recording.timelines["frame"].end == 2


def test_joined_files(tmp_path):
    """Streams one behind another, ended or not, are read as one."""
    path = tmp_path / "a.rrd"
    pieces = []
    for number, footer in enumerate((True, False, True)):
        write(path, [scalars(f"/{number}")], footer=footer)
        pieces.append(path.read_bytes())
    path.write_bytes(b"".join(pieces))
    recording = rr.read(path)
    assert (list(recording.entities), recording.problems) == (["/0", "/1", "/2"], ())


def test_several_stores(tmp_path):
    """Each store of a file is read by itself, the first recording if none is named; one without chunks is listed."""
    path = tmp_path / "a.rrd"
    blueprint, second = encoder.store_id("app", "b", encoder.BLUEPRINT), encoder.store_id("app", "2")
    empty = encoder.store_id("other", "3")
    data = encoder.stream_header() + encoder.set_store_info(blueprint, tuid()) + encoder.set_store_info(empty, tuid())
    manifests = {}
    for store, chunk in ((blueprint, scalars("/view")), (STORE, scalars("/a")), (second, scalars("/b")), (STORE, scalars("/c"))):
        encoded = encode(chunk)
        buffers, size = encoder.arrow_msg(store, encoded)
        manifests.setdefault(store, Manifest()).add(chunk, len(data) + 16, size - 16, encoded.uncompressed_size)
        data += b"".join(buffers)
    for footer in (encoder.end_message(footer_payload(manifests.items()), len(data) + 16), b""):
        path.write_bytes(data + footer)
        recording = rr.read(path)
        assert {*recording.stores} == {
            ("blueprint", "app", "b"), ("recording", "other", "3"), ("recording", "app", "recording"), ("recording", "app", "2"),
        }  # fmt: skip
        found = {store: list(rr.read(path, store=store).entities) for store in recording.stores}
        assert found["blueprint", "app", "b"] == ["/view"]
        assert found["recording", "app", "recording"] == ["/a", "/c"]
        assert found["recording", "app", "2"] == ["/b"]
        nothing = rr.read(path, store=recording.stores[[s.application_id for s in recording.stores].index("other")])
        assert (len(nothing), pa.table(nothing).num_rows, dict(nothing.timelines)) == (0, 0, {})
        with pytest.raises(ValueError, match="no store"):
            rr.read(path, store=recording.store._replace(recording_id="x"))


def test_types_that_change(tmp_path):
    """Values that fit the first type of their component are cast to it; others are an error that names the column."""
    path = tmp_path / "a.rrd"
    for values, fits in (([5.0], True), ([5.5], False), (["x"], False)):
        chunks = []
        for array, name in ((pa.array([1]), "int64"), (pa.array(values), str(pa.array(values).type))):
            schema = ChunkSchema("/a", (STEP,), (Column("x", None, None, name),), is_static=False)
            chunks.append(schema.build(tuid(), ids(1), [np.array([len(chunks)])], [(array, None)]))
        write(path, chunks)
        view = rr.read(path).view("step")
        if fits:
            assert pa.table(view).column("/a:x").to_pylist() == [[1], [5]]
        else:
            with pytest.raises(ValueError, match="/a:x holds"):
                pa.table(view)
        assert len(list(rr.read(path).chunks())) == 2


def test_threads_pickles_and_closing(tmp_path):
    """A recording is shared by threads, pickled and copied; what is read after close says so, and nothing stays open."""
    path = tmp_path / "a.rrd"
    write(path, [scalars(f"/{number}", 50, number) for number in range(20)])
    want = pa.table(rr.read(path).view("frame"))
    recording = rr.read(path)
    results = []
    threads = [threading.Thread(target=lambda: results.append(pa.table(recording.view("frame")).equals(want))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4
    assert pa.table(pickle.loads(pickle.dumps(recording)).view("frame")).equals(want)
    assert pa.table(copy.copy(recording).view("frame")).equals(want)
    before = threading.active_count()
    half = recording.chunks()
    next(half)
    half.close()
    assert threading.active_count() == before
    view = recording["/3"]
    with recording:
        pass
    with pytest.raises(ValueError, match="closed"):
        pa.table(view)


def test_a_file_that_grows(tmp_path):
    """A file is read as it was when it was opened; what is cut from it later is an error, never a crash."""
    path = tmp_path / "a.rrd"
    write(path, [scalars("/a", 30_000)], footer=False)
    recording = rr.read(path)
    other = tmp_path / "b.rrd"
    write(other, [scalars("/b")], footer=False)
    with open(path, "ab") as file:
        file.write(other.read_bytes()[framing.STREAM_HEADER_BYTES :])
    assert pa.table(recording).num_rows == 30_000
    assert {*rr.read(path).entities} == {"/a", "/b"}
    os.truncate(path, 1000)
    with pytest.raises(ValueError, match="cut while"):
        pa.table(recording)
