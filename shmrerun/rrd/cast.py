"""Arrow arrays of another type, null where a value has no equal in it.

Source: ``cast_to`` of lenses of rerun-sdk 0.41, by experiment. pyarrow's own ``cast`` raises, or wraps numbers, where a value has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shmrerun.rrd.arrays import valid


def cast(array: pa.Array, to: pa.DataType) -> pa.Array:
    """An array's values in another type.

    Parameters
    ----------
    array
        Of any type.
    to
        Numbers become numbers, truncated; texts are read as numbers or times; lists and structs become others, value by value; what is
        no list becomes lists of one; structs go by the names of their fields, or, where these differ, by their order.

    Raises
    ------
    ValueError
        There is no such cast, or a value that may not be null would be.

    """
    if array.type == to:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), to)
    if pa.types.is_list(to) or pa.types.is_fixed_size_list(to):
        return _to_lists(array, to)
    if pa.types.is_struct(to) and pa.types.is_struct(array.type):
        return _to_struct(array, to)
    if pa.types.is_nested(array.type) or pa.types.is_nested(to):
        raise ValueError(f"{array.type} cannot become {to}")
    if pa.types.is_floating(array.type) and pa.types.is_temporal(to):
        array = cast(array, pa.int64())
    if pa.types.is_integer(to) and (pa.types.is_floating(array.type) or pa.types.is_integer(array.type)):
        array = _within(array, to)
    try:
        return pc.cast(array, to, safe=not pa.types.is_primitive(array.type))
    except pa.ArrowNotImplementedError as error:
        raise ValueError(f"{array.type} cannot become {to}: {error}") from None
    except pa.ArrowInvalid:
        return pa.array([_one(value, to) for value in array], to)


def _one(value: pa.Scalar, to: pa.DataType) -> Any:
    try:
        return value.cast(to)
    except pa.ArrowInvalid:
        return None


def _within(array: pa.Array, to: pa.DataType) -> pa.Array:
    """The values that a type of whole numbers has, less the others."""
    has_sign = pa.types.is_signed_integer(to)
    least, most = (-(2 ** (to.bit_width - 1)), 2 ** (to.bit_width - 1)) if has_sign else (0, 2**to.bit_width)
    values = np.asarray(array.fill_null(0))
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            fits = (np.trunc(values) >= least) & (values < most)
    else:
        bounds = np.iinfo(values.dtype)
        fits = (values >= max(least, bounds.min)) & (values <= min(most - 1, bounds.max))
    return array if fits.all() else pc.if_else(pa.array(fits), array, pa.scalar(None, array.type))


def _checked(values: pa.Array, is_used: np.ndarray[Any, Any], field: pa.Field) -> pa.Array:
    """Values for a field. ValueError: one that is used is null, and it has none."""
    if not field.nullable and values.null_count and not valid(values)[is_used].all():
        raise ValueError(f"the field {field.name!r} has no nulls, but a value would be null")
    return values


def _bits(is_there: np.ndarray[Any, Any]) -> pa.Buffer | None:
    return None if is_there.all() else pa.py_buffer(np.packbits(is_there, bitorder="little"))


def _to_lists(array: pa.Array, to: pa.DataType) -> pa.Array:
    is_there = valid(array)
    rows = len(array)
    if pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        starts, lengths, values = _spans(array)
    elif pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        raise ValueError(f"{array.type} cannot become {to}")
    else:
        starts, lengths, values = np.arange(rows), np.ones(rows, np.int64), array
        is_there = np.ones(rows, np.bool_)
    values = cast(values, to.value_type)
    if pa.types.is_fixed_size_list(to):
        size = to.list_size
        is_there = is_there & (lengths == size)
        at = (np.where(is_there, starts, 0)[:, None] + np.arange(size)).ravel()
        used = np.repeat(is_there, size)
        if not (len(at) == len(values) and (at[used] == np.arange(len(at))[used]).all()):
            values = values.take(pa.array(at, mask=~used))
        return pa.Array.from_buffers(to, rows, [_bits(is_there)], -1, 0, [_checked(values, used, to.value_field)])
    lengths = np.where(is_there, lengths, 0)
    at = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    values = _checked(values.take(pa.array(at)), np.ones(len(at), np.bool_), to.value_field)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.Array.from_buffers(to, rows, [_bits(is_there), pa.py_buffer(offsets)], -1, 0, [values])


def _spans(lists: pa.Array) -> tuple[Any, Any, pa.Array]:
    """Where each list begins, how many values it has, and all values."""
    if pa.types.is_fixed_size_list(lists.type):
        size = lists.type.list_size
        return (lists.offset + np.arange(len(lists))) * size, np.full(len(lists), size), lists.values
    if not len(lists):
        return np.empty(0, np.int64), np.empty(0, np.int64), lists.values
    bounds = np.frombuffer(lists.buffers()[1], np.int32, len(lists) + 1, 4 * lists.offset).astype(np.int64)
    return bounds[:-1], bounds[1:] - bounds[:-1], lists.values


def _to_struct(array: pa.Array, to: pa.DataType) -> pa.Array:
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    wanted = list(to)
    if all(field.name in names for field in wanted):
        order = [names.index(field.name) for field in wanted]
    elif len(wanted) <= len(names):
        order = list(range(len(wanted)))
    else:
        raise ValueError(f"{array.type} cannot become {to}")
    is_there = valid(array)
    children = [_checked(cast(array.field(i), field.type), is_there, field) for i, field in zip(order, wanted, strict=True)]
    return pa.Array.from_buffers(to, len(array), [_bits(is_there)], -1, 0, children)
