"""ROS 2 messages that are maps: of a plane, and of a space.

Source: which components rerun-sdk 0.41 makes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun.importers.mcap_ros2 import Reader, stamp_of
from shmrerun.importers.mcap_ros2_known import Known, archetype_columns, frame_columns
from shmrerun.importers.task import Column, lists_of_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.importers.mcap_ros2 import Messages
    from shmrerun.importers.task import Entities

_FREE, _MARKED = 0x00FF00FF, 0xFF0000FF  # colours
_MOST_LEVELS = 16  # of a column of voxels: two bits each, 16 apart


class _OccupancyGrid(Known):
    """A map whose first row is its lowest one; -1, unknown, is byte 255."""

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        found = Reader(self._messages, data).message(self._root)
        cells, info = len(found["data"]), found["info"]
        if cells != info["width"] * info["height"]:
            raise ValueError(f"a map of {info['width']}x{info['height']} has {cells:,} cells")
        return [(stamp_of(found), found)]

    def columns(self, values: list[Any]) -> Entities:
        import numpy as np
        import pyarrow as pa

        from shmrerun.model.values.factory import component_class

        make: Any = component_class("ImageFormat")
        infos = [value["info"] for value in values]
        images = [
            np.asarray(value["data"], np.int8).reshape(info["height"], info["width"])[::-1].reshape(-1).view(np.uint8)
            for value, info in zip(values, infos, strict=True)
        ]
        columns = archetype_columns(
            "GridMap",
            format=[make(info["width"], info["height"], color_model="L", channel_datatype="U8") for info in infos],
            cell_size=[info["resolution"] for info in infos],
            translation=np.array([[info["origin"]["position"][axis] for axis in "xyz"] for info in infos], np.float32),
            quaternion=np.array([[info["origin"]["orientation"][axis] for axis in "xyzw"] for info in infos], np.float32),
            colormap=["RvizMap"] * len(values),
        )
        data = Column(
            "GridMap:data", lists_of_one(pa.array(images, pa.list_(pa.uint8()))), "rerun.archetypes.GridMap", "rerun.components.ImageBuffer"
        )
        return [("", [data, *columns, *frame_columns(values)])]


class _VoxelGrid(Known):
    """Columns of up to 16 voxels: of its two bits none is set for a free one, one for an unknown one, both for a marked one."""

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        found = Reader(self._messages, data).message(self._root)
        columns, (wide, deep, high) = len(found["data"]), (found[f"size_{axis}"] for axis in "xyz")
        if columns != wide * deep or high > _MOST_LEVELS:
            raise ValueError(f"voxels of {wide}x{deep}x{high}, {_MOST_LEVELS} high at most, have {columns:,} columns")
        return [(stamp_of(found), found)]

    def columns(self, values: list[Any]) -> Entities:
        import numpy as np
        import pyarrow as pa

        indices, marks = zip(*(_known_voxels(value) for value in values), strict=True)
        offsets = pa.array(np.cumsum([0, *map(len, marks)]), pa.int32())
        flat = pa.FixedSizeListArray.from_arrays(
            pa.array(np.concatenate(indices).reshape(-1)), type=pa.list_(pa.field("item", pa.int32(), nullable=False), 3)
        )
        is_marked = np.concatenate(marks)
        archetype = "rerun.archetypes.VoxelGridMap"
        lists = {
            "voxel_indices": ("VoxelIndex", flat),
            "colors": ("Color", pa.array(np.where(is_marked, _MARKED, _FREE).astype(np.uint32))),
            "values": ("VoxelValue", pa.array(is_marked.astype(np.float32))),
        }
        found = [
            Column(f"VoxelGridMap:{name}", pa.ListArray.from_arrays(offsets, array), archetype, f"rerun.components.{kind}")
            for name, (kind, array) in lists.items()
        ]
        sizes, places = (
            np.array([[value[part][axis] for axis in "xyz"] for value in values], np.float32) for part in ("resolutions", "origin")
        )
        found += archetype_columns("VoxelGridMap", voxel_size=sizes, translation=places, opacity=np.full(len(values), 0.5, np.float32))
        return [("", [*found, *frame_columns(values)])]


def _known_voxels(grid: dict[str, Any]) -> tuple[Any, Any]:
    """Where the voxels are that are not unknown (n x 3), and whether each is marked; those of a column follow one another."""
    import numpy as np

    bits = np.asarray(grid["data"], np.uint32)[:, None] >> np.arange(grid["size_z"], dtype=np.uint32)
    low, high = bits & 1, bits >> 16 & 1
    columns, levels = np.nonzero(low == high)
    width = max(int(grid["size_x"]), 1)
    return np.stack([columns % width, columns // width, levels], axis=1).astype(np.int32), low[columns, levels] == 1


MAPS: dict[str, Callable[[str, Messages], Any]] = {
    "nav2_msgs/msg/VoxelGrid": _VoxelGrid,
    "nav_msgs/msg/OccupancyGrid": _OccupancyGrid,
}
