"""What all views have in common: origin, contents, properties, defaults, overrides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from shmrerun.blueprint.layout import Blueprint, Tabs
from shmrerun.model.archetype import archetype_class
from shmrerun.model.batches import AsComponents, ComponentBatchLike
from shmrerun.model.visualizers import VisualizableArchetype

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
    from uuid import UUID


class View:
    """Base of the views; see those in :mod:`shmrerun.blueprint.views`.

    Parameters
    ----------
    class_identifier : str
        Kind of the view, such as ``"3D"``.
    origin : str
        Entity that everything is seen from.
    contents : str, sequence of str, or ViewContents
        Entities that it shows, as query expressions: ``"+ /world/**"``, ``"- $origin/floor"``; later ones count more.
    name : str or None
        Name that is shown.
    visible, titlebar : bool, optional
        Whether it is shown, and whether it has a title bar.
    properties : mapping of str to archetypes, optional
        What is logged below its entity.
    defaults : iterable of archetypes or described batches, optional
        Components for entities that do not have them.
    overrides : mapping of str, optional
        For the full path of an entity: a visualizer, an archetype, EntityBehavior or VisibleTimeRanges, or several. The entity then has
        no visualizers but these.
    """

    def __init__(
        self,
        *,
        class_identifier: Any,
        origin: Any,
        contents: Any,
        name: Any,
        visible: Any = None,
        titlebar: Any = None,
        properties: dict[str, Any] | None = None,
        defaults: Iterable[Any] | None = None,
        overrides: Mapping[Any, Any] | None = None,
    ) -> None:
        from uuid import uuid4

        self.id = uuid4()
        self.class_identifier = class_identifier
        self.name = name
        self.origin = origin
        self.contents = contents
        self.visible = visible
        self.titlebar = titlebar
        self.properties = {} if properties is None else properties
        self.defaults = [] if defaults is None else list(defaults)
        self.visualizer_overrides = {} if overrides is None else dict(overrides.items())

    def blueprint_path(self) -> str:
        """Return the view's entity in the blueprint."""
        return f"view/{self.id}"

    def to_container(self) -> Tabs:
        """Return a container of this view alone."""
        return Tabs(self)

    def to_blueprint(self) -> Blueprint:
        """Return a blueprint of this view alone."""
        return Blueprint(self)

    def _log_to_stream(self, stream: Any) -> None:
        path = self.blueprint_path()
        make_contents: Any = archetype_class("ViewContents")
        contents = self.contents if isinstance(self.contents, AsComponents) else make_contents(query=self.contents)
        stream.log(f"{path}/ViewContents", contents)
        make: Any = archetype_class("ViewBlueprint")
        view = make(
            class_identifier=self.class_identifier,
            display_name=self.name,
            space_origin=self.origin,
            visible=self.visible,
            titlebar=self.titlebar,
        )
        stream.log(path, view)
        for name, value in self.properties.items():
            stream.log(f"{path}/{name}", value)
        for default in self.defaults:
            if isinstance(default, AsComponents):
                stream.log(f"{path}/defaults", default)
            elif isinstance(default, ComponentBatchLike):
                stream.log(f"{path}/defaults", [default])
            else:
                raise ValueError(f"Provided default: {default} is neither a component nor a component batch.")  # noqa: TRY004  as in Rerun
        for entity, given in self.visualizer_overrides.items():
            base = f"{path}/ViewContents/overrides/{str(entity).removeprefix('/')}/visualizers"
            several = given if isinstance(given, Iterable) else [given]
            ids = [found for found in [_log_override(stream, base, one) for one in several] if found is not None]
            if ids:
                active: Any = archetype_class("ActiveVisualizers")
                stream.log(base, active([found.bytes for found in ids]))

    def _ipython_display_(self) -> None:
        self.to_blueprint()._ipython_display_()


def _log_override(stream: Any, base: str, given: Any) -> UUID | None:
    """Log one override of an entity; returns its id if it is a visualizer."""
    if isinstance(given, VisualizableArchetype):
        given = given.visualizer()
    if not hasattr(given, "visualizer_type"):
        stream.log(base, given)
        return None
    make: Any = archetype_class("VisualizerInstruction")
    stream.log(f"{base}/{given.id}", make(given.visualizer_type, component_map=given.mappings))
    if given.overrides:
        stream.log(f"{base}/{given.id}", given.overrides)
    found: UUID = given.id
    return found
