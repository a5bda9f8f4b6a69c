"""Values of images, colours, tensors and media types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.values.base import Value
from shmrerun.model.values.enums import enum_class

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray


class Rgba32(Value):
    """A colour: ``rgba`` is 0xRRGGBBAA, made of an int or of 3 or 4 numbers as a colour field takes them."""

    __slots__ = ("rgba",)
    _fields = ("rgba",)
    _converter = "color"

    def __init__(self, rgba: int | Sequence[float]) -> None:
        from shmrerun.model.convert.colors import packed_color

        self.rgba = packed_color(rgba)

    def __int__(self) -> int:
        return self.rgba

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self.rgba, dtype=np.uint32 if dtype is None else dtype)


class Color:
    """A colour: ``rgba`` is 0xRRGGBBAA, made of an int or of 3 or 4 numbers as a colour field takes them."""

    __slots__ = ()

    @staticmethod
    def from_string(s: str) -> Any:
        """Return a colour that depends on the text alone: any process of any run gives the same one."""
        from colorsys import hsv_to_rgb
        from zlib import crc32

        from shmrerun.components import component_class

        part = crc32(s.encode("utf-8", "surrogatepass")) / 2**32  # not hash(), which differs from process to process
        return component_class("Color")([round(shade * 255) for shade in hsv_to_rgb(part, 0.85, 0.5)])


class ImageFormat(Value):
    """How the bytes of an image are to be read.

    Parameters
    ----------
    width, height : int
        Pixels, uint32.
    pixel_format : PixelFormat, int or str, optional
        For images that are not plainly interleaved; the other two are unset then.
    color_model : ColorModel, int or str, optional
        Meaning of the channels.
    channel_datatype : ChannelDatatype, int or str, optional
        Type of each channel.
    """

    __slots__ = ("channel_datatype", "color_model", "height", "pixel_format", "width")
    _fields = ("width", "height", "pixel_format", "color_model", "channel_datatype")
    _converter = "image_format"

    def __init__(
        self,
        width: int,
        height: int,
        *,
        pixel_format: Any = None,
        color_model: Any = None,
        channel_datatype: Any = None,
    ) -> None:
        self.width = int(width)
        self.height = int(height)
        self.pixel_format = None if pixel_format is None else enum_class("PixelFormat").auto(pixel_format)
        self.color_model = None if color_model is None else enum_class("ColorModel").auto(color_model)
        self.channel_datatype = None if channel_datatype is None else enum_class("ChannelDatatype").auto(channel_datatype)


class TensorData(Value):
    """An n-dimensional array of numbers with names for its dimensions.

    Parameters
    ----------
    shape : sequence of int, optional
        Only with ``buffer``, or equal to the array's.
    buffer : array-like, optional
        The elements in C order.
    array : array-like, optional
        The elements with their shape; dtype uint8-64, int8-64 or float16-64.
    dim_names : sequence of str, optional
        One a dimension; with a wrong number they are dropped with a warning.

    Raises
    ------
    ValueError
        Neither or both of ``array`` and ``buffer``; ``buffer`` without ``shape``; a shape that does not fit.
    """

    __slots__ = ("array", "names", "shape")
    _fields = ("shape", "buffer", "names")
    _converter = "tensor"

    def __init__(
        self,
        *,
        shape: Sequence[int] | None = None,
        buffer: Any = None,
        array: Any = None,
        dim_names: Sequence[str] | None = None,
    ) -> None:
        from shmrerun.errors import warn
        from shmrerun.model.convert.buffers import as_numpy

        if array is not None and buffer is not None:
            raise ValueError("Can only specify one of 'array' or 'buffer'")
        if array is None and buffer is None:
            raise ValueError("Must provide one of 'array' or 'buffer'")
        if array is None and shape is None:
            raise ValueError("If 'buffer' is specified, 'shape' is also required")
        values = as_numpy(buffer if array is None else array)
        wanted = tuple(values.shape if shape is None else (int(size) for size in shape))
        size = 1
        for extent in wanted:
            size *= extent
        if size != values.size or (array is not None and wanted != values.shape):
            raise ValueError(f"Shape {list(wanted)} does not match an array of shape {list(values.shape)}")
        self.array = values.reshape(wanted)
        self.shape = wanted
        self.names = None if dim_names is None else [str(name) for name in dim_names]
        if self.names is not None and len(self.names) != len(wanted):
            warn(f"len(shape) = {len(wanted)} != len(dim_names) = {len(self.names)}. Ignoring tensor dimension names.")
            self.names = None

    @property
    def buffer(self) -> TensorBuffer:
        """The elements in C order."""
        return TensorBuffer(self.array.reshape(-1))

    def numpy(self, force: bool = False) -> NDArray[Any]:
        """Return the elements with their shape."""
        del force
        found: NDArray[Any] = self.array
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self.array, dtype=dtype)


class TensorBuffer(Value):
    """The elements of a tensor, flat."""

    __slots__ = ("inner",)
    _fields = ("inner",)
    _converter = "tensor_buffer"

    def __init__(self, inner: Any) -> None:
        from shmrerun.model.convert.buffers import as_numpy

        self.inner = as_numpy(inner)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self.inner, dtype=dtype)


_MEDIA_TYPES = {
    "TEXT": "text/plain", "MARKDOWN": "text/markdown", "JPEG": "image/jpeg", "PNG": "image/png",
    "GLB": "model/gltf-binary", "GLTF": "model/gltf+json", "OBJ": "model/obj", "PLY": "application/x-ply",
    "STL": "model/stl", "RVL": "application/rvl", "MP4": "video/mp4", "AAC": "audio/aac", "FLAC": "audio/flac",
    "M4A": "audio/mp4", "MP3": "audio/mpeg", "OGG": "audio/ogg", "WAV": "audio/wav",
}  # fmt: skip
_EXTENSIONS = {
    "jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "glb": "GLB", "gltf": "GLTF", "obj": "OBJ", "stl": "STL", "ply": "PLY",
    "mp4": "MP4", "aac": "AAC", "flac": "FLAC", "m4a": "M4A", "mp3": "MP3", "ogg": "OGG", "oga": "OGG", "wav": "WAV",
}  # fmt: skip


class MediaType:
    """Adds the usual media types as constants, and guessing by a file's extension."""

    __slots__ = ()

    @classmethod
    def guess_from_path(cls, path: Any) -> Any:
        """Return the media type that the extension stands for, or None."""
        import os

        name = _EXTENSIONS.get(os.path.splitext(os.fspath(path))[1][1:].lower())
        return None if name is None else getattr(cls, name)


def finish_media_type(cls: Any) -> None:
    """Set the constants of the class."""
    for name, text in _MEDIA_TYPES.items():
        setattr(cls, name, cls(text))


def finish_level(cls: Any) -> None:
    """Set the usual levels of log messages as constants of the class."""
    for name in ("CRITICAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"):
        setattr(cls, name, cls(name))
