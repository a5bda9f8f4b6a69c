"""Blueprints: which views the viewer shows, and where. ``import shmrerun.blueprint as rrb``, as in Rerun.

Build one of views, containers and panels, then give it to :func:`shmrerun.send_blueprint`, or as ``default_blueprint=`` to any sink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_MODULES = (
    "api", "archetypes", "components", "containers", "datatypes", "encodings", "experimental", "table", "views", "visualizers",
)  # fmt: skip
_LAZY = {  # name: the module that has it, imported when the name is first used
    name: module
    for module, names in {
        "encodings": "TimeRange TimeRangeBoundary VisibleTimeRange",
        "blueprint.api": """
            Blueprint BlueprintLike BlueprintPanel BlueprintPart Container ContainerLike SelectionPanel TimePanel TopPanel View
        """,
        "blueprint.archetypes": """
            ActiveVisualizers AudioPlayback Background EntityBehavior EyeControls3D LineGrid3D PlotInteraction PlotLegend ScalarAxis
            SpatialInformation TensorScalarMapping TensorSliceSelection TextLogColumns TextLogFormat TextLogRows TimeAxis
            VisibleTimeRanges VisualBounds2D
        """,
        "blueprint.components": "BackgroundKind Corner2D Eye3DKind LockRangeDuringZoom MapProvider PanelState PanelStateLike",
        "blueprint.containers": "Grid Horizontal Tabs Vertical",
        "blueprint.table": "TableBlueprint",
        "blueprint.views": """
            AudioView BarChartView DataframeView GraphView MapView Spatial2DView Spatial3DView StateTimelineView TensorView
            TextDocumentView TextLogView TimeSeriesView
        """,
        "blueprint.visualizers": "VisualizableArchetype Visualizer",
    }.items()
    for name in names.split()
}

__all__ = sorted([*_MODULES, *_LAZY])  # noqa: PLE0605  the stub has the plain list


def __getattr__(name: str) -> Any:
    """Import what a lazy name stands for, at its first use; from then on it is a global like any other."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"shmrerun.blueprint.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"shmrerun.{_LAZY[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
