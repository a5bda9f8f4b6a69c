"""What columns a store has: its timelines, and the components of its entities.

Source: names, order and texts of ``rerun.catalog.Schema`` of rerun-sdk 0.41.
"""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from shmrerun.model.entity_paths import canonical, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PROPERTIES = "/__properties"


class IndexColumnDescriptor(NamedTuple):
    """A column that is a timeline.

    Attributes
    ----------
    name : str
        Of the timeline.

    """

    name: str

    @property
    def is_static(self) -> bool:
        """False."""
        return False

    def __repr__(self) -> str:
        return f"Index(timeline:{self.name})"


class ComponentColumnDescriptor(NamedTuple):
    """A column that is a component of an entity.

    Attributes
    ----------
    name : str
        Of the column: ``"/points:Points3D:positions"``.
    entity_path, component : str
    archetype, component_type : str or None
    is_static : bool
        Whether any of its rows is.

    """

    name: str
    entity_path: str
    archetype: str | None
    component_type: str | None
    component: str
    is_static: bool

    @property
    def is_property(self) -> bool:
        """Whether it is one of the recording's properties."""
        return self.entity_path == _PROPERTIES or self.entity_path.startswith(_PROPERTIES + "/")

    def __repr__(self) -> str:
        lines = [f"Column name: {self.name}", f"Entity path: {self.entity_path}", f"Archetype: {self.archetype}"]
        lines += [f"Component type: {self.component_type or ''}", f"Component: {self.component}"]
        return "\n\t".join([*lines, "Static: true"] if self.is_static else lines)


class Schema:
    """The columns of a store: timelines by name, then components by entity, archetype and name.

    Iterate over it for all descriptors; ``pyarrow.schema(schema)`` gives the Arrow types. Immutable.
    """

    __hash__ = None  # type: ignore[assignment]  # as rerun-sdk's

    def __init__(self, fields: Iterable[pa.Field]) -> None:
        """Take the columns as a footer has them, in any order."""
        by_kind: dict[bytes, list[pa.Field]] = {b"control": [], b"index": [], b"data": []}
        for field in fields:
            by_kind.setdefault((field.metadata or {}).get(b"rerun:kind", b"data"), []).append(field)
        self._control, self._times = by_kind[b"control"], sorted(by_kind[b"index"], key=lambda field: str(field.name))
        found = [(_described(field), field) for field in by_kind[b"data"]]
        found.sort(key=lambda pair: (_order(pair[0].entity_path), pair[0].archetype or "", pair[0].component, pair[0].component_type or ""))
        self._components = [column for column, _ in found]
        self._fields = [field for _, field in found]

    def index_columns(self) -> list[IndexColumnDescriptor]:
        """The timelines."""
        return [IndexColumnDescriptor(field.name) for field in self._times]

    def component_columns(self) -> list[ComponentColumnDescriptor]:
        """The components."""
        return list(self._components)

    def __iter__(self) -> Iterator[IndexColumnDescriptor | ComponentColumnDescriptor]:
        return itertools.chain(self.index_columns(), self.component_columns())

    def column_names(self) -> list[str]:
        """Names of all columns."""
        return [column.name for column in self]

    def entity_paths(self, *, include_properties: bool = False) -> list[str]:
        """Entities that have a component, sorted as texts."""
        return sorted({column.entity_path for column in self.columns_for(include_properties=include_properties)})

    def archetypes(self, *, include_properties: bool = False) -> list[str]:
        """Full names of the archetypes, sorted."""
        found = {column.archetype for column in self.columns_for(include_properties=include_properties)}
        return sorted(name for name in found if name is not None)

    def component_types(self, *, include_properties: bool = False) -> list[str]:
        """Full names of the components' types, sorted."""
        found = {column.component_type for column in self.columns_for(include_properties=include_properties)}
        return sorted(name for name in found if name is not None)

    def columns_for(
        self,
        *,
        entity_path: str | None = None,
        archetype: Any = None,
        component_type: str | None = None,
        include_properties: bool = False,
    ) -> list[ComponentColumnDescriptor]:
        """The components that fit all that is said.

        Parameters
        ----------
        entity_path
            Canonical text.
        archetype
            Full name, name without what is before its last point, or class.
        component_type
            Full name.
        include_properties
            Whether properties of the recording are meant too.

        """
        wanted: Any = archetype
        if isinstance(archetype, type) and hasattr(archetype, "archetype"):
            wanted = archetype.archetype()

        def fits(column: ComponentColumnDescriptor) -> bool:
            full = column.archetype or ""
            return (
                (include_properties or not column.is_property)
                and entity_path in (None, column.entity_path)
                and (wanted is None or (full == wanted if "." in wanted else bool(full) and full.rpartition(".")[2] == wanted))
                and component_type in (None, column.component_type)
            )

        return [column for column in self._components if fits(column)]

    def column_names_for(
        self,
        *,
        entity_path: str | None = None,
        archetype: Any = None,
        component_type: str | None = None,
        include_properties: bool = False,
    ) -> list[str]:
        """Names of the components that :meth:`columns_for` gives for the same arguments."""
        found = self.columns_for(
            entity_path=entity_path, archetype=archetype, component_type=component_type, include_properties=include_properties
        )
        return [column.name for column in found]

    def column_for(self, entity_path: str, component: str) -> ComponentColumnDescriptor | None:
        """The column of an entity's component, such as ``"Points3D:positions"``; None: there is none."""
        return self._by_name.get((canonical(entity_path), component))

    def column_for_selector(self, selector: Any) -> ComponentColumnDescriptor:
        """The column that is meant.

        Parameters
        ----------
        selector
            ``"/points:Points3D:positions"``, or anything with ``entity_path`` and ``component``; a descriptor is returned as it is.

        Raises
        ------
        LookupError
            There is no such column.
        ValueError, TypeError
            The text names no component; it is nothing of the kind.

        """
        if isinstance(selector, ComponentColumnDescriptor):
            return selector
        if isinstance(selector, str):
            path, component = _halves(selector)
        elif hasattr(selector, "entity_path") and hasattr(selector, "component"):
            path, component = selector.entity_path, selector.component
        else:
            raise TypeError(f"a selector is a text, or has an entity path and a component, got {type(selector).__name__}")
        found = self.column_for(path, component)
        if found is None:
            raise LookupError(f"There is no column for the selector {canonical(path)}:{component} among {len(self._components):,}")
        return found

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], ComponentColumnDescriptor]:
        return {(column.entity_path, column.component): column for column in self._components}

    def to_arrow(self) -> pa.Schema:
        """Fields of row ids, timelines and components, with Rerun's metadata."""
        return pa.schema([*self._control, *self._times, *self._fields])

    def __arrow_c_schema__(self) -> object:
        """The same for Arrow's C data interface."""
        return self.to_arrow().__arrow_c_schema__()

    def __eq__(self, other: object) -> bool:
        return self.to_arrow().equals(other.to_arrow(), check_metadata=True) if isinstance(other, Schema) else NotImplemented

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))


def _described(field: pa.Field) -> ComponentColumnDescriptor:
    metadata = field.metadata or {}
    path, archetype, component_type, component = (
        metadata[key].decode("utf-8", "replace") if key in metadata else None
        for key in (b"rerun:entity_path", b"rerun:archetype", b"rerun:component_type", b"rerun:component")
    )
    is_static = metadata.get(b"rerun:is_static") == b"true"
    component = field.name.rpartition(":")[2] if component is None else component
    return ComponentColumnDescriptor(field.name, path or "/", archetype, component_type, component, is_static)


def _halves(selector: str) -> tuple[str, str]:
    """Path and component of ``path:component``. ValueError: it is no such text."""
    at = selector.find(":")
    while at > 0 and selector[at - 1] == "\\":
        at = selector.find(":", at + 1)
    if at < 0:
        raise ValueError(f"a selector is 'entity_path:component', such as '/points:Points3D:positions', got {selector!r}")
    return selector[:at], selector[at + 1 :]


def _order(entity_path: str) -> tuple[Any, ...]:
    """Key by which entities are sorted: part by part, reserved ones last, numbers in texts by what they are, letters before capitals."""
    return tuple((part.startswith("__"), tuple(_tokens(part))) for part in parts_of(entity_path))


def _tokens(part: str) -> Iterator[tuple[int, int, int, str]]:
    for is_number, characters in itertools.groupby(part, key=lambda character: "0" <= character <= "9"):
        text = "".join(characters)
        if not is_number:
            yield from ((ord(one.lower() if one.isascii() else one), ord(one), 0, "") for one in text)
        else:  # digits are between the same characters; what begins with a zero is compared as a fraction is
            yield (ord("0"), 0, 0, text) if text[0] == "0" else (ord("0"), 1, len(text), text)
