"""Values without an archetype of their own: AnyValues, DynamicArchetype.

What a component holds is inferred from the first value that the process sees for its descriptor, and remembered: later
values are converted to that type. Plain numbers, texts and flat lists of numbers need neither NumPy nor pyarrow.

Source: rules observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING

from shmrerun.errors import report
from shmrerun.model.batches import ComponentColumn, ComponentColumnList, ComponentDescriptor, FieldBatch, OwnRow
from shmrerun.model.parts import Column, ColumnSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Self

    import pyarrow as pa

    from shmrerun.model.batches import DescribedComponentBatch

    Parts = tuple[Any, ...]
    Key = tuple[str, str | None, str | None]

_PREFIX = "rerun.archetypes."
_int64 = Struct("<q").pack
_float64 = Struct("<d").pack
_offsets = Struct("<ii").pack

_types: dict[Key, str] = {}  # the Arrow type that each descriptor has in this process


def _quick(value: Any) -> tuple[str, Parts] | None:
    """Arrow type and parts of plain values; None: pyarrow has to look."""
    kind = type(value)
    if kind is float:
        return "double", (1, None, _float64(value))
    if kind is int:
        return ("int64", (1, None, _int64(value))) if -(2**63) <= value < 2**63 else None
    if kind is bool:
        return "bool", (1, None, b"\1" if value else b"\0")
    if kind is str and value:
        raw = value.encode()
        return "string", (1, None, _offsets(0, len(raw)), raw)
    if kind is bytes and value:
        return "binary", (1, None, _offsets(0, len(value)), value)
    if (kind is list or kind is tuple) and value:
        kinds = set(map(type, value))
        if kinds == {float}:
            return "double", (len(value), None, array("d", value))
        if kinds == {int}:
            try:
                return "int64", (len(value), None, array("q", value))
            except OverflowError:
                return None
    return None


def _cell(key: Key, value: Any, *, drop: bool, rows: bool = False) -> tuple[Column, Parts] | None:
    """Column and parts of one value, or of the rows of a column; None: nothing to log. An error is that and a warning, unless strict."""
    try:
        known = _types.get(key)
        quick = None if rows else _quick(value)
        if quick is not None and (known is None or known == quick[0]):
            arrow, parts = quick
            _types[key] = arrow
            return Column(*key, arrow), parts
        made = _rows(key, value, drop=drop) if rows else _infer(key, value, drop=drop)
    except Exception as error:
        report(f"Converting data for '{key[0]}'", error)
        return None
    if made is None:
        return None
    from shmrerun.model.arrow_types import parts_of, type_text

    return Column(*key, type_text(made.type)), parts_of(made)


def _infer(key: Key, value: Any, *, drop: bool) -> pa.Array | None:
    """Make an Arrow array of a value, of the type that the descriptor has, which is remembered if it is the first."""
    import pyarrow as pa

    from shmrerun.model.arrow_types import parse_type, type_text

    if isinstance(value, pa.Array):
        return value
    if isinstance(value, pa.ChunkedArray):
        return pa.concat_arrays(value.chunks) if value.num_chunks else pa.array([], value.type)
    if hasattr(value, "as_arrow_array"):
        return value.as_arrow_array()
    text = _types.get(key)
    kind = None if text is None else parse_type(text)
    shape = getattr(value, "shape", None)
    if value is None or (hasattr(value, "__len__") and shape != () and len(value) == 0):
        if kind is not None:
            return pa.array([], kind)
        if drop:
            return None
        raise ValueError(f"Cannot convert {value} to arrow array without an explicit type")
    made = _convert(value, None if pa.types.is_integer(kind or pa.null()) else kind)
    if kind is not None and made.type != kind:
        made = _whole(value, made, kind)
    if kind is None and not pa.types.is_null(made.type):
        _types[key] = type_text(made.type)
    return made


def _whole(value: Any, made: pa.Array, kind: Any) -> pa.Array:
    """Return numbers as integers of a type that is known; fractions and anything else than numbers are a ValueError."""
    import pyarrow as pa

    numbers = pa.types.is_integer(made.type) or pa.types.is_floating(made.type) or pa.types.is_boolean(made.type)
    try:
        if numbers or pa.types.is_null(made.type):
            return made.cast(kind)
    except pa.ArrowInvalid:
        pass
    if hasattr(value, "__len__") and not isinstance(value, str | bytes):
        raise ValueError(f"Cannot convert {value} to arrow array of type {kind}.")
    if numbers:
        raise ValueError(f"Cannot convert [{value}] to arrow array of type {kind}.")
    raise ValueError(f"Cannot convert value {value} to arrow array of type {kind}. Inconsistent with previous type provided.")


def _convert(value: Any, kind: Any) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    from shmrerun.model.convert.buffers import as_numpy

    if hasattr(value, "__dlpack__") or hasattr(value, "detach"):
        value = as_numpy(value)
        if value.ndim == 0:
            value = value.reshape(1)
    elif not isinstance(value, str | bytes):
        try:
            return pa.array(value, type=kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError):
            pass  # one value perhaps
    if not isinstance(value, np.ndarray):
        try:
            scalar = pa.scalar(value, type=kind)
            return pa.array([scalar.as_py()], type=scalar.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, ValueError):
            pass
    flat = np.atleast_1d(np.asarray(value))
    try:
        return pa.array(flat, type=kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise ValueError(f"Cannot convert {flat} to arrow array of type {kind}.") from None
    except pa.ArrowNotImplementedError:
        raise ValueError(f"Cannot convert value {value} to arrow array of type {kind}. Inconsistent with previous type provided.") from None


def _rows(key: Key, value: Any, *, drop: bool) -> pa.Array | None:
    """Make an Arrow array of rows: nested data are lists, whose items are of the type that the descriptor has."""
    import pyarrow as pa

    from shmrerun.model.arrow_types import parse_type, type_text

    nested = isinstance(value, list | tuple) and value and hasattr(value[0], "__len__")
    if not nested or isinstance(value[0], str | bytes | dict):
        return _infer(key, value, drop=drop)
    made = _convert(value, None)
    if pa.types.is_list(made.type):
        text = _types.setdefault(key, type_text(made.type.value_type))
        if text != type_text(made.type.value_type):
            made = made.cast(pa.list_(parse_type(text)))
    return made


def _column(key: Key, value: Any, *, drop: bool) -> ComponentColumn | None:
    """Rows of one component: a value a row, or a list a row where the data are nested."""
    try:
        import pyarrow as pa

        from shmrerun.model.arrow_types import parse_type, parts_of, type_text

        made = _rows(key, value, drop=drop)
        if made is None:
            return None
        offsets = None
        if pa.types.is_list(made.type):
            lengths = made.value_lengths().fill_null(0).to_pylist()
            offsets = [0]
            for length in lengths:
                offsets.append(offsets[-1] + length)
            made = made.flatten()
            text = _types.setdefault(key, type_text(made.type))
            if text != type_text(made.type):
                made = made.cast(parse_type(text))
    except Exception as error:
        report(f"Converting data for '{key[0]}'", error)
        return None
    batch = FieldBatch(Column(*key, type_text(made.type)), parts_of(made))
    return ComponentColumn(ComponentDescriptor(*key), batch, offsets=offsets)


class AnyBatchValue:
    """Values of one component of any type, inferred as for :class:`AnyValues`.

    Parameters
    ----------
    descriptor : ComponentDescriptor or str
        What the values are.
    value
        One value, or an iterable of them.
    drop_untyped_nones : bool
        Whether None and empty values of a type not yet known are dropped in silence.
    expect_column : bool
        Whether the values are rows of a column: nested ones are lists of the remembered type, one a row.
    """

    __slots__ = ("_cell", "_descriptor")

    def __init__(
        self,
        descriptor: str | ComponentDescriptor,
        value: Any,
        *,
        drop_untyped_nones: bool = True,
        expect_column: bool = False,
    ) -> None:
        self._descriptor = ComponentDescriptor(descriptor) if isinstance(descriptor, str) else descriptor
        self._cell = _cell(_key(self._descriptor), value, drop=drop_untyped_nones, rows=expect_column)

    def is_valid(self) -> bool:
        """Tell whether there is something to log."""
        return self._cell is not None

    def component_descriptor(self) -> ComponentDescriptor:
        """Return the descriptor."""
        return self._descriptor

    def as_arrow_array(self) -> pa.Array | None:
        """Return the values, or None."""
        return None if self._cell is None else FieldBatch(*self._cell).as_arrow_array()

    @classmethod
    def column(cls, descriptor: str | ComponentDescriptor, value: Any, drop_untyped_nones: bool = True) -> ComponentColumn | None:
        """Make a column for ``send_columns``, or None."""
        found = ComponentDescriptor(descriptor) if isinstance(descriptor, str) else descriptor
        return _column(_key(found), value, drop=drop_untyped_nones)


def _key(descriptor: Any) -> Key:
    return descriptor.component, descriptor.archetype, descriptor.component_type


class _Values(OwnRow):
    """Components of any type."""

    __slots__ = ("_archetype", "_found")
    _archetype: str | None

    def __init__(self) -> None:
        self._archetype = None
        self._found: list[tuple[Column, Parts]] = []

    @staticmethod
    def _named(archetype: str | None, field: str, component_type: str | None = None) -> Key:
        if not archetype:
            return field, None, component_type
        return f"{archetype.removeprefix(_PREFIX)}:{field}", archetype, component_type

    def _add(self, key: Key, value: Any, *, drop: bool) -> None:
        cell = _cell(key, value, drop=drop)
        if cell is not None:
            self._found.append(cell)

    def _add_all(self, components: Mapping[str, Any] | Iterable[tuple[str, Any]], drop: Any) -> None:
        if not isinstance(drop, bool):
            error = ValueError(
                f"{type(self).__name__} takes components by name only; drop_untyped_nones must be a bool, got {type(drop).__name__}"
            )
            report(type(self).__name__, error)
            return
        for name, value in dict(components).items():
            self._add(self._named(self._archetype, name), value, drop=drop)

    def _row(self) -> tuple[ColumnSet, Parts]:
        columns = []
        flat: Parts = ()
        for column, parts in self._cells():
            columns.append(column)
            flat += parts
        return ColumnSet(tuple(columns)), flat

    def _cells(self) -> Iterator[tuple[Column, Parts]]:
        if not self._found:
            report(type(self).__name__, ValueError("No valid component batches to return."))
        return iter(self._found)

    def as_component_batches(self) -> list[DescribedComponentBatch]:
        """Return the components that there are."""
        return [FieldBatch(column, parts).described() for column, parts in self._cells()]

    def with_component_override(self, field: str, component_type: str, value: Any, *, drop_untyped_nones: bool = True) -> Self:
        """Add a component that has a component type; return self."""
        self._add(self._named(self._archetype, field, component_type), value, drop=drop_untyped_nones)
        return self


class AnyValues(_Values):
    """Values of any type, each a component by the name of its argument.

    Parameters
    ----------
    drop_untyped_nones : bool
        Whether None and empty values of a type not yet known are dropped in silence (else with a warning).
    **kwargs
        One value or an iterable of values each: numbers, texts, bytes, times, arrays, batches, Arrow arrays, dicts in
        lists. Anything else is warned about, or raised in strict mode.

    Notes
    -----
    The first value of a name sets its type for the process: 1 makes it int64, after which 1.5 is refused.

    Examples
    --------
    >>> AnyValues(confidence=0.5, note="ok").component_batches[0].as_arrow_array().to_pylist()
    [0.5]
    """

    __slots__ = ()

    def __init__(self, drop_untyped_nones: bool = True, **kwargs: Any) -> None:
        super().__init__()
        self._add_all(kwargs, drop_untyped_nones)

    def with_component_from_data(self, descriptor: str, value: Any, *, drop_untyped_nones: bool = True) -> Self:
        """Add a component by its name; return self."""
        self._add(self._named(None, descriptor), value, drop=drop_untyped_nones)
        return self

    @property
    def component_batches(self) -> list[DescribedComponentBatch]:
        """The components that there are, without a warning if there are none."""
        return [FieldBatch(column, parts).described() for column, parts in self._found]

    @classmethod
    def columns(cls, drop_untyped_nones: bool = True, **kwargs: Any) -> ComponentColumnList:
        """Make columns for ``send_columns``: one row a value, or a list a row where the data are nested."""
        made = [_column((name, None, None), value, drop=drop_untyped_nones) for name, value in kwargs.items()]
        return ComponentColumnList(column for column in made if column is not None)


class DynamicArchetype(_Values):
    """Values of any type, as the components of an archetype that the user names.

    Parameters
    ----------
    archetype : str
        Its name; ``rerun.archetypes.`` is left out of the components' names.
    drop_untyped_nones : bool
        Whether None and empty values of a type not yet known are dropped in silence (else with a warning).
    components : mapping, optional
        Values by the names of the fields; as for :class:`AnyValues`.
    """

    __slots__ = ()

    def __init__(self, archetype: str, drop_untyped_nones: bool = True, components: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        if not isinstance(archetype, str):
            report("DynamicArchetype", TypeError(f"archetype must be a str, got {type(archetype).__name__}"))
            return
        self._archetype = archetype
        self._add_all(components or {}, drop_untyped_nones)

    def with_component_from_data(self, field: str, value: Any, *, drop_untyped_nones: bool = True) -> Self:
        """Add a component by the name of its field; return self."""
        self._add(self._named(self._archetype, field), value, drop=drop_untyped_nones)
        return self

    @classmethod
    def columns(cls, archetype: str, drop_untyped_nones: bool = True, components: Mapping[str, Any] | None = None) -> ComponentColumnList:
        """Make columns for ``send_columns``: one row a value, or a list a row where the data are nested."""
        made = [_column(cls._named(archetype, name), value, drop=drop_untyped_nones) for name, value in (components or {}).items()]
        return ComponentColumnList(column for column in made if column is not None)
