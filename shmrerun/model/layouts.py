"""Constructors of the blueprint archetypes whose parameters are not their fields.

Source: rules and messages observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from shmrerun.errors import report, warn
from shmrerun.model.tables.types import ENUMS
from shmrerun.model.values.factory import component_class, encoding_class

if TYPE_CHECKING:
    from typing import Any


def _clear(self: Any) -> None:
    for at in range(len(self._fields)):
        setattr(self, f"_{at}", None)


def background(self: Any, color_or_kind: Any = None, *, color: Any = None, kind: Any = None) -> None:
    """Make a background: one colour, or a gradient.

    Parameters
    ----------
    color_or_kind : colour or BackgroundKind, optional
        One of the two; instead of ``color`` and ``kind``.
    color : int 0xRRGGBBAA, or array-like of shape (3,) or (4,), uint8 or float of 0 to 1, optional
        The colour, of a solid background.
    kind : BackgroundKind, str or int, optional
        Default: solid with a colour, else the dark gradient.
    """
    try:
        if color_or_kind is not None:
            if color is not None or kind is not None:
                raise ValueError("Only one of `color_or_kind` and `color`/`kind` can be set.")
            if isinstance(color_or_kind, Enum):
                kind = color_or_kind
            else:
                color = color_or_kind
        if kind is None:
            kind = ENUMS["BackgroundKind"]["GradientDark" if color is None else "SolidColor"]
        self._put("kind", kind)
        self._put("color", color)
    except Exception as error:
        _clear(self)
        report("Background", error)


def dataframe_query(
    self: Any,
    *,
    timeline: Any = None,
    filter_by_range: Any = None,
    filter_is_not_null: Any = None,
    apply_latest_at: bool = False,
    select: Any = None,
    entity_order: Any = None,
    auto_scroll: bool = False,
) -> None:
    """Make a query of a dataframe view.

    Parameters
    ----------
    timeline : str, optional
        Name of the timeline whose times are the rows.
    filter_by_range : tuple of two int or TimeInt, or FilterByRange, optional
        Only rows of these times, both included.
    filter_is_not_null : ComponentColumnSelector, or str ``/path:component``, optional
        Only rows in which this column has a value.
    apply_latest_at : bool
        Whether empty cells show the latest value.
    select : sequence of ComponentColumnSelector or str, optional
        The columns that are shown: timelines by name, components as ``/path:component``; all without it.
    entity_order : sequence of str, optional
        Paths of entities in the order of their columns.
    auto_scroll : bool
        Whether the table follows the time cursor.

    Raises
    ------
    ValueError
        ``filter_is_not_null`` names no column.
    """
    if isinstance(filter_by_range, tuple):
        start, end = filter_by_range
        filter_by_range = component_class("FilterByRange")(start, end)
    if filter_is_not_null is not None:
        if isinstance(filter_is_not_null, str):
            filter_is_not_null = encoding_class("ComponentColumnSelector")(filter_is_not_null)
        filter_is_not_null = component_class("FilterIsNotNull")(True, filter_is_not_null)
    try:
        self._put("timeline", timeline)
        self._put("filter_by_range", filter_by_range)
        self._put("filter_is_not_null", filter_is_not_null)
        self._put("apply_latest_at", apply_latest_at)
        self._put("select", select)
        self._put("entity_order", entity_order)
        self._put("auto_scroll", auto_scroll)
    except Exception as error:
        _clear(self)
        report("DataframeQuery", error)


def visible_time_ranges(
    self: Any,
    ranges: Any = None,
    *,
    timeline: Any = None,
    range: Any = None,  # noqa: A002  Rerun's name
    start: Any = None,
    end: Any = None,
) -> None:
    """Make the ranges of some timelines, or of one.

    Parameters
    ----------
    ranges : VisibleTimeRange or sequence of n of them, optional
        The ranges; of two of one timeline the first counts, with a warning.
    timeline : str, optional
        Name of the only timeline; instead of ``ranges``.
    range : TimeRange, optional
        The range of ``timeline``; instead of ``start`` and ``end``.
    start, end : TimeRangeBoundary, optional
        Ends of the range of ``timeline``, both of them.
    """
    try:
        kind = encoding_class("VisibleTimeRange")
        if timeline is not None:
            if ranges is not None:
                raise ValueError("`timeline` and `ranges` are mutually exclusive.")
            ranges = [kind(timeline, range, start=start, end=end)]
        elif ranges is None:
            raise ValueError("Either `ranges` or `timeline` must be set.")
        if hasattr(ranges, "timeline"):
            ranges = [ranges]
        seen = set()
        for one in ranges:
            name = str(one.timeline)
            if name in seen:
                warn(f"Warning: Timeline {name} is listed twice in the list of visible time ranges. Only the first entry will be used.")
            seen.add(name)
        self._put("ranges", ranges)
    except Exception as error:
        _clear(self)
        report("VisibleTimeRanges", error)


def visual_bounds(self: Any, *, x_range: Any = None, y_range: Any = None) -> None:
    """Make the part of the plane that is visible at least.

    Parameters
    ----------
    x_range, y_range : array-like of shape (2,), float64, optional
        Lowest and highest value along each axis: both or none.

    Raises
    ------
    ValueError
        Only one of them is given.
    """
    if (x_range is None) != (y_range is None):
        raise ValueError("Both x_range and y_range must be specified.")
    found = None if x_range is None else component_class("VisualBounds2D")(x_range=x_range, y_range=y_range)
    self._put("range", found)
