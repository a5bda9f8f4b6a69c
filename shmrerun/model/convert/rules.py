"""What constructors do with parameters that are no fields, and methods that single archetypes have besides.

The table's ``prepare`` lines call these by name. ``ValueError`` raised here leaves all fields unset, with a warning.

Source: rules and messages observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from shmrerun.errors import warn
from shmrerun.model.convert.buffers import as_numpy, span

if TYPE_CHECKING:
    from typing import Any

    Pair = tuple[Any, Any]


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
    from shmrerun.components import batch_class
    from shmrerun.model.batches import FieldBatch
    from shmrerun.model.convert.converters import converter as find
    from shmrerun.model.convert.converters import take

    column = batch_class("RotationQuat" if converter == "quaternion" else "RotationAxisAngle")._own_column
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
    from shmrerun.errors import _issue

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
    from shmrerun.components import component_class

    with open(path, "rb") as file:
        raw = file.read()
    return raw, component_class("MediaType").guess_from_path(path) if media_type is None else media_type


def image_contents(path: Any, given: Any, media_type: Any) -> Pair:
    """Return the bytes of an image and their media type, which must be told with bare bytes."""
    raw, found = contents(path, given, media_type)
    if path is None and found is None:
        raise ValueError("Must provide 'media_type' when 'contents' is provided")
    return raw, found


def texture(given: Any) -> Pair:
    """Return bytes and format of a texture of shape (height, width, 3 or 4); others are warned about and dropped."""
    from shmrerun.components import component_class
    from shmrerun.model.images import _DATATYPES

    values = as_numpy(given)
    shape = values.shape
    if len(shape) != 3:
        warn(f"Bad albedo texture shape: {shape}, expected 3 dimensions")
        return None, None
    if shape[2] not in (3, 4):
        warn(f"Bad albedo texture shape: {shape}, expected 3 or 4 channels")
        return None, None
    datatype = _DATATYPES.get(values.dtype.str[1:])
    if datatype is None:
        warn(f"Unsupported dtype {values.dtype} for Mesh3D:s albedo texture")
        return None, None
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    layout = component_class("ImageFormat")(shape[1], shape[0], color_model="RGB" if shape[2] == 3 else "RGBA", channel_datatype=datatype)
    return span(values), layout


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


def tensor(data: Any, dim_names: Any) -> Any:
    """Return a TensorData of an array with names for its dimensions.

    Raises
    ------
    ValueError
        There is no array.
    """
    from shmrerun.components import encoding_class

    made = encoding_class("TensorData")
    if data is None:
        raise ValueError("Must provide one of 'array' or 'buffer'")
    if isinstance(data, made):
        data = data.array
    return made(array=data, dim_names=dim_names)


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
    if type(nanoseconds) is int and seconds is None:
        return nanoseconds
    if seconds is None and nanoseconds is None:
        raise ValueError("Either timestamp or seconds/nanoseconds must be specified.")
    from shmrerun.components import component_class

    return component_class("VideoTimestamp")(seconds=seconds, nanoseconds=nanoseconds)


@staticmethod  # type: ignore[misc]
def flat() -> Any:
    """Return a Clear of the entity alone."""
    from shmrerun.archetypes import Clear

    return Clear(recursive=False)


@staticmethod  # type: ignore[misc]
def recursive() -> Any:
    """Return a Clear of the entity and all below it."""
    from shmrerun.archetypes import Clear

    return Clear(recursive=True)


def _video_columns(cls: Any, values: Any, nanos: int) -> Any:
    import numpy as np

    return cls.columns(timestamp=as_numpy(values).astype(np.int64) * nanos)


@classmethod  # type: ignore[misc]
def columns_secs(cls: Any, seconds: Any) -> Any:
    """Make columns of whole seconds; fractions are lost."""
    return _video_columns(cls, seconds, 10**9)


@classmethod  # type: ignore[misc]
def columns_millis(cls: Any, milliseconds: Any) -> Any:
    """Make columns of whole milliseconds; fractions are lost."""
    return _video_columns(cls, milliseconds, 10**6)


@classmethod  # type: ignore[misc]
def columns_nanos(cls: Any, nanoseconds: Any) -> Any:
    """Make columns of whole nanoseconds; fractions are lost."""
    return _video_columns(cls, nanoseconds, 1)


def view_constants(cls: Any) -> None:
    """Give the archetype ViewCoordinates the constants of the component of that name."""
    from shmrerun.components import component_class
    from shmrerun.model.values.shapes import view_constants as names

    component = component_class("ViewCoordinates")
    for name in names():
        setattr(cls, name, getattr(component, name))
