"""MP4 files as streams of chunks: :class:`shmrerun.experimental.Mp4Reader`.

Source: names and behaviour of rerun-sdk 0.41; what importers make of each file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from shmrerun.importers.as_chunks import ChunkTask, chunks_of
from shmrerun.importers.reader_arguments import is_duration, there
from shmrerun.importers.transcode import Mp4TranscodeOptions
from shmrerun.importers.video import mp4, mp4_stream
from shmrerun.model.entity_paths import canonical
from shmrerun.rrd.chunk_stream import LazyChunkStream

if TYPE_CHECKING:
    import os
    from pathlib import Path


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
        How frames are encoded anew, of ``mode="stream"``. A video that has what is wanted, and whose frames are in order, is not; any
        other (with B-frames, say) is, which takes the time that encoding takes, and is faithful to the eye, not to the bit.
    entity_path
        Without: the absolute path of the file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        An argument is of no use. While the stream is read: the file is damaged, its frames are no stream, or nothing here encodes the
        codec that is wanted.

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: Literal["asset", "stream"] = "stream",
        chunk_by_gop: bool = True,
        timeline_name: str = "video",
        timeline_type: str = "duration_ns",
        transcode: Mp4TranscodeOptions | None = None,
        entity_path: str | None = None,
    ) -> None:
        if mode not in ("asset", "stream"):
            raise ValueError(f"mode is 'stream' or 'asset', not {mode!r}")
        if mode == "asset" and (transcode is not None or not chunk_by_gop):
            raise ValueError('transcode and chunk_by_gop=False are for mode="stream"')
        if not isinstance(transcode, Mp4TranscodeOptions | None):
            raise TypeError(f"transcode is of Mp4TranscodeOptions, got {type(transcode).__name__}")
        self._path = there(path, "MP4 file")
        self._is_stream = mode == "stream"
        self._has_groups = chunk_by_gop
        self._transcode = Mp4TranscodeOptions() if transcode is None else transcode
        self._is_duration = is_duration(timeline_type)
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
                mp4_stream(
                    task,
                    self._timeline,
                    self._entity_path,
                    is_duration=self._is_duration,
                    has_groups=self._has_groups,
                    transcode=self._transcode,
                )
            else:
                mp4(task, self._timeline, self._entity_path, is_duration=self._is_duration, is_static=True)

        return LazyChunkStream(lambda: chunks_of(str(self._path.absolute()), None, load))

    def __repr__(self) -> str:
        return f"Mp4Reader({self._path})"
