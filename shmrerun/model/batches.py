"""Described batches: what an archetype is made of, and the row that any loggable object comes to.

``row_of`` is the one place where duck typing happens. An archetype of this package gives its row at once; anything else
(objects of rerun-sdk, users' own classes, lists of described batches) is asked for its batches and their arrays.

Source: observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar, Protocol, cast, runtime_checkable

from shmrerun import _core
from shmrerun.model.parts import Column, ColumnSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    import pyarrow as pa

    Parts = tuple[Any, ...]

_PREFIX = "rerun.archetypes."


def _text(name: str, value: Any, *, optional: bool = True) -> str | None:
    if value is None and optional:
        return None
    if not isinstance(value, str):
        shown = "'None'" if value is None else f"{type(value).__name__!r} object"
        raise TypeError(f"argument '{name}': {shown} is not an instance of 'str'")
    return value


class ComponentDescriptor:
    """Name of a component, with the archetype and the component type that give it meaning.

    Parameters
    ----------
    component : str
        Name within the entity, such as ``"Points3D:positions"``.
    archetype : str, optional
        Full name, such as ``"rerun.archetypes.Points3D"``.
    component_type : str, optional
        Full name, such as ``"rerun.components.Position3D"``.

    Raises
    ------
    RuntimeError
        ``component`` is empty.
    TypeError
        An argument is no str.

    Notes
    -----
    Immutable; hashable; equal if all three are equal.
    """

    __slots__ = ("_key",)
    _key: tuple[str, str | None, str | None]

    def __init__(self, component: str, archetype: str | None = None, component_type: str | None = None) -> None:
        _text("component", component, optional=False)
        if not component:
            raise RuntimeError("Component descriptors need a component that is not empty")
        self._key = (component, _text("archetype", archetype), _text("component_type", component_type))

    @property
    def component(self) -> str:
        """Name within the entity."""
        return self._key[0]

    @property
    def archetype(self) -> str | None:
        """Full name of the archetype, or None."""
        return self._key[1]

    @property
    def component_type(self) -> str | None:
        """Full name of the component type, or None."""
        return self._key[2]

    def with_overrides(self, archetype: str | None = None, component_type: str | None = None) -> ComponentDescriptor:
        """Return a copy in which the arguments that are given replace what is there."""
        name, old_archetype, old_type = self._key
        return ComponentDescriptor(name, old_archetype if archetype is None else archetype, component_type or old_type)

    def or_with_overrides(self, archetype: str | None = None, component_type: str | None = None) -> ComponentDescriptor:
        """Return a copy in which the arguments fill what is missing."""
        name, old_archetype, old_type = self._key
        return ComponentDescriptor(
            name,
            archetype if old_archetype is None else old_archetype,
            component_type if old_type is None else old_type,
        )

    def with_builtin_archetype(self, archetype: str) -> ComponentDescriptor:
        """Return a copy of this archetype, its component named ``<short name>:<component>``."""
        _text("archetype", archetype, optional=False)
        return ComponentDescriptor(f"{archetype.removeprefix(_PREFIX)}:{self._key[0]}", archetype, self._key[2])

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, ComponentDescriptor) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        return self._key[0]

    def __repr__(self) -> str:
        component, archetype, component_type = self._key
        return f"ComponentDescriptor({component=}, {archetype=}, {component_type=})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ComponentDescriptor, self._key


@runtime_checkable
class ComponentBatchLike(Protocol):
    """Anything that gives its values as a pyarrow array."""

    def as_arrow_array(self) -> pa.Array:
        """Return the values."""


class _DescribedBatchLike(ComponentBatchLike, Protocol):
    def component_descriptor(self) -> ComponentDescriptor: ...


@runtime_checkable
class AsComponents(Protocol):
    """Anything that can be logged: it gives described batches."""

    def as_component_batches(self) -> list[DescribedComponentBatch]:
        """Return the batches."""


class OwnRow(_core.OwnRow):
    """Base of what gives its row without pyarrow: the archetypes of this package."""

    __slots__ = ()

    def _row(self) -> tuple[ColumnSet, Parts]:
        """Columns and flattened parts of the fields that are set."""
        raise NotImplementedError

    def _cells(self) -> Iterator[tuple[Column, Parts]]:
        """Column and parts of each field that is set."""
        raise NotImplementedError


class ReadyRow(OwnRow):
    """A row that was taken apart, for the extension."""

    __slots__ = ("_ready",)

    def __init__(self, columns: ColumnSet, parts: Parts) -> None:
        self._ready = columns, parts

    def _row(self) -> tuple[ColumnSet, Parts]:
        return self._ready


class ComponentBatchMixin:
    """Base of users' batches: what gives ``as_arrow_array`` becomes described, or rows of a column.

    A class names its component type in ``_COMPONENT_TYPE``; only ``component_type`` and ``partition`` need it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> class ConfidenceBatch(ComponentBatchMixin):
    ...     _COMPONENT_TYPE = "user.Confidence"
    ...
    ...     def as_arrow_array(self):
    ...         return pa.array([0.5], pa.float32())
    >>> ConfidenceBatch().described(ComponentDescriptor("confidence")).as_arrow_array().to_pylist()
    [0.5]
    """

    __slots__ = ()
    _COMPONENT_TYPE: ClassVar[str]
    _ARROW_DATATYPE: ClassVar[pa.DataType]

    def as_arrow_array(self) -> pa.Array:
        """Return the values; the class that is derived has to say how."""
        raise NotImplementedError(f"{type(self).__name__} needs a method as_arrow_array() that returns a pyarrow array")

    def component_type(self) -> str:
        """Return the full name of the component type."""
        return self._COMPONENT_TYPE

    def described(self, descriptor: ComponentDescriptor) -> DescribedComponentBatch:
        """Return these values under a descriptor."""
        return DescribedComponentBatch(self, descriptor)

    def partition(self, lengths: Sequence[int] | None = None) -> ComponentColumn:
        """Cut the values into rows, named by the component type; default: one value a row."""
        return ComponentColumn(self._COMPONENT_TYPE, self, lengths=lengths)


class ComponentMixin:
    """Base of users' single values: one value is a batch of one, of the class in ``_BATCH_TYPE``."""

    __slots__ = ()
    _BATCH_TYPE: ClassVar[Any]

    @classmethod
    def arrow_type(cls) -> pa.DataType:
        """Return the Arrow type of one value: the batch's ``_ARROW_DATATYPE``."""
        return cls._BATCH_TYPE._ARROW_DATATYPE

    @classmethod
    def component_type(cls) -> str:
        """Return the full name of the component type: the batch's."""
        return str(cls._BATCH_TYPE._COMPONENT_TYPE)

    def as_arrow_array(self) -> pa.Array:
        """Return an array that holds this value."""
        return cast("ComponentBatchLike", self._BATCH_TYPE([self])).as_arrow_array()


class FieldBatch:
    """Values of one field of an archetype; a pyarrow array is made of them when asked for."""

    __slots__ = ("_array", "_column", "_parts")

    def __init__(self, column: Column, parts: Parts) -> None:
        self._column = column
        self._parts = parts
        self._array: pa.Array | None = None

    def __len__(self) -> int:
        return int(self._parts[0])

    def as_arrow_array(self) -> pa.Array:
        """Return the values; imports pyarrow at the first call in the process."""
        if self._array is None:
            from shmrerun.model.arrow_types import parts_to_array

            self._array = parts_to_array(self._column.arrow, self._parts)
        return self._array

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:  # noqa: A002  pyarrow's name
        array = self.as_arrow_array()
        return array if type is None else array.cast(type)

    def component_type(self) -> str | None:
        """Return the full name of the component type."""
        return self._column.component_type

    def described(self, descriptor: ComponentDescriptor | None = None) -> DescribedComponentBatch:
        """Return these values under a descriptor; default: the field's own."""
        if descriptor is not None:
            return DescribedComponentBatch(self, descriptor)
        made = DescribedComponentBatch.__new__(DescribedComponentBatch)
        made._batch, made._descriptor, made._cell = self, describe(self._column), (self._column, self._parts)
        return made

    def partition(self, lengths: Sequence[int] | None = None) -> ComponentColumn:
        """Cut the values into rows, named by the component type."""
        return ComponentColumn(self.component_type() or self._column.component, self, lengths=lengths)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ComponentBatchLike):
            return NotImplemented
        return bool(self.as_arrow_array().equals(other.as_arrow_array()))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{(self._column.component_type or '').rpartition('.')[2]}Batch({self.as_arrow_array().to_pylist()})"


class DescribedComponentBatch:
    """A batch with its descriptor."""

    __slots__ = ("_batch", "_cell", "_descriptor")

    def __init__(self, batch: ComponentBatchLike, descriptor: ComponentDescriptor) -> None:
        self._batch = batch
        self._descriptor = descriptor
        self._cell: tuple[Column, Parts] | None = None
        if isinstance(batch, FieldBatch):  # its parts are known, and do not change: no array has to be made and taken apart
            names = descriptor.component, descriptor.archetype, descriptor.component_type  # it may be one of rerun-sdk
            self._cell = Column(*names, batch._column.arrow), batch._parts

    def component_descriptor(self) -> ComponentDescriptor:
        """Return the descriptor."""
        return self._descriptor

    def as_arrow_array(self) -> pa.Array:
        """Return the values."""
        return self._batch.as_arrow_array()

    def partition(self, lengths: Sequence[int] | None = None) -> ComponentColumn:
        """Cut the values into rows of the given lengths; default: one value a row."""
        return ComponentColumn(self._descriptor, self._batch, lengths=lengths)


class ComponentColumn:
    """Rows of values of one component, for ``send_columns``.

    Parameters
    ----------
    descriptor : ComponentDescriptor or str
        What the values are.
    component_batch : ComponentBatchLike
        All values, one row after the other.
    lengths : sequence of int, optional
        Number of values of each row. Neither this nor ``offsets``: one value a row.
    offsets : sequence of int, optional
        Where each row begins, and where the last one ends.

    Raises
    ------
    ValueError
        Both ``lengths`` and ``offsets``, or lengths that are not 1-D.
    """

    __slots__ = ("_batch", "_descriptor", "_offsets")

    def __init__(
        self,
        descriptor: ComponentDescriptor | str,
        component_batch: ComponentBatchLike,
        *,
        lengths: Sequence[int] | None = None,
        offsets: Sequence[int] | None = None,
    ) -> None:
        if lengths is not None and offsets is not None:
            raise ValueError("Cannot specify both `lengths` and `offsets`.")
        self._descriptor = ComponentDescriptor(descriptor) if isinstance(descriptor, str) else descriptor
        self._batch = component_batch
        self._offsets: list[int] | None = None
        if lengths is not None:
            lengths = list(lengths)
            if not set(map(type, lengths)) <= {int} and any(hasattr(length, "__len__") for length in lengths):
                raise ValueError("Lengths must be a 1D array.")
            self._offsets = list(accumulate(map(int, lengths), initial=0))
        elif offsets is not None:
            self._offsets = [int(offset) for offset in offsets]

    def component_descriptor(self) -> ComponentDescriptor:
        """Return the descriptor."""
        return self._descriptor

    def as_arrow_array(self) -> pa.Array:
        """Return one list a row.

        Raises
        ------
        pyarrow.ArrowInvalid
            An offset lies past the values.
        """
        import numpy as np
        import pyarrow as pa

        values = self._batch.as_arrow_array()
        offsets = np.arange(len(values) + 1, dtype=np.int32) if self._offsets is None else self._offsets
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)

    def _parts(self) -> tuple[str, Parts] | None:
        """Type of the values, and parts of the list column; None: that takes pyarrow, or makes no sense."""
        import numpy as np

        if type(self._batch) is not FieldBatch:
            return None
        count = len(self._batch)
        if self._offsets is None:
            offsets = np.arange(count + 1, dtype=np.int32)
        else:
            wide = np.array(self._offsets, np.int64)
            if not len(wide) or wide[0] or wide[-1] != count or not (wide[1:] >= wide[:-1]).all():
                return None
            offsets = wide.astype(np.int32)
        return self._batch._column.arrow, (len(offsets) - 1, None, offsets, *self._batch._parts)

    def partition(self, lengths: Sequence[int]) -> ComponentColumn:
        """Cut the same values into other rows."""
        return ComponentColumn(self._descriptor, self._batch, lengths=lengths)


class ComponentColumnList:
    """The columns that an archetype's ``columns`` gives."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Iterable[ComponentColumn]) -> None:
        self._columns = list(columns)

    def __iter__(self) -> Iterator[ComponentColumn]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def partition(self, lengths: Sequence[int]) -> ComponentColumnList:
        """Cut all columns into rows of the same lengths."""
        return ComponentColumnList(column.partition(lengths) for column in self._columns)


@lru_cache(maxsize=4096)
def describe(column: Column) -> ComponentDescriptor:
    """Return the descriptor of a column."""
    return ComponentDescriptor(column.component, column.archetype, column.component_type)


def row_of(entity: Any, extras: tuple[Any, ...] = ()) -> tuple[ColumnSet, Parts]:
    """Return the columns and the flattened parts of what a ``log`` call was given.

    Parameters
    ----------
    entity, extras
        Archetypes, objects with ``as_component_batches``, or iterables of described batches; merged in this order.

    Raises
    ------
    TypeError
        One of them is neither, or gives something else than pyarrow arrays.
    ValueError
        A descriptor came twice, in strict mode (else a warning, and the first one counts).
    """
    if not extras and isinstance(entity, OwnRow):
        return entity._row()
    cells = cells_of((entity, *extras))
    return ColumnSet(tuple(column for column, _ in cells)), tuple(part for _, parts in cells for part in parts)


def cells_of(entities: Iterable[Any]) -> list[tuple[Column, Parts]]:
    """Return column and parts of each component of what a ``log`` call was given; raises as :func:`row_of` does."""
    seen: set[tuple[str, str | None, str | None]] = set()
    found: dict[str, tuple[Column, Parts]] = {}  # by component: of descriptors that differ in the rest, the last wins
    for entity in entities:
        for descriptor, cells in _cells(entity):
            key = (descriptor.component, descriptor.archetype, descriptor.component_type)
            if key in seen:
                from shmrerun.errors import warn

                warn(f"Component {key[0]} was included multiple times. Only the first instance will be used.")
                continue
            seen.add(key)
            if isinstance(cells, tuple):
                column, parts = cells
            else:
                from shmrerun.model.arrow_types import parts_of, type_text

                column = Column(*key, type_text(cells.type))
                parts = parts_of(cells)
            found[key[0]] = (column, parts)
    return list(found.values())


def _cells(entity: Any) -> Iterator[tuple[Any, Any]]:
    """Descriptor and either (column, parts) or a pyarrow array, of each batch of one entity."""
    if isinstance(entity, OwnRow):
        for column, parts in entity._cells():
            yield column, (column, parts)
        return
    batches: Iterable[_DescribedBatchLike]
    if isinstance(entity, list | tuple):
        batches = entity
    elif hasattr(entity, "as_component_batches"):
        batches = entity.as_component_batches()
    elif isinstance(entity, Iterable):
        batches = entity
    else:
        raise TypeError(
            "Expected an object implementing rerun.AsComponents or an iterable of rerun.DescribedComponentBatch, "
            f"but got {type(entity)} instead."
        )
    for batch in batches:
        if isinstance(batch, DescribedComponentBatch) and batch._cell is not None:
            yield batch._cell[0], batch._cell
            continue
        descriptor = batch.component_descriptor()
        array = batch.as_arrow_array()
        if array is None:
            continue
        import pyarrow as pa

        if not isinstance(array, pa.Array):
            raise TypeError(f"Expected instance of pyarrow.lib.Array, got {type(array).__module__}.{type(array).__name__}")
        yield descriptor, array
