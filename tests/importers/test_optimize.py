"""Chunks merged and cut to a profile's size: nothing is lost, and they are what rerun-sdk 0.41 makes, where sizes are not on the edge."""

import dataclasses
import subprocess
import warnings

import numpy as np
import pyarrow as pa
import pytest
import rerun
import rerun.chunk as theirs
from helpers_rrd import RERUN
from test_readers import encode

import shmrerun as rr
import shmrerun.chunk as ours
import shmrerun.experimental
from shmrerun.rrd import optimize

RANDOM = np.random.default_rng(0)


def scalars(log, i):
    log("s", rerun.Scalars(i))
    log("t", rerun.Scalars([i] * 3))
    log("p", rerun.Points3D(np.ones((i % 7, 3))))


def images(log, i):
    log("image", rerun.Image(RANDOM.integers(0, 255, (200, 200, 3), np.uint8)))
    log("image", rerun.Transform3D(translation=[i, 0, 0]))


def mixed(log, i):
    log(
        "m",
        rerun.EncodedImage(contents=bytes(90_000), media_type="image/png"),
        rerun.Transform3D(translation=[i, 0, 0]),
        rerun.AnyValues(a=i),
    )


def partial(log, i):
    log("q", rerun.Points3D(np.ones((3, 3)), **({"colors": [1, 2, 3]} if i % 2 else {})))


def odd(log, i):
    values = {
        "d": pa.array(["a", "b"][i % 2 :]).dictionary_encode(),
        "u": pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([i])]),
    }
    log("odd", rerun.AnyValues(**values))


def recording(path, fill, steps):
    """A file of rerun-sdk with a chunk a row."""
    made = rerun.RecordingStream("a", recording_id="b", batcher_config=rerun.ChunkBatcherConfig(flush_num_rows=0))
    made.save(path)

    def log(entity, *values):
        made.set_time("step", sequence=i)
        made.set_time("back", sequence=-i // 100)
        made.log(entity, *values)

    for i in range(steps):
        fill(log, i)
    made.log("static", rerun.TextLog("x"), static=True)
    made.disconnect()
    return path


def cells(chunks):
    """Every value by entity, component and row id, with the row's times."""
    found = {}
    for chunk in chunks:
        batch = chunk.to_record_batch()
        assert batch.num_rows
        ids = batch.column(0).to_pylist()
        assert ids == sorted(ids)
        times = batch.select(chunk.timeline_names).to_pylist()
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name in chunk.timeline_names or name == "rerun.controls.RowId":
                continue
            for row, time, value in zip(ids, times, column.to_pylist(), strict=True):
                if value is not None:
                    assert found.setdefault((chunk.entity_path, name, row), (time, value)) == (time, value)
    return found


def both(path, profile):
    found = []
    for chunk in (ours, theirs):
        wanted = getattr(chunk.OptimizationProfile, profile) if isinstance(profile, str) else chunk.OptimizationProfile(**profile)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(chunk.RrdReader(path).stream().collect(optimize=wanted))
    return found


def are_equal(folder, stores):
    for name, store in zip("ab", stores, strict=True):
        store.write_rrd(folder / name, application_id="a", recording_id="b")
    return subprocess.run([RERUN, "rrd", "compare", "--unordered", folder / "a", folder / "b"], capture_output=True, text=True, timeout=60)


CASES = [(scalars, 300), (images, 9), (mixed, 30), (partial, 50), (odd, 20)]


@pytest.mark.parametrize("profile", ["LIVE", "OBJECT_STORE"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_chunks_of_profiles(tmp_path, case, profile):
    """Chunks of a row each become those that rerun-sdk makes of them."""
    path = recording(tmp_path / "a.rrd", *case)
    mine, other = both(path, profile)
    assert len(mine) < len(ours.RrdReader(path).stream().to_chunks())
    assert cells(mine.stream()) == cells(ours.RrdReader(path).stream())
    if case[0] is not odd:  # a union is more than the tool can compare
        compared = are_equal(tmp_path, (mine, other))
        assert compared.returncode == 0, compared.stderr[:2000]
    verified = (
        subprocess.run([RERUN, "rrd", "verify", tmp_path / "a"], capture_output=True, text=True, timeout=60) if case[0] is not odd else None
    )
    assert verified is None or verified.returncode == 0


@pytest.mark.parametrize(
    "profile",
    [{"max_rows": 64, "max_rows_if_unsorted": 16}, {"max_bytes": 20_000}, {"max_bytes": 1}, {"max_bytes": 1, "split_size_ratio": 1.0}],
)
def test_chunks_are_cut(tmp_path, profile):
    """Large chunks are cut between rows until they are within the limits, or a row; as many as rerun-sdk makes within a factor of two."""
    large = recording(tmp_path / "a.rrd", scalars, 700)
    large = both(large, "OBJECT_STORE")[0]
    large.write_rrd(tmp_path / "large.rrd", application_id="a", recording_id="b")
    mine, other = both(tmp_path / "large.rrd", profile)
    assert cells(mine.stream()) == cells(large.stream())
    assert len(other) / 2 <= len(mine) <= 2 * len(other)
    for chunk in mine.stream():
        batch = chunk.to_record_batch()
        assert chunk.num_rows <= profile.get("max_rows", 4096)
        assert chunk.num_rows == 1 or batch.nbytes <= profile.get("max_bytes", 393_216)
    nothing = large.stream().collect(optimize=ours.OptimizationProfile(max_bytes=0))
    assert [one.id for one in nothing.stream()] == [one.id for one in large.stream()]


def test_chunks_that_fit_stay(tmp_path):
    """What is as it should be keeps its id; an optimized store is not changed by another pass."""
    once = both(recording(tmp_path / "a.rrd", mixed, 20), "OBJECT_STORE")[0]
    again = once.stream().collect(optimize=ours.OptimizationProfile.OBJECT_STORE)
    assert {one.id for one in once.stream()} == {one.id for one in again.stream()}
    assert len(ours.LazyChunkStream.from_iter([]).collect(optimize=ours.OptimizationProfile.LIVE)) == 0


@pytest.mark.parametrize("size", [500, 2_000, 1_000_000])
def test_videos(tmp_path, size):
    """Frames are cut at key frames only, as rerun-sdk cuts them."""
    encode(tmp_path / "a.mp4", "libx264", frames=40, group=8)
    found = []
    for chunk, experimental in ((ours, shmrerun.experimental), (theirs, rerun.experimental)):
        stream = experimental.Mp4Reader(tmp_path / "a.mp4", chunk_by_gop=False, entity_path="v").stream()
        found.append(stream.collect(optimize=chunk.OptimizationProfile(max_bytes=size)))
    plain = shmrerun.experimental.Mp4Reader(tmp_path / "a.mp4", chunk_by_gop=False, entity_path="v").stream().to_chunks()
    assert sum(chunk.num_rows for chunk in found[0].stream()) == sum(chunk.num_rows for chunk in plain)
    rows = [[one.num_rows for one in store.stream() if "VideoStream:sample" in one.to_record_batch().schema.names] for store in found]
    assert all(count % 8 == 0 for count in rows[0])
    assert sum(rows[0]) == sum(rows[1]) == 40
    assert sorted(rows[0]) == sorted(rows[1]) or size == 2_000
    if size == 1_000_000:
        compared = are_equal(tmp_path, found)
        assert compared.returncode == 0, compared.stderr[:2000]


def test_videos_in_few_chunks(tmp_path, monkeypatch):
    """Chunks of several groups of frames, or of parts of them, are cut and joined at key frames; what is too large is cut anywhere."""
    encode(tmp_path / "a.mp4", "libx264", frames=40, group=8)
    chunks = shmrerun.experimental.Mp4Reader(tmp_path / "a.mp4", chunk_by_gop=False, entity_path="v").stream().to_chunks()
    samples = [chunk for chunk in chunks if "VideoStream:sample" in chunk.to_record_batch().schema.names]
    rest = [chunk for chunk in chunks if chunk not in samples]
    for size in (3, 11, 40):
        made = []
        for first in range(0, 40, size):
            parts = [one.to_record_batch() for one in samples[first : first + size]]
            batch = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
            made.append(ours.Chunk(batch.replace_schema_metadata(parts[0].schema.metadata)))
        found = ours.LazyChunkStream.from_iter([*reversed(made), *rest]).collect(optimize=ours.OptimizationProfile(max_bytes=100))
        assert [len(one) for one in found.stream() if "VideoStream:sample" in one.to_record_batch().schema.names] == [8] * 5
        assert cells(found.stream()) == cells(chunks)
    monkeypatch.setattr(optimize, "_MOST_BYTES", 300)
    found = ours.LazyChunkStream.from_iter(chunks).collect(optimize=ours.OptimizationProfile.LIVE)
    assert cells(found.stream()) == cells(chunks)
    assert all(len(one) == 1 or one.to_record_batch().nbytes <= 300 for one in found.stream())


def test_profiles():
    """Profiles have the fields and values of rerun-sdk's, and what they cannot say is refused."""
    for name in ("LIVE", "OBJECT_STORE"):
        mine, other = (getattr(chunk.OptimizationProfile, name) for chunk in (ours, theirs))
        assert dataclasses.asdict(mine) == dataclasses.asdict(other)
        assert repr(mine) == repr(other)
    assert dataclasses.asdict(ours.OptimizationProfile()) == dataclasses.asdict(theirs.OptimizationProfile())
    one = ours.Chunk.from_columns("/a", [rr.TimeColumn("t", sequence=[1])], rr.Scalars.columns(scalars=[1]))
    for said, what in (
        ({"fix_keyframe": True}, "fix_keyframe is not there"),
        ({"split_size_ratio": 0.5}, "split_size_ratio is 1 or greater, not 0.5"),
        ({"split_size_ratio": float("nan")}, "split_size_ratio is 1 or greater"),
        ({"max_rows": -1}, "max_rows is 0 or greater, not -1"),
    ):
        with pytest.raises(ValueError, match=what):
            ours.LazyChunkStream.from_iter([one]).collect(optimize=ours.OptimizationProfile(**said))


def test_rows_out_of_order():
    """Chunks that interleave make one chunk by row id; components of other types, or other entities, stay apart."""
    pieces = [
        ours.Chunk.from_columns("/a", [rr.TimeColumn("t", sequence=[at, at + 10])], rr.Scalars.columns(scalars=[at, at])) for at in range(5)
    ]
    other = ours.Chunk.from_columns("/a", [rr.TimeColumn("t", duration=[1])], rr.Scalars.columns(scalars=[1]))
    again = ours.Chunk.from_columns("/a", [rr.TimeColumn("t", sequence=[1])], rr.AnyValues.columns(**{"Scalars:scalars": [1]}))
    store = ours.LazyChunkStream.from_iter([*reversed(pieces), other, again]).collect(optimize=ours.OptimizationProfile.LIVE)
    assert sorted(len(chunk) for chunk in store.stream()) == [1, 1, 10]
    assert cells(store.stream()) == cells([*pieces, other, again])
