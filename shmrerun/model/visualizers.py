"""How an entity is shown in one view: by which visualizer, with which components instead of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from shmrerun.model.tables.archetypes import VISUALIZERS

if TYPE_CHECKING:
    from typing import Any
    from uuid import UUID

    from shmrerun.model.batches import DescribedComponentBatch


class Visualizer:
    """A visualizer of an entity, for the ``overrides`` of a view; an archetype's ``visualizer()`` makes one.

    Parameters
    ----------
    visualizer_type : str
        Its name, such as ``"Points3D"``.
    overrides : list of DescribedComponentBatch, optional
        Components that are shown instead of the entity's own.
    mappings : list of VisualizerComponentMapping, optional
        Where its components come from, if not from those of the same name.
    """

    __module__ = "shmrerun.blueprint.visualizers"

    def __init__(
        self,
        visualizer_type: str,
        *,
        overrides: list[DescribedComponentBatch] | None = None,
        mappings: list[Any] | None = None,
    ) -> None:
        from uuid import uuid4

        self.id: UUID = uuid4()
        self.visualizer_type = visualizer_type
        self.overrides = overrides
        self.mappings = mappings


@runtime_checkable
class VisualizableArchetype(Protocol):
    """What has a visualizer of its own: archetypes that can be drawn."""

    def visualizer(self, *args: Any, **kwargs: Any) -> Visualizer:
        """Return a visualizer with what is set as overrides."""


VisualizableArchetype.__module__ = Visualizer.__module__  # a protocol's members all have declared types


def visualizer(self: Any, *, mappings: list[Any] | None = None) -> Visualizer:
    """Return a visualizer for a view's ``overrides`` that shows what is set here instead of the entity's own components.

    Parameters
    ----------
    mappings : list of VisualizerComponentMapping, optional
        Where other components come from, if not from those of the same name.
    """
    return Visualizer(VISUALIZERS[self.archetype_short_name()], overrides=self.as_component_batches(), mappings=mappings)
