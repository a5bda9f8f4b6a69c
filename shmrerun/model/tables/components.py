"""Components and encodings as data: what holds what, in which Arrow type, by which converter.

An *encoding* is a type of values (``Vec3D``); a *component* is an encoding with a meaning (``Position3D``). A
*converter* is a name of ``model.convert.converters``; several encodings may share one.

Source: rerun-sdk 0.41.0 (names, members, wire values, Arrow types, as introspected).
"""

from __future__ import annotations

ENUMS: dict[str, dict[str, int]] = {
    "AggregationPolicy": {"Off": 1, "Average": 2, "Max": 3, "Min": 4, "MinMax": 5, "MinMaxAverage": 6},
    "ChannelDatatype": {
        "U8": 6, "I8": 7, "U16": 8, "I16": 9, "U32": 10, "I32": 11, "U64": 12, "I64": 13,
        "F16": 33, "F32": 34, "F64": 35,
    },
    "ColorModel": {"L": 1, "RGB": 2, "RGBA": 3, "BGR": 4, "BGRA": 5},
    "Colormap": {
        "Grayscale": 1, "Inferno": 2, "Magma": 3, "Plasma": 4, "Turbo": 5, "Viridis": 6, "CyanToYellow": 7,
        "Spectral": 8, "Twilight": 9, "RvizMap": 10, "RvizCostmap": 11, "Costmap": 12,
    },
    "EntryKind": {
        "Dataset": 1, "DatasetView": 2, "Table": 3, "TableView": 4, "BlueprintDataset": 5, "AssetDataset": 6,
    },
    "FillMode": {"MajorWireframe": 1, "DenseWireframe": 2, "Solid": 3, "TransparentFillMajorWireframe": 4},
    "GraphType": {"Undirected": 1, "Directed": 2},
    "InterpolationMode": {"Linear": 1, "StepAfter": 2, "StepBefore": 3, "StepMid": 4},
    "MagnificationFilter": {"Nearest": 1, "Linear": 2, "Bicubic": 3},
    "MarkerShape": {
        "Circle": 1, "Diamond": 2, "Square": 3, "Cross": 4, "Plus": 5, "Up": 6, "Down": 7, "Left": 8, "Right": 9,
        "Asterisk": 10,
    },
    "MeshFaceRendering": {"DoubleSided": 1, "Front": 2, "Back": 3},
    "PixelFormat": {
        "Y_U_V12_LimitedRange": 20, "NV12": 26, "YUY2": 27, "Y8_FullRange": 30, "Y_U_V24_LimitedRange": 39,
        "Y_U_V24_FullRange": 40, "Y8_LimitedRange": 41, "Y_U_V12_FullRange": 44, "Y_U_V16_LimitedRange": 49,
        "Y_U_V16_FullRange": 50, "BayerRGGB8": 128, "BayerBGGR8": 129, "BayerGBRG8": 130, "BayerGRBG8": 131,
    },
    "PointShading": {"Gradient": 1, "Flat": 2},
    "TransformRelation": {"ParentFromChild": 1, "ChildFromParent": 2},
    "VideoCodec": {"AV1": 1635135537, "H264": 1635148593, "H265": 1751479857, "VP8": 1987063864, "VP9": 1987063865},
    "ViewDir": {"Up": 1, "Down": 2, "Right": 3, "Left": 4, "Forward": 5, "Back": 6},
}  # fmt: skip
ENCODED_ENUMS = ("ChannelDatatype", "ColorModel", "PixelFormat", "ViewDir")  # those that are no components


def _vector(kind: str, size: int) -> str:
    return f"fixed_size_list<item: {kind} not null>[{size}]"


def _list(kind: str) -> str:
    return f"list<item: {kind} not null>"


TENSOR_ARMS = {  # arm of the union: Arrow type of its items; the arms' codes are 1, 2, ...
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "I8": "int8", "I16": "int16", "I32": "int32",
    "I64": "int64", "F16": "halffloat", "F32": "float", "F64": "double",
}  # fmt: skip
_BUFFER = "dense_union<_null_markers: null=0, {}>".format(
    ", ".join(f"{arm}: {_list(kind)} not null={code}" for code, (arm, kind) in enumerate(TENSOR_ARMS.items(), start=1))
)
_PAIR = "struct<first: string not null, second: string not null>"
_INFO = "struct<id: uint16 not null, label: string, color: uint32>"
_KEYPOINTS = "struct<keypoint0: uint16 not null, keypoint1: uint16 not null>"
_CLASS = (
    f"struct<info: {_INFO} not null, keypoint_annotations: {_list(_INFO)} not null, keypoint_connections: {_list(_KEYPOINTS)} not null>"
)
_CLASS_ELEM = f"struct<class_id: uint16 not null, class_description: {_CLASS} not null>"
_COUNTS = "struct<channel_id: uint16 not null, message_count: uint64 not null>"
_BOUNDARY = "dense_union<_null_markers: null=0, CursorRelative: int64 not null=1, Absolute: int64 not null=2, Infinite: null=3>"
_TIME_RANGE = f"struct<start: {_BOUNDARY}, end: {_BOUNDARY}>"

#: Converter: Arrow type, exactly as pyarrow prints it. Converters ``enum:Name`` are not listed.
ARROW = {
    "annotations": _list(_CLASS_ELEM),
    "axis_angle": f"struct<axis: {_vector('float', 3)} not null, angle: float not null>",
    "bar_values": f"struct<shape: {_list('uint64')} not null, names: {_list('string')}, buffer: {_BUFFER}>",
    "blob": _list("uint8"),
    "bool": "bool",
    "channel_counts": _list(_COUNTS),
    "color": "uint32",
    "dvec2": _vector("double", 2),
    "float32": "float",
    "float64": "double",
    "geo_strips": _list(_vector("double", 2)),
    "harmonics": f"fixed_size_list<item: {_vector('halffloat', 3)} not null>[15]",
    "image_format": (
        "struct<width: uint32 not null, height: uint32 not null, pixel_format: uint8, color_model: uint8, channel_datatype: uint8>"
    ),
    "index_selection": "struct<dimension: uint32 not null, index: uint64 not null>",
    "ivec3": _vector("int32", 3),
    "key_values": _list(_PAIR),
    "mat3": _vector("float", 9),
    "mat4": _vector("float", 16),
    "pair": _PAIR,
    "quaternion": _vector("float", 4),
    "range2": f"struct<x_range: {_vector('double', 2)} not null, y_range: {_vector('double', 2)} not null>",
    "range64": _vector("double", 2),
    "selection": "struct<dimension: uint32 not null, invert: bool not null>",
    "strips2": _list(_vector("float", 2)),
    "strips3": _list(_vector("float", 3)),
    "tensor": f"struct<shape: {_list('uint64')} not null, names: {_list('string')}, buffer: {_BUFFER}>",
    "text": "string",
    "time": "int64",
    "time_bounds": "struct<min: int64 not null, max: int64 not null>",
    "time_range": _TIME_RANGE,
    "uint16": "uint16",
    "uint32": "uint32",
    "uint64": "uint64",
    "uuid": _vector("uint8", 16),
    "uvec2": _vector("uint32", 2),
    "uvec3": _vector("uint32", 3),
    "uvec4": _vector("uint32", 4),
    "vec2": _vector("float", 2),
    "vec3": _vector("float", 3),
    "vec4": _vector("float", 4),
    "video_time": "int64",
    "view": _vector("uint8", 3),
    "visible_time_range": f"struct<timeline: string not null, range: {_TIME_RANGE} not null>",
    "class_element": _CLASS_ELEM,
    "class_description": _CLASS,
    "annotation_info": _INFO,
    "keypoint_pair": _KEYPOINTS,
    "channel_count": _COUNTS,
    "tensor_buffer": _BUFFER,
    "boundary": _BOUNDARY,
}

#: Encoding: its converter, and its only field if it has one; those without one are written in ``_values`` and others.
ENCODINGS: dict[str, tuple[str, str]] = {
    "AbsoluteTimeRange": ("time_bounds", ""),
    "Angle": ("float32", ""),
    "AnnotationInfo": ("annotation_info", ""),
    "Blob": ("blob", "data"),
    "Bool": ("bool", "value"),
    "ChannelCountPair": ("channel_count", ""),
    "ClassDescription": ("class_description", ""),
    "ClassDescriptionMapElem": ("class_element", ""),
    "ClassId": ("uint16", "id"),
    "DVec2D": ("dvec2", "xy"),
    "EntityPath": ("text", "path"),
    "Float32": ("float32", "value"),
    "Float64": ("float64", "value"),
    "IVec3D": ("ivec3", "xyz"),
    "ImageFormat": ("image_format", ""),
    "KeypointId": ("uint16", "id"),
    "KeypointPair": ("keypoint_pair", ""),
    "Mat3x3": ("mat3", ""),
    "Mat4x4": ("mat4", ""),
    "Plane3D": ("vec4", ""),
    "Quaternion": ("quaternion", ""),
    "Range1D": ("range64", "range"),
    "Range2D": ("range2", ""),
    "Rgba32": ("color", ""),
    "RotationAxisAngle": ("axis_angle", ""),
    "SphericalHarmonics3Rgb": ("harmonics", "coefficients"),
    "TensorBuffer": ("tensor_buffer", "inner"),
    "TensorData": ("tensor", ""),
    "TensorDimensionIndexSelection": ("index_selection", ""),
    "TensorDimensionSelection": ("selection", ""),
    "TimeInt": ("time", ""),
    "TimeRange": ("time_range", ""),
    "TimeRangeBoundary": ("boundary", ""),
    "UInt16": ("uint16", "value"),
    "UInt32": ("uint32", "value"),
    "UInt64": ("uint64", "value"),
    "UVec2D": ("uvec2", "xy"),
    "UVec3D": ("uvec3", "xyz"),
    "UVec4D": ("uvec4", "xyzw"),
    "Utf8": ("text", "value"),
    "Utf8Pair": ("pair", ""),
    "Uuid": ("uuid", "bytes"),
    "Vec2D": ("vec2", "xy"),
    "Vec3D": ("vec3", "xyz"),
    "Vec4D": ("vec4", "xyzw"),
    "VideoTimestamp": ("video_time", "timestamp_ns"),
    "ViewCoordinates": ("view", "coordinates"),
    "VisibleTimeRange": ("visible_time_range", ""),
}

_BY_ENCODING = {
    "Blob": "Blob ImageBuffer Thumbnail VideoSample",
    "Bool": "Bool ClearIsRecursive Flag Interactive IsKeyframe ShowLabels Visible",
    "ClassId": "ClassId",
    "DVec2D": "LatLon",
    "EntityPath": "EntityPath",
    "Float32": (
        "AxisLength CellSize DepthMeter DrawOrder FillRatio GammaCorrection ImagePlaneDistance Length MarkerSize "
        "Opacity OpticalDensity Radius StrokeWidth VoxelValue"
    ),
    "Float64": "LinearSpeed Scalar Variance",
    "IVec3D": "VoxelIndex",
    "ImageFormat": "ImageFormat",
    "KeypointId": "KeypointId",
    "Mat3x3": "PinholeProjection TransformMat3x3",
    "Plane3D": "Plane3D",
    "Quaternion": "RotationQuat",
    "Range1D": "Range1D ValueRange",
    "Rgba32": "AlbedoFactor Color",
    "RotationAxisAngle": "RotationAxisAngle",
    "SphericalHarmonics3Rgb": "SphericalHarmonics3Rgb",
    "TensorData": "TensorData",
    "TensorDimensionIndexSelection": "TensorDimensionIndexSelection",
    "TensorDimensionSelection": "TensorHeightDimension TensorWidthDimension",
    "TimeInt": "Timestamp",
    "UInt16": "ChannelId SchemaId",
    "UInt32": "SphericalHarmonicsDegree",
    "UInt64": "Count",
    "UVec3D": "TriangleIndices",
    "Utf8": "GraphNode MediaType Name Text TextLogLevel TransformFrameId Unit Url",
    "Utf8Pair": "GraphEdge",
    "Vec2D": "HalfSize2D Position2D Resolution Texcoord2D Vector2D",
    "Vec3D": "HalfSize3D Position3D Scale3D Translation3D Vector3D VoxelSize",
    "VideoTimestamp": "VideoTimestamp",
    "ViewCoordinates": "ViewCoordinates",
}

#: Component: the encoding that it is made of, or None, and its converter.
COMPONENTS: dict[str, tuple[str | None, str]] = {
    **{name: (base, ENCODINGS[base][0]) for base, names in _BY_ENCODING.items() for name in names.split()},
    **{name: (None, f"enum:{name}") for name in ENUMS if name not in ENCODED_ENUMS},
    "AnnotationContext": (None, "annotations"),
    "ChannelMessageCounts": (None, "channel_counts"),
    "GeoLineString": (None, "geo_strips"),
    "KeyValuePairs": (None, "key_values"),
    "LineStrip2D": (None, "strips2"),
    "LineStrip3D": (None, "strips3"),
}


def arrow_of(converter: str) -> str:
    """Return the text of the Arrow type that a converter makes."""
    if converter.startswith("enum:"):
        return "uint32" if converter == "enum:VideoCodec" else "uint8"
    return ARROW[converter]
