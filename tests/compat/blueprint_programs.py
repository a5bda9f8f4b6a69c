"""Blueprints for the comparison of both libraries: each function makes one, given the package and its ``blueprint``."""

from __future__ import annotations


def empty(rr, rrb):
    return rrb.Blueprint()


def nothing_at_all(rr, rrb):
    return rrb.Blueprint(auto_layout=False, auto_views=False)


def collapsed(rr, rrb):
    return rrb.Blueprint(collapse_panels=True)


def panels(rr, rrb):
    return rrb.Blueprint(
        rrb.TopPanel(state="hidden"),
        rrb.BlueprintPanel(expanded=True),
        rrb.SelectionPanel(expanded=False),
        rrb.TimePanel(
            state=rrb.PanelState.Expanded,
            timeline="frame",
            playback_speed=2,
            fps=29.97,
            play_state="following",
            loop_mode=rrb.components.LoopMode.Selection,
            time_selection=rrb.components.AbsoluteTimeRange(1, 2**40),
        ),
        collapse_panels=True,
    )


def panels_of_numbers(rr, rrb):
    return rrb.Blueprint(rrb.TopPanel(state=2), rrb.TimePanel(state="Hidden", play_state=1, timeline="my time"), rrb.SelectionPanel())


def one_view(rr, rrb):
    return rrb.Spatial3DView()


def one_container(rr, rrb):
    return rrb.Grid(rrb.Spatial2DView(name="a"), rrb.TextLogView(name="b"), grid_columns=2, column_shares=[1, 2.5], row_shares=(1,))


def several(rr, rrb):
    return rrb.Blueprint(rrb.TextDocumentView(origin="/a"), rrb.Horizontal(rrb.TensorView(), name="inner", visible=False), auto_views=True)


def nested(rr, rrb):
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Vertical(rrb.Spatial3DView(name="x", visible=True, titlebar=False), rrb.MapView(), row_shares=[3, 1]),
            rrb.Tabs(rrb.BarChartView(name="bars"), rrb.Grid(contents=[rrb.AudioView()]), rrb.DataframeView(), active_tab="bars"),
            rrb.Vertical(contents=[]),
            column_shares=[0.5, 0.25, 0.25],
            name="all",
        ),
        auto_layout=False,
    )


def tabs(rr, rrb):
    return rrb.Tabs(
        rrb.Tabs(rrb.TextLogView(), rrb.GraphView(), rrb.BarChartView(name="named")),  # the last without a name is in front
        rrb.Tabs(rrb.TextLogView(name="a"), rrb.Horizontal(name="b"), active_tab=1),
        rrb.Tabs(rrb.TextLogView(name="a"), active_tab="a", visible=True),
        active_tab=0,
    )


def contents(rr, rrb):
    return rrb.Tabs(
        rrb.Spatial3DView(origin="world/a b", contents="/only"),
        rrb.Spatial3DView(origin="/world", contents=["+ $origin/**", "- /world/floor", "+ /other/**"]),
        rrb.Spatial3DView(contents=rrb.archetypes.ViewContents(query=["/x"])),
        rrb.Spatial3DView(origin="", contents=[]),
        rrb.TimeSeriesView(contents=("$origin/**",)),
    )


def backgrounds(rr, rrb):
    return rrb.Tabs(
        *(
            rrb.Spatial3DView(background=background)
            for background in (
                [10, 20, 30], (0.1, 0.2, 0.3, 0.4), 0x11223344, rrb.BackgroundKind.GradientBright, rrb.BackgroundKind.SolidColor,
                rrb.Background(), rrb.Background([1, 2, 3]), rrb.Background(kind="gradientdark"), rrb.Background(color=(1, 2, 3, 4)),
                rrb.Background(kind=rrb.BackgroundKind.GradientDark, color=7),
            )
        )
    )  # fmt: skip


def spatial(rr, rrb):
    return rrb.Horizontal(
        rrb.Spatial3DView(
            line_grid=rrb.LineGrid3D(
                visible=True, spacing=0.1, plane=rr.components.Plane3D.XY.with_distance(-5), stroke_width=2, color=[1, 2, 3]
            ),
            spatial_information=rrb.SpatialInformation(
                target_frame="tf#/", show_axes=True, show_bounding_box=False, axes=rr.ViewCoordinates.RDF
            ),
            eye_controls=rrb.EyeControls3D(
                kind=rrb.Eye3DKind.FirstPerson, position=(1, 2, 3), look_target=[0, 0, 0], eye_up=(0, 0, 1), speed=20.0,
                tracking_entity="/a/b", spin_speed=0.2,
            ),
        ),
        rrb.Spatial3DView(line_grid=False),
        rrb.Spatial3DView(line_grid=True, eye_controls=rrb.EyeControls3D(kind="orbital")),
        rrb.Spatial2DView(visual_bounds=rrb.VisualBounds2D(x_range=[-5, 5], y_range=(0.5, 1.5)), background=[0, 0, 0]),
        rrb.Spatial2DView(visual_bounds=rrb.VisualBounds2D()),
    )  # fmt: skip


def time_ranges(rr, rrb):
    b = rrb.TimeRangeBoundary
    one = rrb.VisibleTimeRange("frame", start=b.cursor_relative(seq=-10), end=b.cursor_relative())
    other = rrb.VisibleTimeRange("time", start=b.absolute(seconds=1.5), end=b.infinite())
    return rrb.Tabs(
        rrb.Spatial3DView(time_ranges=one),
        rrb.Spatial2DView(time_ranges=[one, other]),
        rrb.TimeSeriesView(time_ranges=rrb.VisibleTimeRanges([other])),
        rrb.StateTimelineView(
            time_ranges=rrb.VisibleTimeRanges(timeline="t", range=rr.TimeRange(start=b.absolute(nanos=-3), end=b.cursor_relative(nanos=7)))
        ),
        rrb.TimeSeriesView(time_ranges=rrb.VisibleTimeRanges(timeline="t", start=b.infinite(), end=b.cursor_relative(seconds=2))),
        rrb.Spatial3DView(overrides={"/a": rrb.VisibleTimeRanges(one)}),
    )


def plots(rr, rrb):
    b = rrb.TimeRangeBoundary
    return rrb.Vertical(
        rrb.TimeSeriesView(
            origin="/trig",
            axis_x=rrb.TimeAxis(
                view_range=rr.TimeRange(start=b.cursor_relative(seconds=-100), end=b.cursor_relative(seconds=100)),
                zoom_lock=True,
                link=rrb.components.LinkAxis.LinkToGlobal,
            ),
            axis_y=rrb.ScalarAxis(range=(-1.0, 1.0), zoom_lock=True),
            plot_legend=rrb.PlotLegend(visible=False),
            background=rrb.archetypes.PlotBackground(color=[128, 128, 128], show_grid=False),
            interaction=rrb.PlotInteraction(tooltip_mode="All", points_display="Always"),
        ),
        rrb.TimeSeriesView(axis_y=rrb.ScalarAxis(range=[5, 6], zoom_lock=rrb.LockRangeDuringZoom(False))),
        rrb.TimeSeriesView(plot_legend=rrb.Corner2D.LeftTop),
        rrb.BarChartView(plot_legend=rrb.PlotLegend(corner="righttop", visible=True), background=rrb.archetypes.PlotBackground()),
        rrb.StateTimelineView(time_view=rrb.TimeAxis(link="independent")),
    )


def graphs_and_maps(rr, rrb):
    a = rrb.archetypes
    return rrb.Grid(
        rrb.GraphView(
            background=a.GraphBackground(color=[1, 2, 3]),
            visual_bounds=rrb.VisualBounds2D(x_range=[0, 1], y_range=[2, 3]),
            force_link=a.ForceLink(enabled=True, distance=60, iterations=3),
            force_many_body=a.ForceManyBody(strength=-60, enabled=False),
            force_position=a.ForcePosition(strength=0.01, position=[1, 2]),
            force_collision_radius=a.ForceCollisionRadius(enabled=True, strength=1, iterations=2),
            force_center=a.ForceCenter(strength=1.5, enabled=True),
        ),
        rrb.MapView(zoom=16.0, background=rrb.MapProvider.MapboxDark),
        rrb.MapView(zoom=a.MapZoom(3), background="openstreetmap"),
        rrb.MapView(background=a.MapBackground(provider=4)),
    )


def tensors(rr, rrb):
    return rrb.Tabs(
        rrb.TensorView(
            slice_selection=rrb.TensorSliceSelection(
                width=1,
                height=rr.TensorDimensionSelection(dimension=2, invert=True),
                indices=[
                    rr.TensorDimensionIndexSelection(dimension=2, index=4),
                    rr.TensorDimensionIndexSelection(dimension=3, index=5),
                ],
                slider=[2, rrb.components.TensorDimensionIndexSlider(3)],
            ),
            scalar_mapping=rrb.TensorScalarMapping(colormap="turbo", gamma=1.5, mag_filter=rr.components.MagnificationFilter.Linear),
            view_fit="fill",
        ),
        rrb.TensorView(view_fit=rrb.components.ViewFit.Original, slice_selection=rrb.TensorSliceSelection(slider=[1])),
        rrb.TensorView(view_fit=rrb.archetypes.TensorViewFit("FillKeepAspectRatio")),
    )


def texts(rr, rrb):
    c = rrb.components
    return rrb.Tabs(
        rrb.TextLogView(
            columns=rrb.TextLogColumns(
                timeline_columns=["log_time", c.TimelineColumn("frame", visible=False)],
                text_log_columns=["loglevel", c.TextLogColumn("Body", visible=False), 1],
            ),
            rows=rrb.TextLogRows(filter_by_log_level=["INFO", rr.TextLogLevel.WARN]),
            format_options=rrb.TextLogFormat(monospace_body=True),
        ),
        rrb.TextLogView(rows=rrb.TextLogRows(filter_by_log_level="INFO")),
        rrb.TextDocumentView(format_options=rrb.archetypes.TextDocumentFormat(monospace=True, word_wrap=False)),
        rrb.AudioView(playback=rrb.AudioPlayback(volume=0.5)),
    )


def queries(rr, rrb):
    q = rrb.archetypes.DataframeQuery
    c = rrb.components
    return rrb.Tabs(
        rrb.DataframeView(query=q()),
        rrb.DataframeView(
            query=q(
                timeline="frame",
                filter_by_range=(rr.TimeInt(seconds=1), rr.TimeInt(seconds=4)),
                filter_is_not_null="/a/b:comp",
                apply_latest_at=True,
                select=["frame", "/a/b:comp", c.ComponentColumnSelector(entity_path="/x", component="Points3D:positions")],
                entity_order=["/b", "/a"],
                auto_scroll=True,
            )
        ),
        rrb.DataframeView(
            query=q(
                filter_by_range=c.FilterByRange(3, 7),
                filter_is_not_null=c.ComponentColumnSelector(entity_path="/x", component="Points3D:positions"),
                select=c.SelectedColumns(["a", "/b:c"]),
                entity_order=c.ColumnOrder(["/b"]),
            )
        ),
    )


def overrides(rr, rrb):
    mapping = rrb.components.VisualizerComponentMapping
    return rrb.Horizontal(
        rrb.TimeSeriesView(
            overrides={
                "/a": rr.SeriesLines(colors=[255, 0, 0]),
                "b": [rr.SeriesLines(names="x"), rr.SeriesPoints(markers="square")],
                "/c": [rrb.EntityBehavior(visible=False, interactive=True)],
                "/d e/f": rrb.EntityBehavior(visible=False),
                "/g": rrb.Visualizer("SeriesLines"),
                "/h": rrb.Visualizer("SeriesPoints", overrides=rr.SeriesPoints(colors=7).as_component_batches()),
                "/i": rr.SeriesLines(widths=2).visualizer(
                    mappings=[
                        mapping("Scalars:scalars", 1, source_component="any", selector=".x"),
                        mapping("SeriesLines:colors", "override"),
                    ]
                ),
                "/j": [],
            },
            defaults=[rr.SeriesLines(widths=3), rr.SeriesPoints.from_fields(colors=[1, 2, 3])],
        ),
        rrb.Spatial3DView(
            overrides={"/points": [rr.Points3D.from_fields(radii=0.1), rrb.EntityBehavior(visible=True)]},
            defaults=rr.Boxes3D.from_fields(fill_mode="solid").as_component_batches() and [rr.Boxes3D.from_fields(fill_mode="solid")],
        ),
        rrb.Spatial2DView(overrides={}, defaults=[]),
    )


def base_classes(rr, rrb):
    return rrb.Blueprint(
        rrb.Container(
            rrb.View(class_identifier="My", origin="/x", contents="/x/**", name=None, properties={"Own": rrb.PlotLegend("lefttop")}),
            kind="vertical",
            name="c",
        )
    )


def repeated(rr, rrb):
    view = rrb.TextLogView(name="same")
    return rrb.Vertical(view, rrb.Horizontal(view))


def table(rr, rrb):
    t = rrb.table
    view = rrb.Spatial3DView(origin="/x")
    return rrb.TableBlueprint(
        table_layout=t.TableLayout(
            columns=[
                t.Column("a b", name="A", editable=True, visible=False),
                t.Column("preview", column_type=t.PreviewCell(view)),
                t.Column("flag", column_type="rerun.components.Color"),
                t.Column("doc", column_type=rr.TextDocument.descriptor_text()),
                t.Column("url", column_type=rr.components.MediaType),
                t.Column("plain"),
            ]
        ),
        card_layout=t.CardLayout(title="name", link="preview", fields=[t.Column("a b", name="B"), t.Column("x/y")]),
        default_layout="cards",
        column_display_mode="full",
        previews_config=t.PreviewsConfig(timeline="frame", play_state="playing", playback_speed=2, start_point=0.5),
        filters=[t.col("score") >= 3, "x = 1", t.col("tags").list.str.contains("a%b")],
        sort_by=t.SortBy("a b", direction="descending"),
    )


def small_table(rr, rrb):
    return rrb.TableBlueprint(sort_by="x")


BLUEPRINTS = {
    function.__name__: function
    for function in (
        empty, nothing_at_all, collapsed, panels, panels_of_numbers, one_view, one_container, several, nested, tabs, contents, backgrounds,
        spatial, time_ranges, plots, graphs_and_maps, tensors, texts, queries, overrides, base_classes, repeated, table, small_table,
    )
}  # fmt: skip
