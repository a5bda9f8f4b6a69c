"""Colours: the many forms in which they are given, as packed uint32 0xRRGGBBAA.

Source: rules observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from shmrerun.archetypes._buffers import pack_u32, span

if TYPE_CHECKING:
    from typing import Any

    Parts = tuple[Any, ...]

_SIZES, _INTS = {3, 4}, {int}


def colors(value: Any) -> Parts:
    """Convert colours to 0xRRGGBBAA.

    One int is packed; one sequence of 3 or 4 numbers under 256 is one colour; floats are 0..1; uint32 arrays are
    packed; uint8 and float arrays that are flat and longer than 4 are RGBA in groups; ints of other lengths are packed.
    """
    kind = type(value)
    if kind is int:
        return 1, None, _packed_int(value)
    if (kind is list or kind is tuple) and value:
        found = _of_ints(value)
        if found is not None:
            return found
    import numpy as np

    if hasattr(value, "rgba"):
        return 1, None, _packed_int(int(value.rgba))
    if isinstance(value, int | np.uint32):
        return 1, None, _packed_int(int(value))
    if isinstance(value, np.ndarray):
        return _packed(_color_array(value))
    if not isinstance(value, Sequence):
        value = list(value)
    try:
        whole = np.asarray(value)
    except ValueError:  # rows of different lengths
        whole = None
    if whole is not None and whole.dtype.kind in "iufb" and whole.size:
        return _packed(_color_array(whole))
    packed = [packed_color(item) for item in value]
    return len(packed), None, array("I", packed).tobytes()


def _of_ints(value: Sequence[Any]) -> Parts | None:
    """Convert ints under 256, sequences of those, or packed ints, all without NumPy; None if it is something else."""
    kind = type(value[0])
    if kind is list or kind is tuple:
        try:
            if not (_SIZES.issuperset(map(len, value)) and set(map(type, chain.from_iterable(value))) == _INTS):
                return None
            rows = list(map(bytes, value))
        except (TypeError, ValueError):
            return None
        return len(rows), None, b"".join([row[::-1] if len(row) == 4 else (row + b"\xff")[::-1] for row in rows])
    if 3 <= len(value) <= 4:
        try:
            rgba = bytes(value)
        except (TypeError, ValueError):
            return None
        return 1, None, rgba[::-1] if len(rgba) == 4 else (rgba + b"\xff")[::-1]
    if kind is int and set(map(type, value)) == _INTS:
        try:
            return len(value), None, array("I", value)
        except OverflowError:
            return None
    return None


def packed_color(value: Any) -> int:
    """Convert one colour to 0xRRGGBBAA; sequences that are not of length 3 or 4 are a ValueError."""
    if hasattr(value, "rgba"):
        return int(value.rgba)
    if hasattr(value, "__len__"):
        if len(value) not in (3, 4):
            raise ValueError(f"expected sequence of length of 3 or 4, received {len(value)}")
        return int.from_bytes(colors(value)[2][:4], "little")
    return int(value)


def _packed_int(value: int) -> bytes:
    if not 0 <= value < 2**32:
        from pyarrow import ArrowInvalid

        raise ArrowInvalid(f"Integer value {value} not in range: 0 to 4294967295")
    return pack_u32(value)


def _packed(values: Any) -> Parts:
    return values.size, None, span(values)


def _color_array(values: Any) -> Any:
    """Packed uint32 colours of an array of numbers."""
    import numpy as np

    if values.dtype == np.uint32:
        return values
    kind = values.dtype.kind
    shape = values.shape
    rows = values.reshape(-1, shape[-1]) if len(shape) > 1 and shape[-1] in (3, 4) and kind in "iufb" else None
    if rows is None and (values.size == 3 or (values.size and values.size % 4 == 0)):
        if values.size <= 4:
            rows = values.reshape(1, -1)
        elif kind == "f" or values.dtype == np.uint8:
            rows = values.reshape(-1, 4)
    if rows is None:
        return values.astype(np.uint32)
    if kind == "f":
        rows = np.round(rows * 255.0).astype(np.int64).astype(np.uint8)
    elif values.dtype != np.uint8:
        if rows.size and int(rows.max()) > 255:
            if len(rows) == 1:
                from shmrerun.errors import warn

                warn(
                    f"Ambiguous input for colors of length {rows.size}. If using 0xRRGGBBAA values, please wrap as "
                    "np.array with dtype=np.uint32"
                )
            return values.astype(np.uint32)
        rows = rows.astype(np.uint8)
    packed = np.empty(len(rows), "<u4")
    abgr = packed.view(np.uint8).reshape(-1, 4)
    if rows.shape[1] == 3:
        abgr[:, 0] = 255
        abgr[:, :0:-1] = rows
    else:
        abgr[:] = rows[:, ::-1]
    return packed
