"""Raw images out of MCAP files: how encodings are called, and pixels without what fills up the rows.

Source: the encodings of ROS's ``sensor_msgs`` and Foxglove's ``RawImage`` that rerun-sdk 0.41 takes.
"""

from __future__ import annotations

from typing import Any

_COLOURS = {  # encoding: colour model and datatype
    "rgb8": ("RGB", "U8"), "rgba8": ("RGBA", "U8"), "rgb16": ("RGB", "U16"), "rgba16": ("RGBA", "U16"), "bgr8": ("BGR", "U8"),
    "8UC3": ("BGR", "U8"), "bgra8": ("BGRA", "U8"), "bgr16": ("BGR", "U16"), "bgra16": ("BGRA", "U16"),
}  # fmt: skip
_DEPTHS = {  # encoding: datatype
    "mono8": "U8", "mono16": "U16", "8UC1": "U8", "8SC1": "I8", "16UC1": "U16", "16SC1": "I16", "32SC1": "I32", "32FC1": "F32",
    "64FC1": "F64",
}  # fmt: skip
_PIXELS = {
    "yuyv": "YUY2", "yuv422_yuy2": "YUY2", "nv12": "NV12", "bayer_rggb8": "BayerRGGB8", "bayer_bggr8": "BayerBGGR8",
    "bayer_gbrg8": "BayerGBRG8", "bayer_grbg8": "BayerGRBG8",
}  # fmt: skip


def check_encoding(encoding: str) -> None:
    """ValueError: images of this encoding are not understood."""
    if encoding not in _COLOURS and encoding not in _DEPTHS and encoding not in _PIXELS:
        raise ValueError(f"images have the encoding {encoding!r}, not one of {sorted({**_COLOURS, **_DEPTHS, **_PIXELS})}")


def is_depth(encoding: str) -> bool:
    """Whether an image has a single channel, which may be a distance."""
    return encoding in _DEPTHS


def image_format(encoding: str, width: int, height: int) -> Any:
    """The ImageFormat of a known encoding."""
    from shmrerun.model.values.factory import component_class

    make: Any = component_class("ImageFormat")
    if encoding in _PIXELS:
        return make(width, height, pixel_format=_PIXELS[encoding])
    model, kind = _COLOURS.get(encoding) or ("L" if encoding.startswith("mono") else None, _DEPTHS[encoding])
    return make(width, height, color_model=model, channel_datatype=kind)


def row_bytes(encoding: str, width: int) -> int:
    """Bytes of a row's pixels."""
    if encoding in _PIXELS:
        return width * (2 if _PIXELS[encoding] == "YUY2" else 1)
    channels, kind = (len(_COLOURS[encoding][0]), _COLOURS[encoding][1]) if encoding in _COLOURS else (1, _DEPTHS[encoding])
    return width * channels * int(kind[1:]) // 8


def image_bytes(encoding: str, width: int, height: int) -> int:
    """Bytes of all pixels."""
    if encoding == "nv12":  # colours have a quarter of the resolution, and two bytes
        return width * height + (width + 1) // 2 * ((height + 1) // 2) * 2 if width % 2 or height % 2 else width * height * 3 // 2
    return row_bytes(encoding, width) * height
