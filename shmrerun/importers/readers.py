"""Files as streams of chunks: what :mod:`shmrerun.chunk` and :mod:`shmrerun.experimental` have beside ``RrdReader``.

Source: names and behaviour of rerun-sdk 0.41; what importers make of each file.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shmrerun.importers import lerobot as datasets
from shmrerun.importers.as_chunks import ChunkTask, chunks_of
from shmrerun.importers.mcap import DECODERS, Selection, mcap
from shmrerun.importers.mcap_info import McapInfo, read_info
from shmrerun.importers.parquet import Layout, parquet
from shmrerun.importers.task import Column, ImportFailedError
from shmrerun.importers.video import mp4, mp4_stream
from shmrerun.model.entity_paths import canonical
from shmrerun.model.time_columns import TimeColumn
from shmrerun.rrd.chunk_object import Chunk
from shmrerun.rrd.chunk_stream import LazyChunkStream

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_DURATIONS, _TIMESTAMPS = ("duration_ns", "duration"), ("timestamp_ns", "timestamp")


def _there(path: str | os.PathLike[str], what: str) -> Path:
    found = Path(path)
    if not found.exists():
        raise FileNotFoundError(f"{what} not found: {found}")
    return found


def _is_duration(timeline_type: str) -> bool:
    if timeline_type not in (*_DURATIONS, *_TIMESTAMPS):
        raise ValueError(f"timeline_type is one of {(*_TIMESTAMPS, *_DURATIONS)}, not {timeline_type!r}")
    return timeline_type in _DURATIONS


class McapReader:
    """Chunks of an MCAP file, as :func:`shmrerun.log_file_from_path` logs them. Needs the extra ``importers``.

    Parameters
    ----------
    path
        Of the file.
    timeline_type
        Of the messages' times: ``"timestamp_ns"`` or ``"duration_ns"`` (``"timestamp"``, ``"duration"``).
    timestamp_offset_ns
        What is added to timestamps.
    decoders
        What is made of the file, of :meth:`available_decoders`; without: all. ``"raw"`` is for messages that no other one takes.
    include_topic_regex, exclude_topic_regex
        Patterns, found anywhere in a topic: topics that are meant (any of them, all without), and that are not.
    start_time_ns, end_time_ns
        Messages logged from the first to before the second, in nanoseconds.
    recover
        Whether a file without a summary, or that is cut off, ends with a warning instead of an error.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        An argument is of no use. While a stream is read: the file is damaged; what comes before was given out.

    Notes
    -----
    A stream reads the file from its beginning in a thread of its own, a few chunks ahead. Readers can be shared by threads.

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timeline_type: str = "timestamp_ns",
        timestamp_offset_ns: int | None = None,
        decoders: Sequence[str] | None = None,
        include_topic_regex: Sequence[str] | None = None,
        exclude_topic_regex: Sequence[str] | None = None,
        start_time_ns: int | None = None,
        end_time_ns: int | None = None,
        recover: bool = False,
    ) -> None:
        for one in decoders or ():
            if one not in DECODERS:
                raise ValueError(f"there is no decoder {one!r} among {', '.join(DECODERS)}")
        self._path = _there(path, "MCAP file")
        self._recover = recover
        try:
            included, excluded = ([re.compile(one) for one in found or ()] for found in (include_topic_regex, exclude_topic_regex))
        except re.error as error:
            raise ValueError(f"a pattern of topics is none: {error}") from None

        def is_meant(topic: str) -> bool:
            return (not included or any(one.search(topic) for one in included)) and not any(one.search(topic) for one in excluded)

        chosen = None if decoders is None else frozenset(decoders)
        times = start_time_ns, end_time_ns, _is_duration(timeline_type), timestamp_offset_ns or 0
        self._selection = Selection(is_meant, *times, chosen)

    @staticmethod
    def available_decoders() -> list[str]:
        """Names of all decoders."""
        return list(DECODERS)

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._path

    def stream(self, *, start_time_ns: int | None = None, end_time_ns: int | None = None) -> LazyChunkStream:
        """Chunks of the file; with either time, both are those of this call."""
        selection = self._selection
        if start_time_ns is not None or end_time_ns is not None:
            selection = selection._replace(start=start_time_ns, end=end_time_ns)

        def load(task: ChunkTask) -> None:
            try:
                mcap(task, selection)
            except ImportFailedError as error:
                if not self._recover:
                    raise
                task.warn(error)

        return LazyChunkStream(lambda: chunks_of(str(self._path), None, load))

    def info(self) -> McapInfo:
        """What the file says of itself: channels, schemas, counts, sizes. With ``recover``, a file without a summary is read to its end.

        Raises
        ------
        ValueError
            It is no MCAP file, is damaged, or has no summary.

        """
        return read_info(self._path, recover=self._recover)

    def time_bounds(self) -> tuple[int, int]:
        """Log times of the first and the last message, in nanoseconds. ValueError: the file does not say."""
        from mcap.exceptions import McapError
        from mcap.reader import make_reader

        with open(self._path, "rb") as file:
            try:
                summary = make_reader(file).get_summary()
            except (McapError, EOFError) as error:
                raise ValueError(f"cannot read the MCAP file: {type(error).__name__} {error}: {self._path}") from None
        if summary is None or summary.statistics is None:
            raise ValueError(f"the MCAP file has no statistics: {self._path}")
        return summary.statistics.message_start_time, summary.statistics.message_end_time

    def __repr__(self) -> str:
        return f"McapReader({self._path})"


@dataclasses.dataclass(frozen=True)
class IndexColumn:
    """A column that is a timeline.

    Parameters
    ----------
    path
        Its name.
    kind
        ``"timestamp"``, ``"duration"`` or ``"sequence"``.
    input_unit
        Of its numbers: ``"ns"``, ``"us"``, ``"ms"`` or ``"s"``; None for a sequence. A column of Arrow times has a unit by itself, which
        is used.
    """

    path: str
    kind: Literal["timestamp", "duration", "sequence"]
    input_unit: Literal["ns", "us", "ms", "s"] | None = None

    @classmethod
    def timestamp(cls, path: str, *, input_unit: Literal["ns", "us", "ms", "s"] = "ns") -> IndexColumn:
        """Times since 1970."""
        return cls(path, "timestamp", input_unit)

    @classmethod
    def duration(cls, path: str, *, input_unit: Literal["ns", "us", "ms", "s"] = "ns") -> IndexColumn:
        """Times since whenever."""
        return cls(path, "duration", input_unit)

    @classmethod
    def sequence(cls, path: str) -> IndexColumn:
        """Numbers in their order."""
        return cls(path, "sequence")

    def _of(self, batch: Any) -> TimeColumn:
        """The timeline of a batch. ImportFailedError: its column is missing, or has nulls or no numbers."""
        import numpy as np
        import pyarrow as pa

        at = batch.schema.get_field_index(self.path)
        array = None if at < 0 else batch.column(at)
        if array is None or array.null_count or not (pa.types.is_temporal(array.type) or pa.types.is_primitive(array.type)):
            what = "is not there" if array is None else f"has {array.null_count:,} nulls, and the type {array.type}"
            raise ImportFailedError(f"the column {self.path!r}, which is to be a timeline, {what}")
        if pa.types.is_temporal(array.type) and self.kind != "sequence":
            kind = pa.timestamp("ns") if pa.types.is_timestamp(array.type) else pa.duration("ns")
            numbers = array.cast(kind).cast(pa.int64()).to_numpy()
        else:
            numbers = array.to_numpy(zero_copy_only=False)
            scale = _UNITS[self.input_unit] if self.input_unit else 1
            if numbers.dtype.kind == "f":
                numbers = np.copysign(np.floor(np.abs(numbers) * scale + 0.5), numbers).astype(np.int64)
            else:
                numbers = numbers.astype(np.int64) * scale
        if self.kind == "sequence":
            return TimeColumn(self.path, sequence=numbers)
        if self.kind == "duration":
            return TimeColumn(self.path, duration=numbers.astype("timedelta64[ns]"))
        return TimeColumn(self.path, timestamp=numbers.astype("datetime64[ns]"))


class ParquetReader:
    """Chunks of a Parquet file. FileNotFoundError: there is none.

    Parameters
    ----------
    path
        Of the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = _there(path, "Parquet file")

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._path

    def stream(
        self,
        *,
        entity_path_prefix: str | None = None,
        column_grouping: str = "prefix",
        delimiter: str = "_",
        prefixes: list[str] | None = None,
        use_structs: bool = True,
        static_columns: list[str] | None = None,
        index_columns: list[IndexColumn] | None = None,
    ) -> LazyChunkStream:
        """Chunks of the file, a batch of rows after the other.

        Parameters
        ----------
        entity_path_prefix
            What is before all entities.
        column_grouping
            ``"prefix"``: columns whose names are equal up to the delimiter are one entity. ``"explicit_prefixes"``: columns that begin
            with one of ``prefixes`` are. ``"individual"``: each column is one.
        delimiter
            Ends what such names have in common: one character.
        prefixes
            Of names; the longest one counts.
        use_structs
            Whether several columns of an entity are one component, a struct; else each is one.
        static_columns
            Columns with one value in all rows, which are static components of the root, or of the prefix.
        index_columns
            The timelines. Without: ``row_index``, the number of the row.

        Raises
        ------
        ValueError
            An argument is of no use. While the stream is read: the file is damaged, a timeline's column is none, or a static column has
            several values.

        """
        if column_grouping not in ("prefix", "explicit_prefixes", "individual"):
            raise ValueError(f"column_grouping is 'prefix', 'explicit_prefixes' or 'individual', not {column_grouping!r}")
        if bool(prefixes) != (column_grouping == "explicit_prefixes"):
            raise ValueError("prefixes are for column_grouping='explicit_prefixes', and needed there")
        if len(delimiter) != 1:
            raise ValueError(f"the delimiter is one character, not {delimiter!r}")
        layout = Layout(
            delimiter if column_grouping == "prefix" else None,
            None if prefixes is None else tuple(prefixes),
            use_structs,
            frozenset(one.path for one in index_columns or ()),
            tuple(dict.fromkeys(static_columns or ())),
        )

        def load(task: ChunkTask) -> None:
            if index_columns is None:
                parquet(task, layout)
            else:
                parquet(task, layout, lambda batch, _: [one._of(batch) for one in index_columns])

        return LazyChunkStream(lambda: chunks_of(str(self._path), entity_path_prefix, load))

    def __repr__(self) -> str:
        return f"ParquetReader({self._path})"


class Mp4Reader:
    """Chunks of an MP4 file.

    Parameters
    ----------
    path
        Of the file.
    mode
        ``"stream"``: a ``VideoStream``: its codec, its compressed frames, and which of them are key frames; needs the extra
        ``importers``. ``"asset"``: the file as it is, and a reference to each frame.
    chunk_by_gop
        Whether a key frame and those up to the next one are one chunk; else each frame is.
    timeline_name, timeline_type
        Of the frames' times.
    transcode
        Not here: ValueError.
    entity_path
        Without: the absolute path of the file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        An argument is of no use. While the stream is read: the file is damaged, or its frames are no stream, as those that are out of
        order (B-frames).

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: Literal["asset", "stream"] = "stream",
        chunk_by_gop: bool = True,
        timeline_name: str = "video",
        timeline_type: str = "duration_ns",
        transcode: None = None,
        entity_path: str | None = None,
    ) -> None:
        if mode not in ("asset", "stream"):
            raise ValueError(f"mode is 'stream' or 'asset', not {mode!r}")
        if transcode is not None:
            raise ValueError("transcode is not there; do it before: ffmpeg -i video.mp4 -bf 0 other.mp4")
        self._path = _there(path, "MP4 file")
        self._is_stream = mode == "stream"
        self._has_groups = chunk_by_gop
        self._is_duration = _is_duration(timeline_type)
        self._timeline = timeline_name
        self._entity_path = canonical(str(self._path.absolute()) if entity_path is None else entity_path)

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._path

    @property
    def entity_path(self) -> str:
        """Of the video."""
        return self._entity_path

    def stream(self) -> LazyChunkStream:
        """Chunks of the file. ValueError, while it is read: see the class, or it is more than one value can hold."""

        def load(task: ChunkTask) -> None:
            if self._is_stream:
                mp4_stream(task, self._timeline, self._entity_path, is_duration=self._is_duration, has_groups=self._has_groups)
            else:
                mp4(task, self._timeline, self._entity_path, is_duration=self._is_duration, is_static=True)

        return LazyChunkStream(lambda: chunks_of(str(self._path.absolute()), None, load))

    def __repr__(self) -> str:
        return f"Mp4Reader({self._path})"


class _Below:
    """A task whose entities are below its prefix."""

    def __init__(self, task: ChunkTask) -> None:
        self._task = task

    def send_columns(self, entity_path: str, indexes: Any, columns: Any) -> None:
        self._task.send_columns(self._task.prefix + canonical(entity_path), indexes, columns)

    def log(self, entity_path: str, archetype: Any) -> None:
        self._task.log(self._task.prefix + canonical(entity_path), archetype)


class LeRobotReader:
    """Chunks of a LeRobot dataset, an episode at a time.

    Parameters
    ----------
    path
        Of the directory with ``meta`` and ``data``.

    Raises
    ------
    FileNotFoundError
        There is no such directory.
    ValueError
        It is no dataset of version 2 or 3.

    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = _there(path, "LeRobot dataset")
        try:
            self._dataset = datasets.open_dataset(str(self._path))
            self._episodes = dict(self._dataset.episodes())
        except (ImportFailedError, OSError, ValueError, KeyError) as error:
            raise ValueError(f"{error}") from None

    @property
    def path(self) -> Path:
        """Of the directory."""
        return self._path

    @property
    def version(self) -> Literal["v2", "v3"]:
        """Of the layout."""
        return "v3" if isinstance(self._dataset, datasets.Version3) else "v2"

    def episodes(self) -> list[int]:
        """Numbers of the episodes, in order."""
        return sorted(self._episodes)

    def metadata(self, *, entity_path_prefix: str | None = None) -> Chunk:
        """What the dataset says of itself, as one static chunk: the texts ``info`` and, where there are any, ``stats``."""
        import pyarrow as pa

        columns = []
        for name in ("info", "stats"):
            file = self._path / "meta" / f"{name}.json"
            if file.exists():
                columns.append(Column(name, pa.array([[file.read_text("utf-8")]], pa.list_(pa.string()))))
        return Chunk.from_columns(entity_path_prefix or "/__lerobot", [], columns)

    def stream(
        self, episode: int, *, entity_path_prefix: str | None = None, timeline: str | None = None, video_mode: str = "native"
    ) -> LazyChunkStream:
        """Chunks of an episode.

        Parameters
        ----------
        episode
            One of :meth:`episodes`.
        entity_path_prefix
            What is before all entities.
        timeline
            Not here: ValueError.
        video_mode
            ``"native"``, or ``"skip"`` for none.

        Raises
        ------
        ValueError
            There is no such episode, or an argument is of no use. While the stream is read: the dataset is damaged.

        """
        if episode not in self._episodes:
            raise ValueError(f"there is no episode {episode} among {len(self._episodes):,} of {self._path}")
        if timeline is not None or video_mode not in ("native", "skip"):
            raise ValueError("timeline cannot be said here, and video_mode is 'native' or 'skip'")
        dataset = self._dataset

        def load(task: ChunkTask) -> None:
            try:
                datasets.log_episode(task, dataset, _Below(task), episode, self._episodes[episode], has_videos=video_mode == "native")
            except (KeyError, TypeError, RuntimeError) as error:
                raise ImportFailedError(f"cannot read episode {episode}: {type(error).__name__} {error}: {self._path}") from None

        return LazyChunkStream(lambda: chunks_of(str(self._path), entity_path_prefix, load))

    def __repr__(self) -> str:
        return f"LeRobotReader({self._path})"
