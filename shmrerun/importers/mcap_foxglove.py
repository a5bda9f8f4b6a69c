"""Foxglove's Protobuf messages out of MCAP files, as far as they mean something to a viewer.

Source: Foxglove's schemas; which components rerun-sdk 0.41 makes of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from shmrerun.importers.mcap_images import check_encoding, image_bytes, image_format
from shmrerun.importers.mcap_packed import colours, positions, voxel_indices
from shmrerun.importers.task import Column, bytes_lists, lists_of_one
from shmrerun.model.archetype import archetype_class

if TYPE_CHECKING:
    from shmrerun.importers.task import Entities

_PLANE = "_image_plane"
_MOST_TIME, _NANOS = 2**63 - 1, 1_000_000_000
_LEVELS = {0: None, 1: "DEBUG", 2: "INFO", 3: "WARN", 4: "ERROR", 5: "CRITICAL"}
_CODECS = {"h264": "H264", "h265": "H265", "av1": "AV1", "vp8": "VP8", "vp9": "VP9"}
_INTEGER = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64}
_TYPES = {  # letter of ``needs``
    "s": {FieldDescriptor.CPPTYPE_STRING}, "b": {FieldDescriptor.CPPTYPE_STRING}, "i": _INTEGER, "e": {FieldDescriptor.CPPTYPE_ENUM},
    "d": {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT},
}  # fmt: skip
_TIME = "timestamp.seconds=i timestamp.nanos=i"
_VECTOR = " ".join(f"{{0}}.{axis}=d" for axis in "xyz")
_TURN = f"{_VECTOR} {{0}}.w=d"
_POSE = f"{_VECTOR.format('{0}.position')} {_TURN.format('{0}.orientation')}"
_FIELDS = "fields*.name=s fields*.offset=i fields*.type=e"


def _missing(message: Any, needs: str) -> str | None:
    """The first field that a message's type lacks, or has as something else."""
    for need in needs.split():
        path, _, letter = need.partition("=")
        kind, field = message, None
        for name in path.split("."):
            field = None if kind is None else kind.fields_by_name.get(name.rstrip("*"))
            if field is None or _is_list(field) != name.endswith("*"):
                return path
            kind = field.message_type
        if (
            field is None
            or field.cpp_type not in _TYPES[letter]
            or (letter in "sb" and (field.type == FieldDescriptor.TYPE_BYTES) != (letter == "b"))
        ):
            return path
    return None


def _is_list(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED)


def _nanos(stamp: Any) -> int | None:
    """A Timestamp in nanoseconds; None: they do not fit."""
    found = int(stamp.seconds) * _NANOS + int(stamp.nanos)
    return found if -_MOST_TIME <= found <= _MOST_TIME else None


class _Foxglove:
    """Messages of one type; each subclass says what becomes of them."""

    timeline = "timestamp"
    needs = ""

    def __init__(self, make: Any) -> None:
        self._class = make

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        """The rows of a message, each with its time."""
        try:
            return [(_nanos(row.timestamp), self.checked(row)) for row in self.rows(self._class.FromString(data))]
        except DecodeError as error:
            raise ValueError(f"{error}") from None

    def rows(self, message: Any) -> Any:
        """What becomes a row each."""
        return [message]

    def checked(self, row: Any) -> Any:
        """A row. ValueError: nothing can be made of it."""
        return row

    def columns(self, values: list[Any]) -> Entities:
        """What becomes of some rows."""
        return [("", self.components(values))]

    def components(self, values: list[Any]) -> list[Any]:
        """The columns."""
        raise NotImplementedError

    def constants(self) -> list[Any]:
        return []


# ---- columns


def _descriptor(component: str) -> Any:
    archetype, _, field = component.partition(":")
    return getattr(archetype_class(archetype), f"descriptor_{field}")()


def _column(component: str, lists: Any) -> Column:
    found = _descriptor(component)
    return Column(found.component, lists, found.archetype, found.component_type)


def _texts(component: str, values: list[str | None]) -> Column:
    import pyarrow as pa

    return _column(component, lists_of_one(pa.array(values, pa.string())))


def _frames(values: list[Any], suffix: str = "") -> Column:
    return _texts("CoordinateFrame:frame", _suffixed(values, suffix))


def _suffixed(values: list[Any], suffix: str) -> list[str | None]:
    return [f"{value.frame_id}{suffix}" if value.frame_id else "" for value in values]


def _blobs(component: str, values: list[bytes]) -> Column:
    return _column(component, lists_of_one(bytes_lists(values)))


def _vectors(component: str, cells: list[list[Any] | None], axes: str = "xyz") -> Column:
    """Lists of vectors, of which any, and any list, may be missing."""
    import pyarrow as pa

    found = [None if cell is None else [one and [getattr(one, axis) for axis in axes] for one in cell] for cell in cells]
    return _column(component, pa.array(found, pa.list_(pa.list_(pa.field("item", pa.float32(), nullable=False), len(axes)))))


def _part(message: Any, *names: str) -> Any:
    """What lies within a message; None: it, or one on the way, was not said."""
    for name in names:
        if message is None or not message.HasField(name):
            return None
        message = getattr(message, name)
    return message


def _maybe(message: Any, *names: str) -> list[Any] | None:
    """A list of what lies within a message; None: it was not said."""
    found = _part(message, *names)
    return None if found is None else [found]


def _arrays(component: str, cells: list[Any]) -> Column:
    """Lists that are NumPy arrays, of numbers or of rows of three; None: there is none."""
    import numpy as np
    import pyarrow as pa

    there = [cell for cell in cells if cell is not None]
    flat = np.concatenate(there) if there else np.zeros(0, np.uint32)
    items = pa.array(flat.reshape(-1))
    if component != "Points3D:colors" and component != "VoxelGridMap:colors":
        kind = pa.int32() if component == "VoxelGridMap:voxel_indices" else pa.float32()
        items = pa.FixedSizeListArray.from_arrays(items.cast(kind), type=pa.list_(pa.field("item", kind, nullable=False), 3))
    offsets = pa.array(np.cumsum([0, *(0 if cell is None else len(cell) for cell in cells)]), pa.int32())
    missing = pa.array([cell is None for cell in cells])
    return _column(component, pa.ListArray.from_arrays(offsets, items, mask=missing))


# ---- types


class _CameraCalibration(_Foxglove):
    needs = f"{_TIME} frame_id=s width=i height=i K*=d"

    def checked(self, row: Any) -> Any:
        if len(row.K) not in (0, 9):
            raise ValueError(f"K of a camera has {len(row.K)} numbers, not 9")
        return row

    def components(self, values: list[Any]) -> list[Any]:
        import numpy as np
        import pyarrow as pa

        pinhole: Any = archetype_class("Pinhole")
        found = [
            _texts("Pinhole:child_frame", _suffixed(values, _PLANE)),
            _texts("Pinhole:parent_frame", _suffixed(values, "")),
            *pinhole.columns(resolution=np.array([[value.width, value.height] for value in values], np.float32)),
        ]
        if any(value.K for value in values):
            matrices = [[[value.K[3 * row + column] for column in range(3) for row in range(3)]] if value.K else None for value in values]
            kind = pa.list_(pa.list_(pa.field("item", pa.float32(), nullable=False), 9))
            found.append(_column("Pinhole:image_from_camera", pa.array(matrices, kind)))
        return found


class _CompressedImage(_Foxglove):
    needs = f"{_TIME} frame_id=s data=b format=s"

    def components(self, values: list[Any]) -> list[Any]:
        return [
            _frames(values, _PLANE),
            _texts("EncodedImage:media_type", [f"image/{value.format}" for value in values]),
            _blobs("EncodedImage:blob", [value.data for value in values]),
        ]


class _CompressedVideo(_Foxglove):
    needs = f"{_TIME} frame_id=s data=b format=s"

    def checked(self, row: Any) -> Any:
        if row.format.lower() not in _CODECS:
            raise ValueError(f"a video has the format {row.format!r}, not one of {sorted(_CODECS)}")
        return row

    def components(self, values: list[Any]) -> list[Any]:
        stream: Any = archetype_class("VideoStream")
        codecs = stream.columns(codec=[_CODECS[value.format.lower()] for value in values])
        return [_frames(values, _PLANE), *codecs, _blobs("VideoStream:sample", [value.data for value in values])]


class _RawImage(_Foxglove):
    needs = f"{_TIME} frame_id=s data=b encoding=s width=i height=i step=i"

    def checked(self, row: Any) -> Any:
        check_encoding(row.encoding)
        _pixels(row)
        return row

    def components(self, values: list[Any]) -> list[Any]:
        image: Any = archetype_class("Image")
        formats = image.columns(format=[image_format(value.encoding, value.width, value.height) for value in values])
        return [_frames(values, _PLANE), *formats, _blobs("Image:buffer", [_pixels(value) for value in values])]


def _pixels(image: Any) -> bytes:
    """The pixels, without what fills up the rows or follows. ValueError: there are fewer rows than it says."""
    import numpy as np

    height, data = int(image.height), image.data
    expected = image_bytes(image.encoding, int(image.width), height)
    if not height:
        return bytes(data[:expected])
    step, size = int(image.step) or len(data) // height, expected // height
    if step <= size:
        return bytes(data[:expected])
    if (height - 1) * step + size > len(data):
        raise ValueError(f"an image of {image.encoding}, {image.width}x{height}, {step} bytes a row, has {len(data):,} bytes")
    return np.ndarray((height, size), np.uint8, data, 0, (step, 1)).tobytes()


class _Transforms(_Foxglove):
    needs = f"{_TIME} parent_frame_id=s child_frame_id=s {_VECTOR.format('translation')} {_TURN.format('rotation')}"

    def components(self, values: list[Any]) -> list[Any]:
        return [
            _texts("Transform3D:parent_frame", [value.parent_frame_id for value in values]),
            _texts("Transform3D:child_frame", [value.child_frame_id for value in values]),
            _vectors("Transform3D:translation", [_maybe(value, "translation") for value in values]),
            _vectors("Transform3D:quaternion", [_maybe(value, "rotation") for value in values], "xyzw"),
        ]


class _FrameTransforms(_Transforms):
    needs = " ".join(f"transforms*.{need}" for need in _Transforms.needs.split())

    def rows(self, message: Any) -> Any:
        return message.transforms


class _LocationFix(_Foxglove):
    needs = f"{_TIME} frame_id=s latitude=d longitude=d"
    _is_many = False

    def components(self, values: list[Any]) -> list[Any]:
        import numpy as np
        import pyarrow as pa

        points: Any = archetype_class("GeoPoints")
        places = points.columns(positions=np.array([[value.latitude, value.longitude] for value in values], np.float64))
        tints = [_colour(value) for value in values]
        found = [_frames(values), *places]
        if any(tints) or (not self._is_many and "color" in self._class.DESCRIPTOR.fields_by_name):
            found.append(_column("GeoPoints:colors", pa.array(tints, pa.list_(pa.uint32()))))
        return found


def _colour(fix: Any) -> list[int] | None:
    """The colour of a place, as bytes of red, green, blue and alpha. Schemas of before 2024 have none."""
    if "color" not in fix.DESCRIPTOR.fields_by_name or not fix.HasField("color"):
        return None
    found = 0
    for channel in "rgba":
        value = float(getattr(fix.color, channel))
        found = found << 8 | (0 if math.isnan(value) else math.floor(min(max(value, 0.0), 1.0) * 255 + 0.5))
    return [found]


class _LocationFixes(_LocationFix):
    needs = " ".join(f"fixes*.{need}" for need in _LocationFix.needs.split())
    _is_many = True

    def rows(self, message: Any) -> Any:
        return message.fixes


class _Log(_Foxglove):
    needs = f"{_TIME} level=e message=s"

    def checked(self, row: Any) -> Any:
        if row.level not in _LEVELS:
            raise ValueError(f"a text has the level {row.level}, which is none")
        return row

    def components(self, values: list[Any]) -> list[Any]:
        levels = [_LEVELS[value.level] for value in values]
        return [_texts("TextLog:text", [value.message for value in values]), _texts("TextLog:level", levels)]


class _PointCloud(_Foxglove):
    needs = f"{_TIME} frame_id=s {_POSE.format('pose')} point_stride=i {_FIELDS} data=b"

    def checked(self, row: Any) -> Any:
        return row, positions(row), colours(row, row.point_stride)

    def components(self, values: list[Any]) -> list[Any]:
        clouds = [cloud for cloud, _, _ in values]
        found = [
            _frames(clouds),
            _arrays("Points3D:colors", [colour for _, _, colour in values]),
            _vectors("InstancePoses3D:translations", [_maybe(cloud, "pose", "position") for cloud in clouds]),
            _vectors("InstancePoses3D:quaternions", [_maybe(cloud, "pose", "orientation") for cloud in clouds], "xyzw"),
        ]
        return [*found, _arrays("Points3D:positions", [place for _, place, _ in values])]


class _PoseInFrame(_Foxglove):
    needs = f"{_TIME} frame_id=s {_POSE.format('pose')}"

    def components(self, values: list[Any]) -> list[Any]:
        return [
            _frames(values),
            _vectors("InstancePoses3D:translations", [[_part(value, "pose", "position")] for value in values]),
            _vectors("InstancePoses3D:quaternions", [[_part(value, "pose", "orientation")] for value in values], "xyzw"),
        ]


class _PosesInFrame(_Foxglove):
    needs = f"{_TIME} frame_id=s {_POSE.format('poses*')}"

    def components(self, values: list[Any]) -> list[Any]:
        moves = [[_part(pose, "position") for pose in value.poses] or None for value in values]
        turns = [[_part(pose, "orientation") for pose in value.poses] or None for value in values]
        return [
            _frames(values),
            _vectors("InstancePoses3D:translations", moves),
            _vectors("InstancePoses3D:quaternions", turns, "xyzw"),
        ]


class _VoxelGrid(_Foxglove):
    needs = (
        f"{_TIME} frame_id=s {_POSE.format('pose')} row_count=i column_count=i {_VECTOR.format('cell_size')} slice_stride=i row_stride=i "
        f"cell_stride=i {_FIELDS} data=b"
    )

    def checked(self, row: Any) -> Any:
        return row, voxel_indices(row), colours(row, row.cell_stride)

    def components(self, values: list[Any]) -> list[Any]:
        grids = [grid for grid, _, _ in values]
        return [
            _frames(grids),
            _arrays("VoxelGridMap:voxel_indices", [place for _, place, _ in values]),
            _arrays("VoxelGridMap:colors", [colour for _, _, colour in values]),
            _vectors("VoxelGridMap:voxel_size", [[_part(grid, "cell_size")] for grid in grids]),
            _vectors("VoxelGridMap:translation", [_maybe(grid, "pose", "position") for grid in grids]),
            _vectors("VoxelGridMap:quaternion", [_maybe(grid, "pose", "orientation") for grid in grids], "xyzw"),
        ]


_KNOWN: dict[str, type[_Foxglove]] = {
    "foxglove.CameraCalibration": _CameraCalibration,
    "foxglove.CompressedImage": _CompressedImage,
    "foxglove.CompressedVideo": _CompressedVideo,
    "foxglove.FrameTransform": _Transforms,
    "foxglove.FrameTransforms": _FrameTransforms,
    "foxglove.LocationFix": _LocationFix,
    "foxglove.LocationFixes": _LocationFixes,
    "foxglove.Log": _Log,
    "foxglove.PointCloud": _PointCloud,
    "foxglove.PoseInFrame": _PoseInFrame,
    "foxglove.PosesInFrame": _PosesInFrame,
    "foxglove.RawImage": _RawImage,
    "foxglove.VoxelGrid": _VoxelGrid,
}


def foxglove_decoder(make: Any) -> _Foxglove | None:
    """The decoder of messages of a class, which is made from the file's schema; None: their type means nothing to a viewer.

    ValueError: the type lacks what messages of its name have.
    """
    known = _KNOWN.get(make.DESCRIPTOR.full_name)
    if known is None:
        return None
    missing = _missing(make.DESCRIPTOR, known.needs)
    if missing is not None:
        raise ValueError(f"it has no field {missing!r} of the type that Foxglove's has")
    return known(make)
