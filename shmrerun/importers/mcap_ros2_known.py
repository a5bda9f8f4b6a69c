"""ROS 2 messages that mean something to a viewer: images, scalars, transforms, positions.

Source: which components rerun-sdk 0.41 makes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun.importers.mcap_images import check_encoding, image_format, is_depth, row_bytes
from shmrerun.importers.mcap_ros2 import Reader, stamp_of
from shmrerun.importers.task import Column, bytes_lists, lists_of_one
from shmrerun.model.archetype import archetype_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.importers.mcap_ros2 import Messages
    from shmrerun.importers.task import Entities


class Known:
    """A message of one type; each subclass says what becomes of it."""

    timeline = "ros2_timestamp"

    def __init__(self, root: str, messages: Messages) -> None:
        self._root, self._messages = root, messages

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        """The message of these bytes, and its time."""
        found = Reader(self._messages, data).message(self._root)
        return [(stamp_of(found), found)]

    def columns(self, values: list[Any]) -> Entities:
        """What becomes of some of them."""
        raise NotImplementedError

    def constants(self) -> list[Any]:
        """What holds for all of them."""
        return []


def archetype_columns(archetype: str, **columns: Any) -> list[Any]:
    """Columns of an archetype."""
    found: Any = archetype_class(archetype)
    return list(found.columns(**columns))


def frame_columns(values: list[Any], suffix: str = "") -> list[Any]:
    """The coordinate frame of each message's header."""
    names = [value["header"]["frame_id"] for value in values]
    return archetype_columns("CoordinateFrame", frame=[f"{name}{suffix}" if name else name for name in names])


def _scalars(rows: list[list[float]]) -> Column:
    import pyarrow as pa

    return Column("Scalars:scalars", pa.array(rows, pa.list_(pa.float64())), "rerun.archetypes.Scalars", "rerun.components.Scalar")


def _floats(name: str, archetype: str, rows: list[list[float]]) -> Column:
    import pyarrow as pa

    return Column(name, pa.array(rows, pa.list_(pa.float64())), archetype)


def _numbers(*names: str) -> type[Known]:
    """Messages that are a few numbers with names; ``field=name`` where a field's name is another one."""
    pairs = [(field, name or field) for field, _, name in (found.partition("=") for found in names)]

    class Numbers(Known):
        def columns(self, values: list[Any]) -> Entities:
            return [("", [_scalars([[float(value[field]) for field, _ in pairs] for value in values])])]

        def constants(self) -> list[Any]:
            found: Any = archetype_class("SeriesLines")
            return [found(names=[name for _, name in pairs])]

    return Numbers


class _Array(Known):
    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        return [(None, Reader(self._messages, data).message(self._root))]

    def columns(self, values: list[Any]) -> Entities:
        return [("", [_scalars([list(value["data"]) for value in values])])]


class _Imu(Known):
    def columns(self, values: list[Any]) -> Entities:
        rows = [[float(value[part][axis]) for part in ("angular_velocity", "linear_acceleration") for axis in "xyz"] for value in values]
        turns = [[float(value["orientation"][axis]) for axis in "xyzw"] for value in values]
        archetype = "sensor_msgs.msg.Imu"
        return [("", [_scalars(rows), _floats(f"{archetype}:orientation", archetype, turns), *frame_columns(values)])]

    def constants(self) -> list[Any]:
        found: Any = archetype_class("SeriesLines")
        return [found(names=[f"{part}/{axis}" for part in ("gyroscope", "accelerometer") for axis in "xyz"])]


class _NavSatFix(Known):
    def columns(self, values: list[Any]) -> Entities:
        import numpy as np

        positions = np.array([[value["latitude"], value["longitude"]] for value in values])
        altitudes = [[float(value["altitude"])] for value in values]
        altitude = _floats("altitude", "sensor_msgs.msg.NavSatFix", altitudes)
        return [("", [*archetype_columns("GeoPoints", positions=positions), altitude, *frame_columns(values)])]


class _Image(Known):
    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        found = Reader(self._messages, data).message(self._root)
        encoding = found["encoding"]
        check_encoding(encoding)
        if found["step"] * found["height"] > len(found["data"]) or row_bytes(encoding, found["width"]) > found["step"]:
            there = f"{found['width']}x{found['height']}, {found['step']} bytes a row"
            raise ValueError(f"an image of {encoding}, {there}, has {len(found['data']):,} bytes")
        return [(stamp_of(found), found)]

    def columns(self, values: list[Any]) -> Entities:
        formats = [image_format(value["encoding"], value["width"], value["height"]) for value in values]
        archetype = "DepthImage" if is_depth(values[-1]["encoding"]) else "Image"
        buffers = [_packed(value) for value in values]
        return [("", [*archetype_columns(archetype, buffer=buffers, format=formats), *frame_columns(values, "_image_plane")])]


def _packed(image: dict[str, Any]) -> bytes:
    """The pixels, without what fills up the rows."""
    data, size, step = image["data"], row_bytes(image["encoding"], image["width"]), int(image["step"])
    if size == step or image["encoding"] == "nv12":
        found: bytes = data.tobytes()
    else:
        found = data[: step * image["height"]].reshape(image["height"], step)[:, :size].tobytes()
    return found


class _CompressedImage(Known):
    def __init__(self, root: str, messages: Messages) -> None:
        super().__init__(root, messages)
        self._kind: str | None = None

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        found = Reader(self._messages, data).message(self._root)
        encoding, _, rest = found["format"].partition(";")
        kind = "EncodedImage"
        if encoding.strip() and "compresseddepth" in rest.lower() and "rvl" in rest.lower():
            kind = "EncodedDepthImage"
        elif found["format"].lower() == "h264":
            kind = "VideoStream"
        self._kind = self._kind or kind
        if kind != self._kind:
            raise ValueError("a channel has compressed images of several kinds")
        return [(stamp_of(found), found)]

    def columns(self, values: list[Any]) -> Entities:
        blobs = [value["data"].tobytes() for value in values]
        frames = frame_columns(values, "_image_plane")
        if self._kind == "VideoStream":
            return [("", [*archetype_columns("VideoStream", sample=blobs, codec=["H264"] * len(blobs)), *frames])]
        if self._kind == "EncodedDepthImage":
            return [("", [*archetype_columns("EncodedDepthImage", blob=blobs, media_type=["application/rvl"] * len(blobs)), *frames])]
        return [("", [*archetype_columns("EncodedImage", blob=blobs), *frames])]


class _Transforms(Known):
    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        found = Reader(self._messages, data).message(self._root)
        return [(None, one) for one in found["transforms"] or [None]]  # one that has none is an empty row

    def columns(self, values: list[Any]) -> Entities:
        import pyarrow as pa

        moves = [[[one["transform"]["translation"][axis] for axis in "xyz"]] if one else [] for one in values]
        turns = [[[one["transform"]["rotation"][axis] for axis in "xyzw"]] if one else [] for one in values]
        names = {
            "child_frame": [[one["child_frame_id"]] if one else [] for one in values],
            "parent_frame": [[one["header"]["frame_id"]] if one else [] for one in values],
        }
        archetype = "rerun.archetypes.Transform3D"
        return [
            (
                "",
                [
                    Column("Transform3D:translation", pa.array(moves, _vectors(3)), archetype, "rerun.components.Translation3D"),
                    Column("Transform3D:quaternion", pa.array(turns, _vectors(4)), archetype, "rerun.components.RotationQuat"),
                    *(
                        Column(f"Transform3D:{name}", pa.array(rows, pa.list_(pa.string())), archetype, "rerun.components.TransformFrameId")
                        for name, rows in names.items()
                    ),
                ],
            )
        ]


def _vectors(size: int) -> Any:
    """The type of a list of vectors in single precision."""
    import pyarrow as pa

    return pa.list_(pa.list_(pa.field("item", pa.float32(), nullable=False), size))


def _measured(field: str, unit: str | None = None) -> type[Known]:
    """Messages of one value with its variance."""

    class Measured(Known):
        def columns(self, values: list[Any]) -> Entities:
            import numpy as np

            columns = {"values": np.array([value[field] for value in values]), "variances": np.array([v["variance"] for v in values])}
            units = {"units": [unit] * len(values)} if unit else {}
            return [("", [*archetype_columns("Measurements", **columns, **units), *frame_columns(values)])]

    return Measured


class _Pose(Known):
    def columns(self, values: list[Any]) -> Entities:
        import numpy as np

        moves = np.array([[value["pose"]["position"][axis] for axis in "xyz"] for value in values], np.float32)
        turns = np.array([[value["pose"]["orientation"][axis] for axis in "xyzw"] for value in values], np.float32)
        return [("", [*archetype_columns("InstancePoses3D", translations=moves, quaternions=turns), *frame_columns(values)])]


class _MagneticField(Known):
    def columns(self, values: list[Any]) -> Entities:
        import numpy as np

        vectors = np.array([[value["magnetic_field"][axis] for axis in "xyz"] for value in values], np.float32)
        return [("", [*archetype_columns("Arrows3D", vectors=vectors), *frame_columns(values)])]


class _CameraInfo(Known):
    def columns(self, values: list[Any]) -> Entities:
        import numpy as np

        frames = [value["header"]["frame_id"] for value in values]
        matrices = np.array([value["k"] for value in values], np.float32).reshape(-1, 3, 3)
        return [
            (
                "",
                archetype_columns(
                    "Pinhole",
                    image_from_camera=matrices,
                    resolution=np.array([[value["width"], value["height"]] for value in values], np.float32),
                    parent_frame=frames,
                    child_frame=[f"{frame}_image_plane" for frame in frames],
                ),
            )
        ]


class _Text(Known):
    def columns(self, values: list[Any]) -> Entities:
        return [("", archetype_columns("TextDocument", text=[value["data"] for value in values]))]


class _Log(Known):
    def columns(self, values: list[Any]) -> Entities:
        import numpy as np
        import pyarrow as pa

        levels = [_LEVELS.get(value["level"], ("UNKNOWN", 0x808080FF)) for value in values]
        texts = [f"[{value['name']}] {value['msg']}" for value in values]
        columns = archetype_columns(
            "TextLog", text=texts, level=[name for name, _ in levels], color=np.array([color for _, color in levels], np.uint32)
        )
        for name, kind in (("file", pa.string()), ("function", pa.string()), ("line", pa.uint32())):
            columns.append(Column(name, lists_of_one(pa.array([value[name] for value in values], kind)), "rcl_interfaces.msg.Log"))
        return [("", columns)]


_LEVELS = {10: ("DEBUG", 0x808080FF), 20: ("INFO", 0x0080FFFF), 30: ("WARN", 0xFFA500FF), 40: ("ERROR", 0xFF0000FF),
           50: ("CRITICAL", 0x8B0000FF)}  # fmt: skip


class _JointState(Known):
    def columns(self, values: list[Any]) -> Entities:
        import pyarrow as pa

        names = pa.array([value["name"] for value in values], pa.list_(pa.string()))
        named = Column("SeriesLines:names", names, "rerun.archetypes.SeriesLines", "rerun.components.Name")
        parts = ("position", "velocity", "effort")
        found: Entities = [(f"/{part}", [_scalars([list(value[part]) for value in values]), named]) for part in parts]
        return [*found, ("", frame_columns(values))]


class _Joy(Known):
    def columns(self, values: list[Any]) -> Entities:
        found: Entities = [(f"/{part}", [_scalars([[float(v) for v in value[part]] for value in values])]) for part in ("axes", "buttons")]
        return [*found, ("", frame_columns(values))]


class _PointCloud(Known):
    """Points, each of their other fields as a component of the same name, and the message's own."""

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        found = Reader(self._messages, data).message(self._root)
        found["points"] = _points_of(found)
        return [(stamp_of(found), found)]

    def columns(self, values: list[Any]) -> Entities:
        import numpy as np
        import pyarrow as pa

        archetype, points = "sensor_msgs.msg.PointCloud2", "rerun.archetypes.Points3D"
        found: Entities = [("", frame_columns(values))]
        columns = []
        if all({"x", "y", "z"} <= value["points"].keys() for value in values):
            positions = [np.stack([value["points"][axis].astype(np.float32) for axis in "xyz"], axis=1) for value in values]
            flat = pa.FixedSizeListArray.from_arrays(
                pa.array(np.concatenate(positions).reshape(-1)), type=pa.list_(pa.field("item", pa.float32(), nullable=False), 3)
            )
            offsets = pa.array(np.cumsum([0, *map(len, positions)]), pa.int32())
            at = Column("Points3D:positions", pa.ListArray.from_arrays(offsets, flat), points, "rerun.components.Position3D")
            found.append(("", [at]))
        columns += [
            Column(f"Points3D:{name}", pa.array([value["points"].get(name) for value in values]), points)
            for name in values[0]["points"]
            if name not in ("x", "y", "z")
        ]
        field = pa.struct([pa.field(n, t, nullable=False) for n, t in (("name", pa.string()), ("offset", pa.uint32()),
                          ("datatype", pa.uint8()), ("count", pa.uint32()))])  # fmt: skip
        blobs = bytes_lists([value["data"].tobytes() for value in values])
        columns.append(Column(f"{archetype}:data", lists_of_one(blobs), archetype, "rerun.components.Blob"))
        for name, kind in (("fields", pa.list_(field)), ("height", pa.uint32()), ("is_bigendian", pa.bool_()), ("is_dense", pa.bool_()),
                           ("point_step", pa.uint32()), ("row_step", pa.uint32()), ("width", pa.uint32())):  # fmt: skip
            array = pa.array([value[name] for value in values], kind)
            columns.append(Column(f"{archetype}:{name}", lists_of_one(array), archetype))
        return [*found, ("", columns)]


_POINT_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}


def _points_of(cloud: dict[str, Any]) -> dict[str, Any]:
    """The fields of all points. ValueError: they are not where the message says."""
    import numpy as np

    count, step = int(cloud["width"]) * int(cloud["height"]), int(cloud["point_step"])
    if count * step > len(cloud["data"]):
        raise ValueError(f"{count:,} points of {step} bytes do not fit into {len(cloud['data']):,} bytes")
    order = ">" if cloud["is_bigendian"] else "<"
    known = [field for field in cloud["fields"] if field["datatype"] in _POINT_TYPES and field["count"] == 1 and field["name"]]
    row = np.dtype({
        "names": [field["name"] for field in known],
        "formats": [order + _POINT_TYPES[field["datatype"]] for field in known],
        "offsets": [field["offset"] for field in known],
        "itemsize": step,
    })  # fmt: skip
    table = np.frombuffer(cloud["data"].tobytes(), row, count)
    return {name: table[name].astype(row[name].newbyteorder("=")) for name in row.names or ()}


KNOWN: dict[str, Callable[[str, Messages], Any]] = {
    "geometry_msgs/msg/PoseStamped": _Pose,
    "rcl_interfaces/msg/Log": _Log,
    "sensor_msgs/msg/CameraInfo": _CameraInfo,
    "sensor_msgs/msg/JointState": _JointState,
    "sensor_msgs/msg/Joy": _Joy,
    "sensor_msgs/msg/MagneticField": _MagneticField,
    "sensor_msgs/msg/PointCloud2": _PointCloud,
    "std_msgs/msg/String": _Text,
    "sensor_msgs/msg/BatteryState": _numbers("percentage", "voltage", "current", "charge", "temperature"),
    "sensor_msgs/msg/CompressedImage": _CompressedImage,
    "sensor_msgs/msg/FluidPressure": _measured("fluid_pressure", "Pa"),
    "sensor_msgs/msg/Illuminance": _measured("illuminance", "lux"),
    "sensor_msgs/msg/Image": _Image,
    "sensor_msgs/msg/Imu": _Imu,
    "sensor_msgs/msg/NavSatFix": _NavSatFix,
    "sensor_msgs/msg/Range": _numbers("range", "min_range", "max_range"),
    "sensor_msgs/msg/RelativeHumidity": _measured("relative_humidity"),
    "sensor_msgs/msg/Temperature": _measured("temperature", "°C"),
    "std_msgs/msg/Float64Array": _Array,
    "std_msgs/msg/Float64MultiArray": _Array,
    "tf2_msgs/msg/TFMessage": _Transforms,
}
