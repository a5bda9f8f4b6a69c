"""Episodes of LeRobot datasets on a timeline of any name: the chunks that rerun-sdk 0.41's reader gives."""

import os

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import rerun.experimental as theirs
import test_tables
from test_readers import chunks, encode

import shmrerun.experimental as ours


def changed(folder, change):
    """The dataset with other rows."""
    for path in (folder / "data").rglob("*.parquet"):
        pq.write_table(change(pq.read_table(path)), path)


def with_column(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


CHANGES = {
    "plain": lambda table: table,
    "other numbers": lambda table: with_column(table, "frame_index", pc.add(pc.multiply(table["frame_index"], 2), 5)),
    "no numbers": lambda table: with_column(
        table.drop_columns(["frame_index"]), "timestamp", pc.add(pc.multiply(table["timestamp"], 3), 5.5).cast("float32")
    ),
}


def without_tasks(found):
    """Frames without a task are nulls there, and left out here."""
    return {key: value for key, value in found.items() if not key[0].endswith("task")}


@pytest.mark.parametrize("video", [False, True], ids=["rows", "video"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("version", [2, 3])
def test_timelines(tmp_path, version, change, video):
    """Rows, images, texts, annotations, frames of videos and key frames are on one timeline, which may be called anything."""
    test_tables.dataset(tmp_path / "set", version, video=video)
    changed(tmp_path / "set", CHANGES[change])
    for name in (None, "t", "frame_index", "log_time"):
        mine = chunks(ours.LeRobotReader(tmp_path / "set").stream(1, timeline=name))
        named = name or ("timestamp" if change == "no numbers" else "frame_index")
        assert {column for key in mine for column in key[2] if ":" not in column and column not in ("info", "stats")} == {named}
        if (version, change) == (2, "no numbers"):  # an error there
            assert {str(columns[named][0][0]) for columns in mine.values() if named in columns} == {"duration[ns]"}
            continue
        other = chunks(theirs.LeRobotReader(tmp_path / "set").stream(1, timeline=name))
        assert without_tasks(mine) == without_tasks(other)
        assert {key for key in mine if key[0].endswith("task")} == {key for key in other if key[0].endswith("task")}


@pytest.mark.parametrize(("group", "bframes"), [(10, 2), (7, 0), (7, 2)])
@pytest.mark.parametrize("version", [2, 3])
def test_videos_that_are_no_streams(tmp_path, monkeypatch, version, group, bframes):
    """Frames out of order, and episodes that do not begin at a key frame, are encoded anew, as there with an ffmpeg."""
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    test_tables.dataset(tmp_path / "set", version, video=True)
    for path in (tmp_path / "set").rglob("*.mp4"):
        encode(path, "libx264", frames=10 if version == 2 else 20, group=group, bframes=bframes, rate=10)
    for episode in (0, 1):
        keys = []
        found = []
        for module in (ours, theirs):
            made = {
                key: columns for key, columns in chunks(module.LeRobotReader(tmp_path / "set").stream(episode)).items() if key[0] == "/cam"
            }
            samples = made["/cam", False, ("VideoStream:sample", "frame_index")]
            found.append((sorted(made), samples["frame_index"], len(samples["VideoStream:sample"][1])))
            keys.append(set(made["/cam", False, ("VideoStream:is_keyframe", "frame_index")]["frame_index"][1]))
        assert found[0] == found[1]
        assert 0 in keys[0] <= keys[1]  # of an episode that begins between key frames, rerun-sdk encodes the beginning alone


def test_bad_arguments(tmp_path):
    """A timeline without a name, an unknown mode of videos, and frames without numbers are errors that say so."""
    test_tables.dataset(tmp_path / "set", 3, video=False)
    reader = ours.LeRobotReader(tmp_path / "set")
    with pytest.raises(ValueError, match="a timeline has a name"):
        reader.stream(0, timeline="")
    with pytest.raises(ValueError, match="Invalid `TimelineName`"):
        theirs.LeRobotReader(tmp_path / "set").stream(0, timeline="")
    with pytest.raises(ValueError, match="video_mode is 'native' or 'skip', not 'x'"):
        reader.stream(0, video_mode="x")
    changed(tmp_path / "set", lambda table: with_column(table, "frame_index", pa.nulls(len(table), pa.int64())))
    with pytest.raises(ValueError, match="10 frames have no number or time"):
        ours.LeRobotReader(tmp_path / "set").stream(0).to_chunks()
