"""What users write; test_typing runs mypy --strict over it. Lines marked ``error:`` must be refused with that code."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt

import shmrerun
import shmrerun.blueprint as rrb
from shmrerun import archetypes as rr
from shmrerun import components, encodings


def points(positions: npt.NDArray[np.float32]) -> rr.Points3D:
    made = rr.Points3D(positions, colors=[255, 0, 0], radii=[0.1, 0.2], labels="a", class_ids=[1, 2])
    rr.Points3D([[1, 2, 3], [4, 5, 6]], colors=np.zeros((2, 3), np.uint8), radii=components.Radius(0.5))
    rr.Points2D(positions, keypoint_ids=3, show_labels=True, draw_order=1.5)
    rr.Points3D(radii=0.5)  # error: call-arg
    rr.Points3D(positions, colours=[1, 2, 3])  # error: call-arg
    return made


def shapes() -> None:
    turn = encodings.RotationAxisAngle([0, 0, 1], degrees=90)
    rr.Boxes3D(half_sizes=[[1, 2, 3]], quaternions=[encodings.Quaternion.identity()], fill_mode="solid")
    rr.Boxes3D(sizes=[1, 1, 1], rotation_axis_angles=[turn], fill_mode=components.FillMode.Solid)
    rr.Boxes2D(array=[1, 2, 3, 4], array_format=rr.Box2DFormat.XYWH)
    rr.LineStrips3D([np.zeros((4, 3)), np.zeros((2, 3))], colors=0xFF0000FF)
    rr.Transform3D(translation=[1, 2, 3], rotation=turn, scale=2.0, relation=components.TransformRelation.ChildFromParent)
    rr.Transform3D([1, 2, 3])  # error: call-arg
    rr.Arrows3D()  # error: call-arg
    rr.Pinhole(focal_length=(500.0, 510.0), width=640, height=480, camera_xyz=rr.ViewCoordinates.RDF)


def rest(image: npt.NDArray[np.uint8], columns: npt.NDArray[np.float64]) -> None:
    rr.Image(image, "BGR", opacity=0.5).compress(jpeg_quality=80)
    rr.Image(bytes=b"\0" * 6, width=2, height=2, pixel_format="NV12").image_format().width.bit_length()
    rr.EncodedImage(contents=b"abc", media_type=components.MediaType.PNG)
    rr.RecordingInfo(name="run", start_time=encodings.TimeInt(nanos=5))
    rr.TextLog("x", level="INFO", color=[255, 0, 0])
    rr.TextLog("x", level=components.TextLogLevel.WARN)
    rr.TextLog(text=5)  # error: arg-type
    rr.TextLog("x", lvl="INFO")  # error: call-arg
    assert rr.Scalars(1.0).scalars is not None
    rr.Scalars.columns(scalars=columns).partition([1, 2])
    rr.Scalars.from_fields(scalars=1, clear_unset=True).as_component_batches()
    rr.Scalars.descriptor_scalars().component.upper()
    rr.Clear.recursive()
    rr.Clear(recursive=True)
    rr.AnnotationContext([(1, "red", (255, 0, 0)), encodings.ClassDescription(info=2)])
    rr.VideoStream(components.VideoCodec.H264, sample=b"\0\1")
    rr.GraphEdges([("a", "b")], graph_type="directed")
    components.Position3DBatch([[1, 2, 3]]).as_arrow_array()
    components.Position3D([1, 2, 3]).xyz.astype(np.float64)


class Reading:
    """A user's own class that can be logged."""

    def as_component_batches(self) -> list[shmrerun.DescribedComponentBatch]:
        return rr.Scalars(1.0).as_component_batches()


def program(positions: npt.NDArray[np.float32]) -> None:
    shmrerun.init("program", recording_id="run", strict=False)
    shmrerun.save("program.rrd")
    recording: shmrerun.RecordingStream | None = shmrerun.get_global_data_recording()
    shmrerun.set_time("step", sequence=1)
    shmrerun.set_time("elapsed", duration=dt.timedelta(seconds=1), recording=recording)
    shmrerun.set_time("at", timestamp=1.5)
    shmrerun.log("points", shmrerun.Points3D(positions, colors=[1, 2, 3]), shmrerun.AnyValues(note="x"), static=True)
    shmrerun.log(["a", 1], Reading())
    shmrerun.log("batches", rr.Scalars(1.0).as_component_batches(), recording=recording)
    shmrerun.send_columns("s", [shmrerun.TimeColumn("step", sequence=[1])], shmrerun.Scalars.columns(scalars=[1.0]))
    with shmrerun.RecordingStream("other") as other:
        other.set_sinks(shmrerun.FileSink("other.rrd"))
        other.log("s", shmrerun.Scalars(1.0))
    shmrerun.MediaType.PNG.value.upper()
    shmrerun.Quaternion.identity()
    shmrerun.disconnect()
    shmrerun.Points3D(positions, colour=1)  # error: call-arg
    shmrerun.Scalras(1)  # error: attr-defined
    shmrerun.Scalar(1)  # error: attr-defined
    shmrerun.log("e", 1.0)  # error: arg-type
    shmrerun.log("e")  # error: call-arg
    shmrerun.set_time("step", 1)  # error: call-overload
    shmrerun.set_time("step", sequence="one")  # error: call-overload
    shmrerun.init()  # error: call-arg
    shmrerun.save(5)  # error: arg-type


def blueprints() -> rrb.Blueprint:
    """Layouts: views with properties and overrides, containers, panels."""
    rrb.Spatial3DView(
        origin="/world",
        contents=["+ $origin/**"],
        background=[1, 2, 3],
        line_grid=False,
        overrides={"/a": [rr.Points3D([[1, 2, 3]]), rrb.EntityBehavior(visible=False)], "/b": rr.Boxes3D(sizes=[1, 2, 3]).visualizer()},
        defaults=[rr.Points3D.from_fields(radii=1)],
        time_ranges=rrb.VisibleTimeRange("t", start=rrb.TimeRangeBoundary.cursor_relative(seq=-1), end=rrb.TimeRangeBoundary.infinite()),
    )
    rrb.TimeSeriesView(plot_legend=rrb.PlotLegend("lefttop"), axis_y=rrb.ScalarAxis(range=(0, 1)))
    rrb.Spatial2DView(nothing=1)  # error: call-arg
    rrb.MapView(zoom="near")  # error: arg-type
    rrb.archetypes.DataframeQuery(select=["a", "/b:c"], apply_latest_at=True)
    rrb.table.TableBlueprint(filters=[rrb.table.col("x") > 1])
    state: rrb.PanelState = rrb.PanelState.Hidden
    made = rrb.Blueprint(rrb.Tabs(rrb.TextLogView(), active_tab=0), rrb.TimePanel(state=state), collapse_panels=True)
    shmrerun.send_blueprint(made)
    return made


def reading(path: str) -> int:
    with shmrerun.read(path) as recording:
        rows = sum(entity.num_rows for entity in recording.entities.values())
        view: shmrerun.RecordingView = recording.view("step", ["/a/**", "- /a/b"])
        view.select("/a:x").filter_range(1, 5).to_arrow_table()
        recording.columns("/a:x", index=None)
        recording.view(5)  # error: arg-type
        shmrerun.send_chunks(recording)
        shmrerun.send_dataframe(recording["/a"], index="step")
    chunk = shmrerun.chunk.Chunk.from_columns("/a", [shmrerun.TimeColumn("step", sequence=[1])], rr.Scalars.columns(scalars=[1.0]))
    chunk.with_entity_path("/b").id.upper()
    return rows
