"""The constructor of Image, and what reads its format back.

Source: rules and messages observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from shmrerun.errors import warn
from shmrerun.model.convert.buffers import as_numpy, pack_offsets, pack_u32, view
from shmrerun.model.convert.enums import code_of
from shmrerun.model.tables.components import ENUMS
from shmrerun.model.tables.constants import IMAGE_CHANNELS, IMAGE_DATATYPES
from shmrerun.model.values.factory import component_class

if TYPE_CHECKING:
    import builtins
    from typing import Any

# A camera's next frame comes when nothing of ours is in the processor's caches any more: each table that need not be looked at saves some
# microseconds then. So what follows from dtype and shape is kept, for the last shapes.
_KEPT_SHAPES = 64
_kept: dict[tuple[str, tuple[int, ...]], tuple[Any, tuple[Any, ...], int, bytes]] = {}  # dtype, format, bytes, offsets
_array_type: Any = None  # numpy.ndarray, once there is something kept

_DEFAULT_MODELS = {channels: ENUMS["ColorModel"][name] for channels, name in ((1, "L"), (3, "RGB"), (4, "RGBA"))}


def image(
    self: Any,
    image: Any = None,
    color_model: Any = None,
    *,
    pixel_format: Any = None,
    datatype: Any = None,
    bytes: builtins.bytes | None = None,  # noqa: A002  Rerun's name
    width: int | None = None,
    height: int | None = None,
    opacity: Any = None,
    draw_order: Any = None,
    magnification_filter: Any = None,
) -> None:
    """Make an image of an array, or of raw bytes with their format.

    Parameters
    ----------
    image : array-like of shape (height, width) or (height, width, channels), uint8 to float64, optional
        The pixels. Dimensions of size 1 around them are dropped. Elements that lie in C order are not copied: leave them alone
        until the image is logged.
    color_model : ColorModel or str, optional
        Default by the number of channels: 1 is L, 3 is RGB, 4 is RGBA.
    pixel_format : PixelFormat or str, optional
        Of ``bytes``, instead of ``color_model`` and ``datatype``.
    datatype : ChannelDatatype, str or NumPy type, optional
        Of ``bytes``.
    bytes : bytes, optional
        Raw pixels; needs ``width`` and ``height``, and a format.
    width, height : int, optional
        Pixels; with an array they must be the array's.
    opacity, draw_order : float, optional
        Single values, float32.
    magnification_filter : MagnificationFilter or str, optional
        How pixels are shown that are larger than those of the screen.

    Raises
    ------
    ValueError
        No image, contradicting or missing arguments, a shape that is no image's, an unknown name; strict mode or not.
    """
    if image is None and bytes is None:
        raise ValueError("Must specify either 'image' or 'bytes'")
    if bytes is not None:
        self._1 = _format_of_bytes(width, height, pixel_format, color_model, datatype)
        self._put("buffer", bytes)
    elif not (color_model is width is height is None and _is_like_before(self, "Image", image)):
        _from_array(self, image, color_model, width, height)
    self._2 = self._3 = self._4 = None
    if opacity is not None:
        self._put("opacity", opacity)
    if draw_order is not None:
        self._put("draw_order", draw_order)
    if magnification_filter is not None:
        self._put("magnification_filter", magnification_filter)


def image_format(self: Any) -> Any:
    """Return how the bytes of the image are to be read, as an ImageFormat."""
    batch = self.format
    row = batch.as_arrow_array()[0].as_py()
    return component_class("ImageFormat")(row.pop("width"), row.pop("height"), **row)


def as_pil_image(self: Any) -> Any:
    """Return the image as one of PIL, which must be installed; BGR is turned round.

    Raises
    ------
    TypeError
        PIL has no such type of pixels.
    """
    from PIL import Image as Pillow

    return Pillow.fromarray(_pixels(self))


def _pixels(self: Any) -> Any:
    """Array of the pixels, in the order of RGB."""
    import numpy as np

    layout = image_format(self)
    kinds = {code: kind for kind, code in IMAGE_DATATYPES.items()}
    values = np.frombuffer(self._0[-1], kinds[layout.channel_datatype.value])
    name = "L" if layout.color_model is None else layout.color_model.name
    shape = (layout.height, layout.width) if name == "L" else (layout.height, layout.width, IMAGE_CHANNELS[name])
    values = values.reshape(shape)
    return values[..., [2, 1, 0, 3][: shape[-1]]] if name.startswith("BGR") else values


def depth_image(
    self: Any,
    image: Any,
    *,
    meter: Any = None,
    colormap: Any = None,
    depth_range: Any = None,
    point_fill_ratio: Any = None,
    draw_order: Any = None,
    magnification_filter: Any = None,
) -> None:
    """Make a depth image of an array.

    Parameters
    ----------
    image : array-like of shape (height, width), uint8 to float64
        Depth of each pixel. Dimensions of size 1 around it are dropped; elements in C order are not copied.
    meter : float, optional
        Number of units in one metre.
    colormap : Colormap or str, optional
        How depths are shown.
    depth_range : pair of float, optional
        Depths of the colormap's ends.
    point_fill_ratio, draw_order : float, optional
        Single values, float32.
    magnification_filter : MagnificationFilter or str, optional
        How pixels are shown that are larger than those of the screen.

    Raises
    ------
    ValueError
        A shape or dtype that is no depth image's; strict mode or not.
    """
    _flat_image(self, "DepthImage", image)
    self._put("meter", meter)
    self._put("colormap", colormap)
    self._put("depth_range", depth_range)
    self._put("point_fill_ratio", point_fill_ratio)
    self._put("draw_order", draw_order)
    self._put("magnification_filter", magnification_filter)


def segmentation_image(self: Any, image: Any, *, opacity: Any = None, draw_order: Any = None) -> None:
    """Make an image of class ids.

    Parameters
    ----------
    image : array-like of shape (height, width), uint8 to float64
        Class id of each pixel. Dimensions of size 1 around it are dropped; elements in C order are not copied.
    opacity, draw_order : float, optional
        Single values, float32.

    Raises
    ------
    ValueError
        A shape or dtype that is no such image's; strict mode or not.
    """
    _flat_image(self, "SegmentationImage", image)
    self._put("opacity", opacity)
    self._put("draw_order", draw_order)


def _flat_image(self: Any, name: str, image: Any) -> None:
    """Set buffer and format of an image with one channel."""
    if _is_like_before(self, name, image):
        return
    values = as_numpy(image)
    shape = _squeezed(values.shape)
    if len(shape) != 2:
        raise ValueError(f"{name} must be 2D, got shape {values.shape}")
    datatype = IMAGE_DATATYPES.get(values.dtype.str[1:])
    if datatype is None:
        raise ValueError(f"Unsupported dtype {values.dtype} for {name}")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    _set(self, values, view(values), _format(shape[1], shape[0], None, None, datatype))
    _keep(self, name, image, values)


def _is_like_before(self: Any, name: str, image: Any) -> bool:
    """Set buffer and format of an array of a shape and dtype that was such an image before. False: none was."""
    found = _kept.get((name, image.shape)) if type(image) is _array_type else None
    if found is None or image.dtype is not found[0]:
        return False
    _, self._1, size, offsets = found
    self._0 = (1, None, offsets, size, None, view(image))
    return True


def _keep(self: Any, name: str, image: Any, values: Any) -> None:
    """Keep what an ordinary array came to, one of numpy whose elements are as they were."""
    global _array_type
    if values is image:
        if len(_kept) >= _KEPT_SHAPES:
            _kept.clear()
        _array_type = type(values)
        _kept[name, values.shape] = values.dtype, self._1, values.nbytes, self._0[2]


def _set(self: Any, values: Any, raw: Any, layout: tuple[Any, ...]) -> None:
    size = values.nbytes
    self._0 = (1, None, pack_offsets(0, size), size, None, raw)
    self._1 = layout


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drop leading and trailing dimensions of size 1 until two are left."""
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _format_of_bytes(width: Any, height: Any, pixel_format: Any, color_model: Any, datatype: Any) -> tuple[Any, ...]:
    if width is None or height is None:
        raise ValueError("Specifying 'bytes' requires 'width' and 'height'")
    if pixel_format is not None:
        for name, value in (("datatype", datatype), ("color_model", color_model)):
            if value is not None:
                raise ValueError(f"Specifying '{name}' is mutually exclusive with 'pixel_format'")
        return _format(int(width), int(height), code_of("PixelFormat", pixel_format), None, None)
    if datatype is None or color_model is None:
        raise ValueError("Specifying 'bytes' requires 'pixel_format' or both 'color_model' and 'datatype'")
    model = code_of("ColorModel", color_model)
    return _format(int(width), int(height), None, model, _datatype(datatype))


def _datatype(datatype: Any) -> int:
    """Wire value of a ChannelDatatype, its name, or a NumPy type."""
    if isinstance(datatype, type) or hasattr(datatype, "itemsize"):
        import numpy as np

        found = IMAGE_DATATYPES.get(np.dtype(datatype).str[1:])
        if found is None:
            raise ValueError(f"Cannot convert {datatype} to ChannelDatatype")
        return found
    return code_of("ChannelDatatype", getattr(datatype, "value", datatype))


def _from_array(self: Any, image: Any, color_model: Any, width: Any, height: Any) -> None:
    values = as_numpy(image)
    shape = _squeezed(values.shape)
    if len(shape) not in (2, 3):
        raise ValueError(f"Expected a 2D or 3D tensor, got {shape}")
    rows, columns = shape[:2]
    channels = shape[2] if len(shape) == 3 else 1
    for name, given, found in (("width", width, columns), ("height", height, rows)):
        if given is not None and given != found:
            raise ValueError(f"Provided {name} {given} does not match image {name} {found}")
    model = _model(color_model, channels)
    datatype = IMAGE_DATATYPES.get(values.dtype.str[1:])
    if datatype is None:
        warn(f"Unsupported dtype {values.dtype} for Image")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    _set(self, values, values.tobytes() if datatype is None else view(values), _format(columns, rows, None, model, datatype))
    if color_model is None and model is not None and datatype is not None:
        _keep(self, "Image", image, values)


def _model(color_model: Any, channels: int) -> int | None:
    """Wire value of the colour model, checked against the number of channels."""
    if color_model is None:
        model = _DEFAULT_MODELS.get(channels)
        if model is None:
            warn(f"Expected 1, 3, or 4 channels; got {channels}")
        return model
    given = getattr(color_model, "name", color_model)
    expected = IMAGE_CHANNELS.get(str(given).upper())
    if expected is None:
        warn(f"Unknown ColorModel: '{given}'")
    elif expected != channels:
        warn(f"Expected {expected} channels for {given}; got {channels} channels")
    return code_of("ColorModel", given)


@lru_cache(64)
def _format(width: int, height: int, *codes: int | None) -> tuple[Any, ...]:
    """Parts of one ImageFormat: pixel format, colour model and channel datatype are null where None."""
    parts: tuple[Any, ...] = (1, None, 1, None, pack_u32(width), 1, None, pack_u32(height))
    for code in codes:
        parts += (1, b"\0", b"\0") if code is None else (1, None, code.to_bytes(1, "little"))
    return parts
