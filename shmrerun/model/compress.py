"""Compressing images: JPEG for images, PNG for depth images; PIL must be installed."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from shmrerun.errors import report
from shmrerun.model.images import _pixels, image_format

if TYPE_CHECKING:
    from typing import Any


def compress_image(self: Any, jpeg_quality: int = 95) -> Any:
    """Return the image as an EncodedImage of a JPEG file; what cannot be one is warned about and returned as it is.

    Parameters
    ----------
    jpeg_quality : int
        0 to 100; more is better and larger.

    Notes
    -----
    Needs PIL, uint8 channels and a colour model of L, RGB or BGR.
    """
    try:
        layout = image_format(self)
        model = None if layout.color_model is None else layout.color_model.name
        if model not in ("L", "RGB", "BGR"):
            raise ValueError(f"Cannot JPEG compress an image of type {model}. Only L (monochrome), RGB and BGR are supported.")
        datatype = layout.channel_datatype.name
        if datatype != "U8":
            raise ValueError(f"Cannot JPEG compress an image of datatype {datatype}. Only U8 is supported.")
        raw = _encoded(self, format="jpeg", quality=jpeg_quality)
    except Exception as error:
        report("Image compression", error)
        return self
    return self._other("EncodedImage")(
        contents=raw,
        media_type="image/jpeg",
        opacity=self.opacity,
        draw_order=self.draw_order,
        magnification_filter=self.magnification_filter,
    )


def compress_depth(self: Any, compress_level: int = 6) -> Any:
    """Return the depth image as an EncodedDepthImage of a PNG file; what cannot be one is warned about and returned.

    Parameters
    ----------
    compress_level : int
        0 to 9; more is smaller and slower.

    Notes
    -----
    Needs PIL and values of uint8 or uint16.
    """
    try:
        datatype = image_format(self).channel_datatype.name
        if datatype not in ("U8", "U16"):
            raise ValueError(f"Cannot PNG compress a depth image of datatype {datatype}. Only U8 and U16 are supported.")
        raw = _encoded(self, format="png", compress_level=compress_level)
    except Exception as error:
        report("DepthImage compression", error)
        return self
    return self._other("EncodedDepthImage")(
        raw,
        media_type="image/png",
        meter=self.meter,
        colormap=self.colormap,
        depth_range=self.depth_range,
        point_fill_ratio=self.point_fill_ratio,
        draw_order=self.draw_order,
        magnification_filter=self.magnification_filter,
    )


def _encoded(self: Any, **options: Any) -> bytes:
    from PIL import Image

    out = BytesIO()
    Image.fromarray(_pixels(self)).save(out, **options)
    return out.getvalue()
