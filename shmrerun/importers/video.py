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


def mp4(task: Task) -> None:
    """Log an AssetVideo at the start of its timeline, and a VideoFrameReference a frame."""
    import numpy as np

    raw = task.read()
    asset: Any = archetype_class("AssetVideo")
    reference: Any = archetype_class("VideoFrameReference")
    zero = np.array([0], "timedelta64[ns]")
    task.send_columns(task.entity_path, [TimeColumn("video", duration=zero)], asset.columns(blob=[raw]))
    try:
        times = frame_times(raw, None)
    except RuntimeError as error:
        task.warn(f"the video is logged without its frames: {error}")
        return
    if len(times):
        index = TimeColumn("video", duration=times.astype("timedelta64[ns]"))
        task.send_columns(task.entity_path, [index], reference.columns(timestamp=times))
