"""Components, encodings and enums of blueprints as data; those of recordings are in :mod:`shmrerun.model.tables.components`.

Source: rerun-sdk 0.41.0 (names, members, wire values, Arrow types, as introspected).
"""

from __future__ import annotations

ENUMS: dict[str, dict[str, int]] = {
    "BackgroundKind": {"GradientDark": 1, "GradientBright": 2, "SolidColor": 3},
    "ColumnDisplayMode": {"Compact": 1, "Component": 2, "Full": 3},
    "ComponentSourceKind": {"SourceComponent": 1, "Override": 2, "Default": 3, "AnnotationContext": 4},
    "ContainerKind": {"Tabs": 1, "Horizontal": 2, "Vertical": 3, "Grid": 4},
    "Corner2D": {"LeftTop": 1, "RightTop": 2, "LeftBottom": 3, "RightBottom": 4},
    "Eye3DKind": {"FirstPerson": 1, "Orbital": 2},
    "LinkAxis": {"Independent": 1, "LinkToGlobal": 2},
    "LoopMode": {"Off": 1, "Selection": 2, "All": 3},
    "MapProvider": {"OpenStreetMap": 1, "MapboxStreets": 2, "MapboxDark": 3, "MapboxSatellite": 4, "MapboxLight": 5},
    "PanelState": {"Hidden": 1, "Collapsed": 2, "Expanded": 3},
    "PlayState": {"Paused": 1, "Playing": 2, "Following": 3},
    "PointsDisplay": {"OnHover": 1, "Always": 2},
    "SortDirection": {"Ascending": 1, "Descending": 2},
    "TableLayoutKind": {"Table": 1, "Cards": 2},
    "TextLogColumnKind": {"EntityPath": 1, "LogLevel": 2, "Body": 3},
    "TooltipMode": {"Nearest": 1, "All": 2},
    "ViewFit": {"Original": 1, "Fill": 2, "FillKeepAspectRatio": 3},
}
ENCODED_ENUMS = ("ComponentSourceKind", "SortDirection", "TextLogColumnKind")  # those that are no components

#: Encoding: its converter, and its only field if it has one; all are written in ``values.blueprints``.
ENCODINGS: dict[str, tuple[str, str]] = {
    "ColumnType": ("column_type", ""),
    "ComponentColumnSelector": ("column_selector", ""),
    "FilterByRange": ("range_filter", ""),
    "FilterIsNotNull": ("null_filter", ""),
    "SelectedColumns": ("selected_columns", ""),
    "SortBy": ("sort_by", ""),
    "TensorDimensionIndexSlider": ("slider", ""),
    "TextLogColumn": ("log_column", ""),
    "TimelineColumn": ("timeline_column", ""),
    "VisualizerComponentMapping": ("component_mapping", ""),
}

_BY_ENCODING = {  # encoding and converter: components
    "AbsoluteTimeRange time_bounds": "AbsoluteTimeRange",
    "Bool bool": "ApplyLatestAt AutoLayout AutoScroll AutoViews Editable Enabled LockRangeDuringZoom",
    "EntityPath text": "ActiveTab IncludedContent ViewOrigin",
    "Float32 float32": "ColumnShare GridSpacing NearClipPlane RowShare Volume",
    "Float64 float64": "AngularSpeed ForceDistance ForceStrength Fps PlaybackSpeed TimelineFraction ZoomLevel",
    "Range2D range2": "VisualBounds2D",
    "TimeInt time": "TimeInt",
    "TimeRange time_range": "TimeRange",
    "UInt32 uint32": "GridColumns",
    "UInt64 uint64": "ForceIterations ViewerRecommendationHash",
    "Utf8 text": "ColumnName QueryExpression SqlFilterExpression TimelineName ViewClass VisualizerType",
    "Uuid uuid": "RootContainer ViewMaximized VisualizerInstructionId",
    "VisibleTimeRange visible_time_range": "VisibleTimeRange",
}

#: Component: the encoding that it is made of, or None, and its converter.
COMPONENTS: dict[str, tuple[str | None, str]] = {
    **{name: (of.split()[0], of.split()[1]) for of, names in _BY_ENCODING.items() for name in names.split()},
    **{name: (None, f"enum:{name}") for name in ENUMS if name not in ENCODED_ENUMS},
    **{name: (name, converter) for name, (converter, _) in ENCODINGS.items()},
    "ColumnOrder": (None, "column_order"),
}
