"""Converters of what is more than numbers and texts: strips, rotations, matrices, pairs, coefficients.

Source: rules observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING

from shmrerun.errors import report
from shmrerun.model.convert.buffers import ZERO_OFFSET, as_numpy, offsets_of, pack_offsets, span, when_numpy
from shmrerun.model.convert.converters import EMPTY, EMPTY_TEXT, TENSOR_VARIANTS, Converter, texts, vectors
from shmrerun.model.convert.enums import code_of
from shmrerun.model.tables.components import arrow_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from shmrerun.model.convert.buffers import Quick

    Parts = tuple[Any, ...]

_COEFFICIENTS = 45
_PLAIN = (int, float, list, tuple)


def strips(size: int, dtype: str = "float32", name: str = "Vec") -> Converter:
    """Make the converter of line strips: one strip (rows of ``size`` numbers), or a sequence of strips."""
    points = vectors(size, dtype)
    code = "d" if dtype == "float64" else "f"

    def columns(parts: list[Parts]) -> Parts:
        """Join the strips, each converted as points."""
        if len(parts) == 1:
            count, _, numbers, _, data = parts[0]
            return 1, None, pack_offsets(0, count), count, None, numbers, None, data
        total = sum(part[0] for part in parts)
        data = b"".join([memoryview(part[4]).cast("B") if part[0] else b"" for part in parts])
        return (
            len(parts), None, offsets_of([part[0] for part in parts]), total, None, total * size, None, data,
        )  # fmt: skip

    def convert(value: Any) -> Parts:
        if hasattr(value, "_value") and hasattr(value, "_converter"):
            value = value._value
        if hasattr(value, "detach") or (hasattr(value, "__array__") and not isinstance(value, list | tuple)):
            value = as_numpy(value)
            if value.ndim and not len(value):
                return empty
            if value.ndim < 2:
                raise TypeError(f"object of type 'numpy.{value.dtype}' has no len()")
            if value.ndim == 2:
                return columns([one(value)])
            return columns([one(item) if len(item) else points.empty for item in value])
        if not hasattr(value, "__len__"):
            raise TypeError(f"expected a sequence of points or of strips, got {type(value).__name__}")
        if not len(value):
            return empty
        if _is_point(value[0]):  # one strip
            if len(value[0]) != size:
                raise ValueError(
                    f"Expected a sequence of sequences of {size}D vectors, but the inner sequence length was not equal to {size}."
                )
            return columns([one(value)])
        for item in value:
            shape = getattr(item, "shape", None)  # numbers of NumPy have one as well
            if shape is not None and hasattr(item, "__len__") and not (len(shape) == 2 and shape[1] == size):
                raise ValueError(f"Expected a sequence of {size}D vectors, instead got array with shape {tuple(shape)}.")
        return columns([one(item._value if hasattr(item, "_value") else item) for item in value])

    def one(value: Any) -> Parts:
        """Convert one strip; an error is a warning, and the strip is empty."""
        try:
            return points.convert(value)
        except Exception as error:
            report(f"{name}{size}DBatch", error)
            return points.empty

    def rows(value: Any) -> Parts:
        """Convert plain lists of numbers without NumPy: a strip, or strips of any length; arrays of points as well."""
        first = value[0]
        kind = type(first)
        if kind is list or kind is tuple:
            inner = first[0]
            if type(inner) is float or type(inner) is int:
                if set(map(len, value)) != {size}:
                    raise TypeError
                count = len(value)
                data = array(code, chain.from_iterable(value))
                return 1, None, pack_offsets(0, count), count, None, count * size, None, data
            lengths = list(map(len, value))
            flat = list(chain.from_iterable(value))
            if flat and set(map(len, flat)) != {size}:
                raise TypeError
            data = array(code, chain.from_iterable(flat))
            count = len(flat)
            return len(lengths), None, offsets_of(lengths), count, None, count * size, None, data
        return columns([arrays[kind](item) for item in value if item.ndim == 2 or _refuse()])

    def of_array(value: Any) -> Parts:
        if value.ndim != 2 or value.shape[1] != size or not value.size:
            raise TypeError
        return columns([arrays[type(value)](value)])

    arrays = points.quick
    empty: Parts = (0, None, ZERO_OFFSET, 0, None, *EMPTY)
    quick: Quick = {list: rows, tuple: rows}
    when_numpy(quick, of_array)
    return Converter(convert, empty, 0, quick)


def _refuse() -> bool:
    raise TypeError


def _is_point(value: Any) -> bool:
    """Tell a point from a strip: its first item is a number (or it is a 1-D array)."""
    if hasattr(value, "ndim"):
        return bool(value.ndim == 1)
    if hasattr(value, "_value"):
        return hasattr(value, "__array__") and not hasattr(value, "points") and not hasattr(value, "lat_lon")
    return isinstance(value, list | tuple) and bool(value) and not hasattr(value[0], "__len__")


def matrices(size: int) -> Converter:
    """Make the converter of square matrices: given as rows (flat, nested, several), kept as columns."""
    pack = Struct(f"<{size * size}f").pack
    order = [column + size * row for column in range(size) for row in range(size)]

    def convert(value: Any) -> Parts:
        import numpy as np

        if hasattr(value, "flat_columns"):
            return value._parts()  # type: ignore[no-any-return]
        if len(value) == 0:
            return empty
        if isinstance(value, list | tuple) and any(hasattr(item, "flat_columns") for item in value):
            value = [np.asarray(item) if hasattr(item, "flat_columns") else _square(item, size) for item in value]
        values = as_numpy(value, np.float32)
        if values.size != size * size and (values.ndim < 2 or not values.size or values[0].size != size * size):
            values.reshape(size, size)  # raises, and says what was wrong
        values = values.reshape(-1, size, size).transpose(0, 2, 1)
        return len(values), None, values.size, None, span(values)

    def rows(value: Any) -> Parts:
        if type(value[0]) not in _PLAIN:  # matrices perhaps, which are turned already
            raise TypeError
        if len(value) == size * size:
            flat = value
        elif set(map(len, value)) == {size}:
            flat = [*chain.from_iterable(value)]
        else:
            raise TypeError
        return 1, None, size * size, None, pack(*[flat[at] for at in order])

    def of_array(value: Any) -> Parts:
        if value.shape == (size, size) and value.dtype.char in "fd":
            return 1, None, size * size, None, pack(*value.T.reshape(-1).tolist())
        return convert(value)

    empty: Parts = (0, None, *EMPTY)
    quick: Quick = {list: rows, tuple: rows}
    when_numpy(quick, of_array)
    return Converter(convert, empty, size * size, quick)


def _square(value: Any, size: int) -> Any:
    import numpy as np

    return as_numpy(value, np.float32).reshape(size, size)


def axis_angles(value: Any) -> Parts:
    """Convert RotationAxisAngle objects: one, or an iterable of them."""
    if hasattr(value, "axis"):
        value = (value,)
    items = list(value)
    if len(items) == 1 and hasattr(items[0], "_parts"):
        axis = items[0].axis._value
        if len(axis) == 3:
            return items[0]._parts()  # type: ignore[no-any-return]
    if items and all(hasattr(item, "_parts") and len(item.axis._value) == 3 for item in items):
        count = len(items)
        numbers = 3 * count
        data = b"".join([item.axis._value for item in items])
        return count, None, count, None, numbers, None, data, count, None, array("f", [item.angle.radians for item in items])
    count, _, numbers, _, data = vectors(3).convert([tuple(as_numpy(item.axis)) for item in items])
    angles = array("f", [float(getattr(item.angle, "radians", item.angle)) for item in items])
    return len(items), None, count, None, numbers, None, data, len(angles), None, angles


_VIEW_EMPTY: Parts = (0, None, *EMPTY)


def view_codes(value: Any) -> list[int]:
    """Return the codes of the three directions of what is given as view coordinates.

    Raises
    ------
    ValueError
        Not three directions.
    """
    if hasattr(value, "coordinates"):
        value = value.coordinates
    codes = [code_of("ViewDir", item) if isinstance(item, str) else int(getattr(item, "value", item)) for item in value]
    if len(codes) != 3 or not all(1 <= code <= 6 for code in codes):
        raise ValueError("coordinates must be an iterable of ViewDir values")
    return codes


def views(value: Any) -> Parts:
    """Convert view coordinates: three directions, a ViewCoordinates, or a sequence of those."""
    several = not hasattr(value, "coordinates") and len(value) and not isinstance(value, str)
    first = value[0] if several else None
    if hasattr(first, "coordinates") or (hasattr(first, "__len__") and not isinstance(first, str)):
        codes = [view_codes(item) for item in value]
    else:
        codes = [view_codes(value)] if hasattr(value, "coordinates") or len(value) else []
    return len(codes), None, 3 * len(codes), None, bytes(chain.from_iterable(codes))


def harmonics(value: Any) -> Parts:
    """Convert coefficients of spherical harmonics: shape (..., 15, 3) or (..., 45), coefficient-major, or flat."""
    import numpy as np

    if hasattr(value, "coefficients"):
        value = value.coefficients
    values = as_numpy(value, np.float16)
    shape = values.shape
    fits = shape[-2:] == (15, 3) or (len(shape) and (shape[-1] == _COEFFICIENTS or shape == (0,)))
    if not fits and not (len(shape) == 1 and values.size % _COEFFICIENTS == 0):
        raise ValueError(
            "Expected spherical harmonics coefficients of shape (\u2026, 15, 3) or (\u2026, 45), coefficient-major. "
            f"Shape of the passed array was {shape}."
        )
    count = values.size // _COEFFICIENTS
    return count, None, count * 15, None, values.size, None, span(values)


def pair_of(value: Any) -> tuple[str, str]:
    """Return the two texts of an object with ``first`` and ``second``, or of a sequence of two.

    Raises
    ------
    ValueError
        Something else.
    """
    if hasattr(value, "first") and hasattr(value, "second"):
        return str(value.first), str(value.second)
    if hasattr(value, "__len__") and len(value) == 2:
        return str(value[0]), str(value[1])
    raise ValueError(f"Cannot convert {type(value)} to Utf8Pair")


def _pair_parts(items: Sequence[tuple[str, str]]) -> Parts:
    return len(items), None, *texts([first for first, _ in items]), *texts([second for _, second in items])


def _text_pairs(value: Any) -> Parts:
    """Convert tuples and lists of two plain texts."""
    if set(map(len, value)) != {2} or not {tuple, list}.issuperset(map(type, value)):
        raise TypeError
    both = list(chain.from_iterable(value))
    if set(map(type, both)) != {str}:
        raise TypeError
    return len(value), None, *texts(both[::2]), *texts(both[1::2])


def pairs(value: Any) -> Parts:
    """Convert pairs of texts: one with ``first`` and ``second``, or an iterable of those and of sequences of two."""
    if hasattr(value, "first") and hasattr(value, "second"):
        value = (value,)
    return _pair_parts([pair_of(item) for item in value])


def _map_of(value: Any) -> list[tuple[str, str]]:
    """Return the pairs of one set of keys and values."""
    if hasattr(value, "pairs"):
        value = value.pairs
    if isinstance(value, Mapping):
        value = value.items()
    elif not isinstance(value, list):
        raise ValueError(f"Cannot convert {type(value)} to `KeyValuePairs`")  # noqa: TRY004  as in Rerun
    return [pair_of(item) for item in value]


def key_values(value: Any) -> Parts:
    """Convert keys with values: a mapping, or a sequence of mappings and of lists of pairs, one a column's value."""
    several = isinstance(value, list | tuple)
    maps = [_map_of(item) for item in value] if several else [_map_of(value)]
    return (
        len(maps), None, offsets_of([len(items) for items in maps]), *_pair_parts([*chain.from_iterable(maps)]),
    )  # fmt: skip


def shorts(values: Sequence[int]) -> bytes:
    """Pack numbers of 16 bits. OverflowError: one does not fit."""
    for value in values:
        if not 0 <= value < 65536:
            raise OverflowError(f"Python integer {value} out of bounds for uint16")
    return array("H", values).tobytes()


def channel_counts(value: Any) -> Parts:
    """Convert the numbers of messages of the channels of one file: a mapping, or pairs."""
    if hasattr(value, "counts"):
        value = value.counts
    items = list(value.items() if isinstance(value, Mapping) else value)
    both = [(item.channel_id, item.message_count) if hasattr(item, "channel_id") else item for item in items]
    count = len(both)
    ids = shorts([int(channel) for channel, _ in both])
    numbers = array("Q", [int(number) for _, number in both])
    return 1, None, pack_offsets(0, count), count, None, count, None, ids, count, None, numbers


def video_times(value: Any) -> Parts:
    """Convert times in a video: whole nanoseconds, VideoTimestamp objects, or sequences of them."""
    if type(value) is int:
        return 1, None, value.to_bytes(8, "little", signed=True)
    import numpy as np

    if not isinstance(value, list | tuple):
        number = not getattr(value, "shape", ()) and not isinstance(value, np.datetime64 | np.timedelta64)
        values = np.array([int(value)], np.int64) if number else as_numpy(value).astype(np.int64)
    elif any(hasattr(item, "__len__") for item in value):
        values = np.asarray(value, np.int64)
    else:
        values = np.array([int(item) for item in value], np.int64)
    return values.size, None, span(values)


def _generic(name: str) -> Converter:
    """Make a converter by pyarrow: for values that no archetype has."""

    def convert(value: Any) -> Parts:
        import pyarrow as pa

        from shmrerun.model.arrow_types import parse_type, parts_of

        items = value if isinstance(value, list | tuple) else [value]
        return parts_of(_array([_plain(item) for item in items], parse_type(arrow_of(name)), pa))

    def empty() -> Parts:
        import pyarrow as pa

        from shmrerun.model.arrow_types import parse_type, parts_of

        return parts_of(_array([], parse_type(arrow_of(name)), pa))

    return Converter(convert, empty(), 0, {})


def _plain(value: Any) -> Any:
    """Return a value as dicts, lists and numbers, by the names of its fields."""
    names: tuple[str, ...] = getattr(value, "_fields", ())
    if hasattr(value, "inner"):  # of a union
        return value
    if not names:  # an object of rerun-sdk, perhaps
        names = tuple(field.name for field in getattr(type(value), "__attrs_attrs__", ()))
    if len(names) == 1 and not isinstance(value, str):
        return _plain(getattr(value, names[0]))
    if names and not isinstance(value, str):
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


_ENDS = {"cursor_relative": 1, "absolute": 2, "infinite": 3}


def _arm(item: Any) -> tuple[int, Any]:
    """Code and value of an item of a union."""
    if hasattr(item, "kind"):
        return _ENDS[item.kind], None if item.inner is None else int(item.inner)
    variant = item.inner.dtype.newbyteorder("=").str[1:]
    return TENSOR_VARIANTS.index(variant) + 1, item.inner.reshape(-1)


def _array(items: list[Any], kind: Any, pa: Any) -> Any:
    """Make an array of plain values; pyarrow cannot make those with unions inside."""
    if pa.types.is_union(kind):
        fields = [kind.field(at) for at in range(kind.num_fields)]
        codes: list[int] = []
        offsets: list[int] = []
        arms: list[list[Any]] = [[] for _ in fields]
        for item in items:
            code, value = _arm(item)
            codes.append(code)
            offsets.append(len(arms[code]))
            arms[code].append(value)
        children = [pa.array(arm, field.type) for arm, field in zip(arms, fields, strict=True)]
        made = pa.UnionArray.from_dense(
            pa.array(codes, pa.int8()), pa.array(offsets, pa.int32()), children, [field.name for field in fields]
        )
        return pa.Array.from_buffers(kind, len(made), made.buffers()[:3], children=children)
    if pa.types.is_struct(kind):
        fields = list(kind)
        return pa.StructArray.from_arrays([_array([item[field.name] for item in items], field.type, pa) for field in fields], fields=fields)
    return pa.array(items, kind)


def make(name: str) -> Converter:
    """Make the converter of this name. KeyError: there is none."""
    simple = _SIMPLE.get(name)
    if simple is not None:
        convert, empty, width, kinds = simple
        quick: Quick = {list: _text_pairs} if name == "pair" else dict.fromkeys(kinds, convert)
        return Converter(convert, empty, width, quick)
    builder = _BUILDERS.get(name)
    return builder() if builder is not None else _generic(name)


_PAIRS_EMPTY: Parts = (0, None, *EMPTY_TEXT, *EMPTY_TEXT)
_COUNTS_EMPTY: Parts = (0, None, ZERO_OFFSET, 0, None, *EMPTY, *EMPTY)
_SIMPLE: dict[str, tuple[Callable[[Any], Parts], Parts, int, tuple[type, ...]]] = {
    "axis_angle": (axis_angles, (0, None, 0, None, *EMPTY, *EMPTY), 0, (list,)),
    "channel_counts": (channel_counts, _COUNTS_EMPTY, 0, ()),
    "harmonics": (harmonics, (0, None, 0, None, *EMPTY), 45, ()),
    "key_values": (key_values, (0, None, ZERO_OFFSET, *_PAIRS_EMPTY), 0, (dict,)),
    "pair": (pairs, _PAIRS_EMPTY, 0, ()),
    "video_time": (video_times, EMPTY, 1, (int,)),
    "view": (views, _VIEW_EMPTY, 3, ()),
}
_BUILDERS: dict[str, Callable[[], Converter]] = {
    "geo_strips": lambda: strips(2, "float64", "DVec"),
    "mat3": lambda: matrices(3),
    "mat4": lambda: matrices(4),
    "strips2": lambda: strips(2),
    "strips3": lambda: strips(3),
}
