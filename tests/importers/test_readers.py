"""Readers of MCAP, Parquet, MP4 and LeRobot files give the chunks that rerun-sdk 0.41's give."""

import gc
import shutil
import threading
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rerun
import rerun.chunk as theirs_chunk
import rerun.experimental as theirs_experimental
import test_tables
from test_mcap import plain

import shmrerun.chunk
import shmrerun.experimental
from shmrerun.errors import RerunWarning

OURS, THEIRS = (shmrerun.chunk, shmrerun.experimental), (theirs_chunk, theirs_experimental)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    plain(folder / "a.mcap", 2000, chunk_size=2000)
    table = {
        "x": np.arange(5) * 20,
        "a_b": np.arange(5),
        "a_c": np.arange(5) / 4,
        "f": np.arange(5) - 1.5,
        "t_t": np.arange(5).astype("datetime64[ns]"),
        "b": list("abcde"),
        "c_s": ["k"] * 5,
    }
    pq.write_table(pa.table(table), folder / "a.parquet")
    for version in (2, 3):
        test_tables.dataset(folder / f"v{version}", version, video=False)
    return folder


def chunks(stream):
    """Columns of all chunks by entity, timelines and components: metadata and values, of several chunks one after the other."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for chunk in stream:
            batch = chunk.to_record_batch()
            names = tuple(sorted(batch.schema.names[1:]))
            columns = found.setdefault((chunk.entity_path, chunk.is_static, names), {})
            for field, column in zip(batch.schema, batch.columns, strict=True):
                if field.name != "rerun.controls.RowId":
                    plain = column.cast(pa.int64()) if pa.types.is_temporal(column.type) else column
                    meta, values = columns.setdefault(field.name, ((str(field.type), field.metadata), []))
                    assert meta == (str(field.type), field.metadata)
                    values += plain.to_pylist()
    return found


MCAP = [
    {},
    {"timeline_type": "duration_ns"},
    {"timeline_type": "timestamp", "timestamp_offset_ns": -5},
    {"include_topic_regex": ["a$", "nothing"]},
    {"exclude_topic_regex": ["topic"]},
    {"start_time_ns": 3 * 10**9, "end_time_ns": 8 * 10**9},
]


@pytest.mark.parametrize("options", MCAP)
def test_mcap_files(files, options):
    """Messages of all topics, or of some; all times, or some; times of either kind."""
    ours, theirs = (chunk.McapReader(files / "a.mcap", **options) for chunk, _ in (OURS, THEIRS))
    assert chunks(ours.stream()) == chunks(theirs.stream())
    assert ours.time_bounds() == theirs.time_bounds()
    assert (repr(ours), ours.path) == (repr(theirs), theirs.path)
    assert chunks(ours.stream(end_time_ns=10**10)) == chunks(theirs.stream(end_time_ns=10**10))


PARQUET = [
    lambda chunk: {},
    lambda chunk: {"entity_path_prefix": "/w", "column_grouping": "individual"},
    lambda chunk: {"index_columns": [chunk.IndexColumn.timestamp("x", input_unit="ms"), chunk.IndexColumn.duration("a_c", input_unit="s")]},
    lambda chunk: {"index_columns": [chunk.IndexColumn.sequence("a_b"), chunk.IndexColumn.timestamp("t_t")]},
    lambda chunk: {"index_columns": [chunk.IndexColumn.sequence("f")]},
    lambda chunk: {"delimiter": "c"},
    lambda chunk: {"use_structs": False},
    lambda chunk: {"column_grouping": "explicit_prefixes", "prefixes": ["a_", "t"]},
    lambda chunk: {"column_grouping": "explicit_prefixes", "prefixes": ["a", "a_", "a_b", "", "no"], "use_structs": False},
    lambda chunk: {"column_grouping": "explicit_prefixes", "prefixes": ["c_s"], "entity_path_prefix": "p"},
    lambda chunk: {"static_columns": ["c_s"]},
    lambda chunk: {"static_columns": ["c_s"], "entity_path_prefix": "/p/q", "index_columns": [chunk.IndexColumn.sequence("x")]},
]


@pytest.mark.parametrize("options", PARQUET)
def test_parquet(files, options):
    """Columns by the beginnings of their names, or each by itself, on timelines of the table or on its rows."""
    found = []
    for chunk, experimental in (OURS, THEIRS):
        stream = experimental.ParquetReader(files / "a.parquet").stream(**options(chunk))
        found.append({key: value for key, value in chunks(stream).items() if key[0] != "/__properties"})
    assert found[0] == found[1]


@pytest.mark.parametrize("version", [2, 3])
def test_lerobot(files, version):
    """Episodes, one at a time, and what the dataset says of itself."""
    ours, theirs = (experimental.LeRobotReader(files / f"v{version}") for _, experimental in (OURS, THEIRS))
    assert (ours.version, ours.episodes()) == (theirs.version, theirs.episodes()) == (f"v{version}", [0, 1])
    assert chunks([ours.metadata()]) == chunks([theirs.metadata()])
    for options in ({}, {"entity_path_prefix": "/a", "video_mode": "skip"}):
        found = [chunks(reader.stream(1, **options)) for reader in (ours, theirs)]
        tasks = [{key[0] for key in one if key[0].endswith("task")} for one in found]
        assert tasks[0] == tasks[1]  # nulls among them are rerun-sdk's
        rest = [{key: value for key, value in one.items() if not key[0].endswith("task")} for one in found]
        assert rest[0] == rest[1]
    with pytest.raises(ValueError, match="no episode 7 among 2"):
        ours.stream(7)


def test_videos(tmp_path):
    """A video as it is, on a timeline of any name and kind."""
    test_tables.encode(tmp_path / "a.mp4", 10)
    for options in ({}, {"timeline_name": "t", "timeline_type": "timestamp", "entity_path": "/v"}):
        found = [chunks(experimental.Mp4Reader(tmp_path / "a.mp4", mode="asset", **options).stream()) for _, experimental in (OURS, THEIRS)]
        assert found[0] == found[1]
    for said, what in (
        ({"mode": "x"}, "mode is 'stream' or 'asset', not 'x'"),
        ({"transcode": 1}, "transcode is of Mp4TranscodeOptions, got int"),
    ):
        with pytest.raises((ValueError, TypeError), match=what):
            shmrerun.experimental.Mp4Reader(tmp_path / "a.mp4", **said)


def encode(path, codec, frames=23, group=8, bframes=0, rate=30):
    av = pytest.importorskip("av")
    with av.open(str(path), "w", format="mp4") as container:
        options = {"bf": str(bframes), "g": str(group), "keyint_min": str(group), "sc_threshold": "0"}
        if codec == "libx265":
            options = {"x265-params": f"bframes={bframes}:keyint={group}:log-level=none"}
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", group
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 9 % 256, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def chunks_with_rows(stream):
    return sorted((one.entity_path, one.is_static, one.num_rows, one.to_record_batch().schema.names) for one in stream)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1"])
def test_frames_of_videos(tmp_path, codec):
    """A video as a stream of frames, by groups or one by one: codec, frames, times, key frames."""
    encode(tmp_path / "a.mp4", codec)
    for options in ({}, {"chunk_by_gop": False, "timeline_name": "t", "timeline_type": "timestamp", "entity_path": "v w"}):
        ours, theirs = (experimental.Mp4Reader(tmp_path / "a.mp4", **options) for _, experimental in (OURS, THEIRS))
        assert (ours.entity_path, ours.path, repr(ours)) == (theirs.entity_path, theirs.path, repr(theirs))
        assert chunks_with_rows(ours.stream()) == chunks_with_rows(theirs.stream())
        assert chunks(ours.stream()) == chunks(theirs.stream())


def test_videos_that_are_no_streams(tmp_path):
    """A file that is cut off or none, or without a video: an error that says so, after what comes before."""
    encode(tmp_path / "a.mp4", "libx264")
    whole = (tmp_path / "a.mp4").read_bytes()
    for content in (b"", b"x" * 100, whole[:-200], whole[: len(whole) // 2], whole[:40]):
        (tmp_path / "c.mp4").write_bytes(content)
        with pytest.raises((ValueError, OSError), match=r"c\.mp4"):
            shmrerun.experimental.Mp4Reader(tmp_path / "c.mp4").stream().to_chunks()


def test_rows_of_columns():
    """Rows of columns come in the order of their times, by the first timeline, then the next."""
    found = []
    for chunk, package in ((shmrerun.chunk, shmrerun), (theirs_chunk, rerun)):
        times = [package.TimeColumn("t", sequence=[3, 1, 2, 0]), package.TimeColumn("b", sequence=[1, 1, 0, 1])]
        found.append(chunks([chunk.Chunk.from_columns("/a", times, package.Scalars.columns(scalars=[1, 2, 3, 4]))]))
    assert found[0] == found[1]


def test_summaries(files):
    """A store tells its chunks as rerun-sdk's does; so does a file of it."""
    ours, theirs = (chunk.McapReader(files / "a.mcap", end_time_ns=10**10).stream().collect() for chunk, _ in (OURS, THEIRS))
    assert ours.summary() == theirs.summary()
    ours.write_rrd(files / "a.rrd", application_id="a", recording_id="b")
    assert shmrerun.chunk.RrdReader(files / "a.rrd").store().summary() == theirs_chunk.RrdReader(files / "a.rrd").store().summary()


def test_damaged_files(files, tmp_path):
    """What comes before the damage is given out, then there is an error; with ``recover`` a warning."""
    whole = (files / "a.mcap").read_bytes()
    (tmp_path / "a.mcap").write_bytes(whole[: len(whole) // 2])
    found = []
    with pytest.raises(ValueError, match=r"cannot read the MCAP file any further|has no summary"):
        found.extend(shmrerun.chunk.McapReader(tmp_path / "a.mcap").stream())
    assert found
    with pytest.warns(RerunWarning, match=r"cannot read the MCAP file any further|has no summary"):
        assert len(shmrerun.chunk.McapReader(tmp_path / "a.mcap", recover=True).stream().to_chunks()) == len(found)
    for make in (shmrerun.chunk.McapReader, shmrerun.experimental.ParquetReader):
        (tmp_path / "lie").write_bytes(b"nothing of the kind")
        with pytest.raises(ValueError, match="lie"):
            make(tmp_path / "lie").stream().to_chunks()
        with pytest.raises(FileNotFoundError, match="none"):
            make(tmp_path / "none")
    shutil.copytree(files / "v3", tmp_path / "v3")
    (tmp_path / "v3" / "data" / "chunk-000" / "file-000.parquet").write_bytes(b"PAR1")
    with pytest.raises((ValueError, OSError)):
        shmrerun.experimental.LeRobotReader(tmp_path / "v3").stream(0).to_chunks()
    (tmp_path / "v3" / "meta" / "info.json").write_text("[]")
    with pytest.raises(ValueError, match="cannot read the LeRobot dataset"):
        shmrerun.experimental.LeRobotReader(tmp_path / "v3")


def test_kinds_of_readers(files):
    """All readers are streaming, those of recordings are indexed; other objects are neither."""
    for chunk, experimental in (OURS, THEIRS):
        readers = [chunk.RrdReader, chunk.McapReader, experimental.ParquetReader, experimental.Mp4Reader, str]
        assert [issubclass(one, chunk.StreamingReader) for one in readers] == [True] * 4 + [False]
        assert [issubclass(one, chunk.IndexedReader) for one in readers] == [True] + [False] * 4
        assert isinstance(chunk.McapReader(files / "a.mcap"), chunk.StreamingReader)


def test_streams_that_are_left(files):
    """A thread reads no further once its stream is given up, and streams of several threads do not meet."""
    reader = shmrerun.chunk.McapReader(files / "a.mcap")
    iterator = iter(reader.stream())
    next(iterator)
    del iterator
    gc.collect()
    assert not [thread for thread in threading.enumerate() if thread.name == "shmrerun reader"]
    lengths = []
    threads = [threading.Thread(target=lambda: lengths.append(len(reader.stream().to_chunks()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(lengths)) == 1
    assert len(lengths) == 4


def test_what_is_not_there(files):
    """Arguments and names that only rerun-sdk has get an error that says what to use instead."""
    with pytest.raises(ValueError, match="there is no decoder 'nope' among attachments, "):
        shmrerun.chunk.McapReader(files / "a.mcap", decoders=["raw", "nope"])
    with pytest.raises(ValueError, match="timeline_type is one of"):
        shmrerun.chunk.McapReader(files / "a.mcap", timeline_type="sequence")
    with pytest.raises(ValueError, match="is none"):
        shmrerun.chunk.McapReader(files / "a.mcap", include_topic_regex=["("])
    reader = shmrerun.experimental.ParquetReader(files / "a.parquet")
    for bad in ({"prefixes": ["a"]}, {"column_grouping": "explicit_prefixes"}):
        with pytest.raises(ValueError, match="prefixes are for column_grouping='explicit_prefixes', and needed there"):
            reader.stream(**bad)
    with pytest.raises(ValueError, match="the delimiter is one character, not ''"):
        reader.stream(delimiter="")
    with pytest.raises(ValueError, match="column_grouping is 'prefix', 'explicit_prefixes' or 'individual', not 'x'"):
        reader.stream(column_grouping="x")
    for bad, what in (("no", "is not there"), ("b", "has several values")):
        with pytest.raises(ValueError, match=f"the column '{bad}', which is to be static, {what}"):
            reader.stream(static_columns=[bad]).to_chunks()
    columns = [shmrerun.chunk.IndexColumn.sequence("b")]
    with pytest.raises(ValueError, match="'b', which is to be a timeline, has 0 nulls"):
        shmrerun.experimental.ParquetReader(files / "a.parquet").stream(index_columns=columns).to_chunks()
    with pytest.raises(AttributeError, match="use rerun-sdk itself"):
        _ = shmrerun.experimental.ViewerClient
