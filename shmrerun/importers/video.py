"""MP4 videos: the file as it is, and a reference to each of its frames on the timeline ``video``.

Source: what rerun-sdk 0.41 records of such a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun.importers.task import ImportFailedError
from shmrerun.model.archetype import archetype_class
from shmrerun.model.mp4 import frame_times
from shmrerun.model.time_columns import TimeColumn

if TYPE_CHECKING:
    from shmrerun.importers.task import Task


def mp4_stream(task: Task, timeline: str, entity_path: str, *, is_duration: bool, has_groups: bool) -> None:
    """Log a VideoStream: its codec, its frames (those from a key frame to before the next one together, or each), and which are key frames.

    ImportFailedError: the frames cannot be had; see :func:`shmrerun.importers.video_samples.frames`.
    """
    import numpy as np

    from shmrerun.importers.video_samples import frames

    stream: Any = archetype_class("VideoStream")
    try:
        times = frame_times(task.read(), None)
    except RuntimeError as error:
        raise ImportFailedError(f"{error}: {task.path}") from None

    def index(nanos: Any) -> TimeColumn:
        return _index(timeline, np.array(nanos, np.int64), is_duration=is_duration)

    try:
        with frames(task.path) as (codec, found):
            task.log(entity_path, stream.from_fields(codec=codec))
            group: list[bytes] = []
            keys = []
            count = 0
            for frame in found:
                if group and (frame.is_key or not has_groups):
                    task.send_columns(entity_path, [index(times[count - len(group) : count])], stream.columns(sample=group))
                    group = []
                if count == len(times):
                    raise ImportFailedError(f"the video's index has {len(times):,} frames, but there are more: {task.path}")
                if frame.is_key:
                    keys.append(times[count])
                group.append(frame.data)
                count += 1
            if group:
                task.send_columns(entity_path, [index(times[count - len(group) : count])], stream.columns(sample=group))
    except (ValueError, IndexError) as error:
        raise ImportFailedError(f"cannot read the video any further: {type(error).__name__} {error}: {task.path}") from None
    if keys:
        task.send_columns(entity_path, [index(keys)], stream.columns(is_keyframe=[True] * len(keys)))


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
