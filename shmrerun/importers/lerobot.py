"""LeRobot datasets (v2 and v3): each episode becomes a recording of its own, ``episode_N``.

Source: the layout of such datasets; what rerun-sdk 0.41 records of them.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Protocol

from shmrerun.importers.lerobot_language import language
from shmrerun.importers.store import Store
from shmrerun.importers.task import Column, ImportFailedError, bytes_lists, lists_of_one
from shmrerun.model.archetype import archetype_class
from shmrerun.model.time_columns import TimeColumn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shmrerun.importers.task import Task

_IGNORED = ("episode_index", "index", "frame_index", "timestamp")
_UNUSED = ("int16", "int64", "bool", "string")


def is_dataset(path: str) -> bool:
    """Whether a directory is laid out as a dataset."""
    return any(_has(path, folder, "data") for folder in ("meta", "meta_data"))


def _has(path: str, *names: str) -> bool:
    folders = [os.path.join(path, name) for name in names]
    return all(os.path.isdir(folder) and os.listdir(folder) for folder in folders)


def lerobot(task: Task) -> None:
    """Log all episodes of a dataset. ImportFailedError: it is damaged. An episode that cannot be read costs no other one."""
    dataset = open_dataset(task.path)
    for number, episode in dataset.episodes():
        store = Store(task, f"episode_{number}")
        try:
            about: Any = archetype_class("RecordingInfo")
            store.log("/__properties", about.from_fields(name=f"Episode {number}"))
            log_episode(task, dataset, store, number, episode)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            task.warn(f"episode {number} is left out, or ends early: {type(error).__name__} {error}")


def open_dataset(path: str) -> Version2 | Version3:
    """The dataset in a directory. ImportFailedError: it is damaged, or older than version 2."""
    if not _has(path, "meta", "data"):
        raise ImportFailedError(f"LeRobot datasets of version 1 are not read: {path}")
    try:
        info = json.loads(_read(path, "meta", "info.json"))
        is_v3 = os.path.isdir(os.path.join(path, "meta", "episodes"))
        return Version3(path, info) if is_v3 else Version2(path, info)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImportFailedError(f"cannot read the LeRobot dataset: {type(error).__name__} {error}: {path}") from None


def _read(*parts: str) -> str:
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


class _Rows(Protocol):
    """Where the rows of an episode go."""

    def send_columns(self, entity_path: str, indexes: Iterable[Any], columns: Iterable[Any]) -> None: ...
    def log(self, entity_path: str, archetype: Any) -> None: ...


class Version2:
    """A file of rows, and of each video, for every episode."""

    def __init__(self, path: str, info: dict[str, Any]) -> None:
        self.path, self.info = path, info
        self.features: dict[str, dict[str, Any]] = info["features"]
        found = [json.loads(line) for line in _read(path, "meta", "tasks.jsonl").splitlines()]
        tasks = sorted(found, key=lambda one: one["task_index"])
        self.tasks = {number: one["task"] for number, one in enumerate(tasks)}
        self.subtasks: dict[int, str] = {}

    def episodes(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number and description of each episode, in order."""
        found = [json.loads(line) for line in _read(self.path, "meta", "episodes.jsonl").splitlines()]
        for one in sorted(found, key=lambda one: one["episode_index"]):
            yield one["episode_index"], one

    def _file(self, pattern: str, number: int, **names: str) -> str:
        return os.path.join(self.path, pattern.format(episode_chunk=number // self.info["chunks_size"], episode_index=number, **names))

    def rows(self, number: int, episode: dict[str, Any]) -> Any:
        """The rows of an episode, as a table."""
        import pyarrow.parquet as pq

        return pq.read_table(self._file(self.info["data_path"], number)).combine_chunks()

    def video(self, key: str, number: int, episode: dict[str, Any]) -> tuple[str, float, float]:
        """Where the video of an episode is: file, and seconds in it."""
        return self._file(self.info["video_path"], number, video_key=key), 0.0, float("inf")


class Version3:
    """Files of many episodes each, of which each one has a part."""

    def __init__(self, path: str, info: dict[str, Any]) -> None:
        import pyarrow.parquet as pq

        self.path, self.info = path, info
        self.features: dict[str, dict[str, Any]] = info["features"]
        self.tasks: dict[int, str] = {}
        if os.path.isfile(tasks := os.path.join(path, "meta", "tasks.parquet")):
            table = pq.read_table(tasks).to_pylist()
            self.tasks = {row["task_index"]: row.get("task", row.get("__index_level_0__")) for row in table}
        self.subtasks: dict[int, str] = {}
        if os.path.isfile(subtasks := os.path.join(path, "meta", "subtasks.parquet")):
            named = pq.read_table(subtasks).to_pylist()
            self.subtasks = {row["subtask_index"]: row.get("subtask", row.get("__index_level_0__")) for row in named}
        self._rows: tuple[str, Any] = ("", None)

    def episodes(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number and description of each episode, in order."""
        import pyarrow.parquet as pq

        root = os.path.join(self.path, "meta", "episodes")
        found = []
        for folder, _, names in sorted(os.walk(root)):
            for name in sorted(names):
                if name.endswith(".parquet"):
                    table = pq.read_table(os.path.join(folder, name))
                    kept = [column for column in table.column_names if not column.startswith("stats/")]
                    found += table.select(kept).to_pylist()
        for one in sorted(found, key=lambda one: one["episode_index"]):
            yield one["episode_index"], one

    def rows(self, number: int, episode: dict[str, Any]) -> Any:
        """The rows of an episode, as a table."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        place = {name: episode[f"data/{name}"] for name in ("chunk_index", "file_index")}
        path = os.path.join(self.path, self.info["data_path"].format(**place))
        if self._rows[0] != path:
            self._rows = (path, pq.read_table(path))
        table = self._rows[1]
        return table.filter(pc.equal(table["episode_index"], number)).combine_chunks()

    def video(self, key: str, number: int, episode: dict[str, Any]) -> tuple[str, float, float]:
        """Where the video of an episode is: file, and seconds in it."""
        place = {name: episode[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
        path = os.path.join(self.path, self.info["video_path"].format(video_key=key, **place))
        return path, episode[f"videos/{key}/from_timestamp"], episode[f"videos/{key}/to_timestamp"]


# ---- an episode


class _Index:
    """The timeline of an episode: numbers of frames, or times where it has none."""

    def __init__(self, rows: Any, name: str | None) -> None:
        import numpy as np

        self.is_sequence = "frame_index" in rows.column_names
        column = rows["frame_index" if self.is_sequence else "timestamp"]
        if column.null_count:
            raise ValueError(f"{column.null_count:,} frames have no number or time")
        self._values = column.to_numpy()
        if not self.is_sequence:
            self._values = np.round(self._values.astype(np.float64) * 1e9).astype(np.int64)
        self._name = name if name is not None else "frame_index" if self.is_sequence else "timestamp"

    def __len__(self) -> int:
        return len(self._values)

    def of(self, values: Any) -> TimeColumn:
        """Frames, or nanoseconds, as a column."""
        import numpy as np

        values = np.asarray(values, np.int64)
        if self.is_sequence:
            return TimeColumn(self._name, sequence=values)
        return TimeColumn(self._name, duration=values.astype("timedelta64[ns]"))

    def rows(self, numbers: Any = slice(None)) -> TimeColumn:
        """The times of rows."""
        return self.of(self._values[numbers])


def log_episode(
    task: Task,
    dataset: Version2 | Version3,
    store: _Rows,
    number: int,
    episode: dict[str, Any],
    *,
    has_videos: bool = True,
    timeline: str | None = None,
) -> None:
    """Log the rows, and the videos, of an episode. ValueError, OSError, KeyError, TypeError, RuntimeError: it is damaged."""
    rows = dataset.rows(number, episode)
    index = _Index(rows, timeline)
    for key, feature in dataset.features.items():
        if key in _IGNORED or (feature["dtype"] == "video" and not has_videos):
            continue
        kind = feature["dtype"]
        if kind == "video":
            try:
                _video(store, key, index, *dataset.video(key, number, episode))
            except (OSError, ValueError, ImportFailedError) as error:
                task.warn(f"the video {key!r} of episode {number} is left out: {error}")
        elif kind in ("float32", "float64"):
            _scalars(store, key, feature, rows[key], index)
        elif kind == "image":
            _images(task, store, key, feature, rows[key], index)
        elif key == "task_index":
            _tasks(task, store, "task", dataset.tasks, rows[key], index)
        elif key == "subtask_index" and isinstance(dataset, Version3):
            _tasks(task, store, "subtask", dataset.subtasks, rows[key], index)
        elif kind == "language" and key in rows.column_names:
            _language(store, key, rows[key], float(dataset.info["fps"]), index)
        elif kind in _UNUSED or kind == "language":
            task.warn(f"the feature {key!r} of type {kind} is left out")
        else:
            raise ValueError(f"the feature {key!r} has the unknown type {kind!r}")


def _video(store: _Rows, key: str, index: _Index, path: str, start: float, end: float) -> None:
    import numpy as np

    from shmrerun.importers.transcode import Mp4TranscodeOptions, encoded
    from shmrerun.importers.video_samples import NoStreamError, frames

    try:
        with frames(path, start, end) as (codec, as_they_are):
            found = list(as_they_are)
    except NoStreamError:
        with encoded(path, Mp4TranscodeOptions(), start, end) as (codec, anew):
            found = [frame for _, frame in anew]
    if not found:
        raise ValueError(f"it has no frames from {start:g} s to {end:g} s: {path}")
    stream: Any = archetype_class("VideoStream")
    if index.is_sequence:
        times = np.arange(len(found)) * len(index) // len(found)
    else:
        times = np.array([round((frame.seconds - start) * 1e9) for frame in found])
    store.send_columns(key, [index.of(times)], stream.columns(sample=[frame.data for frame in found]))
    keys = times[[frame.is_key for frame in found]]
    store.send_columns(key, [index.of(keys)], stream.columns(is_keyframe=[True] * len(keys)))
    store.log(key, stream.from_fields(codec=codec))


def _whole(column: Any) -> Any:
    """A column in one piece."""
    import pyarrow as pa

    found = column.combine_chunks()
    array = found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)
    return array.cast(pa.list_(array.type.value_type)) if pa.types.is_large_list(array.type) else array


def _scalars(store: _Rows, key: str, feature: dict[str, Any], column: Any, index: _Index) -> None:
    import numpy as np
    import pyarrow as pa

    values = _whole(column)
    names = _names(feature)
    if pa.types.is_fixed_size_list(values.type):
        width = values.type.list_size
        flat = values.flatten().cast(pa.float64())
        rows = pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32) * width), flat)
    elif pa.types.is_list(values.type):
        rows, width = values.cast(pa.list_(pa.float64())), len(values[0]) if len(values) else 0
    else:
        rows, width, names = lists_of_one(values.cast(pa.float64())), 1, None
    store.send_columns(key, [index.rows()], [Column("Scalars:scalars", rows, "rerun.archetypes.Scalars", "rerun.components.Scalar")])
    if names is not None:
        told = pa.array([[names[i] if i < len(names) else None for i in range(width)]], pa.list_(pa.string()))
        store.send_columns(key, [], [Column("SeriesLines:names", told, "rerun.archetypes.SeriesLines", "rerun.components.Name")])


def _names(feature: dict[str, Any]) -> list[str] | None:
    """Names of a feature's dimensions: a text, a list, a list of lists, or the only one of several such."""
    found = feature.get("names")
    if isinstance(found, dict):
        (found,) = found.values()
        found = found or []
    if found is None or isinstance(found, str):
        return None if found is None else [found]
    return [name for one in found for name in (one if isinstance(one, list) else [one])]


def _images(task: Task, store: _Rows, key: str, feature: dict[str, Any], column: Any, index: _Index) -> None:
    names = _names(feature) or []
    shape = feature["shape"]
    channels = shape[names.index("channels")] if "channels" in names and names.index("channels") < len(shape) else shape[-1]
    if channels not in (1, 3):
        task.warn(f"the images of {key!r} are left out: they have {channels} channels, not 1 or 3")
        return
    blobs = [value["bytes"] for value in column.to_pylist()]
    archetype = "EncodedImage" if channels == 3 else "EncodedDepthImage"
    column = Column(f"{archetype}:blob", lists_of_one(bytes_lists(blobs)), f"rerun.archetypes.{archetype}", "rerun.components.Blob")
    store.send_columns(key, [index.rows()], [column])


def _tasks(task: Task, store: _Rows, entity_path: str, tasks: dict[int, str], column: Any, index: _Index) -> None:
    """Log the task of each frame that has one."""
    numbers = column.to_pylist()
    found = [(row, tasks[number]) for row, number in enumerate(numbers) if number in tasks]
    _texts(store, entity_path, index.rows([row for row, _ in found]), found)
    if len(found) < len(numbers):
        task.warn(f"{len(numbers) - len(found):,} frames have a {entity_path} that the dataset does not describe; they are left out")


def _language(store: _Rows, key: str, column: Any, fps: float, index: _Index) -> None:
    has_times = key == "language_persistent"
    for entity_path, texts in language(key, _whole(column), fps if index.is_sequence else 1e9).items():
        places = [place for place, _ in texts]
        _texts(store, entity_path, index.of(places) if has_times else index.rows(places), texts)


def _texts(store: _Rows, entity_path: str, index: TimeColumn, texts: list[tuple[int, str]]) -> None:
    if texts:
        archetype: Any = archetype_class("TextDocument")
        store.send_columns(entity_path, [index], archetype.columns(text=[text for _, text in texts]))
