"""What constructing and logging each archetype costs the caller: ``cd bench; python -m subjects.archetypes shmrerun Points3D``.

The case ``all`` runs them one after the other in one process.
Each archetype has one call as programs write it, or several: with lists, with arrays, with objects of the library. Inputs are made
before; ``set_time`` is not in the figures, the constructor is.
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from sizes import scaled
from subject import library, main

BURST, PAUSE_SECONDS = 20, 0.004  # calls in a row, then a rest in which the library's background catches up
COUNT, BEFORE = scaled(1_000), scaled(100)

RNG = np.random.default_rng(0)
POINTS = RNG.random((1000, 3), np.float32)
FEW = POINTS[:10]
FLAT = np.ascontiguousarray(FEW[:, :2])
DOUBLES = RNG.random((10, 3))
LISTS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
LISTS_2 = [[1.0, 2.0], [3.0, 4.0]]
COLORS = RNG.integers(0, 256, (10, 3), np.uint8)
PIXELS = RNG.integers(0, 256, (16, 16, 3), np.uint8)
CAMERA = RNG.integers(0, 256, (480, 640, 3), np.uint8)
DEPTHS = RNG.integers(0, 5000, (16, 16), np.uint16)
LABELS = ["a", "b"]
BYTES = bytes(4096)
TEXT = "the quick brown fox jumps over the lazy dog"
QUATERNIONS = np.tile(np.array([0, 0, 0, 1], np.float32), (10, 1))
MATRIX = np.eye(3)
INDICES = [[0, 1, 2], [0, 2, 3]]
SQUARE = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
VOLUME = RNG.random((16, 16, 16), np.float32)


def _cylinders(rr: Any, name: str, position: str) -> Any:
    make, axis_angle = getattr(rr, name), rr.RotationAxisAngle(axis=[1.0, 0.0, 0.0], degrees=90)
    return lambda: make(
        lengths=[1.0, 2.0], radii=[0.1, 0.2], colors=[(255, 0, 0), (0, 255, 0)], rotation_axis_angles=[axis_angle], **{position: LISTS}
    )


# Case -> from the library to a function that makes the archetype. What stands before the colon is the archetype.
CASES: dict[str, Any] = {
    "AnnotationContext": lambda rr: lambda: rr.AnnotationContext([(0, "red", (255, 0, 0)), (1, "green", (0, 255, 0))]),
    "AnnotationContext:objects": lambda rr: (
        lambda: rr.AnnotationContext(
            [
                rr.ClassDescription(
                    info=rr.AnnotationInfo(1, "hand", (255, 0, 0)), keypoint_annotations=[0, 1], keypoint_connections=[(0, 1)]
                )
            ]
        )
    ),
    "Arrows2D": lambda rr: lambda: rr.Arrows2D(origins=LISTS_2, vectors=LISTS_2, colors=[[255, 0, 0], [0, 255, 0]], labels=LABELS),
    "Arrows3D": lambda rr: lambda: rr.Arrows3D(origins=LISTS, vectors=LISTS, colors=[[255, 0, 0], [0, 255, 0]]),
    "Arrows3D:arrays": lambda rr: lambda: rr.Arrows3D(origins=np.zeros((10, 3)), vectors=DOUBLES, colors=COLORS),
    "Asset3D": lambda rr: lambda: rr.Asset3D(contents=BYTES, media_type="model/gltf-binary"),
    "AssetAudio": lambda rr: lambda: rr.AssetAudio(contents=BYTES, media_type="audio/wav"),
    "AssetVideo": lambda rr: lambda: rr.AssetVideo(contents=BYTES, media_type="video/mp4"),
    "BarChart": lambda rr: lambda: rr.BarChart([8, 4, 0, 9, 1, 4, 1, 6, 9, 0]),
    "BarChart:array": lambda rr: lambda: rr.BarChart(POINTS[:, 0], color=(255, 128, 0)),
    "Boxes2D": lambda rr: lambda: rr.Boxes2D(mins=[-1, -1], sizes=[2, 2]),
    "Boxes2D:array": lambda rr: lambda: rr.Boxes2D(array=[10, 20, 30, 40], array_format=rr.Box2DFormat.XYWH, labels="car", class_ids=3),
    "Boxes3D": lambda rr: lambda: rr.Boxes3D(half_sizes=[[1, 2, 3]], centers=[[0, 0, 0]]),
    "Boxes3D:typical": lambda rr: (
        lambda: rr.Boxes3D(
            centers=LISTS,
            half_sizes=LISTS,
            quaternions=[rr.Quaternion.identity(), rr.Quaternion(xyzw=[0.0, 0.0, 0.382683, 0.923880])],
            radii=0.025,
            colors=[(255, 0, 0), (0, 255, 0)],
            fill_mode="solid",
            labels=LABELS,
        )
    ),
    "Boxes3D:sizes": lambda rr: lambda: rr.Boxes3D(mins=[0, 0, 0], sizes=[1, 2, 3], colors=[255, 0, 0]),
    "Capsules3D": lambda rr: _cylinders(rr, "Capsules3D", "translations"),
    "Clear": lambda rr: lambda: rr.Clear(recursive=True),
    "CoordinateFrame": lambda rr: lambda: rr.CoordinateFrame("robot"),
    "Cylinders3D": lambda rr: _cylinders(rr, "Cylinders3D", "centers"),
    "DepthImage": lambda rr: lambda: rr.DepthImage(DEPTHS, meter=1000.0, colormap="viridis"),
    "DepthImage:enum": lambda rr: (
        lambda: rr.DepthImage(DEPTHS, meter=1000, colormap=rr.components.Colormap.Turbo, depth_range=[0.0, 5000.0])
    ),
    "Ellipses2D": lambda rr: lambda: rr.Ellipses2D(centers=LISTS_2, half_sizes=LISTS_2, colors=[(255, 0, 0), (0, 255, 0)]),
    "Ellipsoids3D": lambda rr: (
        lambda: rr.Ellipsoids3D(centers=LISTS, half_sizes=LISTS, colors=[(255, 0, 0), (0, 255, 0)], fill_mode=rr.components.FillMode.Solid)
    ),
    "Ellipsoids3D:radii": lambda rr: lambda: rr.Ellipsoids3D(centers=DOUBLES, radii=[0.5] * 10),
    "EncodedDepthImage": lambda rr: lambda: rr.EncodedDepthImage(BYTES, media_type="image/png", meter=0.001),
    "EncodedImage": lambda rr: lambda: rr.EncodedImage(contents=BYTES, media_type="image/jpeg"),
    "GaussianSplats3D": lambda rr: lambda: rr.GaussianSplats3D(FEW, scales=FEW, quaternions=QUATERNIONS, colors=COLORS),
    "GeoLineStrings": lambda rr: lambda: rr.GeoLineStrings(lat_lon=[[41.0, -109.0], [41.0, -102.0], [37.0, -102.0]], radii=2.0),
    "GeoLineStrings:array": lambda rr: lambda: rr.GeoLineStrings(lat_lon=[DOUBLES[:, :2]], colors=[0, 0, 255]),
    "GeoPoints": lambda rr: lambda: rr.GeoPoints(lat_lon=[[59.319221, 18.075631]], radii=10.0, colors=[255, 0, 0]),
    "GraphEdges": lambda rr: lambda: rr.GraphEdges([("a", "b"), ("b", "c"), ("c", "a")], graph_type="directed"),
    "GraphNodes": lambda rr: lambda: rr.GraphNodes(["a", "b"], positions=[(0.0, 100.0), (-100.0, 0.0)], labels=LABELS),
    "GridMap": lambda rr: (
        lambda: rr.GridMap(
            data=DEPTHS.astype(np.uint8).tobytes(),
            format=rr.components.ImageFormat(width=16, height=16, color_model="L", channel_datatype="U8"),
            cell_size=0.05,
            translation=[0.0, 0.0, 0.0],
            colormap=rr.components.Colormap.RvizMap,
        )
    ),
    "Image": lambda rr: lambda: rr.Image(PIXELS),
    "Image:float": lambda rr: lambda: rr.Image(VOLUME[0]),
    "Image:bytes": lambda rr: lambda: rr.Image(bytes=BYTES, width=64, height=64, color_model="L", datatype=np.uint8),
    "Image:nv12": lambda rr: lambda: rr.Image(bytes=BYTES[:3456], width=64, height=36, pixel_format=rr.PixelFormat.NV12),
    "InstancePoses3D": lambda rr: (
        lambda: rr.InstancePoses3D(translations=LISTS, rotation_axis_angles=rr.RotationAxisAngle(axis=[0, 0, 1], angle=rr.Angle(deg=30)))
    ),
    "LineStrips2D": lambda rr: lambda: rr.LineStrips2D([LISTS_2, [[0, 3], [1, 4], [2, 2]]], colors=[0x00FF00FF], labels=["one"]),
    "LineStrips3D": lambda rr: lambda: rr.LineStrips3D([POINTS[:20]]),
    "LineStrips3D:lists": lambda rr: lambda: rr.LineStrips3D([SQUARE, LISTS], colors=[[255, 0, 0], [0, 255, 0]], radii=[0.025, 0.005]),
    "McapChannel": lambda rr: lambda: rr.McapChannel(id=1, topic="/camera", message_encoding="cdr", metadata={"frame": "base"}),
    "McapMessage": lambda rr: lambda: rr.McapMessage(data=BYTES),
    "McapSchema": lambda rr: lambda: rr.McapSchema(id=1, name="geometry_msgs/Twist", encoding="ros2msg", data=BYTES),
    "McapStatistics": lambda rr: (
        lambda: rr.McapStatistics(
            message_count=1000,
            schema_count=5,
            channel_count=10,
            attachment_count=0,
            metadata_count=2,
            chunk_count=50,
            message_start_time=1743465600000000000,
            message_end_time=1743465660000000000,
        )
    ),
    "Measurements": lambda rr: lambda: rr.Measurements(23.5, variances=[0.1], units="C"),
    "Mesh3D": lambda rr: (
        lambda: rr.Mesh3D(vertex_positions=SQUARE, vertex_normals=SQUARE, vertex_colors=[255, 0, 0], triangle_indices=INDICES)
    ),
    "Mesh3D:arrays": lambda rr: (
        lambda: rr.Mesh3D(vertex_positions=FEW, vertex_colors=COLORS, triangle_indices=np.array(INDICES), albedo_factor=[255, 255, 255])
    ),
    "Pinhole": lambda rr: lambda: rr.Pinhole(focal_length=500.0, width=640, height=480),
    "Pinhole:matrix": lambda rr: lambda: rr.Pinhole(image_from_camera=MATRIX, resolution=[640, 480], camera_xyz=rr.ViewCoordinates.RDF),
    "Points2D": lambda rr: lambda: rr.Points2D(LISTS_2, colors=[(255, 0, 0), (0, 255, 0)], radii=[0.5, 1.0]),
    "Points2D:array": lambda rr: lambda: rr.Points2D(DOUBLES[:, :2], class_ids=np.arange(10)),
    "Points3D": lambda rr: lambda: rr.Points3D(LISTS, colors=[(255, 0, 0), (0, 255, 0)], radii=[0.5, 1.0], labels=LABELS),
    "Points3D:one": lambda rr: lambda: rr.Points3D([1.0, 2.0, 3.0], colors=[255, 0, 0], radii=rr.Radius.ui_points(5.0)),
    "Points3D:typical": lambda rr: lambda: rr.Points3D(DOUBLES, colors=COLORS, radii=0.1),
    "Points3D:1000": lambda rr: lambda: rr.Points3D(POINTS),
    "Points3D:10000": lambda rr: lambda: rr.Points3D(MANY),
    "RecordingInfo": lambda rr: lambda: rr.archetypes.RecordingInfo(name="run 1", start_time=1743465600000000000),
    "Scalars": lambda rr: lambda: rr.Scalars(0.5),
    "Scalars:list": lambda rr: lambda: rr.Scalars([0.5, 1.5]),
    "Scalars:numpy": lambda rr: lambda: rr.Scalars(np.float64(0.5)),
    "SegmentationImage": lambda rr: lambda: rr.SegmentationImage(PIXELS[:, :, 0]),
    "SeriesLines": lambda rr: lambda: rr.SeriesLines(colors=[255, 0, 0], names="sin(0.01t)", widths=2),
    "SeriesPoints": lambda rr: lambda: rr.SeriesPoints(colors=[0, 0, 255], names="cos", markers="cross", marker_sizes=4),
    "StateChange": lambda rr: lambda: rr.StateChange(state="running"),
    "StateConfiguration": lambda rr: lambda: rr.StateConfiguration(values=LABELS, labels=LABELS, colors=[0xFF0000FF, 0x00FF00FF]),
    "Tensor": lambda rr: lambda: rr.Tensor(VOLUME[0]),
    "Tensor:names": lambda rr: lambda: rr.Tensor(VOLUME, dim_names=("depth", "height", "width")),
    "TextDocument": lambda rr: lambda: rr.TextDocument("# Hello\nworld", media_type=rr.MediaType.MARKDOWN),
    "TextLog": lambda rr: lambda: rr.TextLog(TEXT, level="INFO"),
    "TextLog:level": lambda rr: lambda: rr.TextLog(TEXT, level=rr.TextLogLevel.WARN, color=(255, 128, 0)),
    "Transform3D": lambda rr: lambda: rr.Transform3D(translation=[1, 2, 3]),
    "Transform3D:quaternion": lambda rr: (
        lambda: rr.Transform3D(translation=DOUBLES[0], rotation=rr.Quaternion(xyzw=[0.0, 0.0, 0.0, 1.0]), scale=2.0)
    ),
    "Transform3D:axis_angle": lambda rr: (
        lambda: rr.Transform3D(
            translation=[1.0, 2.0, 3.0],
            rotation=rr.RotationAxisAngle(axis=[0, 0, 1], radians=0.5),
            relation=rr.TransformRelation.ChildFromParent,
        )
    ),
    "Transform3D:matrix": lambda rr: lambda: rr.Transform3D(translation=DOUBLES[0], mat3x3=MATRIX),
    "TransformAxes3D": lambda rr: lambda: rr.TransformAxes3D(0.5),
    "VideoFrameReference": lambda rr: lambda: rr.VideoFrameReference(seconds=1.5, video_reference="video"),
    "VideoFrameReference:nanos": lambda rr: lambda: rr.VideoFrameReference(nanoseconds=1_500_000_000),
    "VideoStream": lambda rr: lambda: rr.VideoStream(codec=rr.VideoCodec.H264, sample=BYTES),
    "ViewCoordinates": lambda rr: lambda: rr.ViewCoordinates.RIGHT_HAND_Z_UP,
    "ViewCoordinates:list": lambda rr: lambda: rr.ViewCoordinates([3, 2, 5]),
    "Volume3D": lambda rr: lambda: rr.archetypes.Volume3D(VOLUME, voxel_size=[0.1, 0.1, 0.1], colormap="turbo"),
    "VoxelGridMap": lambda rr: lambda: rr.VoxelGridMap(INDICES, [0.1, 0.1, 0.1], values=[0.5, 1.0], colormap="turbo"),
}
MANY = RNG.random((10_000, 3), np.float32)


def measure(subject: str, case: str, directory: str) -> dict[str, Any]:
    """Run one case or all; times in nanoseconds."""
    rr = library(subject)
    rr.init("shmrerun_bench")
    rr.save(os.path.join(directory, f"{subject}.rrd"))
    if case == "all":
        result = {"cases": {name: once(rr, name) for name in CASES}}
    else:
        result = once(rr, case)
    rr.disconnect()
    return result


def once(rr: Any, case: str) -> dict[str, Any]:
    """Log one case's archetype in bursts."""
    make, log, clock, path = CASES[case](rr), rr.log, time.perf_counter_ns, f"bench/{case.replace(':', '_')}"
    nanos = np.empty(BEFORE + COUNT, np.int64)
    for step in range(BEFORE + COUNT):
        rr.set_time("step", sequence=step)
        began = clock()
        log(path, make())
        nanos[step] = clock() - began
        if step % BURST == BURST - 1:
            time.sleep(PAUSE_SECONDS)
    p50, p95 = np.percentile(nanos[BEFORE:], [50, 95])
    return {"unit": "ns", "n": COUNT, "first": int(nanos[0]), "p50": p50, "p95": p95}


if __name__ == "__main__":
    main(measure)
