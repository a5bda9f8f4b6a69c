"""What constructors do with parameters that are no fields: from those to what the fields take.

The steps of the table call these by name. ``ValueError`` raised here leaves all fields unset, with a warning.

Source: rules and messages observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

import math
import os
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from shmrerun.errors import _issue, warn
from shmrerun.model.batches import FieldBatch
from shmrerun.model.convert.buffers import as_numpy, span
from shmrerun.model.convert.finder import converter as find
from shmrerun.model.convert.finder import take
from shmrerun.model.parts import Column
from shmrerun.model.tables.components import ENUMS, arrow_of
from shmrerun.model.tables.constants import IMAGE_DATATYPES, MEDIA_EXTENSIONS, MEDIA_TYPES

if TYPE_CHECKING:
    from typing import Any

    Pair = tuple[Any, Any]


class ImageLayout(NamedTuple):
    """How the bytes of an image are to be read, as wire values."""

    width: int
    height: int
    pixel_format: int | None
    color_model: int | None
    channel_datatype: int | None


class Box2DFormat(Enum):
    """What the four numbers of a box are: x, y the corner, XC, YC the centre, W, H the size, W2, H2 half of it."""

    XYWH = "XYWH"
    YXHW = "YXHW"
    XYXY = "XYXY"
    YXYX = "YXYX"
    XCYCWH = "XCYCWH"
    XCYCW2H2 = "XCYCW2H2"
    __module__ = "shmrerun.archetypes"


def boxes2d(sizes: Any, mins: Any, half_sizes: Any, centers: Any, array: Any, array_format: Any) -> Pair:
    """Return half sizes and centers of what ``Boxes2D`` was given.

    Raises
    ------
    ValueError
        Arguments that exclude each other, an array without its format, mins without a size.
    """
    import numpy as np

    if array is not None:
        if array_format is None:
            raise ValueError("Must specify `array_format` when specifying `array`.")
        for name, given in (("half_sizes", half_sizes), ("sizes", sizes), ("mins", mins), ("centers", centers)):
            if given is not None:
                raise ValueError(f"Cannot specify both `array` and `{name}` at the same time.")
        return _of_array(as_numpy(array), array_format)
    if sizes is not None:
        if half_sizes is not None:
            raise ValueError("Cannot specify both `sizes` and `half_sizes` at the same time.")
        half_sizes = as_numpy(sizes, np.float32) / 2.0
    if mins is not None:
        if centers is not None:
            raise ValueError("Cannot specify both `mins` and `centers` at the same time.")
        if half_sizes is None:
            raise ValueError("Cannot specify `mins` without `sizes` or `half_sizes`.")
        centers = as_numpy(mins, np.float32) + as_numpy(half_sizes, np.float32)
    return half_sizes, centers


def _of_array(values: Any, form: Any) -> Pair:
    """Half sizes and centers of boxes in an array of four columns; nothing but zeros is no boxes."""
    import numpy as np

    if not np.any(values):
        return [], []
    if values.ndim == 1:
        values = values.reshape(1, -1)
    if form in (Box2DFormat.YXHW, Box2DFormat.YXYX):
        first, second = values[:, 1::-1], values[:, 3:1:-1]
        form = Box2DFormat.XYWH if form is Box2DFormat.YXHW else Box2DFormat.XYXY
    else:
        first, second = values[:, 0:2], values[:, 2:4]
    name = getattr(form, "name", None)
    if name == "XYWH":
        return second / 2, first + second / 2
    if name == "XYXY":
        return (second - first) / 2, (first + second) / 2
    if name == "XCYCWH":
        return second / 2, first
    if name == "XCYCW2H2":
        return second, first
    raise ValueError(f"Unknown Box2D format {form}")


def boxes3d(sizes: Any, mins: Any, half_sizes: Any, centers: Any) -> Pair:
    """Return half sizes and centers of what ``Boxes3D`` was given; contradictions are warned about."""
    import numpy as np

    if sizes is not None:
        if half_sizes is not None:
            warn("Cannot specify both `sizes` and `half_sizes` at the same time.")
        half_sizes = as_numpy(sizes, np.float32) / 2.0
    if mins is not None:
        if centers is not None:
            warn("Cannot specify both `mins` and `centers` at the same time.")
        if half_sizes is None:
            warn("Cannot specify `mins` without `sizes` or `half_sizes`.")
            half_sizes = np.ones(3, np.float32)
        centers = as_numpy(mins, np.float32) + as_numpy(half_sizes, np.float32)
    return half_sizes, centers


def rotations(given: Any, quaternions: Any, axis_angles: Any) -> Pair:
    """Return quaternions and axis-angles of ``rotations=``: what it is not becomes an empty column."""
    if quaternions is not None or axis_angles is not None:
        warn("Cannot specify both `rotations` and `quaternions` or `rotation_axis_angles`.")
        return quaternions, axis_angles
    for name, order in (("quaternion", 1), ("axis_angle", -1)):
        batch = _batch(name, given)
        if batch is not None:
            return (batch, [])[::order]  # type: ignore[return-value]
    warn("Could not infer the type of rotation from the input. Please use `quaternions` or `rotation_axis_angles`.")
    return None, None


def _batch(converter: str, value: Any) -> Any:
    """Return a batch of rotations, or None if the converter does not take the value."""
    name = "rerun.components.RotationQuat" if converter == "quaternion" else "rerun.components.RotationAxisAngle"
    column = Column(name, None, name, arrow_of(converter))
    try:
        return FieldBatch(column, take(find(converter), column.arrow, value))
    except Exception:
        return None


def spheres(radii: Any, half_sizes: Any) -> Any:
    """Return half sizes of spheres: each radius three times."""
    import numpy as np

    if half_sizes is not None:
        warn("Cannot specify both `radii` and `half_sizes` at the same time.")
    values = as_numpy(radii, np.float32)
    if values.ndim == 0:
        raise np.exceptions.AxisError(1, 1)
    return np.repeat(values.reshape(len(values), 1, *values.shape[1:]), 3, axis=1)


def rotation(given: Any, quaternion: Any, axis_angle: Any) -> Pair:
    """Return quaternion and axis-angle of ``rotation=``: an object of either class, or a list of one.

    Raises
    ------
    ValueError
        It is neither, or another rotation is given as well.
    """
    if quaternion is not None or axis_angle is not None:
        raise ValueError("`rotation` parameter can't be combined with `quaternion` or `rotation_axis_angle`.")
    one = given[0] if isinstance(given, list | tuple) and given else given
    if hasattr(one, "axis") and hasattr(one, "angle"):
        return None, given
    if hasattr(one, "xyzw"):
        return given, None
    raise ValueError("Rotation must be compatible with either RotationQuat or RotationAxisAngle")


def scale(given: Any) -> Any:
    """Return three factors: what is given, or a single number three times."""
    if type(given) is list:
        return given
    if isinstance(given, int | float):
        return [given, given, given]
    if hasattr(given, "as_arrow_array") or hasattr(given, "_value"):
        return given
    if hasattr(given, "__len__") and not isinstance(given, str):
        return [[item] for item in [*given] * 3] if len(given) == 1 and not hasattr(given[0], "__len__") else given
    number = float(given)
    return [number, number, number]


def from_parent(given: Any, relation: Any) -> Any:
    """Return the relation that the deprecated ``from_parent=`` stands for.

    Raises
    ------
    ValueError
        ``relation`` is given as well.
    """
    _issue(
        "`from_parent` is deprecated as an argument to `Transform3D`; prefer `relation=rerun.TransformRelation.ChildFromParent` instead",
        DeprecationWarning,
    )
    if relation is not None:
        raise ValueError("`from_parent` and `relation` parameters are mutually exclusive.")
    return 2 if given else None


def contents(path: Any, given: Any, media_type: Any) -> Pair:
    """Return the bytes of a file and its media type, guessed by the path's extension if there is one.

    Raises
    ------
    ValueError
        Not exactly one of ``path`` and ``contents``.
    OSError
        The file cannot be read.
    """
    if (path is None) == (given is None):
        raise ValueError("Must provide exactly one of 'path' or 'contents'")
    if path is None:
        return given, media_type
    with open(path, "rb") as file:
        raw = file.read()
    return raw, media_type_of(path) if media_type is None else media_type


def media_type_of(path: Any) -> str | None:
    """Return the media type that the extension of a path stands for, or None."""
    name = MEDIA_EXTENSIONS.get(os.path.splitext(os.fspath(path))[1][1:].lower())
    return None if name is None else MEDIA_TYPES[name]


def image_contents(path: Any, given: Any, media_type: Any) -> Pair:
    """Return the bytes of an image and their media type, which must be told with bare bytes."""
    raw, found = contents(path, given, media_type)
    if path is None and found is None:
        raise ValueError("Must provide 'media_type' when 'contents' is provided")
    return raw, found


def texture(given: Any) -> Pair:
    """Return bytes and format of a texture of shape (height, width, 3 or 4); others are warned about and dropped."""
    values = as_numpy(given)
    shape = values.shape
    if len(shape) != 3:
        warn(f"Bad albedo texture shape: {shape}, expected 3 dimensions")
        return None, None
    if shape[2] not in (3, 4):
        warn(f"Bad albedo texture shape: {shape}, expected 3 or 4 channels")
        return None, None
    datatype = IMAGE_DATATYPES.get(values.dtype.str[1:])
    if datatype is None:
        warn(f"Unsupported dtype {values.dtype} for Mesh3D:s albedo texture")
        return None, None
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    model = ENUMS["ColorModel"]["RGB" if shape[2] == 3 else "RGBA"]
    return span(values), [ImageLayout(shape[1], shape[0], None, model, datatype)]


def pinhole(
    matrix: Any,
    resolution: Any,
    width: Any,
    height: Any,
    focal_length: Any,
    principal_point: Any,
    fov_y: Any,
    aspect: Any,
) -> Pair:
    """Return the projection and the resolution of a pinhole camera.

    Raises
    ------
    ValueError
        Too little is given.
    """
    if resolution is not None and (width is not None or height is not None):
        warn("Can't set both resolution and width/height")
    elif resolution is None and width is not None and height is not None:
        resolution = [width, height]
    if matrix is not None:
        for name, given in (
            ("focal_length", focal_length is not None),
            ("principal_point", principal_point is not None),
            ("fov_y or aspect_ratio", fov_y is not None or aspect is not None),
        ):
            if given:
                warn(f"Both image_from_camera and {name} set")
        return matrix, resolution
    if fov_y is not None and aspect is not None:
        focal_length = 0.5 / math.tan(fov_y * 0.5)
        resolution = [aspect, 1.0]
    size = None if resolution is None else [float(extent) for extent in as_numpy(resolution)[:2]]
    if focal_length is None:
        if size is None:
            raise ValueError("Either image_from_camera or focal_length must be set")
        warn("Either image_from_camera or focal_length must be set")
        raise ValueError("Expected focal_length to be one or two floats")
    if principal_point is None:
        if size is None:
            raise ValueError("Must provide one of principal_point, resolution, or width/height")
        centre = (size[0] / 2, size[1] / 2)
    else:
        centre = _two(principal_point, "principal_point")
    focal = (focal_length,) * 2 if type(focal_length) in (int, float) else _two(focal_length, "focal_length")
    return [[focal[0], 0.0, centre[0]], [0.0, focal[1], centre[1]], [0.0, 0.0, 1.0]], resolution


def _two(value: Any, name: str) -> tuple[float, float]:
    try:
        return float(value[0]), float(value[1])
    except Exception:
        raise ValueError(f"Expected {name} to be one or two floats") from None


class NamedTensor(NamedTuple):
    """An array with its shape and the names of its dimensions."""

    array: Any
    shape: tuple[int, ...]
    names: list[str] | None


def named_tensor(array: Any, buffer: Any, shape: Any, dim_names: Any) -> NamedTensor:
    """Return the array that a tensor is made of; a wrong number of names is warned about, and they are dropped.

    Raises
    ------
    ValueError
        Neither or both of ``array`` and ``buffer``; ``buffer`` without ``shape``; a shape that does not fit.
    """
    if array is not None and buffer is not None:
        raise ValueError("Can only specify one of 'array' or 'buffer'")
    if array is None and buffer is None:
        raise ValueError("Must provide one of 'array' or 'buffer'")
    if array is None and shape is None:
        raise ValueError("If 'buffer' is specified, 'shape' is also required")
    values = as_numpy(buffer if array is None else array)
    wanted = tuple(values.shape if shape is None else (int(size) for size in shape))
    if math.prod(wanted) != values.size or (array is not None and wanted != values.shape):
        raise ValueError(f"Shape {list(wanted)} does not match an array of shape {list(values.shape)}")
    names = None if dim_names is None else [str(name) for name in dim_names]
    if names is not None and len(names) != len(wanted):
        warn(f"len(shape) = {len(wanted)} != len(dim_names) = {len(names)}. Ignoring tensor dimension names.")
        names = None
    return NamedTensor(values.reshape(wanted), wanted, names)


def tensor(data: Any, dim_names: Any) -> Any:
    """Return an array with names for its dimensions, or what is given if no names are.

    Raises
    ------
    ValueError
        There is no array.
    """
    if data is not None and dim_names is None:
        return data
    if hasattr(data, "array") and hasattr(data, "names"):
        data = data.array
    return named_tensor(data, None, None, dim_names)


def video_nanos(seconds: float | None, nanoseconds: int | None) -> int:
    """Return the nanoseconds of a time in a video.

    Raises
    ------
    ValueError
        Not exactly one is given.
    """
    if seconds is not None and nanoseconds is not None:
        raise ValueError("Cannot specify both `seconds` and `nanoseconds`.")
    if seconds is None and nanoseconds is None:
        raise ValueError("Either `seconds` or `nanoseconds` must be specified.")
    return int(seconds * 1e9 + 0.5) if seconds is not None else int(nanoseconds or 0)


def video_time(timestamp: Any, seconds: Any, nanoseconds: Any) -> Any:
    """Return the time of a video frame as the field takes it.

    Raises
    ------
    ValueError
        None is given, or a timestamp besides seconds or nanoseconds, or both of these.
    """
    if timestamp is not None:
        if seconds is not None or nanoseconds is not None:
            raise ValueError("Cannot specify both `timestamp` and `seconds`/`nanoseconds`.")
        if isinstance(timestamp, float):
            warn("Timestamp can't be specified as a float, use `seconds` instead.")
            return [timestamp]
        return timestamp
    if seconds is None and nanoseconds is None:
        raise ValueError("Either timestamp or seconds/nanoseconds must be specified.")
    return video_nanos(seconds, nanoseconds)


def first_class(class_ids: Any) -> Any:
    """Return the class that keypoints without one belong to."""
    return 0 if class_ids is None else class_ids


def default_marker(colors: Any, markers: Any, names: Any, visible_series: Any, marker_sizes: Any) -> Any:
    """Return the markers of a series: circles where nothing at all is given, so that there is something to log."""
    given = (colors, markers, names, visible_series, marker_sizes)
    return ENUMS["MarkerShape"]["Circle"] if all(one is None for one in given) else markers
