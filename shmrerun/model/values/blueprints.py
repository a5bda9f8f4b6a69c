"""Values that only blueprints have: columns of tables, filters, orders, mappings of components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.convert.blueprints import columns as sort_columns
from shmrerun.model.convert.blueprints import optional, parse_selector, text
from shmrerun.model.values import generic
from shmrerun.model.values.base import Value
from shmrerun.model.values.times import TimeInt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def _text(name: str, value: Any) -> Any:
    """Return a value of an encoding of texts."""
    return generic.encoding(name)(text(value))


class ColumnType(Value):
    """What the values of a table's column are shown as.

    Parameters
    ----------
    component : str, optional
        Name of a component, such as ``"GridMap:colormap"``.
    component_type_name : str, optional
        Full name of a component type, such as ``"rerun.components.Flag"``.
    """

    __slots__ = ("component", "component_type_name")
    _fields = ("component", "component_type_name")
    _converter = "column_type"

    def __init__(self, *, component: str | None = None, component_type_name: str | None = None) -> None:
        self.component = optional(component)
        self.component_type_name = optional(component_type_name)


class ComponentColumnSelector(Value):
    """A column of a component of an entity.

    Parameters
    ----------
    spec : str, optional
        ``"/path:component"``.
    entity_path, component : str, optional
        The two, instead of ``spec``; the component may have a colon then.

    Raises
    ------
    ValueError
        Neither or both of these, or ``spec`` has not exactly one colon.
    """

    __slots__ = ("component", "entity_path")
    _fields = ("entity_path", "component")
    _converter = "column_selector"

    def __init__(self, spec: str | None = None, *, entity_path: Any = None, component: Any = None) -> None:
        if spec is not None:
            if entity_path is not None or component is not None:
                raise ValueError("Either `spec` or both `entity_path` and `component` must be provided.")
            if not isinstance(spec, str):
                raise ValueError(f"Unexpected input value (`spec` must be a string): {spec}")
            entity_path, component = parse_selector(spec)
        elif entity_path is None or component is None:
            raise ValueError("Both `entity_path` and `component` must be provided.")
        self.entity_path = _text("EntityPath", entity_path)
        self.component = _text("Utf8", component)


class FilterByRange(Value):
    """Range of times of the rows that are shown.

    Parameters
    ----------
    start, end : int or TimeInt, int64
        First and last time; nanoseconds or sequence numbers.
    """

    __slots__ = ("end", "start")
    _fields = ("start", "end")
    _converter = "range_filter"

    def __init__(self, start: Any, end: Any) -> None:
        self.start = start if isinstance(start, TimeInt) else TimeInt(seq=getattr(start, "value", start))
        self.end = end if isinstance(end, TimeInt) else TimeInt(seq=getattr(end, "value", end))


class FilterIsNotNull(Value):
    """Column that has to have a value in the rows that are shown.

    Parameters
    ----------
    active : bool
        Whether the filter is on.
    column : ComponentColumnSelector
        The column.
    """

    __slots__ = ("active", "column")
    _fields = ("active", "column")
    _converter = "null_filter"

    def __init__(self, active: Any, column: Any) -> None:
        kind = generic.encoding("Bool")
        self.active = active if isinstance(active, kind) else kind(active)
        self.column = column


class SelectedColumns(Value):
    """Columns that are shown.

    Parameters
    ----------
    columns : sequence of str, Utf8 or ComponentColumnSelector
        Timelines by name; components as ``"/path:component"`` or as objects.

    Raises
    ------
    ValueError
        Something else is among them.
    """

    __slots__ = ("component_columns", "time_columns")
    _fields = ("time_columns", "component_columns")
    _converter = "selected_columns"

    def __init__(self, columns: Sequence[Any]) -> None:
        times, others = sort_columns(columns)
        self.time_columns = [_text("Utf8", time) for time in times]
        self.component_columns = [ComponentColumnSelector(other) if isinstance(other, str) else other for other in others]

    def _key(self) -> tuple[Any, ...]:
        return tuple(self.time_columns), tuple(self.component_columns)


class SortBy(Value):
    """Column and direction that the rows of a table are sorted by.

    Parameters
    ----------
    column : str
        Its name.
    direction : SortDirection, str or int, optional
        Ascending without it.
    """

    __slots__ = ("column", "direction")
    _fields = ("column", "direction")
    _converter = "sort_by"

    def __init__(self, column: Any, *, direction: Any = None) -> None:
        self.column = _text("Utf8", column)
        self.direction = direction


class TensorDimensionIndexSlider(Value):
    """Dimension of a tensor that has a slider.

    Parameters
    ----------
    dimension : int, uint32
        Its number.
    """

    __slots__ = ("dimension",)
    _fields = ("dimension",)
    _converter = "slider"

    def __init__(self, dimension: Any) -> None:
        self.dimension = int(dimension)

    def __int__(self) -> int:
        return self.dimension

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np

        return np.array(self.dimension, dtype=dtype)


class TextLogColumn(Value):
    """A column of a text log view.

    Parameters
    ----------
    kind : TextLogColumnKind, str or int
        What it shows.
    visible : bool
        Whether it is shown.
    """

    __slots__ = ("kind", "visible")
    _fields = ("visible", "kind")
    _converter = "log_column"

    def __init__(self, kind: Any, *, visible: Any = True) -> None:
        self.visible = generic.encoding("Bool")(visible)
        self.kind = kind


class TimelineColumn(Value):
    """A timeline that has a column.

    Parameters
    ----------
    timeline : str
        Its name.
    visible : bool
        Whether the column is shown.
    """

    __slots__ = ("timeline", "visible")
    _fields = ("visible", "timeline")
    _converter = "timeline_column"

    def __init__(self, timeline: Any, *, visible: Any = True) -> None:
        self.visible = generic.encoding("Bool")(visible)
        self.timeline = _text("Utf8", timeline)


class VisualizerComponentMapping(Value):
    """Where one component of a visualizer comes from.

    Parameters
    ----------
    target : str
        Name of the visualizer's component.
    source_kind : ComponentSourceKind, str or int
        A component of the entity, the override, the view's default, or the annotation context.
    source_component : str, optional
        Name of the entity's component; the target's without it.
    selector : str, optional
        A field of that component, such as ``".x"``; in jq's notation.
    """

    __slots__ = ("selector", "source_component", "source_kind", "target")
    _fields = ("target", "source_kind", "source_component", "selector")
    _converter = "component_mapping"

    def __init__(self, target: Any, source_kind: Any, *, source_component: str | None = None, selector: str | None = None) -> None:
        self.target = _text("Utf8", target)
        self.source_kind = source_kind
        self.source_component = optional(source_component)
        self.selector = optional(selector)


class ColumnOrder:
    """Entities in the order of their columns.

    Parameters
    ----------
    entity_paths : sequence of str
        Their paths.
    """

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._value)  # type: ignore[attr-defined]


class VisualBounds2D:
    """Part of the plane that is visible.

    Parameters
    ----------
    x_range, y_range : array-like of shape (2,), float64
        Lowest and highest value along each axis.
    """

    __slots__ = ()

    def __init__(self, *, x_range: Any, y_range: Any) -> None:
        super().__init__(x_range, y_range)  # type: ignore[call-arg]
