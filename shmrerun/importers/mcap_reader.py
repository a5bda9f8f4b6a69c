"""MCAP files as streams of chunks: :class:`shmrerun.chunk.McapReader`.

Source: names and behaviour of rerun-sdk 0.41; what importers make of each file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shmrerun.importers.as_chunks import ChunkTask, chunks_of
from shmrerun.importers.mcap import DECODERS, Selection, mcap
from shmrerun.importers.mcap_info import McapInfo, read_info
from shmrerun.importers.reader_arguments import is_duration, there
from shmrerun.importers.task import ImportFailedError
from shmrerun.rrd.chunk_stream import LazyChunkStream

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path


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
        self._path = there(path, "MCAP file")
        self._recover = recover
        try:
            included, excluded = ([re.compile(one) for one in found or ()] for found in (include_topic_regex, exclude_topic_regex))
        except re.error as error:
            raise ValueError(f"a pattern of topics is none: {error}") from None

        def is_meant(topic: str) -> bool:
            return (not included or any(one.search(topic) for one in included)) and not any(one.search(topic) for one in excluded)

        chosen = None if decoders is None else frozenset(decoders)
        times = start_time_ns, end_time_ns, is_duration(timeline_type), timestamp_offset_ns or 0
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
