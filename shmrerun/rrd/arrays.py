"""Arrow arrays and NumPy's, over the same memory.

pyarrow's own conversions look for pandas first, and import it where it is installed: half a second. And ``take``, ``filter`` or
``is_valid`` import ``pyarrow.compute``, which makes a Python function of all that it has: a tenth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt


def ints(column: pa.Array) -> npt.NDArray[np.int64]:
    """The 64-bit values of an array of whole numbers or times; where it is null they are any. ValueError: it has other values."""
    if column.type.bit_width != 64 or column.type.num_fields:
        raise ValueError(f"whole numbers or times of 64 bits were expected, not {column.type}")
    _, values = column.buffers()
    return np.frombuffer(values, np.int64, len(column), 8 * column.offset) if len(column) else np.empty(0, np.int64)


def of_ints(values: npt.NDArray[Any], kind: pa.DataType | None = None, absent: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """An array of 64-bit values, null where some are absent. The memory is shared."""
    values = np.ascontiguousarray(values, np.int64)
    validity = None if absent is None else pa.py_buffer(np.packbits(~absent, bitorder="little"))
    return pa.Array.from_buffers(kind or pa.int64(), len(values), [validity, pa.py_buffer(values)])


def of_bools(values: npt.NDArray[np.bool_]) -> pa.Array:
    """An array of truth values."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(np.packbits(values, bitorder="little"))])


def of_texts(values: list[str]) -> pa.Array:
    """An array of texts."""
    data = [value.encode() for value in values]
    offsets = np.zeros(len(data) + 1, np.int32)
    np.cumsum([len(text) for text in data], out=offsets[1:])
    return pa.Array.from_buffers(pa.string(), len(data), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(data))])


def valid(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Where an array is not null."""
    rows = len(column)
    bits = column.buffers()[0] if column.null_count else None
    if bits is None:
        return np.ones(rows, np.bool_) if not pa.types.is_null(column.type) else np.zeros(rows, np.bool_)
    first = column.offset // 8
    found = np.unpackbits(np.frombuffer(bits, np.uint8)[first : (column.offset + rows + 7) // 8], bitorder="little")
    at = column.offset - 8 * first
    return found[at : at + rows].view(np.bool_)


def row_ids(column: pa.Array) -> npt.NDArray[Any]:
    """Row ids as two rows of numbers, high halves and low ones; they compare as the ids do. Big-endian, over the same memory."""
    halves = np.frombuffer(column.buffers()[1], ">u8", 2 * len(column), 16 * column.offset) if len(column) else np.empty(0, ">u8")
    return halves.reshape(-1, 2).T


_LARGE = 64  # values in a row, on average, from which on lists are copied run by run


def spread(column: pa.Array, source: npt.NDArray[np.integer[Any]], at: npt.NDArray[np.integer[Any]], total: int) -> pa.Array:
    """Rows of a column at some places of a longer one, which is null elsewhere.

    Parameters
    ----------
    column
        An array; lists that come in order are not copied, and never value by value, as pyarrow's ``take`` does it.
    source
        Which rows, in the order wanted. None of them is null.
    at
        Where each of them goes, ascending.
    total
        Rows of the result.

    """
    count = len(source)
    if not count:
        return pa.nulls(total, column.type)
    breaks = np.flatnonzero(np.diff(source) != 1) + 1
    if not len(breaks) and count == total:
        return column.slice(int(source[0]), total)
    is_list = pa.types.is_list(column.type)
    if is_list:
        offsets = np.frombuffer(column.buffers()[1], np.int32, len(column) + 1, 4 * column.offset)
        is_large = int(offsets[-1] - offsets[0]) > _LARGE * len(column) or pa.types.is_nested(column.type.value_type)
    if not is_list or (len(breaks) and not is_large):
        indices = np.zeros(total, np.int64)
        indices[at] = source
        return column.take(of_ints(indices, absent=_absent(at, total) if count < total else None))
    values = column.values  # without the array's own offset
    if len(breaks):
        firsts, ends = source[np.r_[0, breaks]], source[np.r_[breaks - 1, count - 1]] + 1
        values = pa.concat_arrays([values[offsets[a] : offsets[b]] for a, b in zip(firsts.tolist(), ends.tolist(), strict=True)])
        lengths = offsets[source + 1] - offsets[source]
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    else:
        starts = offsets[source[0] : source[0] + count + 1]
    before = np.zeros(total + 1, np.int64)  # rows that are there before each place
    before[1:][at] = 1
    np.cumsum(before, out=before)
    validity = pa.py_buffer(np.packbits(~_absent(at, total), bitorder="little")) if count < total else None
    return pa.Array.from_buffers(column.type, total, [validity, pa.py_buffer(starts[before].astype(np.int32))], total - count, 0, [values])


def _absent(at: npt.NDArray[np.integer[Any]], total: int) -> npt.NDArray[np.bool_]:
    absent = np.ones(total, np.bool_)
    absent[at] = False
    return absent


def union(sorted_arrays: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """All values of several ascending arrays, ascending and once; the own function of NumPy hashes, which takes ten times as long."""
    first, *others = sorted_arrays
    values = first if all(np.array_equal(first, other) for other in others) else np.sort(np.concatenate(sorted_arrays), kind="stable")
    keep = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=keep[1:])
    return values if keep.all() else values[keep]
