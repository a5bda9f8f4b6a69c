"""Values of images, colours, tensors and media types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.convert.arguments import media_type_of, named_tensor
from shmrerun.model.convert.buffers import as_numpy
from shmrerun.model.convert.colors import packed_color
from shmrerun.model.tables.constants import LOG_LEVELS, MEDIA_TYPES
from shmrerun.model.values.base import Value
from shmrerun.model.values.enums import enum_class

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray


class Rgba32(Value):
    """A colour.

    Parameters
    ----------
    rgba : int 0xRRGGBBAA, or array-like of shape (3,) or (4,), uint8 or float of 0 to 1
        Red, green, blue and alpha.
    """

    __slots__ = ("rgba",)
    _fields = ("rgba",)
    _converter = "color"

    def __init__(self, rgba: int | Sequence[float]) -> None:
        self.rgba = packed_color(rgba)

    def __int__(self) -> int:
        return self.rgba

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self.rgba, dtype=np.uint32 if dtype is None else dtype)


class Color:
    """Adds a colour that depends on a text."""

    __slots__ = ()

    @classmethod
    def from_string(cls: Any, s: str) -> Any:
        """Return a colour that depends on the text alone: any process of any run gives the same one."""
        from colorsys import hsv_to_rgb
        from zlib import crc32

        part = crc32(s.encode("utf-8", "surrogatepass")) / 2**32  # not hash(), which differs from process to process
        return cls([round(shade * 255) for shade in hsv_to_rgb(part, 0.85, 0.5)])


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
    buffer : array-like, uint8 to float64, optional
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
        found = named_tensor(array, buffer, shape, dim_names)
        self.array, self.shape, self.names = found

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
    """The elements of a tensor, flat.

    Parameters
    ----------
    inner : array-like of shape (n,), uint8 to float64
        The elements in C order.
    """

    __slots__ = ("inner",)
    _fields = ("inner",)
    _converter = "tensor_buffer"

    def __init__(self, inner: Any) -> None:
        self.inner = as_numpy(inner)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self.inner, dtype=dtype)


class MediaType:
    """Adds the usual media types as constants, and guessing by a file's extension."""

    __slots__ = ()

    @classmethod
    def guess_from_path(cls: Any, path: Any) -> Any:
        """Return the media type that the extension stands for, or None."""
        found = media_type_of(path)
        return None if found is None else cls(found)


def finish_media_type(cls: Any) -> None:
    """Set the constants of the class."""
    for name, text in MEDIA_TYPES.items():
        setattr(cls, name, cls(text))


def finish_level(cls: Any) -> None:
    """Set the usual levels of log messages as constants of the class."""
    for name in LOG_LEVELS:
        setattr(cls, name, cls(name))
