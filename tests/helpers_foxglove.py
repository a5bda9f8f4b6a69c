"""Messages of Foxglove's Protobuf types, by topic: ordinary ones, and those that lack what they may lack."""

import struct

from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.Color_pb2 import Color
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.LaserScan_pb2 import LaserScan
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from foxglove_schemas_protobuf.LocationFixes_pb2 import LocationFixes
from foxglove_schemas_protobuf.Log_pb2 import Log
from foxglove_schemas_protobuf.PackedElementField_pb2 import PackedElementField
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from foxglove_schemas_protobuf.Pose_pb2 import Pose
from foxglove_schemas_protobuf.PoseInFrame_pb2 import PoseInFrame
from foxglove_schemas_protobuf.PosesInFrame_pb2 import PosesInFrame
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.RawImage_pb2 import RawImage
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3
from foxglove_schemas_protobuf.VoxelGrid_pb2 import VoxelGrid
from google.protobuf.timestamp_pb2 import Timestamp
from mcap_protobuf.writer import Writer


def at(n):
    return Timestamp(seconds=100 + n, nanos=7 * n)


def pose(n):
    return Pose(position=Vector3(x=n, y=0.1, z=-2), orientation=Quaternion(x=0, y=0.5, z=n, w=1))


def fields(*found):
    """Fields of a point: name, type, where they begin."""
    return [PackedElementField(name=name, type=kind, offset=offset) for name, kind, offset in found]


XYZ = fields(("x", 7, 0), ("y", 7, 4), ("z", 7, 8))
MIXED = fields(("z", 8, 0), ("y", 4, 8), ("x", 2, 10), ("red", 1, 11), ("green", 7, 12), ("blue", 3, 16), ("alpha", 2, 18), ("i", 1, 19))


def cloud(n, found, **options):
    """As many points as the number says, and two bytes of another one."""
    row = struct.pack("<fff", n, 0.5, -1) if found is XYZ else struct.pack("<dhbBfHbB", -1.5, -300, -3, 200, n / 4, 255 * n, -1, 9)
    return PointCloud(timestamp=at(n), frame_id="c", point_stride=len(row), fields=found, data=row * n + b"ab", **options)


def image(n, encoding="rgb8", width=3, height=2, step=0, size=0):
    pixel = {"rgb8": 3, "bgra8": 4, "mono16": 2, "32FC1": 4, "yuyv": 2, "16UC1": 2}.get(encoding, 1)
    step = step or width * pixel
    return RawImage(
        timestamp=at(n),
        frame_id="cam",
        width=width,
        height=height,
        encoding=encoding,
        step=step,
        data=bytes(range(n, n + (size or step * height))),
    )


def move(n, **options):
    return FrameTransform(
        timestamp=at(n), parent_frame_id="base", child_frame_id=f"arm{n}", translation=Vector3(x=n, y=0.1, z=3),
        rotation=Quaternion(x=0, y=0.25, z=n, w=1), **options,
    )  # fmt: skip


def fix(n, **options):
    return LocationFix(timestamp=at(n), frame_id="gps", latitude=47.5 + n, longitude=-8.25, altitude=400, **options)


RED = Color(r=1, g=0.5, b=0.3, a=0.999)
FORMATS = ("jpeg", "png", "", "webp")

MESSAGES = {
    "calibration": lambda n: CameraCalibration(
        timestamp=at(n),
        frame_id="cam" if n else "",
        width=640,
        height=480 + n,
        distortion_model="plumb_bob",
        D=[0.1] * 5,
        K=[100 + n, 0, 320, 0, 101, 240, 0, 0, 1],
        R=[1, 0, 0, 0, 1, 0, 0, 0, 1],
        P=[1] * 12,
    ),
    "compressed": lambda n: CompressedImage(
        timestamp=at(n), frame_id="cam" * (n % 2), data=b"\xff\xd8" + bytes([n]) * n, format=FORMATS[n]
    ),
    "video": lambda n: CompressedVideo(timestamp=at(n), frame_id="cam", data=b"\0\0\0\1" + bytes([n]), format="h264"),
    "video/265": lambda n: CompressedVideo(timestamp=at(n), frame_id="", data=b"\0\0\0\1" + bytes([n]), format="h265"),
    "video/av1": lambda n: CompressedVideo(timestamp=at(n), frame_id="", data=b"\0\0\0\1" + bytes([n]), format="av1"),
    "transform": move,
    "transforms": lambda n: FrameTransforms(transforms=[move(n + i) for i in range(n)]),
    "fix": lambda n: fix(n, color=RED),
    "fix/plain": fix,
    "fix/some": lambda n: fix(n, **({"color": RED} if n % 2 else {})),
    "fixes": lambda n: LocationFixes(fixes=[fix(n + i, color=RED) for i in range(n)]),
    "fixes/plain": lambda n: LocationFixes(fixes=[fix(n + i) for i in range(n + 1)]),
    "fixes/some": lambda n: LocationFixes(fixes=[fix(n + i, **({"color": RED} if i % 2 else {})) for i in range(n + 1)]),
    "log": lambda n: Log(timestamp=at(n), level=n, message=f"text {n}", name="me", file="f", line=n),
    "log/more": lambda n: Log(timestamp=at(n), level=min(4 + n, 5), message="", name="me", file="f", line=n),
    "points": lambda n: cloud(n, XYZ),
    "points/posed": lambda n: cloud(n, XYZ, pose=pose(n)),
    "points/coloured": lambda n: cloud(n, MIXED, pose=pose(n)),
    "points/flat": lambda n: cloud(n, fields(("x", 7, 0), ("y", 7, 4))),
    "points/some": lambda n: cloud(n, MIXED if n % 2 else XYZ, **({"pose": pose(n)} if n > 1 else {})),
    "points/far": lambda n: cloud(n, fields(("x", 7, 0), ("y", 7, 400), ("z", 8, 8), ("red", 1, 0), ("green", 8, 900), ("blue", 8, 8))),
    "pose": lambda n: PoseInFrame(timestamp=at(n), frame_id="map", pose=pose(n)),
    "pose/none": lambda n: PoseInFrame(timestamp=at(n), frame_id="", pose=Pose() if n % 2 else None),
    "pose/half": lambda n: PoseInFrame(timestamp=at(n), frame_id="", pose=Pose(position=Vector3(x=1))),
    "poses": lambda n: PosesInFrame(timestamp=at(n), frame_id="map", poses=[pose(i) for i in range(n)]),
    "raw": image,
    "raw/padded": lambda n: image(n, step=11),
    "raw/long": lambda n: image(n, size=30),
    "raw/short": lambda n: image(n, size=7),
    "raw/bgra": lambda n: image(n, "bgra8"),
    "raw/depth": lambda n: image(n, "16UC1"),
    "raw/float": lambda n: image(n, "32FC1"),
    "raw/mono": lambda n: image(n, "mono16"),
    "raw/mono8": lambda n: image(n, "mono8"),
    "raw/8uc3": lambda n: image(n, "8UC3", 3, 2, 9),
    "raw/yuyv": lambda n: image(n, "yuyv", 4),
    "raw/bayer": lambda n: image(n, "bayer_rggb8"),
    "raw/mixed": lambda n: image(n, ("rgb8", "mono8", "bgra8", "rgb8")[n]),
    "voxels": lambda n: VoxelGrid(
        timestamp=at(n),
        frame_id="v",
        pose=pose(n),
        row_count=2,
        column_count=3,
        cell_size=Vector3(x=1, y=0.5, z=0.1),
        slice_stride=24,
        row_stride=12,
        cell_stride=4,
        fields=fields(("red", 1, 0), ("green", 1, 1), ("blue", 1, 2), ("alpha", 1, 3)),
        data=bytes(range(24 * n)),
    ),
    "voxels/plain": lambda n: VoxelGrid(
        timestamp=at(n),
        frame_id="",
        row_count=2,
        column_count=3,
        cell_size=Vector3(x=1, y=0.5, z=0.1),
        slice_stride=6,
        row_stride=3,
        cell_stride=1,
        fields=fields(("occupancy", 1, 0)),
        data=bytes(range(6 * n + 4)),
    ),
    "voxels/none": lambda n: VoxelGrid(timestamp=at(n), frame_id="", row_count=0, column_count=3, cell_stride=n),
    "scan": lambda n: LaserScan(timestamp=at(n), frame_id="s", pose=pose(n), ranges=[1, 2]),
    "scene": lambda n: SceneUpdate(),
    "untimed": lambda n: Log(level=2, message="no time"),
    "untimed/some": lambda n: Log(level=2, message="some have time", timestamp=at(n) if n % 2 else None),
    "untimed/move": lambda n: FrameTransform(parent_frame_id="a", child_frame_id="b"),
    "bare": lambda n: PointCloud(),
    "bare/raw": lambda n: RawImage(),
    "bare/calibration": lambda n: CameraCalibration(timestamp=at(n)),
    "bare/fix": lambda n: LocationFix(),
    "bare/voxels": lambda n: VoxelGrid(),
    "early": lambda n: Log(level=2, message="before 1970", timestamp=Timestamp(seconds=n - 2, nanos=5)),
    "calibration/some": lambda n: CameraCalibration(timestamp=at(n), frame_id="c", K=range(9) if n % 2 else ()),
    "calibration/wrong": lambda n: CameraCalibration(timestamp=at(n), frame_id="c", K=range(9 - n // 2)),
    "transform/some": lambda n: move(n) if n % 2 else FrameTransform(timestamp=at(n), translation=Vector3(x=1) if n else None),
    "pose/some": lambda n: PoseInFrame(timestamp=at(n), pose=pose(n) if n % 2 else Pose(position=Vector3(x=1)) if n else None),
    "poses/half": lambda n: PosesInFrame(
        timestamp=at(n), poses=[Pose(position=Vector3(x=1)), pose(1), Pose(orientation=Quaternion(x=1))][n:]
    ),
    "points/half": lambda n: cloud(n, XYZ, pose=Pose(position=Vector3(x=1)) if n % 2 else None),
    "points/odd": lambda n: cloud(n, fields(("x", 7, 0), ("y", 0 if n > 1 else 7, 4), ("z", 7, 8))),
    "voxels/some": lambda n: VoxelGrid(
        timestamp=at(n),
        row_count=1,
        column_count=n,
        cell_size=Vector3(x=1) if n % 2 else None,
        slice_stride=4,
        row_stride=2,
        cell_stride=1,
        data=bytes(7),
        pose=pose(n) if n > 1 else Pose(),
    ),
    "video/odd": lambda n: CompressedVideo(timestamp=at(n), data=b"a", format=("h264", "vp9", "H264", "x")[n]),
    "far": lambda n: Log(level=2, message="in a far future", timestamp=Timestamp(seconds=10**10 * n)),
}
DIFFERENT = {  # topics of which rerun-sdk 0.41 records less
    "transforms", "fixes",  # it ends the program at an empty list
    "fixes/some",  # it leaves out all colours
    "voxels/some",  # nothing, but `rrd optimize` cuts its chunk in two
    "bare/raw", "video/odd", "points/odd", "calibration/some", "calibration/wrong",  # one wrong message, and all lose the component
}  # fmt: skip


def write(path, *topics, messages=MESSAGES):
    """A file with four messages of each topic."""
    with open(path, "wb") as file:
        out = Writer(file)
        for topic in topics:
            for n in range(4):
                out.write_message(topic, messages[topic](n), log_time=1000 * n + 5, publish_time=1000 * n + 6)
        out.finish()
