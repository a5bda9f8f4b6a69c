"""Points and voxels that Foxglove's messages hold as packed bytes, with a list of where each field lies.

Source: Foxglove's schema ``PackedElementField``; which of them rerun-sdk 0.41 takes.
"""

from __future__ import annotations

from typing import Any

_CODES = {1: "u1", 2: "i1", 3: "<u2", 4: "<i2", 5: "<u4", 6: "<i4", 7: "<f4", 8: "<f8"}  # by number of the type
_Place = tuple[int, str]


def _place(message: Any, name: str) -> _Place | None:
    """Where a field lies, and its type. ValueError: it has a type that is none."""
    for field in message.fields:
        if field.name == name:
            if field.type not in _CODES:
                raise ValueError(f"the field {name!r} of {message.DESCRIPTOR.name} has the type {field.type}, which is none")
            return int(field.offset), _CODES[field.type]
    return None


def _values(data: bytes, stride: int, place: _Place) -> Any:
    """A field of all elements; zero where it lies beyond the data."""
    import numpy as np

    offset, code = place
    kind = np.dtype(code)
    count = len(data) // stride
    found = np.zeros(count, kind)
    there = min(count, (len(data) - offset - kind.itemsize) // stride + 1)
    if there > 0:
        found[:there] = np.ndarray((there,), kind, data, offset, (stride,))
    return found


def positions(cloud: Any) -> Any:
    """Positions of a PointCloud, (n x 3) in single precision; None: it lacks x, y, z, or their distance."""
    import numpy as np

    places = [_place(cloud, axis) for axis in "xyz"]
    if None in places or not cloud.point_stride:
        return None
    with np.errstate(over="ignore"):
        columns = [_values(cloud.data, int(cloud.point_stride), place).astype(np.float32) for place in places if place]
    return np.stack(columns, axis=1)


def colours(message: Any, stride: int) -> Any:
    """Colours of all elements, as bytes of red, green, blue and alpha; None: they have none."""
    import numpy as np

    places = [_place(message, channel) for channel in ("red", "green", "blue", "alpha")]
    if None in places[:3] or not stride:
        return None
    found = np.zeros(len(message.data) // int(stride), np.uint32)
    for place in places:
        channel = np.uint32(255) if place is None else _channel(_values(message.data, int(stride), place))
        found = found << np.uint32(8) | channel
    return found


def _channel(values: Any) -> Any:
    """A colour's channel of 8 bits: integers as they are, others from 0 to 1."""
    import numpy as np

    if values.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.nan_to_num(values * values.dtype.type(255), nan=0.0)
    return np.clip(values, 0, 127 if values.dtype == np.int8 else 255).astype(np.uint32)


def voxel_indices(grid: Any) -> Any:
    """Column, row and slice (n x 3) of all voxels of a grid that lie in its data; None: it has no size. ValueError: they overlap."""
    import numpy as np

    size, data = [int(grid.column_count), int(grid.row_count)], len(grid.data)
    cell, row, layer = int(grid.cell_stride), int(grid.row_stride), int(grid.slice_stride)
    if not all((*size, cell, row, layer)):
        return None
    wide, deep = (min(count, max(data - cell, -1) // stride + 1) for count, stride in zip(size, (cell, row), strict=True))
    high = data // layer
    if wide * deep * high > data:
        raise ValueError(f"a grid of {size[0]}x{size[1]} voxels that lie {cell}, {row} and {layer} bytes apart overlaps itself")
    at = np.indices((high, deep, wide), np.int32).reshape(3, -1)[::-1]
    fits = at[0].astype(np.int64) * cell + at[1].astype(np.int64) * row + at[2].astype(np.int64) * layer + cell <= data
    return at[:, fits].T
