"""Parquet tables and LeRobot datasets are recorded as rerun-sdk 0.41 records them."""

import json
import os
import struct
import zlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers_importers import columns_of, compare, log
from helpers_rrd import rerun

from shmrerun.rrd import chunk, decoder

pytest.importorskip("rerun")


def test_tables(tmp_path):
    """Columns of many types, alone and in groups by the beginning of their names, and the file's own metadata."""
    count = 200
    pair = pa.array([{"a": 1, "b": "x"}] * count)
    table = pa.table(
        {
            "x": np.arange(count) * 0.5,
            "camera_rgb": [f"f{n}" for n in range(count)],
            "camera_depth": np.arange(count),
            "pos_x": np.arange(count, dtype="f4"),
            "list": pa.array([[1, 2], [3]] * (count // 2)),
            "pair": pa.array([[1.0, 2.0]] * count, pa.list_(pa.float32(), 2)),
            "none": pa.nulls(count, pa.int64()),
            "time": pa.array(np.arange(count).astype("datetime64[us]")),
            "end_": [True] * count,
            "_begin": [1] * count,
            "struct": pair,
            "large": pa.array(["x"] * count, pa.large_string()),
            "blob": pa.array([b"x"] * count),
            "a/b": np.arange(count),
            "a.b_c": np.arange(count),
        }
    )
    table = table.cast(table.schema.set(0, pa.field("x", pa.float64(), nullable=False)))
    pq.write_table(table.replace_schema_metadata({"k": "v", "b": "w"}), tmp_path / "in.parquet", row_group_size=64)
    compare(tmp_path, "in.parquet")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.large_binary()], ids=str)
def test_categories(tmp_path, kind):
    """Dictionaries have the type that their writer gave them, as pandas and polars do large texts."""
    texts = pa.array(["a", "b", None] * 50).cast(kind)
    pq.write_table(pa.table({"x": texts.dictionary_encode(), "a_y": texts.dictionary_encode(), "a_z": texts}), tmp_path / "in.parquet")
    for package in ("shmrerun", "rerun"):
        log(package, f"{package}.rrd", ["in.parquet"], tmp_path)
    ours, theirs = (columns_of(tmp_path / f"{package}.rrd") for package in ("shmrerun", "rerun"))
    assert {key for key in ours if key[0] != "/__properties"} >= {("/pre/x", "x"), ("/pre/a", "data")}
    assert ours == theirs


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing else PAR1", None], ids=["empty", "lie", "cut"])
def test_no_table(tmp_path, content):
    """What is no Parquet file gets an error that says so."""
    pq.write_table(pa.table({"x": np.arange(1000)}), tmp_path / "whole.parquet")
    (tmp_path / "in.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:500] if content is None else content)
    ended = log("shmrerun", "ours.rrd", ["in.parquet"], tmp_path)
    assert "cannot read the Parquet file" in ended.stderr


CALL = {"type": "function", "function": {"name": "say", "arguments": {"text": "hi", "loud": True, "times": [1, 2], "none": None}}}
LASTING = [
    {"role": "user", "content": "put it there", "style": "task", "timestamp": 0.0, "camera": None, "tool_calls": None},
    {"role": "assistant", "content": "grasp", "style": "subtask", "timestamp": 0.5, "camera": None, "tool_calls": None},
    {"role": "assistant", "content": "lift", "style": "subtask", "timestamp": 99.0, "camera": None, "tool_calls": []},
    {"role": "assistant", "content": "reach", "style": "subtask", "timestamp": 0.21, "camera": None, "tool_calls": None},
    {"role": "user", "content": "what?", "style": "vqa", "timestamp": None, "camera": "observation.images.top", "tool_calls": None},
]
EVENTS = [
    {"role": "assistant", "content": None, "style": None, "camera": None, "tool_calls": [CALL, CALL]},
    {"role": None, "content": "both", "style": "say", "camera": "a b", "tool_calls": [CALL]},
    {"role": None, "content": None, "style": "nothing", "camera": None, "tool_calls": []},
]


def png(n, bits=16):
    """A grey image of 3x2."""
    rows = b"".join(b"\0" + (np.arange(3) * 1000 + 300 * n + row).astype(">u2" if bits == 16 else "u1").tobytes() for row in range(2))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 3, 2, bits, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in parts
    )


def rows_of(episode, count=10):
    return pa.table(
        {
            "depth": [{"bytes": png(n), "path": ""} for n in range(count)],
            "near": [{"bytes": png(n, 8), "path": ""} for n in range(count)],
            "subtask_index": [n // 4 for n in range(count)],
            "language_persistent": [LASTING] * count,
            "language_events": [EVENTS if n in (2, 5) else EVENTS[:1] if n == 7 else [] for n in range(count)],
            "observation.state": pa.array([[float(n), float(episode)] for n in range(count)], pa.list_(pa.float32(), 2)),
            "action": pa.array([[float(n)] * 3 for n in range(count)], pa.list_(pa.float32())),
            "reward": np.arange(count, dtype="f4"),
            "image": [{"bytes": b"\x89PNG\r\n\x1a\n", "path": ""}] * count,
            "done": [False] * count,
            "timestamp": pa.array(np.arange(count) / 10, pa.float32()),
            "frame_index": np.arange(count),
            "episode_index": [episode] * count,
            "index": np.arange(count) + episode * count,
            "task_index": [*([episode % 2] * (count - 1)), 7],
        }
    )


def dataset(path, version, *, video):
    """A dataset of two episodes."""
    features = {
        "observation.state": {"dtype": "float32", "shape": [2], "names": ["x", "y"]},
        "action": {"dtype": "float32", "shape": [3], "names": {"motors": ["a", "b", "c"]}},
        "reward": {"dtype": "float32", "shape": [1], "names": None},
        "image": {"dtype": "image", "shape": [4, 4, 3], "names": ["height", "width", "channels"]},
        "done": {"dtype": "bool", "shape": [1], "names": None},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        "depth": {"dtype": "image", "shape": [2, 3, 1], "names": ["height", "width", "channels"]},
        "near": {"dtype": "image", "shape": [2, 3, 1], "names": ["height", "width", "channels"]},
        **{
            name: {"dtype": "int64", "shape": [1], "names": None}
            for name in ("frame_index", "episode_index", "index", "task_index", "subtask_index")
        },
    }
    if version == 3:
        features |= {name: {"dtype": "language", "shape": [1], "names": None} for name in ("language_persistent", "language_events")}
    if video:
        features["cam"] = {"dtype": "video", "shape": [48, 64, 3], "names": ["height", "width", "channels"]}
    info = {"robot_type": "r", "total_episodes": 2, "total_frames": 20, "total_tasks": 2, "total_videos": 2, "total_chunks": 1,
            "chunks_size": 1000, "fps": 10, "features": features, "codebase_version": f"v{version}.0"}  # fmt: skip
    if version == 2:
        info["data_path"] = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        info["video_path"] = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    else:
        info["data_path"] = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        info["video_path"] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    os.makedirs(path / "data" / "chunk-000")
    os.makedirs(path / "meta")
    (path / "meta" / "info.json").write_text(json.dumps(info))
    if version == 2:
        tasks = [{"task_index": n, "task": task} for n, task in enumerate(("pick", "place"))]
        (path / "meta" / "tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)))
        episodes = [{"episode_index": n, "tasks": [], "length": 10} for n in range(2)]
        (path / "meta" / "episodes.jsonl").write_text("\n".join(map(json.dumps, episodes)))
        for episode in range(2):
            pq.write_table(rows_of(episode), path / "data" / "chunk-000" / f"episode_{episode:06d}.parquet")
            if video:
                encode(path / "videos" / "chunk-000" / "cam" / f"episode_{episode:06d}.mp4", 10)
        return
    pq.write_table(pa.table({"task_index": [0, 1], "__index_level_0__": ["pick", "place"]}), path / "meta" / "tasks.parquet")
    pq.write_table(pa.concat_tables([rows_of(0), rows_of(1)]), path / "data" / "chunk-000" / "file-000.parquet")
    table = {"episode_index": [0, 1], "data/chunk_index": [0, 0], "data/file_index": [0, 0], "dataset_from_index": [0, 10],
             "dataset_to_index": [10, 20], "tasks": [["pick"], ["place"]], "length": [10, 10]}  # fmt: skip
    if video:
        encode(path / "videos" / "cam" / "chunk-000" / "file-000.mp4", 20)
        table |= {"videos/cam/chunk_index": [0, 0], "videos/cam/file_index": [0, 0], "videos/cam/from_timestamp": [0.0, 1.0],
                  "videos/cam/to_timestamp": [1.0, 2.0]}  # fmt: skip
    pq.write_table(pa.table({"subtask_index": [0, 1], "subtask": ["reach", "lift"]}), path / "meta" / "subtasks.parquet")
    os.makedirs(path / "meta" / "episodes" / "chunk-000")
    pq.write_table(pa.table(table), path / "meta" / "episodes" / "chunk-000" / "file-000.parquet")


def encode(path, count):
    """A video with a key frame every second, and no frames out of order."""
    av = pytest.importorskip("av")
    os.makedirs(path.parent, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "0", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 6, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def values(path):
    """All cells of a file: recording, entity, component, its type, times and value."""
    found = Counter()
    for _, message, _ in decoder.chunks(str(path)):
        batch = chunk.decode(message)
        entity = batch.schema.metadata[b"rerun:entity_path"].decode()
        kinds = {field.name: field.metadata.get(b"rerun:kind") for field in batch.schema}
        indexes = [name for name, kind in kinds.items() if kind == b"index" and name not in ("log_time", "log_tick")]
        times = [tuple((name, batch[name].cast(pa.int64())[row].as_py()) for name in indexes) for row in range(batch.num_rows)]
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for row in range(batch.num_rows):
                if kinds[name] == b"data" and column[row].is_valid:
                    found[message.store_id.recording_id, entity, name, str(column.type), times[row], repr(column[row].as_py())] += 1
    return found


@pytest.mark.parametrize("video", [False, True], ids=["rows", "video"])
@pytest.mark.parametrize("version", [2, 3])
def test_lerobot(tmp_path, version, video):
    """Each episode is a recording with the same rows as rerun-sdk's: scalars with names, images, tasks, and the frames of its video."""
    dataset(tmp_path / "set", version, video=video)
    ended = log("shmrerun", "ours.rrd", ["set"], tmp_path)
    log("rerun", "theirs.rrd", ["set"], tmp_path)
    done = rerun("rrd", "verify", tmp_path / "ours.rrd")
    assert done.returncode == 0, done.stderr
    ours, theirs = values(tmp_path / "ours.rrd"), values(tmp_path / "theirs.rrd")
    unknown = Counter({key: count for key, count in theirs.items() if key[-1] == "[None]"})  # which its own `rrd verify` refuses
    assert {key[1] for key in unknown} == ({"/task"} if version == 2 else {"/task", "/subtask"})
    assert ours - theirs == theirs - ours - unknown == Counter()
    assert ended.stderr.count("1 frames have a task that the dataset does not describe") == 2
    assert {key[0] for key in ours} >= {"episode_0", "episode_1"}
    assert any("VideoStream:sample" in key for key in ours) == video
    assert ended.stderr.count("'done' of type bool is left out") == 2


def test_other_writers(tmp_path):
    """Long lists, as polars writes them, and no list of tasks: all is there, where rerun-sdk leaves such features out."""
    dataset(tmp_path / "set", 3, video=False)
    (tmp_path / "set" / "meta" / "tasks.parquet").unlink()
    path = tmp_path / "set" / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(path)
    at = table.column_names.index("action")
    pq.write_table(table.set_column(at, "action", table["action"].cast(pa.large_list(pa.float32()))), path)
    ended = log("shmrerun", "ours.rrd", ["set"], tmp_path)
    log("rerun", "theirs.rrd", ["set"], tmp_path)
    ours, theirs = values(tmp_path / "ours.rrd"), values(tmp_path / "theirs.rrd")
    assert {key[1] for key in theirs - ours if key[-1] != "[None]"} == set()
    assert {key[1] for key in ours - theirs} == {"/action"}
    assert ended.stderr.count("10 frames have a task that the dataset does not describe") == 2


def test_a_damaged_dataset(tmp_path):
    """An episode whose rows cannot be read costs no other one; a dataset without its description is an error."""
    dataset(tmp_path / "set", 2, video=False)
    (tmp_path / "set" / "data" / "chunk-000" / "episode_000000.parquet").write_bytes(b"PAR1")
    ended = log("shmrerun", "ours.rrd", ["set"], tmp_path)
    assert "episode 0 is left out" in ended.stderr
    assert {key[0] for key in values(tmp_path / "ours.rrd")} >= {"episode_1"}
    (tmp_path / "set" / "meta" / "info.json").write_text("{")
    assert "cannot read the LeRobot dataset" in log("shmrerun", "more.rrd", ["set"], tmp_path).stderr
