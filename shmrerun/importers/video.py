"""MP4 videos: the file as it is, and a reference to each of its frames on the timeline ``video``.

Source: what rerun-sdk 0.41 records of such a file.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from shmrerun.importers.task import ImportFailedError
from shmrerun.model.archetype import archetype_class
from shmrerun.model.mp4 import frame_times
from shmrerun.model.time_columns import TimeColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shmrerun.importers.task import Task
    from shmrerun.importers.transcode import Mp4TranscodeOptions
    from shmrerun.importers.video_samples import Frame


def mp4_stream(task: Task, timeline: str, entity_path: str, *, is_duration: bool, has_groups: bool, transcode: Mp4TranscodeOptions) -> None:
    """Log a VideoStream: its codec, its frames (those from a key frame to before the next one together, or each), and which are key frames.

    ImportFailedError: the frames cannot be had; see :func:`shmrerun.importers.video_samples.frames`.
    """
    import numpy as np

    from shmrerun.importers.transcode import encoded, must_be_encoded

    stream: Any = archetype_class("VideoStream")
    group: list[tuple[int, bytes]] = []
    keys = []

    def send() -> None:
        times = _index(timeline, np.array([nanos for nanos, _ in group], np.int64), is_duration=is_duration)
        task.send_columns(entity_path, [times], stream.columns(sample=[data for _, data in group]))
        group.clear()

    try:
        with encoded(task.path, transcode) if must_be_encoded(task.path, transcode) else _as_they_are(task) as (codec, found):
            task.log(entity_path, stream.from_fields(codec=codec))
            for nanos, frame in found:
                if group and (frame.is_key or not has_groups):
                    send()
                if frame.is_key:
                    keys.append(nanos)
                group.append((nanos, frame.data))
            if group:
                send()
    except (ValueError, IndexError) as error:
        raise ImportFailedError(f"cannot read the video any further: {type(error).__name__} {error}: {task.path}") from None
    if keys:
        times = _index(timeline, np.array(keys, np.int64), is_duration=is_duration)
        task.send_columns(entity_path, [times], stream.columns(is_keyframe=[True] * len(keys)))


@contextlib.contextmanager
def _as_they_are(task: Task) -> Iterator[tuple[str, Iterator[tuple[int, Frame]]]]:
    """Codec and frames of a file, with the times of its index."""
    from shmrerun.importers.video_samples import frames

    try:
        times = frame_times(task.read(), None)
    except RuntimeError as error:
        raise ImportFailedError(f"{error}: {task.path}") from None
    with frames(task.path) as (codec, found):

        def timed() -> Iterator[tuple[int, Frame]]:
            for number, frame in enumerate(found):
                if number == len(times):
                    raise ImportFailedError(f"the video's index has {len(times):,} frames, but there are more: {task.path}")
                yield int(times[number]), frame

        yield codec, timed()


def _index(timeline: str, nanos: Any, *, is_duration: bool) -> TimeColumn:
    if is_duration:
        return TimeColumn(timeline, duration=nanos.astype("timedelta64[ns]"))
    return TimeColumn(timeline, timestamp=nanos.astype("datetime64[ns]"))


def mp4(task: Task, timeline: str = "video", entity_path: str | None = None, *, is_duration: bool = True, is_static: bool = False) -> None:
    """Log an AssetVideo at the start of its timeline (or static), and a VideoFrameReference a frame."""
    import numpy as np

    raw = task.read()
    asset: Any = archetype_class("AssetVideo")
    reference: Any = archetype_class("VideoFrameReference")
    entity_path = task.entity_path if entity_path is None else entity_path

    def index(nanos: Any) -> TimeColumn:
        return _index(timeline, nanos, is_duration=is_duration)

    task.send_columns(entity_path, [] if is_static else [index(np.zeros(1, np.int64))], asset.columns(blob=[raw]))
    try:
        times = frame_times(raw, None)
    except RuntimeError as error:
        task.warn(f"the video is logged without its frames: {error}")
        return
    if len(times):
        task.send_columns(entity_path, [index(times)], reference.columns(timestamp=times))
