"""Converters: from what users pass to the *parts* of :mod:`shmrerun.model.parts`, without pyarrow.

Each takes one value (never None) and returns parts, or raises what NumPy or pyarrow would raise; turning errors into
warnings is the constructors' business. Plain Python numbers, texts and flat lists of them never touch NumPy; a
C-contiguous array of the field's own dtype is passed on without a copy, so it must not be changed until it is logged.

A converter's ``quick`` table holds what constructors try first: by exact type, for the usual forms. Its entries take
only what they understand fully and raise anything otherwise; then ``finder.take`` decides, and says what is wrong.

Source: rules observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import chain
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, NamedTuple

from shmrerun.errors import warn
from shmrerun.loaded import loaded
from shmrerun.model.convert.buffers import (
    ZERO_OFFSET,
    as_numpy,
    offsets_of,
    pack_offsets,
    span,
    view,
    when_numpy,
)
from shmrerun.model.convert.colors import colors

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from shmrerun.model.convert.buffers import Quick

    Parts = tuple[Any, ...]

CODES = {  # NumPy dtype: array typecode
    "float64": "d", "float32": "f", "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q", "int32": "i",
    "int64": "q",
}  # fmt: skip
TENSOR_VARIANTS = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")  # dtypes of the union's arms

EMPTY: Parts = (0, None, b"")
EMPTY_TEXT: Parts = (0, None, ZERO_OFFSET, b"")
_SIZES = {size: {size} for size in (2, 3, 4, 16)}


class Converter(NamedTuple):
    """How one kind of field is converted.

    ``empty`` is a column of no values. ``width`` says how many numbers make a value: 1 for primitives, n for vectors of
    n, 0 where the shape of the argument says nothing about rows (texts, structs, lists). ``quick`` converts the values
    of some types at once.
    """

    convert: Callable[[Any], Parts]
    empty: Parts
    width: int
    quick: Quick


def _quick(convert: Callable[[Any], Parts], *kinds: type, **special: Callable[[Any], Parts]) -> Quick:
    """Make a table of quick conversions: ``convert`` for some types; ``array=`` is for NumPy arrays, ``scalar=`` for its numbers."""
    table: Quick = dict.fromkeys(kinds, convert)
    when_numpy(table, special.get("array", convert), special.get("scalar"))
    if "rows" in special:
        table[list] = table[tuple] = special["rows"]
    return table


def _numbers(dtype: str) -> Converter:
    """Make the converter of a column of numbers: scalars, sequences and arrays of any shape, flattened."""
    code = CODES[dtype]
    plain = (float, int, bool) if code in "df" else (int, bool)
    pack = Struct(f"<{code}").pack

    def convert(value: Any) -> Parts:
        kind = type(value)
        if kind in plain or kind is list or kind is tuple:
            try:
                packed = array(code, (value,) if kind in plain else value)
            except (TypeError, OverflowError):
                pass  # nested, texts, out of range: NumPy takes it or says what is wrong
            else:
                return len(packed), None, packed
        values = as_numpy(value, dtype)
        return values.size, None, view(values)

    def one(value: Any) -> Parts:
        return 1, None, pack(value)

    def several(value: Any) -> Parts:
        packed = array(code, value)
        return len(packed), None, packed

    def of_array(value: Any) -> Parts:
        data = value.data
        if data.format == code and data.c_contiguous:
            return value.size, None, data
        return convert(value)

    return Converter(convert, EMPTY, 1, _quick(one, *plain, rows=several, array=of_array, scalar=one))


def booleans(value: Any) -> Parts:
    """Convert truth values: anything that NumPy takes for a bool, flattened; one bit a value."""
    kind = type(value)
    if kind is bool:
        return 1, None, b"\1" if value else b"\0"
    if (kind is list or kind is tuple) and set(map(type, value)) == {bool}:
        bits = sum(1 << at for at, item in enumerate(value) if item)
        return len(value), None, bits.to_bytes((len(value) + 7) // 8, "little")
    import numpy as np

    values = as_numpy(value, bool).reshape(-1)
    return values.size, None, span(np.packbits(values, bitorder="little"))


def time_ints(value: Any) -> Parts:
    """Convert times: ints, TimeInt objects, NumPy times (cast to their number), or sequences of them."""
    if type(value) is int:
        return 1, None, _int64s((value,))
    np = loaded("numpy")
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not any(hasattr(item, "__len__") for item in value):
            return len(value), None, _int64s([_time_int(item) for item in value])
        value = as_numpy(value, "int64")
        np = sys.modules["numpy"]
    if np is not None and isinstance(value, np.ndarray):
        values = value.reshape(-1).astype(np.int64)
        return values.size, None, span(values)
    return 1, None, _int64s((_time_int(value),))


def _time_int(value: Any) -> int:
    np = loaded("numpy")
    if np is not None and isinstance(value, np.datetime64 | np.timedelta64):
        return int(value.astype(np.int64))
    number = getattr(value, "value", None)
    if number is None:
        return int(value)
    if value != value:  # noqa: PLR0124  pandas.NaT
        raise TypeError(f"a time must be a number, a TimeInt or a NumPy time, not {type(value).__name__!r}")
    return int(number)


def _int64s(values: Sequence[int]) -> bytes:
    try:
        return array("q", values).tobytes()
    except OverflowError:
        raise OverflowError("Python int too large to convert to C long") from None


def texts(value: Any) -> Parts:
    """Convert texts: a str is one value, the items of a sequence go through ``str()``, as does anything else."""
    if isinstance(value, str):
        raw = str.__str__(value).encode()
        return 1, None, pack_offsets(0, len(raw)), raw
    np = loaded("numpy")
    if np is not None and isinstance(value, np.ndarray):
        if value.ndim != 1 or value.dtype.kind != "U":
            import pyarrow as pa

            from shmrerun.model.arrow_types import parts_of

            return parts_of(pa.array(value, type=pa.string()))
        value = value.tolist()
    if not isinstance(value, Sequence):
        value = (value,)
    raws = [str(item).encode() for item in value]
    return len(raws), None, offsets_of([len(raw) for raw in raws]), b"".join(raws)


def vectors(size: int, dtype: str = "float32") -> Converter:
    """Make the converter of vectors of ``size`` numbers: flat, or of shape (..., size), trailing ones ignored."""
    code = CODES[dtype]
    pack = Struct(f"<{size}{code}").pack

    def convert(value: Any) -> Parts:
        values = as_numpy(value, dtype)
        shape = values.shape
        while len(shape) > 2 and shape[-1] == 1:
            shape = shape[:-1]
        count = values.size
        if not shape:
            from pyarrow import ArrowInvalid

            raise ArrowInvalid("The length of the values Array needs to be a multiple of the list size")
        if count % size if len(shape) < 2 else shape[-1] != size:
            raise ValueError(
                f"Expected either a flat array with a length multiple of {size} elements, or an array with shape "
                f"(`num_elements`, {size}). Shape of passed array was {values.shape}."
            )
        return count // size, None, count, None, view(values)

    def rows(value: Any) -> Parts:
        count = len(value)
        if count == size:
            try:
                return 1, None, size, None, pack(*value)
            except struct_error:
                pass  # rows of numbers perhaps
        elif count == 1:
            return 1, None, size, None, pack(*value[0])
        if count and set(map(len, value)) != _SIZES[size]:
            raise TypeError
        packed = array(code, chain.from_iterable(value))
        return count, None, count * size, None, packed

    def of_array(value: Any) -> Parts:
        data = value.data
        shape = value.shape
        if data.format == code and data.c_contiguous and len(shape) == 2 and shape[1] == size:
            return shape[0], None, shape[0] * size, None, data
        if value.size == size and data.format in "fd" and (len(shape) == 1 or shape == (1, size)):
            return 1, None, size, None, pack(*(value if len(shape) == 1 else value[0]).tolist())
        return convert(value)

    def general(value: Any) -> Parts:
        try:
            return rows(value) if type(value) is list or type(value) is tuple else convert(value)
        except (TypeError, OverflowError, struct_error):
            return convert(value)

    empty = (0, None, *EMPTY)
    return Converter(general, empty, size, _quick(convert, rows=rows, array=of_array))


def blobs(value: Any) -> Parts:
    """Convert byte strings: bytes-like, file-like, uint8 arrays (2-D is one blob a row), or sequences of those."""
    if type(value) is bytes:
        return 1, None, pack_offsets(0, len(value)), len(value), None, value
    import numpy as np

    if hasattr(value, "read"):
        value = value.read()
    if type(value) in (bool, int, float, complex):
        raise TypeError(f"a blob is bytes or an array, got {value!r}")
    if isinstance(value, np.ndarray) and value.ndim != 1:
        if value.ndim == 0:
            raise TypeError("a blob is bytes or an array with dimensions, not a single number")
        if not len(value):
            return 0, None, ZERO_OFFSET, 0, None, b""
        return (*_list_head([value[0].size] * len(value)), value.size, None, span(as_numpy(value, "uint8")))
    if isinstance(value, list | tuple) and value:
        rows = [one_blob(item) for item in value]
        return (*_list_head([len(row) for row in rows]), sum(map(len, rows)), None, b"".join(rows))
    if (isinstance(value, list | tuple) and not value) or (isinstance(value, np.ndarray) and not value.size):
        return 0, None, ZERO_OFFSET, 0, None, b""
    raw = one_blob(value)
    return 1, None, pack_offsets(0, len(raw)), len(raw), None, raw


def _list_head(lengths: Sequence[int]) -> tuple[int, None, bytes]:
    return len(lengths), None, offsets_of(lengths)


def one_blob(value: Any) -> Any:
    """Return the bytes of one blob, as something with ``len``."""
    if isinstance(value, bytes | bytearray | memoryview):
        return memoryview(value).cast("B")
    if hasattr(value, "read"):
        return value.read()
    return span(as_numpy(value, "uint8"))


def tensor(value: Any) -> Parts:
    """Convert one tensor: an array, anything NumPy makes one of, or a TensorData (alone or in a list of one).

    Raises
    ------
    ValueError
        Several tensors.
    AssertionError
        A dtype that tensors do not have.
    """
    kind = type(value)
    if (kind is list or kind is tuple) and len(value) == 1 and hasattr(value[0], "names"):
        value = value[0]
    if kind is list and len(value) > 1 and hasattr(value[0], "names"):
        raise ValueError("Tensors do not support batches")
    names = getattr(value, "names", None) if hasattr(value, "shape") and hasattr(value, "array") else None
    if hasattr(value, "names") and hasattr(value, "array"):
        value = value.array
    values = as_numpy(value)
    variant = values.dtype.str[1:]
    if variant not in TENSOR_VARIANTS:
        known = ", ".join(TENSOR_VARIANTS)
        raise AssertionError(f"Failed to find {values.dtype.type} among the types of tensors: {known}")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    shape = array("Q", values.shape)
    if names is None:
        name_parts: Parts = (1, b"\0", b"\0" * 8, *EMPTY_TEXT)
    else:
        name_parts = (1, None, pack_offsets(0, len(names)), *texts(list(names)))
    code = TENSOR_VARIANTS.index(variant) + 1  # 0 is the union's null marker
    before = _EMPTY_LIST * (code - 1)
    after = _EMPTY_LIST * (len(TENSOR_VARIANTS) - code)
    return (
        1, None,
        1, None, pack_offsets(0, len(shape)), len(shape), None, shape.tobytes(),
        *name_parts,
        1, bytes((code,)), ZERO_OFFSET,
        0,
        *before,
        1, None, pack_offsets(0, values.size), values.size, None, view(values),
        *after,
    )  # fmt: skip


def bar_values(value: Any) -> Parts:
    """Convert one tensor that should be 1-D, dimensions of size 1 apart; it is kept when it is not, with a warning."""
    parts = tensor(value)
    shape = array("Q", parts[7])
    if not shape or sum(size != 1 for size in shape) > 1:
        warn(f"Bar chart data should only be 1D. Got values with shape: [{' '.join(map(str, shape))}]")
    return parts


def image_formats(value: Any) -> Parts:
    """Convert one ImageFormat-like object (five attributes) or a sequence of them."""
    rows = list(value) if isinstance(value, list | tuple) else [value]
    columns: list[Any] = [len(rows), None]
    for name in ("width", "height"):
        columns += (len(rows), None, array("I", [int(getattr(row, name)) for row in rows]).tobytes())
    for name in ("pixel_format", "color_model", "channel_datatype"):
        cells = [getattr(row, name) for row in rows]
        bits = sum(1 << at for at, cell in enumerate(cells) if cell is not None)
        valid = None if all(cell is not None for cell in cells) else bits.to_bytes((len(rows) + 7) // 8, "little")
        codes = bytes([0 if cell is None else int(getattr(cell, "value", cell)) for cell in cells])
        columns += (len(rows), valid, codes)
    return tuple(columns)


EMPTY_IDS: Parts = (0, None, *EMPTY)


def ids(value: Any) -> Parts:
    """Convert ids of 16 bytes: bytes, anything with 16 numbers, or sequences of these."""
    if isinstance(value, bytes):
        value = (value,)
    if isinstance(value, list | tuple) and any(isinstance(item, bytes) for item in value):
        value = list(b"".join([item if isinstance(item, bytes) else bytes(memoryview(as_numpy(item, "uint8"))) for item in value]))
    return _vectors_of_ids.convert(value)


_vectors_of_ids = vectors(16, "uint8")
_EMPTY_LIST: Parts = (0, None, ZERO_OFFSET, *EMPTY)
_EMPTY_TENSOR = (0, None, *_EMPTY_LIST, 0, None, ZERO_OFFSET, *EMPTY_TEXT, 0, b"", b"", 0) + _EMPTY_LIST * len(TENSOR_VARIANTS)

CONVERTERS: dict[str, Converter] = {
    "bool": Converter(booleans, EMPTY, 1, _quick(booleans, bool, list, tuple)),
    "bar_values": Converter(bar_values, _EMPTY_TENSOR, 0, _quick(bar_values, list, tuple)),
    "blob": Converter(blobs, _EMPTY_LIST, 0, _quick(blobs, bytes, bytearray, memoryview, list)),
    "color": Converter(colors, EMPTY, 1, _quick(colors, int, list, tuple)),
    "image_format": Converter(image_formats, (0, None, *EMPTY * 5), 0, {}),
    "tensor": Converter(tensor, _EMPTY_TENSOR, 0, _quick(tensor, list, tuple)),
    "text": Converter(texts, EMPTY_TEXT, 0, _quick(texts, str, list, tuple)),
    "time": Converter(time_ints, EMPTY, 1, _quick(time_ints, int)),
    "range64": vectors(2, "float64"),
    "dvec2": vectors(2, "float64"),
    "ivec3": vectors(3, "int32"),
    "quaternion": vectors(4),
    "uuid": Converter(ids, EMPTY_IDS, 16, _quick(ids, bytes, list, tuple)),
    **{dtype: _numbers(dtype) for dtype in CODES},
    **{f"vec{size}": vectors(size) for size in (2, 3, 4)},
    **{f"uvec{size}": vectors(size, "uint32") for size in (2, 3, 4)},
}
