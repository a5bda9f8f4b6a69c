"""ROS 2 messages that mean something to a viewer: images, scalars, transforms, positions.

Source: which components rerun-sdk 0.41 makes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun.importers.mcap_ros2 import Reader, stamp_of
from shmrerun.importers.task import Column
from shmrerun.model.archetype import archetype_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.importers.mcap_ros2 import Messages

_L, _RGB, _RGBA, _BGR, _BGRA = "L", "RGB", "RGBA", "BGR", "BGRA"
_IMAGES = {  # encoding: colour model and datatype
    "rgb8": (_RGB, "U8"), "rgba8": (_RGBA, "U8"), "rgb16": (_RGB, "U16"), "rgba16": (_RGBA, "U16"), "bgr8": (_BGR, "U8"),
    "8UC3": (_BGR, "U8"), "bgra8": (_BGRA, "U8"), "bgr16": (_BGR, "U16"), "bgra16": (_BGRA, "U16"),
}  # fmt: skip
_DEPTHS = {  # encoding: datatype, and whether the format says L
    "mono8": "U8", "mono16": "U16", "8UC1": "U8", "8SC1": "I8", "16UC1": "U16", "16SC1": "I16", "32SC1": "I32", "32FC1": "F32",
    "64FC1": "F64",
}  # fmt: skip
_PIXELS = {"yuyv": "YUY2", "yuv422_yuy2": "YUY2", "nv12": "NV12"}


class _Known:
    """A message of one type; each subclass says what becomes of it."""

    is_static = False

    def __init__(self, root: str, messages: Messages) -> None:
        self._root, self._messages = root, messages

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        found = Reader(self._messages, data).message(self._root)
        return [(stamp_of(found), found)]

    def columns(self, values: list[Any]) -> list[Column]:
        raise NotImplementedError

    def constants(self) -> list[Any]:
        return []


def _of(archetype: str, **columns: Any) -> list[Any]:
    found: Any = archetype_class(archetype)
    return list(found.columns(**columns))


def _frames(values: list[Any], suffix: str = "") -> list[Any]:
    """The coordinate frame of each message's header."""
    names = [value["header"]["frame_id"] for value in values]
    return _of("CoordinateFrame", frame=[f"{name}{suffix}" if name else name for name in names])


def _scalars(rows: list[list[float]]) -> Column:
    import pyarrow as pa

    return Column("Scalars:scalars", pa.array(rows, pa.list_(pa.float64())), "rerun.archetypes.Scalars", "rerun.components.Scalar")


def _floats(name: str, archetype: str, rows: list[list[float]]) -> Column:
    import pyarrow as pa

    return Column(name, pa.array(rows, pa.list_(pa.float64())), archetype)


def _numbers(*names: str) -> type[_Known]:
    """Messages that are a few numbers with names; ``field=name`` where a field's name is another one."""
    pairs = [(field, name or field) for field, _, name in (found.partition("=") for found in names)]

    class Numbers(_Known):
        def columns(self, values: list[Any]) -> list[Column]:
            return [_scalars([[float(value[field]) for field, _ in pairs] for value in values])]

        def constants(self) -> list[Any]:
            found: Any = archetype_class("SeriesLines")
            return [found(names=[name for _, name in pairs])]

    return Numbers


class _Array(_Known):
    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        return [(None, Reader(self._messages, data).message(self._root))]

    def columns(self, values: list[Any]) -> list[Column]:
        return [_scalars([list(value["data"]) for value in values])]


class _Imu(_Known):
    def columns(self, values: list[Any]) -> list[Column]:
        rows = [[float(value[part][axis]) for part in ("angular_velocity", "linear_acceleration") for axis in "xyz"] for value in values]
        turns = [[float(value["orientation"][axis]) for axis in "xyzw"] for value in values]
        archetype = "sensor_msgs.msg.Imu"
        return [_scalars(rows), _floats(f"{archetype}:orientation", archetype, turns), *_frames(values)]

    def constants(self) -> list[Any]:
        found: Any = archetype_class("SeriesLines")
        return [found(names=[f"{part}/{axis}" for part in ("gyroscope", "accelerometer") for axis in "xyz"])]


class _NavSatFix(_Known):
    def columns(self, values: list[Any]) -> list[Column]:
        import numpy as np

        positions = np.array([[value["latitude"], value["longitude"]] for value in values])
        altitudes = [[float(value["altitude"])] for value in values]
        return [
            *_of("GeoPoints", positions=positions),
            _floats("altitude", "sensor_msgs.msg.NavSatFix", altitudes),
            *_frames(values),
        ]


class _Image(_Known):
    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        found = Reader(self._messages, data).message(self._root)
        encoding = found["encoding"]
        if encoding not in _IMAGES and encoding not in _DEPTHS and encoding not in _PIXELS:
            raise ValueError(f"images have the encoding {encoding!r}, not one of {sorted({**_IMAGES, **_DEPTHS, **_PIXELS})}")
        return [(stamp_of(found), found)]

    def columns(self, values: list[Any]) -> list[Column]:
        from shmrerun.model.values.factory import component_class

        make: Any = component_class("ImageFormat")
        formats = []
        for value in values:
            encoding, size = value["encoding"], (value["width"], value["height"])
            if encoding in _PIXELS:
                formats.append(make(*size, pixel_format=_PIXELS[encoding]))
            elif encoding in _DEPTHS:
                model = _L if encoding.startswith("mono") else None
                formats.append(make(*size, color_model=model, channel_datatype=_DEPTHS[encoding]))
            else:
                model, kind = _IMAGES[encoding]
                formats.append(make(*size, color_model=model, channel_datatype=kind))
        archetype = "DepthImage" if values[-1]["encoding"] in _DEPTHS else "Image"
        buffers = [value["data"].tobytes() for value in values]
        return [*_of(archetype, buffer=buffers, format=formats), *_frames(values, "_image_plane")]


class _CompressedImage(_Known):
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

    def columns(self, values: list[Any]) -> list[Column]:
        blobs = [value["data"].tobytes() for value in values]
        frames = _frames(values, "_image_plane")
        if self._kind == "VideoStream":
            return [*_of("VideoStream", sample=blobs), *frames]
        if self._kind == "EncodedDepthImage":
            return [*_of("EncodedDepthImage", blob=blobs, media_type=["application/rvl"] * len(blobs)), *frames]
        return [*_of("EncodedImage", blob=blobs), *frames]


class _Transforms(_Known):
    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        found = Reader(self._messages, data).message(self._root)
        return [(stamp_of(one), one) for one in found["transforms"]]

    def columns(self, values: list[Any]) -> list[Column]:
        import numpy as np

        moves = np.array([[value["transform"]["translation"][axis] for axis in "xyz"] for value in values], np.float32)
        turns = np.array([[value["transform"]["rotation"][axis] for axis in "xyzw"] for value in values], np.float32)
        return _of(
            "Transform3D",
            translation=moves,
            quaternion=turns,
            child_frame=[value["child_frame_id"] for value in values],
            parent_frame=[value["header"]["frame_id"] for value in values],
        )


KNOWN: dict[str, Callable[[str, Messages], Any]] = {
    "sensor_msgs/msg/BatteryState": _numbers("percentage", "voltage", "current", "charge", "temperature"),
    "sensor_msgs/msg/CompressedImage": _CompressedImage,
    "sensor_msgs/msg/FluidPressure": _numbers("fluid_pressure", "variance"),
    "sensor_msgs/msg/Illuminance": _numbers("illuminance", "variance"),
    "sensor_msgs/msg/Image": _Image,
    "sensor_msgs/msg/Imu": _Imu,
    "sensor_msgs/msg/NavSatFix": _NavSatFix,
    "sensor_msgs/msg/Range": _numbers("range", "min_range", "max_range"),
    "sensor_msgs/msg/RelativeHumidity": _numbers("relative_humidity", "variance"),
    "sensor_msgs/msg/Temperature": _numbers("temperature", "variance"),
    "std_msgs/msg/Float64Array": _Array,
    "std_msgs/msg/Float64MultiArray": _Array,
    "tf2_msgs/msg/TFMessage": _Transforms,
}
