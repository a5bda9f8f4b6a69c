"""ROS 2 messages of every type that becomes more than a struct, and one that does not: definitions, and messages by number."""

from __future__ import annotations

import struct

SEPARATOR = "\n" + "=" * 80 + "\nMSG: "
HEADER = "std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id"
TIME = "builtin_interfaces/Time\nint32 sec\nuint32 nanosec"
VECTOR = "geometry_msgs/Vector3\nfloat64 x\nfloat64 y\nfloat64 z"
QUATERNION = "geometry_msgs/Quaternion\nfloat64 x 0\nfloat64 y 0\nfloat64 z 0\nfloat64 w 1"
XYZ = {"x": 1.0, "y": 2.0, "z": 3.0}
TURN = {"x": 0.0, "y": 0.1, "z": 0.2, "w": 0.9}


def headed(body, *more):
    return "std_msgs/Header header\n" + body + "".join(SEPARATOR + part for part in (HEADER, TIME, *more))


def header(n, frame="cam"):
    return {"stamp": {"sec": n + 1, "nanosec": 7}, "frame_id": frame}


def image(encoding, width, data, step=None):
    step = len(data) // 2 if step is None else step
    return lambda n: {"header": header(n), "height": 2, "width": width, "encoding": encoding, "is_bigendian": 0, "step": step, "data": data}


def measured(name):
    return headed(f"float64 {name}\nfloat64 variance"), {name: lambda n: {"header": header(n), name: 20.0 + n, "variance": 0.5}}


def points(kind, size, data):
    names = ("x", "y", "z", "rest")
    fields = [{"name": name, "offset": size * at, "datatype": kind, "count": 1} for at, name in enumerate(names)]
    return lambda n: {
        "header": header(n, "lidar"), "height": 1, "width": 2, "fields": fields, "is_bigendian": False, "point_step": 4 * size,
        "row_step": 8 * size, "data": data, "is_dense": True,
    }  # fmt: skip


def transforms(count):
    return lambda n: {
        "transforms": [
            {"header": header(n, "map"), "child_frame_id": f"c{k}", "transform": {"translation": XYZ, "rotation": TURN}}
            for k in range(count or n)
        ]
    }


def voxels(n):
    """Of 3x2 columns: all free; unknown, marked, free and so on; and of other heights."""
    return {
        "header": header(n, "map"), "data": [0, 0xFFFF, 0x0003_0001, 0x0005_0005, 0xFFFF_FFFF, n], "origin": XYZ,
        "resolutions": {"x": 0.5, "y": 0.25, "z": 0.1}, "size_x": 3, "size_y": 2, "size_z": (3, 0, 16, 1)[n],
    }  # fmt: skip


MESSAGES = {  # type: definition, and topics with what makes their messages
    "sensor_msgs/msg/Image": (
        headed("uint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\nuint8[] data"),
        {
            "rgb": image("rgb8", 2, bytes(range(12))), "mono": image("mono8", 2, bytes(range(4))),
            "depth": image("16UC1", 2, bytes(range(8))),
            "yuv": image("yuyv", 2, bytes(range(8))), "bgr": image("bgr8", 2, bytes(range(12))),
            "float": image("32FC1", 1, bytes(range(8))),
            "padded": image("rgb8", 1, bytes(range(8))), "bayer": image("bayer_grbg8", 2, bytes(range(4))),
        },
    ),
    "sensor_msgs/msg/CompressedImage": (
        headed("string format\nuint8[] data"),
        {
            topic: lambda n, kind=kind: {"header": header(n), "format": kind, "data": b"abc"}
            for topic, kind in (("jpg", "jpeg"), ("h264", "h264"), ("rvl", "16UC1; compressedDepth rvl"))
        },
    ),
    "sensor_msgs/msg/Imu": (
        headed(
            "geometry_msgs/Quaternion orientation\nfloat64[9] orientation_covariance\ngeometry_msgs/Vector3 angular_velocity\n"
            "float64[9] angular_velocity_covariance\ngeometry_msgs/Vector3 linear_acceleration\nfloat64[9] linear_acceleration_covariance",
            VECTOR, QUATERNION,
        ),
        {
            "imu": lambda n: {
                "header": header(n), "orientation": TURN, "orientation_covariance": [0.0] * 9, "angular_velocity": XYZ,
                "angular_velocity_covariance": [0.0] * 9, "linear_acceleration": {**XYZ, "z": float(n)},
                "linear_acceleration_covariance": [0.0] * 9,
            }
        },
    ),
    "sensor_msgs/msg/Temperature": measured("temperature"),
    "sensor_msgs/msg/FluidPressure": measured("fluid_pressure"),
    "sensor_msgs/msg/Illuminance": measured("illuminance"),
    "sensor_msgs/msg/RelativeHumidity": measured("relative_humidity"),
    "sensor_msgs/msg/Range": (
        headed("uint8 ULTRASOUND=0\nuint8 radiation_type\nfloat32 field_of_view\nfloat32 min_range\nfloat32 max_range\nfloat32 range"),
        {"range": lambda n: {"header": header(n), "radiation_type": 1, "field_of_view": 0.5, "min_range": 0.1, "max_range": 4, "range": n}},
    ),
    "sensor_msgs/msg/NavSatFix": (
        headed("float64 latitude\nfloat64 longitude\nfloat64 altitude"),
        {"gps": lambda n: {"header": header(n), "latitude": 50.0 + n, "longitude": 8.0, "altitude": 100.0}},
    ),
    "sensor_msgs/msg/JointState": (
        headed("string[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort"),
        {"joints": lambda n: {"header": header(n), "name": ["a", "b"], "position": [1.0, n], "velocity": [], "effort": [3.0, 4.0]}},
    ),
    "sensor_msgs/msg/Joy": (
        headed("float32[] axes\nint32[] buttons"),
        {"joy": lambda n: {"header": header(n), "axes": [0.1, 0.2, 0.3], "buttons": [0, n]}},
    ),
    "sensor_msgs/msg/MagneticField": (
        headed("geometry_msgs/Vector3 magnetic_field", VECTOR),
        {"magnet": lambda n: {"header": header(n), "magnetic_field": XYZ}},
    ),
    "sensor_msgs/msg/CameraInfo": (
        headed("uint32 height\nuint32 width\nstring distortion_model\nfloat64[] d\nfloat64[9] k\nfloat64[9] r\nfloat64[12] p"),
        {
            "camera": lambda n: {
                "header": header(n), "height": 480, "width": 640, "distortion_model": "plumb_bob", "d": [0.0],
                "k": [500.0, 0.0, 320.0, 0.0, 501.0, 240.0, 0.0, 0.0, 1.0], "r": [0.0] * 9, "p": [0.0] * 12,
            }
        },
    ),
    "sensor_msgs/msg/PointCloud2": (
        headed(
            "uint32 height\nuint32 width\nsensor_msgs/PointField[] fields\nbool is_bigendian\nuint32 point_step\nuint32 row_step\n"
            "uint8[] data\nbool is_dense",
            "sensor_msgs/PointField\nuint8 INT8=1\nstring name\nuint32 offset\nuint8 datatype\nuint32 count",
        ),
        {"floats": points(7, 4, struct.pack("<8f", *range(8))), "doubles": points(8, 8, struct.pack("<8d", *range(8)))},
    ),
    "std_msgs/msg/Float64MultiArray": (
        "std_msgs/MultiArrayLayout layout\nfloat64[] data" + SEPARATOR + "std_msgs/MultiArrayLayout\nstd_msgs/MultiArrayDimension[] dim\n"
        "uint32 data_offset" + SEPARATOR + "std_msgs/MultiArrayDimension\nstring label\nuint32 size\nuint32 stride",
        {"array": lambda n: {"layout": {"dim": [], "data_offset": 0}, "data": [1.0, 2.0, 3.0][: n + 1]}},
    ),
    "std_msgs/msg/String": ("string data", {"text": lambda n: {"data": f"text {n}"}}),
    "geometry_msgs/msg/PoseStamped": (
        headed("geometry_msgs/Pose pose", "geometry_msgs/Pose\ngeometry_msgs/Point position\ngeometry_msgs/Quaternion orientation",
               "geometry_msgs/Point\nfloat64 x\nfloat64 y\nfloat64 z", QUATERNION),
        {"pose": lambda n: {"header": header(n, "map"), "pose": {"position": XYZ, "orientation": TURN}}},
    ),
    "nav_msgs/msg/OccupancyGrid": (
        headed("nav_msgs/MapMetaData info\nint8[] data",
               "nav_msgs/MapMetaData\nbuiltin_interfaces/Time map_load_time\nfloat32 resolution\nuint32 width\nuint32 height\n"
               "geometry_msgs/Pose origin",
               "geometry_msgs/Pose\ngeometry_msgs/Point position\ngeometry_msgs/Quaternion orientation",
               "geometry_msgs/Point\nfloat64 x\nfloat64 y\nfloat64 z", QUATERNION),
        {
            topic: lambda n, width=width, height=height: {
                "header": header(n, "map"), "data": [-1, 0, 50, 100, 7, n][: width * height],
                "info": {"map_load_time": {"sec": 5, "nanosec": 6}, "resolution": 0.05, "width": width, "height": height,
                         "origin": {"position": XYZ, "orientation": TURN}},
            }
            for topic, width, height in (("map", 3, 2), ("nowhere", 0, 0))
        },
    ),
    "rcl_interfaces/msg/Log": (
        "builtin_interfaces/Time stamp\nuint8 level\nstring name\nstring msg\nstring file\nstring function\nuint32 line" + SEPARATOR + TIME,
        {
            "log": lambda n: {
                "stamp": {"sec": 1, "nanosec": n}, "level": 10 * n, "name": "node", "msg": "hello", "file": "f", "function": "g", "line": 3,
            }
        },
    ),
    "tf2_msgs/msg/TFMessage": (
        "geometry_msgs/TransformStamped[] transforms" + "".join(
            SEPARATOR + part
            for part in ("geometry_msgs/TransformStamped\nstd_msgs/Header header\nstring child_frame_id\ngeometry_msgs/Transform transform",
                         HEADER, TIME, "geometry_msgs/Transform\ngeometry_msgs/Vector3 translation\ngeometry_msgs/Quaternion rotation",
                         VECTOR, QUATERNION)
        ),
        {"/tf": transforms(0), "/tf_static": transforms(2)},
    ),
    "my_msgs/msg/Custom": (
        headed(
            "bool b\nbyte by\nchar ch\nint8 i8\nuint8 u8\nint16 i16\nuint16 u16\nint32 i32\nuint32 u32\nint64 i64\nuint64 u64\n"
            "float32 f32\nfloat64 f64\nstring s  # a comment\nuint8[] bytes\nfloat64[3] fixed\nint16[<=5] bounded\nstring<=9 short\n"
            "string[] texts\nmy_msgs/Inner inner\nInner[] inners\nint32 CONST=5\nint32 given 7",
            "my_msgs/Inner\nfloat64 x\nstring name",
        ),
        {
            "custom": lambda n: {
                "header": header(n), "b": True, "by": 1, "ch": 2, "i8": -3, "u8": 4, "i16": -5, "u16": 6, "i32": -7, "u32": 8, "i64": -9,
                "u64": 1 << 63, "f32": 1.5, "f64": 2.5, "s": "hé", "bytes": b"ab", "fixed": [1.0, 2.0, 3.0], "bounded": [1, 2],
                "short": "x", "texts": ["x", "y"], "inner": XYZ | {"name": "n"}, "inners": [{"x": 2.0, "name": "m"}] * n, "given": 8,
            }
        },
    ),
    "nav2_msgs/msg/VoxelGrid": (
        headed(
            "uint32[] data\ngeometry_msgs/Point32 origin\ngeometry_msgs/Vector3 resolutions\nuint32 size_x\nuint32 size_y\nuint32 size_z",
            "geometry_msgs/Point32\nfloat32 x\nfloat32 y\nfloat32 z", VECTOR,
        ),
        {"voxels": voxels},
    ),
}  # fmt: skip


def write_all(out, count):
    """Write so many of each to an MCAP writer of ROS 2."""
    for name, (text, topics) in MESSAGES.items():
        schema = out.register_msgdef(name, text)
        for topic, make in topics.items():
            for n in range(count):
                out.write_message(topic, schema, make(n), log_time=10 * n + 10, publish_time=10 * n + 11)
