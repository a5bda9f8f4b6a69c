"""Converters of the records that only blueprints have: columns of tables, filters, orders, mappings of components.

Each makes plain rows of what is given; Arrow does the rest. Objects are known by their fields, so those of rerun-sdk are taken as well.

Source: rules observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.convert.converters import Converter
from shmrerun.model.convert.enums import code_of
from shmrerun.model.tables.components import arrow_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def text(value: Any) -> str:
    """Return a text of one, or of an object with a ``value`` or a ``path``."""
    if not isinstance(value, str):
        value = getattr(value, "value", getattr(value, "path", value))
    return str(value)


def optional(value: Any) -> str | None:
    """Return a text, or None for None."""
    return None if value is None else text(value)


def truth(value: Any) -> bool:
    """Return a truth value of one, or of an object with a ``value``."""
    return bool(getattr(value, "value", value))


def number(value: Any) -> int:
    """Return a whole number of one, or of an object with a ``value``."""
    return int(getattr(value, "value", value))


def parse_selector(spec: str) -> tuple[str, str]:
    """Return entity path and component of ``/path:component``.

    Raises
    ------
    ValueError
        There is not exactly one component: not one colon, or two, since ``Points3D:positions`` has one of its own.
    """
    parts = spec.split(":")
    if len(parts) != 2:
        raise ValueError(f"Invalid component column specifier: {spec}")
    return parts[0], parts[1]


def selector(value: Any) -> dict[str, Any]:
    """Return the row of a column of a component: an object, or the text ``/path:component``."""
    if hasattr(value, "entity_path") and hasattr(value, "component"):
        return {"entity_path": text(value.entity_path), "component": text(value.component)}
    if not isinstance(value, str):
        raise ValueError(f"Unexpected input value (`spec` must be a string): {value}")  # noqa: TRY004  as in Rerun
    path, component = parse_selector(value)
    return {"entity_path": path, "component": component}


def _null_filter(value: Any) -> dict[str, Any]:
    if hasattr(value, "active"):
        return {"active": truth(value.active), "column": selector(value.column)}
    if not isinstance(value, str) and not hasattr(value, "entity_path"):
        raise ValueError(f"Unexpected input value: {value}")
    return {"active": True, "column": selector(value)}


def columns(given: Any) -> tuple[list[Any], list[Any]]:
    """Return timelines and columns of components among those given: a text is the latter if it is ``/path:component``.

    Raises
    ------
    ValueError
        One is neither a text nor a column.
    """
    times, others = [], []
    for item in given:
        if hasattr(item, "entity_path"):
            others.append(item)
        elif hasattr(item, "value"):
            times.append(item)
        elif isinstance(item, str):
            (others if item.count(":") == 1 else times).append(item)
        else:
            raise ValueError(f"Unexpected column type: {item}")
    return times, others


def _selected(value: Any) -> dict[str, Any]:
    if hasattr(value, "time_columns"):
        times, others = value.time_columns, value.component_columns
    else:
        times, others = columns(value)
    return {"time_columns": [text(item) for item in times], "component_columns": [selector(item) for item in others]}


def _order(value: Any) -> list[str]:
    paths = getattr(value, "entity_paths", value)
    if isinstance(paths, str) or not hasattr(paths, "__iter__"):
        raise ValueError(f"Expected entity paths in order, got {paths!r}")
    return [text(path) for path in paths]


def _log_column(value: Any) -> dict[str, Any]:
    visible, kind = (value.visible, value.kind) if hasattr(value, "kind") else (True, value)
    return {"visible": truth(visible), "kind": code_of("TextLogColumnKind", kind)}


def _timeline_column(value: Any) -> dict[str, Any]:
    visible, timeline = (value.visible, value.timeline) if hasattr(value, "timeline") else (True, value)
    return {"visible": truth(visible), "timeline": text(timeline)}


def _mapping(value: Any) -> dict[str, Any]:
    return {
        "target": text(value.target),
        "source_kind": code_of("ComponentSourceKind", value.source_kind),
        "source_component": optional(value.source_component),
        "selector": optional(value.selector),
    }


def _sort(value: Any) -> dict[str, Any]:
    direction = None if value.direction is None else code_of("SortDirection", value.direction)
    return {"column": text(value.column), "direction": direction}


def _column_type(value: Any) -> dict[str, Any]:
    return {"component": optional(value.component), "component_type_name": optional(value.component_type_name)}


def _range(value: Any) -> dict[str, Any]:
    return {"start": number(value.start), "end": number(value.end)}


def _selection(value: Any) -> dict[str, Any]:
    return {"dimension": int(getattr(value, "dimension", value)), "invert": bool(getattr(value, "invert", False))}


def _slider(value: Any) -> dict[str, Any]:
    return {"dimension": int(getattr(value, "dimension", value))}


_ROWS: dict[str, tuple[Callable[[Any], Any], str]] = {  # what makes a row of a value, and a field that a single value has
    "column_order": (_order, "entity_paths"),
    "column_selector": (selector, "entity_path"),
    "column_type": (_column_type, "component_type_name"),
    "component_mapping": (_mapping, "target"),
    "log_column": (_log_column, "kind"),
    "null_filter": (_null_filter, "active"),
    "range_filter": (_range, "start"),
    "selected_columns": (_selected, "time_columns"),
    "selection": (_selection, "dimension"),
    "slider": (_slider, "dimension"),
    "sort_by": (_sort, "column"),
    "timeline_column": (_timeline_column, "timeline"),
}
_LISTS = ("column_order", "selected_columns")  # one value may be given as a plain sequence


def make(name: str) -> Converter | None:
    """Make the converter of this name; None: it is none of these."""
    found = _ROWS.get(name)
    if found is None:
        return None
    row, field = found

    def rows(value: Any) -> list[Any]:
        if isinstance(value, str | int) or hasattr(value, field) or (name == "null_filter" and hasattr(value, "entity_path")):
            return [row(value)]
        if name in _LISTS and not any(hasattr(item, field) for item in value):
            try:
                return [row(value)]
            except (ValueError, TypeError):
                pass  # several then
        return [row(item) for item in value]

    def convert(value: Any) -> tuple[Any, ...]:
        import pyarrow as pa

        from shmrerun.model.arrow_types import parse_type, parts_of

        return parts_of(pa.array(rows(value), parse_type(arrow_of(name))))

    import pyarrow as pa

    from shmrerun.model.arrow_types import parse_type, parts_of

    return Converter(convert, parts_of(pa.array([], parse_type(arrow_of(name)))), 0, {})
