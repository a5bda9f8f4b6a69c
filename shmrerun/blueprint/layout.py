"""Containers of views, and the blueprint as a whole: what the viewer shows, and where.

Parts are known by what they can do, so those of ``rerun.blueprint`` may stand among ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.blueprint.panels import PANELS
from shmrerun.model.archetype import archetype_class
from shmrerun.model.values.enums import enum_class

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from typing import Any


class Container:
    """Base of the containers: views and containers side by side, one above the other, in a grid, or behind one another.

    Parameters
    ----------
    *args : View or Container
        The contents.
    contents : iterable of View or Container, optional
        The same, instead of ``args``.
    kind : ContainerKind, str or int
        How they are arranged.
    column_shares, row_shares : array-like of shape (n,), float32, optional
        Share of each column in the width, of each row in the height.
    grid_columns : int, uint32, optional
        Number of columns of a grid.
    active_tab : int or str, optional
        Which of the tabs is in front: its number, or the name of its view.
    name : str or None
        Name that is shown.
    visible : bool, optional
        Whether it is shown.

    Raises
    ------
    ValueError
        Both ``args`` and ``contents``.
    TypeError
        Something is neither a view nor a container.
    """

    def __init__(
        self,
        *args: Any,
        contents: Iterable[Any] | None = None,
        kind: Any,
        column_shares: Any = None,
        row_shares: Any = None,
        grid_columns: int | None = None,
        active_tab: int | str | None = None,
        name: Any,
        visible: Any = None,
    ) -> None:
        from uuid import uuid4

        if args and contents is not None:
            raise ValueError("Cannot provide both positional and keyword arguments for contents")
        self.contents = args if contents is None else tuple(contents)
        for part in self.contents:
            if not _is_content(part):
                raise TypeError(f"A container holds views and containers, got {_shown(part)}")
        self.id = uuid4()
        self.kind = kind
        self.column_shares = column_shares
        self.row_shares = row_shares
        self.grid_columns = grid_columns
        self.active_tab = active_tab
        self.name = name
        self.visible = visible

    def blueprint_path(self) -> str:
        """Return the container's entity in the blueprint."""
        return f"container/{self.id}"

    def to_container(self) -> Container:
        """Return the container itself."""
        return self

    def to_blueprint(self) -> Blueprint:
        """Return a blueprint of this container alone."""
        return Blueprint(self)

    def _log_to_stream(self, stream: Any) -> None:
        front = None
        for number, part in enumerate(self.contents):
            part._log_to_stream(stream)
            # A view without a name is in front where no tab is told: so it is in rerun-sdk
            if number == self.active_tab or (hasattr(part, "class_identifier") and part.name == self.active_tab):
                front = part.blueprint_path()
        if self.active_tab is not None and front is None:
            raise ValueError(f"Active tab '{self.active_tab}' not found in the container contents.")
        make: Any = archetype_class("ContainerBlueprint")
        stream.log(
            self.blueprint_path(),
            make(
                container_kind=self.kind,
                contents=[part.blueprint_path() for part in self.contents],
                col_shares=self.column_shares,
                row_shares=self.row_shares,
                visible=self.visible,
                grid_columns=self.grid_columns,
                active_tab=front,
                display_name=self.name,
            ),
        )

    def _ipython_display_(self) -> None:
        self.to_blueprint()._ipython_display_()


def _kind(name: str) -> Any:
    return enum_class("ContainerKind").__members__[name]


class Horizontal(Container):
    """Views and containers side by side.

    Parameters
    ----------
    *args : View or Container
        The contents.
    contents : iterable of View or Container, optional
        The same, instead of ``args``.
    column_shares : array-like of shape (n,), float32, optional
        Share of each in the width.
    name : str, optional
        Name that is shown.
    visible : bool, optional
        Whether it is shown.
    """

    def __init__(
        self, *args: Any, contents: Iterable[Any] | None = None, column_shares: Any = None, name: Any = None, visible: Any = None
    ) -> None:
        super().__init__(*args, contents=contents, kind=_kind("Horizontal"), column_shares=column_shares, name=name, visible=visible)


class Vertical(Container):
    """Views and containers one above the other.

    Parameters
    ----------
    *args : View or Container
        The contents.
    contents : iterable of View or Container, optional
        The same, instead of ``args``.
    row_shares : array-like of shape (n,), float32, optional
        Share of each in the height.
    name : str, optional
        Name that is shown.
    visible : bool, optional
        Whether it is shown.
    """

    def __init__(
        self, *args: Any, contents: Iterable[Any] | None = None, row_shares: Any = None, name: Any = None, visible: Any = None
    ) -> None:
        super().__init__(*args, contents=contents, kind=_kind("Vertical"), row_shares=row_shares, name=name, visible=visible)


class Grid(Container):
    """Views and containers in rows and columns.

    Parameters
    ----------
    *args : View or Container
        The contents.
    contents : iterable of View or Container, optional
        The same, instead of ``args``.
    column_shares, row_shares : array-like of shape (n,), float32, optional
        Share of each column in the width, of each row in the height.
    grid_columns : int, uint32, optional
        Number of columns.
    name : str, optional
        Name that is shown.
    visible : bool, optional
        Whether it is shown.
    """

    def __init__(
        self,
        *args: Any,
        contents: Iterable[Any] | None = None,
        column_shares: Any = None,
        row_shares: Any = None,
        grid_columns: int | None = None,
        name: Any = None,
        visible: Any = None,
    ) -> None:
        super().__init__(
            *args,
            contents=contents,
            kind=_kind("Grid"),
            column_shares=column_shares,
            row_shares=row_shares,
            grid_columns=grid_columns,
            name=name,
            visible=visible,
        )


class Tabs(Container):
    """Views and containers behind one another.

    Parameters
    ----------
    *args : View or Container
        The contents.
    contents : iterable of View or Container, optional
        The same, instead of ``args``.
    active_tab : int or str, optional
        Which of them is in front: its number, or the name of the view. An unknown one is a ValueError when the blueprint is sent.
    name : str, optional
        Name that is shown.
    visible : bool, optional
        Whether it is shown.
    """

    def __init__(
        self,
        *args: Any,
        contents: Iterable[Any] | None = None,
        active_tab: int | str | None = None,
        name: Any = None,
        visible: Any = None,
    ) -> None:
        super().__init__(*args, contents=contents, kind=_kind("Tabs"), active_tab=active_tab, name=name, visible=visible)


class Blueprint:
    """What the viewer shows of an application's recordings, and where.

    Parameters
    ----------
    *parts : View, Container, TopPanel, BlueprintPanel, SelectionPanel or TimePanel
        Several views and containers become tabs. Of each panel there may be one.
    auto_layout, auto_views : bool, optional
        Whether the viewer arranges the views by itself, and adds views for what is logged. True where no part is a view or container.
    collapse_panels : bool
        Whether all panels are collapsed that are not among the parts, the top one excepted.

    Raises
    ------
    ValueError
        Two panels of one kind, or something that is no part.

    Notes
    -----
    An object of plain values: pickle it, copy it, send it as often as you like.
    """

    def __init__(self, *parts: Any, auto_layout: bool | None = None, auto_views: bool | None = None, collapse_panels: bool = False) -> None:
        self.collapse_panels = collapse_panels
        contents = []
        for part in parts:
            path = "" if isinstance(part, type) else getattr(part, "blueprint_path", str)()
            if _is_content(part):
                contents.append(part)
            elif path in PANELS:
                if hasattr(self, path):
                    raise ValueError(f"Only one {path.replace('_', ' ')} can be provided")
                setattr(self, path, part)
            else:
                raise ValueError(f"Unknown part type: {part}")
        is_empty = not contents
        self.auto_views = True if is_empty and auto_views is None else auto_views
        self.auto_layout = True if is_empty and auto_layout is None else auto_layout
        if not is_empty:
            self.root_container = contents[0].to_container() if len(contents) == 1 else Tabs(contents=contents)

    def to_blueprint(self) -> Blueprint:
        """Return the blueprint itself."""
        return self

    def _log_to_stream(self, stream: Any) -> None:
        root = None
        if hasattr(self, "root_container"):
            self.root_container._log_to_stream(stream)
            root = self.root_container.id.bytes
        make: Any = archetype_class("ViewportBlueprint")
        stream.log("viewport", make(root_container=root, auto_layout=self.auto_layout, auto_views=self.auto_views))
        for path, kind in PANELS.items():
            if hasattr(self, path):
                getattr(self, path)._log_to_stream(stream)
            elif self.collapse_panels and path != "top_panel":
                kind(state="collapsed")._log_to_stream(stream)

    def save(self, application_id: str, path: str | os.PathLike[str] | None = None) -> None:
        """Write the blueprint to a file, for ``rerun plan.rbl``, or for :func:`shmrerun.send_blueprint`.

        Parameters
        ----------
        application_id
            Of the recordings that it is for.
        path
            The file, which is replaced; ``<application_id>.rbl`` without it.

        Raises
        ------
        ValueError
            An active tab is none of its tabs; the application id is empty. No file was written.
        SinkError
            (a RuntimeError) The file cannot be written.
        """
        from shmrerun.blueprint.sending import save

        save(self, application_id, path)

    def connect_grpc(self, application_id: str, *, url: str | None = None, make_active: bool = True, make_default: bool = True) -> None:
        """Send the blueprint to a viewer, without a recording.

        Parameters
        ----------
        application_id
            Of the recordings that it is for.
        url
            As for :func:`shmrerun.connect_grpc`.
        make_active, make_default
            The viewer switches to it now; it comes back to it on reset.

        Raises
        ------
        SinkError
            (a RuntimeError) No viewer took it within 5 s.
        RuntimeError
            The URL makes no sense.
        """
        from shmrerun.blueprint.sending import connect

        connect(self, application_id, url, make_active=make_active, make_default=make_default)

    def spawn(
        self,
        application_id: str,
        *,
        port: int = 9876,
        memory_limit: str = "75%",
        hide_welcome_screen: bool = False,
        detach_process: bool = True,
    ) -> None:
        """Start a viewer on this machine with the blueprint, unless one listens already; parameters as for :func:`shmrerun.spawn`.

        Raises
        ------
        SinkError
            (a RuntimeError) There is no viewer, no display for it, or it ended.
        """
        from shmrerun.blueprint.sending import spawn

        spawn(self, application_id, port=port, memory_limit=memory_limit, hide_welcome_screen=hide_welcome_screen, detach=detach_process)

    def _ipython_display_(self) -> None:
        from shmrerun.blueprint.sending import show

        show(self)


def _is_content(part: Any) -> bool:
    """Whether something is a view or a container."""
    return hasattr(part, "to_container") and hasattr(part, "_log_to_stream") and not isinstance(part, type)


def _shown(part: Any) -> str:
    return f"the class {part.__name__}" if isinstance(part, type) else f"{type(part).__name__} {part!r}"
