"""Archetypes that only blueprints have.

Source: rerun-sdk 0.41.0, as introspected.
"""

from __future__ import annotations

from shmrerun.model.tables.spec import ArchetypeSpec

_PACKAGE = "rerun.blueprint"

ARCHETYPES: dict[str, ArchetypeSpec] = {
    "ActiveVisualizers": ArchetypeSpec(
        "Which visualizers show an entity in a view, by the ids of their instructions.",
        """
            instruction_ids VisualizerInstructionId
        """,
        required=1,
        package=_PACKAGE,
    ),
    "AudioPlayback": ArchetypeSpec(
        "How an audio view plays.",
        """
            volume Volume
        """,
        package=_PACKAGE,
    ),
    "Background": ArchetypeSpec(
        "Background of a 2D or 3D view: a gradient, or one colour.",
        """
            kind BackgroundKind
            color Color
        """,
        init="layouts:background",
        package=_PACKAGE,
    ),
    "CardLayout": ArchetypeSpec(
        "How the records of a table are shown as cards.",
        """
            field_order ColumnName
            title ColumnName
            link ColumnName
        """,
        required=1,
        package=_PACKAGE,
    ),
    "ContainerBlueprint": ArchetypeSpec(
        "A container of views and containers, as it is in a blueprint.",
        """
            container_kind ContainerKind
            display_name Name
            contents IncludedContent
            col_shares ColumnShare
            row_shares RowShare
            active_tab ActiveTab
            visible Visible
            grid_columns GridColumns
        """,
        required=1,
        package=_PACKAGE,
    ),
    "DataframeQuery": ArchetypeSpec(
        "Which rows and columns a dataframe view shows.",
        """
            timeline TimelineName
            filter_by_range FilterByRange
            filter_is_not_null FilterIsNotNull
            apply_latest_at ApplyLatestAt
            select SelectedColumns
            entity_order ColumnOrder
            auto_scroll AutoScroll
        """,
        init="layouts:dataframe_query",
        package=_PACKAGE,
    ),
    "EntityBehavior": ArchetypeSpec(
        "Whether an entity and what is below it is shown and can be selected, in one view.",
        """
            interactive Interactive
            visible Visible
        """,
        package=_PACKAGE,
    ),
    "EyeControls3D": ArchetypeSpec(
        "Where the eye of a 3D view is, and how it moves.",
        """
            kind Eye3DKind
            position Position3D
            look_target Position3D
            eye_up Vector3D
            speed LinearSpeed
            tracking_entity EntityPath
            spin_speed AngularSpeed
        """,
        package=_PACKAGE,
    ),
    "ForceCenter": ArchetypeSpec(
        "A force that keeps the whole graph around the middle.",
        """
            enabled Enabled
            strength ForceStrength
        """,
        package=_PACKAGE,
    ),
    "ForceCollisionRadius": ArchetypeSpec(
        "A force that keeps nodes from overlapping, by their radii.",
        """
            enabled Enabled
            strength ForceStrength
            iterations ForceIterations
        """,
        package=_PACKAGE,
    ),
    "ForceLink": ArchetypeSpec(
        "A force that pulls nodes with an edge to a given distance.",
        """
            enabled Enabled
            distance ForceDistance
            iterations ForceIterations
        """,
        package=_PACKAGE,
    ),
    "ForceManyBody": ArchetypeSpec(
        "A force between all pairs of nodes: they attract or repel each other.",
        """
            enabled Enabled
            strength ForceStrength
        """,
        package=_PACKAGE,
    ),
    "ForcePosition": ArchetypeSpec(
        "A force that pulls all nodes to one point.",
        """
            enabled Enabled
            strength ForceStrength
            position Position2D
        """,
        package=_PACKAGE,
    ),
    "GraphBackground": ArchetypeSpec(
        "Background of a graph view.",
        """
            color Color
        """,
        package=_PACKAGE,
    ),
    "LineGrid3D": ArchetypeSpec(
        "The grid of a 3D view.",
        """
            visible Visible
            spacing GridSpacing
            plane Plane3D
            stroke_width StrokeWidth
            color Color
        """,
        parameters="visible? * spacing plane stroke_width color",
        package=_PACKAGE,
    ),
    "MapBackground": ArchetypeSpec(
        "Whose tiles a map view shows.",
        """
            provider MapProvider
        """,
        required=1,
        package=_PACKAGE,
    ),
    "MapZoom": ArchetypeSpec(
        "How close a map view is.",
        """
            zoom ZoomLevel
        """,
        required=1,
        package=_PACKAGE,
    ),
    "NearClipPlane": ArchetypeSpec(
        "What a 3D view leaves out because it is too near.",
        """
            near_clip_plane NearClipPlane
        """,
        required=1,
        package=_PACKAGE,
    ),
    "PanelBlueprint": ArchetypeSpec(
        "State of one of the viewer's panels.",
        """
            state PanelState
        """,
        package=_PACKAGE,
    ),
    "PlotBackground": ArchetypeSpec(
        "Background of a plot.",
        """
            color Color
            show_grid Enabled
        """,
        package=_PACKAGE,
    ),
    "PlotInteraction": ArchetypeSpec(
        "What a plot shows of the points under the mouse.",
        """
            tooltip_mode TooltipMode
            points_display PointsDisplay
        """,
        package=_PACKAGE,
    ),
    "PlotLegend": ArchetypeSpec(
        "The legend of a plot.",
        """
            corner Corner2D
            visible Visible
        """,
        parameters="corner? * visible",
        package=_PACKAGE,
    ),
    "PreviewsConfig": ArchetypeSpec(
        "What the previews in a table play, and how.",
        """
            timeline TimelineName
            play_state PlayState
            playback_speed PlaybackSpeed
            start_point TimelineFraction
        """,
        package=_PACKAGE,
    ),
    "ScalarAxis": ArchetypeSpec(
        "The axis of values of a plot.",
        """
            range Range1D
            zoom_lock LockRangeDuringZoom
        """,
        package=_PACKAGE,
    ),
    "SpatialInformation": ArchetypeSpec(
        "Frame, axes and bounding box of a 2D or 3D view.",
        """
            target_frame TransformFrameId
            show_bounding_box Enabled
            show_axes Enabled
            axes ViewCoordinates
        """,
        required=1,
        package=_PACKAGE,
    ),
    "TableBlueprint": ArchetypeSpec(
        "How a table is shown: layout, filters, order of rows.",
        """
            layout TableLayoutKind
            column_display_mode ColumnDisplayMode
            filters SqlFilterExpression
            sort_by SortBy
        """,
        package=_PACKAGE,
    ),
    "TableColumn": ArchetypeSpec(
        "How one column of a table is shown.",
        """
            name Name
            editable Editable
            visible Visible
            column_type ColumnType
        """,
        package=_PACKAGE,
    ),
    "TableColumnPreview": ArchetypeSpec(
        "Views that show the recording that a table's cell refers to.",
        """
            views IncludedContent
        """,
        required=1,
        package=_PACKAGE,
    ),
    "TableLayout": ArchetypeSpec(
        "Order of a table's columns.",
        """
            column_order ColumnName
        """,
        package=_PACKAGE,
    ),
    "TensorScalarMapping": ArchetypeSpec(
        "How the numbers of a tensor become colours.",
        """
            mag_filter MagnificationFilter
            colormap Colormap
            gamma GammaCorrection
        """,
        package=_PACKAGE,
    ),
    "TensorSliceSelection": ArchetypeSpec(
        "Which two dimensions of a tensor are shown, and where in the others.",
        """
            width TensorWidthDimension
            height TensorHeightDimension
            indices TensorDimensionIndexSelection
            slider TensorDimensionIndexSlider
        """,
        package=_PACKAGE,
    ),
    "TensorViewFit": ArchetypeSpec(
        "How a tensor's picture is fitted into its view.",
        """
            scaling ViewFit
        """,
        parameters="scaling?",
        package=_PACKAGE,
    ),
    "TextDocumentFormat": ArchetypeSpec(
        "How a text document is set.",
        """
            monospace Enabled
            word_wrap Enabled
        """,
        package=_PACKAGE,
    ),
    "TextLogColumns": ArchetypeSpec(
        "Columns of a text log view.",
        """
            timeline_columns TimelineColumn
            text_log_columns TextLogColumn
        """,
        package=_PACKAGE,
    ),
    "TextLogFormat": ArchetypeSpec(
        "How the messages of a text log view are set.",
        """
            monospace_body Enabled
        """,
        package=_PACKAGE,
    ),
    "TextLogRows": ArchetypeSpec(
        "Which messages a text log view shows.",
        """
            filter_by_log_level TextLogLevel
        """,
        package=_PACKAGE,
    ),
    "TimeAxis": ArchetypeSpec(
        "The axis of time of a plot.",
        """
            link LinkAxis
            view_range TimeRange
            zoom_lock LockRangeDuringZoom
        """,
        package=_PACKAGE,
    ),
    "TimePanelBlueprint": ArchetypeSpec(
        "State of the time panel: timeline, playback, selection.",
        """
            state PanelState
            timeline TimelineName
            playback_speed PlaybackSpeed
            fps Fps
            play_state PlayState
            loop_mode LoopMode
            time_selection AbsoluteTimeRange
        """,
        package=_PACKAGE,
    ),
    "ViewBlueprint": ArchetypeSpec(
        "A view, as it is in a blueprint.",
        """
            class_identifier ViewClass
            display_name Name
            space_origin ViewOrigin
            visible Visible
            titlebar Enabled
        """,
        required=1,
        package=_PACKAGE,
    ),
    "ViewContents": ArchetypeSpec(
        "Which entities a view has, as query expressions.",
        """
            query QueryExpression
        """,
        required=1,
        package=_PACKAGE,
    ),
    "ViewportBlueprint": ArchetypeSpec(
        "The viewport: its outermost container, and what the viewer may add by itself.",
        """
            root_container RootContainer
            maximized ViewMaximized
            auto_layout AutoLayout
            auto_views AutoViews
            past_viewer_recommendations ViewerRecommendationHash
        """,
        package=_PACKAGE,
    ),
    "VisibleTimeRanges": ArchetypeSpec(
        "Which range of each timeline is shown, instead of the newest data at the cursor.",
        """
            ranges VisibleTimeRange
        """,
        init="layouts:visible_time_ranges",
        package=_PACKAGE,
    ),
    "VisualBounds2D": ArchetypeSpec(
        "The part of the plane that is visible at least.",
        """
            range VisualBounds2D
        """,
        init="layouts:visual_bounds",
        package=_PACKAGE,
    ),
    "VisualizerInstruction": ArchetypeSpec(
        "A visualizer of an entity, and where it takes its components from.",
        """
            visualizer_type VisualizerType
            component_map VisualizerComponentMapping
        """,
        required=1,
        package=_PACKAGE,
    ),
}
