"""The parts of a blueprint, by the name of the module that has them in Rerun."""

from __future__ import annotations

from typing import TypeAlias

from shmrerun.blueprint.layout import Blueprint, Container
from shmrerun.blueprint.panels import BlueprintPanel, Panel, SelectionPanel, TimePanel, TopPanel
from shmrerun.blueprint.view import View

__all__ = [
    "Blueprint",
    "BlueprintLike",
    "BlueprintPanel",
    "BlueprintPart",
    "Container",
    "ContainerLike",
    "Panel",
    "SelectionPanel",
    "TimePanel",
    "TopPanel",
    "View",
]

BlueprintLike: TypeAlias = Blueprint | View | Container
ContainerLike: TypeAlias = Container | View
BlueprintPart: TypeAlias = Container | View | TopPanel | BlueprintPanel | SelectionPanel | TimePanel
