"""Buffers of the converters: packed scalars, offsets, and views of arrays without a copy."""

from __future__ import annotations

from array import array
from itertools import accumulate
from struct import Struct
from typing import TYPE_CHECKING

from shmrerun import _core
from shmrerun.loaded import loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Handler = Callable[[Any], tuple[Any, ...]]
    Quick = dict[type, Handler]

pack_f64 = Struct("<d").pack
pack_f32 = Struct("<f").pack
pack_u32 = Struct("<I").pack
pack_offsets = Struct("<ii").pack  # of a list or text column with one value
ZERO_OFFSET = b"\0\0\0\0"

_waiting: list[tuple[Quick, Handler, Handler | None]] | None = []  # None: NumPy is there, nobody waits


def when_numpy(quick: Quick, handler: Handler, scalar: Handler | None = None) -> None:
    """Enter ``handler`` for NumPy arrays, ``scalar`` for its numbers, into a table of quick conversions, now or when NumPy is there."""
    if _waiting is None:
        _enter_numpy(quick, handler, scalar)
    else:
        _waiting.append((quick, handler, scalar))


def _enter_numpy(quick: Quick, handler: Handler, scalar: Handler | None) -> None:
    import numpy as np

    quick[np.ndarray] = handler
    if scalar is not None:
        for kind in (np.float64, np.float32, np.int64, np.int32, np.uint8, np.uint16, np.uint32):
            quick[kind] = scalar


def _meet_numpy() -> None:
    global _waiting
    waiting, _waiting = _waiting, None
    for entry in waiting or ():
        _enter_numpy(*entry)
    import numpy as np

    _core.meet_numpy(np.ndarray, np.float64)


def as_numpy(value: Any, dtype: Any = None) -> Any:
    """Return ``value`` as an array, without a copy where its dtype and layout allow it.

    Torch tensors come from any device (``detach``, ``numpy(force=True)``); what has only ``__dlpack__`` or an Arrow
    interface is taken by that; else what ``numpy.asarray`` makes of it.
    """
    import numpy as np

    if _waiting is not None:
        _meet_numpy()
    if type(value) is not np.ndarray:
        if hasattr(value, "detach") and hasattr(value, "numpy"):
            value = value.numpy(force=True)
        elif is_arrow(value):
            value = _of_arrow(value)
        elif hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            value = np.from_dlpack(value)
    return np.asarray(value, dtype=dtype)


def is_arrow(value: Any) -> bool:
    """Tell whether a value is an Arrow array, or has no other interface (PIL images have one, of other shape)."""
    if not hasattr(value, "__arrow_c_array__"):
        return False
    pa = loaded("pyarrow")
    if pa is not None and isinstance(value, pa.Array):
        return True
    return not (hasattr(value, "__array__") or hasattr(value, "__array_interface__"))


def _of_arrow(value: Any) -> Any:
    """Array of an Arrow array: fixed-size lists become a dimension each."""
    import pyarrow as pa

    values = value if isinstance(value, pa.Array) else pa.array(value)
    shape = [len(values)]
    while pa.types.is_fixed_size_list(values.type):
        shape.append(values.type.list_size)
        values = values.flatten()
    flat = values.to_numpy(zero_copy_only=False)
    return flat if len(shape) == 1 else flat.reshape(shape)


def span(values: Any) -> Any:
    """View an array's elements in C order as bytes-like, without a copy where they lie that way."""
    import numpy as np

    flat: Any = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return memoryview(flat)


def view(values: Any) -> Any:
    """Do as ``span`` does, faster; ``len`` of the result may be that of the first dimension."""
    return values.data if values.flags.c_contiguous else span(values)


def offsets_of(lengths: Sequence[int]) -> bytes:
    """Arrow list offsets of consecutive lengths."""
    return array("i", accumulate(lengths, initial=0)).tobytes()
