"""Colours: the many forms in which they are given, as packed uint32 0xRRGGBBAA.

Source: rules observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING

from shmrerun.model.convert.buffers import pack_u32, span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Parts = tuple[Any, ...]

_SIZES, _INTS, _PLAIN = {3, 4}, {int}, {int, bool}


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
    if isinstance(value, int):
        return 1, None, _packed_int(int(value))
    try:
        found = _color_array(np.asarray(value))
    except (IndexError, TypeError, ValueError):  # rows of different lengths, other things among them, sizes that are no colours
        items = list(value)
        try:
            packed = [packed_color(items)]  # four numbers in two rows, say
        except (IndexError, TypeError, ValueError):
            packed = [packed_color(item) for item in items]
        return len(packed), None, array("I", packed).tobytes()
    return found.size, None, span(found)


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
    if 3 <= len(value) <= 4 and set(map(type, value)) <= _PLAIN:
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
    """Convert one colour to 0xRRGGBBAA; sequences that are not of 3 or 4 numbers are a ValueError."""
    if hasattr(value, "rgba"):
        return int(value.rgba)
    if hasattr(value, "__len__"):
        import numpy as np

        row = np.asarray(value).reshape(1, -1)
        if row.size not in (3, 4) and not isinstance(value, np.ndarray):
            raise ValueError(f"expected sequence of length of 3 or 4, received {row.size}")
        return int(_of_rows(row)[0])
    return int(value)


def _packed_int(value: int) -> bytes:
    if not 0 <= value < 2**32:
        from pyarrow import ArrowInvalid

        raise ArrowInvalid(f"Integer value {value} not in range: 0 to 4294967295")
    return pack_u32(value)


def _color_array(values: Any) -> Any:
    """Packed uint32 colours of an array of numbers, whose dimensions of size 1 do not count.

    Raises
    ------
    IndexError, TypeError, ValueError
        These are no colours as a whole; each item may be one.
    """
    import numpy as np

    kind = values.dtype.kind
    if kind not in "iufb":
        raise TypeError(f"dtype {values.dtype} is no number")
    values = values.squeeze()
    if values.dtype == np.uint32 or not values.size:
        return values.reshape(-1).astype(np.uint32, copy=False)
    if values.ndim > 1:
        return _of_rows(values)
    if values.dtype == np.uint8 or kind == "f":
        return _of_rows(values.reshape(-1, 4) if values.size > 4 else values.reshape(1, -1))
    if values.size not in (3, 4):
        return values.astype(np.uint32).reshape(-1)
    if int(values.max()) < 256:
        return _of_rows(values.reshape(1, -1))
    from shmrerun.errors import warn

    warn(
        f"Ambiguous input for colors of length {values.size}. If using 0xRRGGBBAA values, please wrap as np.array with dtype=np.uint32",
    )
    return values.astype(np.uint32)


def _of_rows(rows: Any) -> Any:
    """Packed colours of an array of shape (..., 3) or (..., 4): fractions if they are floats, else bytes."""
    import numpy as np

    if rows.shape[-1] not in (3, 4):
        raise IndexError(f"a colour has 3 or 4 numbers, got {rows.shape[-1]}")
    rows = rows.reshape(-1, rows.shape[-1])
    if rows.dtype.kind == "f":
        rows = np.round(rows * 255.0).astype(np.int64)
    packed = np.empty(len(rows), "<u4")
    abgr = packed.view(np.uint8).reshape(-1, 4)
    if rows.shape[1] == 3:
        abgr[:, 0] = 255
        abgr[:, :0:-1] = rows
    else:
        abgr[:] = rows[:, ::-1]
    return packed
