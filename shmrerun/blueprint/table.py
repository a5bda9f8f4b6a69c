"""Blueprints of tables: layout, filters and previews of what a catalog shows. Rerun calls this unstable.

Source: names and rules of rerun-sdk 0.41.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from shmrerun.blueprint.filters import Filter, FilterColumn, ListFilters, StringFilters, col
from shmrerun.blueprint.view import View
from shmrerun.model.archetype import archetype_class
from shmrerun.model.entity_paths import escape_entity_path_part
from shmrerun.model.values.blueprints import ColumnType, SortBy
from shmrerun.model.values.factory import encoding_class

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

encoding_class("SortBy")  # which completes the class
PreviewsConfig: Any = archetype_class("PreviewsConfig")

__all__ = [
    "CardLayout",
    "Column",
    "Filter",
    "FilterColumn",
    "ListFilters",
    "PreviewCell",
    "PreviewsConfig",
    "SortBy",
    "StringFilters",
    "TableBlueprint",
    "TableLayout",
    "col",
]


def _check(value: object, kind: type, name: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} is a {kind.__name__} or None, got {type(value).__name__}")


def _columns(given: Sequence[Column], name: str) -> tuple[Column, ...]:
    """Return the columns as a tuple: all are some, and none is there twice."""
    found = tuple(given)
    for one in found:
        if not isinstance(one, Column):
            raise TypeError(f"{name} holds columns, got {type(one).__name__}")
    sources = [one.source for one in found]
    twice = {source for source in sources if sources.count(source) > 1}
    if twice:
        raise ValueError(f"{name} has a column once, got {sorted(twice)} twice")
    return found


@dataclass(frozen=True, init=False)
class PreviewCell:
    """What a cell shows that refers to a recording: views of it.

    Parameters
    ----------
    *views : View
        One or more.

    Raises
    ------
    ValueError, TypeError
        None is given; something is no view.
    """

    views: tuple[View, ...]

    def __init__(self, *views: View) -> None:
        if not views:
            raise ValueError("A preview has one view at least")
        for view in views:
            if not isinstance(view, View):
                raise TypeError(f"A preview has views, got {type(view).__name__}")
        object.__setattr__(self, "views", views)


@dataclass(frozen=True)
class Column:
    """How a column is shown.

    Parameters
    ----------
    source : str
        Its name, as Arrow has it.
    name : str, optional
        Name that is shown.
    editable : bool, optional
        Whether values may be changed.
    column_type : component class, str, ComponentDescriptor or PreviewCell, optional
        What the values are shown as; a str is the full name of a component type.
    visible : bool, optional
        Whether it is shown.

    Raises
    ------
    TypeError, ValueError
        One of them is something else, or an empty text.
    """

    source: str
    name: str | None = field(default=None, kw_only=True)
    editable: bool | None = field(default=None, kw_only=True)
    column_type: Any = field(default=None, kw_only=True)
    visible: bool | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.source, str):
            raise TypeError(f"Column.source is a str, got {type(self.source).__name__}")
        if not self.source:
            raise ValueError("Column.source must not be empty")
        _check(self.name, str, "Column.name")
        _check(self.editable, bool, "Column.editable")
        _check(self.visible, bool, "Column.visible")
        self._type()

    def _type(self) -> ColumnType | None:
        given = self.column_type
        if given is None or isinstance(given, PreviewCell):
            return None
        if isinstance(given, str):
            if not given:
                raise ValueError("Column.column_type must not be empty")
            return ColumnType(component_type_name=given)
        if hasattr(given, "component") and hasattr(given, "component_type") and not isinstance(given, type):  # a descriptor
            return ColumnType(component=given.component, component_type_name=given.component_type)
        if isinstance(given, type) and hasattr(given, "component_type"):
            return ColumnType(component_type_name=given.component_type())
        raise TypeError(
            f"Column.column_type is a component class, the name of a component type, a ComponentDescriptor or a PreviewCell, "
            f"got {type(given).__name__}"
        )

    def _log_to_stream(self, stream: Any, path: str) -> None:
        make: Any = archetype_class("TableColumn")
        found = make(name=self.name, editable=self.editable, visible=self.visible, column_type=self._type())
        _log_some(stream, path, found)
        if isinstance(self.column_type, PreviewCell):
            preview: Any = archetype_class("TableColumnPreview")
            stream.log(path, preview(views=[view.blueprint_path() for view in self.column_type.views]))


def _log_some(stream: Any, path: str, archetype: Any) -> None:
    """Log what is set; nothing, if nothing is."""
    batches = archetype.as_component_batches()
    if batches:
        stream.log(path, batches)


@dataclass(frozen=True, kw_only=True)
class TableLayout:
    """Records as rows.

    Parameters
    ----------
    columns : sequence of Column, optional
        The first columns, in order; all others follow.
    """

    columns: Sequence[Column] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", _columns(self.columns, "TableLayout.columns"))


@dataclass(frozen=True, kw_only=True)
class CardLayout:
    """Records as cards.

    Parameters
    ----------
    title : str, optional
        Column with the titles.
    link : str, optional
        Column with what a card opens.
    fields : sequence of Column, optional
        What a card shows, in order.
    """

    title: str | None = None
    link: str | None = None
    fields: Sequence[Column] = ()

    def __post_init__(self) -> None:
        for name in ("title", "link"):
            _check(getattr(self, name), str, f"CardLayout.{name}")
            if getattr(self, name) == "":
                raise ValueError(f"CardLayout.{name} must not be empty")
        object.__setattr__(self, "fields", _columns(self.fields, "CardLayout.fields"))


@dataclass(frozen=True, kw_only=True)
class TableBlueprint:
    """How a table of a catalog is shown; for a file that the catalog is told of.

    Parameters
    ----------
    table_layout : TableLayout, optional
        The rows.
    card_layout : CardLayout, optional
        The cards; none without it.
    default_layout : ``"table"`` or ``"cards"``, optional
        What is shown first: cards where there are some.
    column_display_mode : ColumnDisplayMode, str or int, optional
        How much of a column's name is shown.
    previews_config : PreviewsConfig, optional
        What all previews play, and how.
    filters : sequence of Filter or str
        Conditions, all of which a row has to meet; a str is SQL.
    sort_by : str or SortBy, optional
        Column that the rows are sorted by.

    Raises
    ------
    TypeError, ValueError
        One of them is something else; cards first, and no card layout.
    """

    table_layout: TableLayout | None = None
    card_layout: CardLayout | None = None
    default_layout: Literal["table", "cards"] | None = None
    column_display_mode: Any = None
    previews_config: Any = None
    filters: Sequence[Filter | str] = ()
    sort_by: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.filters, str | Filter):
            raise TypeError("TableBlueprint.filters is a sequence of filters, got a single one")
        filters = tuple(one if isinstance(one, Filter) else Filter(one) for one in self.filters)
        object.__setattr__(self, "filters", filters)
        _check(self.table_layout, TableLayout, "TableBlueprint.table_layout")
        _check(self.card_layout, CardLayout, "TableBlueprint.card_layout")
        _check(self.default_layout, str, "TableBlueprint.default_layout")
        if self.default_layout not in (None, "table", "cards"):
            raise ValueError(f"TableBlueprint.default_layout is 'table' or 'cards', got {self.default_layout!r}")
        if self.default_layout == "cards" and self.card_layout is None:
            raise ValueError("TableBlueprint.default_layout is 'cards', and there is no card_layout")
        _check(self.previews_config, PreviewsConfig, "TableBlueprint.previews_config")
        if isinstance(self.sort_by, str):
            if not self.sort_by:
                raise ValueError("TableBlueprint.sort_by must not be empty")
            object.__setattr__(self, "sort_by", SortBy(self.sort_by))
        elif self.sort_by is not None and not isinstance(self.sort_by, SortBy):
            raise TypeError(f"TableBlueprint.sort_by is a str, a SortBy or None, got {type(self.sort_by).__name__}")

    def save(self, application_id: str, path: str | os.PathLike[str] | None = None) -> None:
        """Write the blueprint to a file, ``<application_id>.rbl`` without a path. SinkError: it cannot be written."""
        from shmrerun.blueprint.sending import save

        save(self, application_id, path)

    def _log_to_stream(self, stream: Any) -> None:
        table = self.table_layout if self.table_layout is not None else TableLayout()
        cards = self.card_layout
        columns = [*table.columns, *(cards.fields if cards is not None else ())]
        views = [view for one in columns if isinstance(one.column_type, PreviewCell) for view in one.column_type.views]
        for view in {view.blueprint_path(): view for view in views}.values():
            view._log_to_stream(stream)
        make: Any = archetype_class("TableBlueprint")
        filters = [str(one) for one in self.filters] or None
        found = make(layout=self.default_layout, column_display_mode=self.column_display_mode, filters=filters, sort_by=self.sort_by)
        _log_some(stream, "table", found)
        if self.previews_config is not None:
            _log_some(stream, "table", self.previews_config)
        make = archetype_class("TableLayout")
        stream.log("table/layouts/table", make(column_order=[one.source for one in table.columns]))
        for one in table.columns:
            one._log_to_stream(stream, f"table/layouts/table/columns/{escape_entity_path_part(one.source)}")
        if cards is not None:
            make = archetype_class("CardLayout")
            order = [one.source for one in cards.fields]
            stream.log("table/layouts/cards", make(field_order=order, title=cards.title, link=cards.link))
            for one in cards.fields:
                one._log_to_stream(stream, f"table/layouts/cards/fields/{escape_entity_path_part(one.source)}")
