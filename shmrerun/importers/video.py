"""MP4 videos: the file as it is, and a reference to each of its frames on the timeline ``video``.

Source: what rerun-sdk 0.41 records of such a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun.model.archetype import archetype_class
from shmrerun.model.mp4 import frame_times
from shmrerun.model.time_columns import TimeColumn

if TYPE_CHECKING:
    from shmrerun.importers.task import Task


def mp4(task: Task, timeline: str = "video", entity_path: str | None = None, *, is_duration: bool = True, is_static: bool = False) -> None:
    """Log an AssetVideo at the start of its timeline (or static), and a VideoFrameReference a frame."""
    import numpy as np

    raw = task.read()
    asset: Any = archetype_class("AssetVideo")
    reference: Any = archetype_class("VideoFrameReference")
    entity_path = task.entity_path if entity_path is None else entity_path

    def index(nanos: Any) -> TimeColumn:
        if is_duration:
            return TimeColumn(timeline, duration=nanos.astype("timedelta64[ns]"))
        return TimeColumn(timeline, timestamp=nanos.astype("datetime64[ns]"))

    task.send_columns(entity_path, [] if is_static else [index(np.zeros(1, np.int64))], asset.columns(blob=[raw]))
    try:
        times = frame_times(raw, None)
    except RuntimeError as error:
        task.warn(f"the video is logged without its frames: {error}")
        return
    if len(times):
        task.send_columns(entity_path, [index(times)], reference.columns(timestamp=times))
