"""The kinds of views as data: identifier, what each shows, and the properties that its constructor takes.

Source: rerun-sdk 0.41.0, as introspected.
"""

from __future__ import annotations

from typing import NamedTuple


class Property(NamedTuple):
    """One property of a view: a parameter, the archetype that it becomes, and what it is."""

    parameter: str
    archetype: str
    form: str
    doc: str


class ViewSpec(NamedTuple):
    """One kind of view."""

    identifier: str
    doc: str
    properties: tuple[Property, ...]


_LEGEND = Property("plot_legend", "PlotLegend", "PlotLegend or Corner2D", "The legend.")
_PLOT_BACKGROUND = Property("background", "PlotBackground", "PlotBackground", "The background.")
_BACKGROUND = Property("background", "Background", "Background, colour or BackgroundKind", "The background.")
_BOUNDS = Property("visual_bounds", "VisualBounds2D", "VisualBounds2D", "Part of the plane that is visible at least.")
_SPATIAL = Property("spatial_information", "SpatialInformation", "SpatialInformation", "Frame, axes and bounding box.")
_RANGES = Property(
    "time_ranges", "VisibleTimeRanges", "VisibleTimeRanges, VisibleTimeRange or sequence of these", "Times that are shown, by timeline."
)

#: Class: what it is.
VIEWS: dict[str, ViewSpec] = {
    "AudioView": ViewSpec("Audio", "A view of sounds.", (Property("playback", "AudioPlayback", "AudioPlayback", "How it plays."),)),
    "BarChartView": ViewSpec("BarChart", "A view of bar charts.", (_LEGEND, _PLOT_BACKGROUND)),
    "DataframeView": ViewSpec(
        "Dataframe", "A view of data as a table.", (Property("query", "DataframeQuery", "DataframeQuery", "Rows and columns."),)
    ),
    "GraphView": ViewSpec(
        "Graph",
        "A view of graphs of nodes and edges.",
        (
            Property("background", "GraphBackground", "GraphBackground", "The background."),
            _BOUNDS,
            Property("force_link", "ForceLink", "ForceLink", "Force along the edges."),
            Property("force_many_body", "ForceManyBody", "ForceManyBody", "Force between all pairs of nodes."),
            Property("force_position", "ForcePosition", "ForcePosition", "Force to one point."),
            Property("force_collision_radius", "ForceCollisionRadius", "ForceCollisionRadius", "Force that keeps nodes apart."),
            Property("force_center", "ForceCenter", "ForceCenter", "Force that keeps the graph around the middle."),
        ),
    ),
    "MapView": ViewSpec(
        "Map",
        "A view of the earth's surface.",
        (
            Property("zoom", "MapZoom", "MapZoom or float", "How close it is."),
            Property("background", "MapBackground", "MapBackground, MapProvider or str", "Whose map it is."),
        ),
    ),
    "Spatial2DView": ViewSpec("2D", "A view of what lies in the plane.", (_BACKGROUND, _BOUNDS, _SPATIAL, _RANGES)),
    "Spatial3DView": ViewSpec(
        "3D",
        "A view of what lies in space.",
        (
            _BACKGROUND,
            Property("line_grid", "LineGrid3D", "LineGrid3D or bool", "The grid."),
            _SPATIAL,
            Property("eye_controls", "EyeControls3D", "EyeControls3D", "Where the eye is, and how it moves."),
            _RANGES,
        ),
    ),
    "StateTimelineView": ViewSpec(
        "StateTimeline", "A view of states over time.", (Property("time_view", "TimeAxis", "TimeAxis", "The axis of time."), _RANGES)
    ),
    "TensorView": ViewSpec(
        "Tensor",
        "A view of slices of tensors.",
        (
            Property("slice_selection", "TensorSliceSelection", "TensorSliceSelection", "Which slice is shown."),
            Property("scalar_mapping", "TensorScalarMapping", "TensorScalarMapping", "How numbers become colours."),
            Property("view_fit", "TensorViewFit", "TensorViewFit, ViewFit or str", "How the picture is fitted into the view."),
        ),
    ),
    "TextDocumentView": ViewSpec(
        "TextDocument",
        "A view of one text.",
        (Property("format_options", "TextDocumentFormat", "TextDocumentFormat", "How it is set."),),
    ),
    "TextLogView": ViewSpec(
        "TextLog",
        "A view of log messages.",
        (
            Property("columns", "TextLogColumns", "TextLogColumns", "The columns."),
            Property("rows", "TextLogRows", "TextLogRows", "The messages that are shown."),
            Property("format_options", "TextLogFormat", "TextLogFormat", "How the messages are set."),
        ),
    ),
    "TimeSeriesView": ViewSpec(
        "TimeSeries",
        "A view of numbers over time.",
        (
            Property("axis_x", "TimeAxis", "TimeAxis", "The axis of time."),
            Property("axis_y", "ScalarAxis", "ScalarAxis", "The axis of values."),
            _LEGEND,
            _PLOT_BACKGROUND,
            Property("interaction", "PlotInteraction", "PlotInteraction", "What is shown of the points under the mouse."),
            _RANGES,
        ),
    ),
}
