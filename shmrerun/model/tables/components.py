"""Components and encodings as data: what holds what, in which Arrow type, by which converter.

An *encoding* is a type of values (``Vec3D``); a *component* is an encoding with a meaning (``Position3D``). A
*converter* is a name of ``model.convert.converters``; several encodings may share one.

Source: rerun-sdk 0.41.0 (names, members, wire values, Arrow types, as introspected).
"""

from __future__ import annotations

from typing import Any

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


#: Arrow type as a tree: the name of a plain type as pyarrow prints it, or a kind with its fields (name, tree, nullable).
#: The code of a union's field is its place; the last item of ``fixed_size_list`` is its length.
Tree = str | tuple[Any, ...]


def _item(kind: Tree) -> tuple[str, Tree, bool]:
    return ("item", kind, False)


def _vector(kind: Tree, size: int) -> Tree:
    return ("fixed_size_list", _item(kind), size)


def _list(kind: Tree) -> Tree:
    return ("list", _item(kind))


def _struct(*fields: tuple[str, Tree] | tuple[str, Tree, bool]) -> Tree:
    return ("struct", *((name, kind, bool(nullable)) for name, kind, *nullable in fields))


TENSOR_ARMS = {  # arm of the union: Arrow type of its items; the arms' codes are 1, 2, ...
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "I8": "int8", "I16": "int16", "I32": "int32",
    "I64": "int64", "F16": "halffloat", "F32": "float", "F64": "double",
}  # fmt: skip
_NULLS = ("_null_markers", "null", True)
_BUFFER: Tree = ("dense_union", _NULLS, *((arm, _list(kind), False) for arm, kind in TENSOR_ARMS.items()))
_PAIR = _struct(("first", "string"), ("second", "string"))
_INFO = _struct(("id", "uint16"), ("label", "string", True), ("color", "uint32", True))
_KEYPOINTS = _struct(("keypoint0", "uint16"), ("keypoint1", "uint16"))
_CLASS = _struct(("info", _INFO), ("keypoint_annotations", _list(_INFO)), ("keypoint_connections", _list(_KEYPOINTS)))
_CLASS_ELEM = _struct(("class_id", "uint16"), ("class_description", _CLASS))
_COUNTS = _struct(("channel_id", "uint16"), ("message_count", "uint64"))
_BOUNDARY: Tree = (
    "dense_union", _NULLS, ("CursorRelative", "int64", False), ("Absolute", "int64", False), ("Infinite", "null", True),
)  # fmt: skip
_TIME_RANGE = _struct(("start", _BOUNDARY, True), ("end", _BOUNDARY, True))
_SELECTOR = _struct(("entity_path", "string"), ("component", "string"))
_TENSOR = _struct(("shape", _list("uint64")), ("names", _list("string"), True), ("buffer", _BUFFER, True))

#: Converter: Arrow type of its values. Converters ``enum:Name`` are not listed.
TYPES: dict[str, Tree] = {
    "annotations": _list(_CLASS_ELEM),
    "axis_angle": _struct(("axis", _vector("float", 3)), ("angle", "float")),
    "bar_values": _TENSOR,
    "blob": _list("uint8"),
    "bool": "bool",
    "channel_counts": _list(_COUNTS),
    "color": "uint32",
    "dvec2": _vector("double", 2),
    "float32": "float",
    "float64": "double",
    "geo_strips": _list(_vector("double", 2)),
    "harmonics": _vector(_vector("halffloat", 3), 15),
    "image_format": _struct(
        ("width", "uint32"), ("height", "uint32"), ("pixel_format", "uint8", True), ("color_model", "uint8", True),
        ("channel_datatype", "uint8", True),
    ),
    "index_selection": _struct(("dimension", "uint32"), ("index", "uint64")),
    "ivec3": _vector("int32", 3),
    "key_values": _list(_PAIR),
    "mat3": _vector("float", 9),
    "mat4": _vector("float", 16),
    "pair": _PAIR,
    "quaternion": _vector("float", 4),
    "range2": _struct(("x_range", _vector("double", 2)), ("y_range", _vector("double", 2))),
    "range64": _vector("double", 2),
    "selection": _struct(("dimension", "uint32"), ("invert", "bool")),
    "strips2": _list(_vector("float", 2)),
    "strips3": _list(_vector("float", 3)),
    "tensor": _TENSOR,
    "text": "string",
    "time": "int64",
    "time_bounds": _struct(("min", "int64"), ("max", "int64")),
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
    "visible_time_range": _struct(("timeline", "string"), ("range", _TIME_RANGE)),
    "class_element": _CLASS_ELEM,
    "class_description": _CLASS,
    "annotation_info": _INFO,
    "keypoint_pair": _KEYPOINTS,
    "channel_count": _COUNTS,
    "tensor_buffer": _BUFFER,
    "boundary": _BOUNDARY,
    "column_order": _list("string"),
    "column_selector": _SELECTOR,
    "column_type": _struct(("component", "string", True), ("component_type_name", "string", True)),
    "component_mapping": _struct(
        ("target", "string"), ("source_kind", "uint8"), ("source_component", "string", True), ("selector", "string", True),
    ),
    "log_column": _struct(("visible", "bool"), ("kind", "uint8")),
    "null_filter": _struct(("active", "bool"), ("column", _SELECTOR)),
    "range_filter": _struct(("start", "int64"), ("end", "int64")),
    "selected_columns": _struct(("time_columns", _list("string")), ("component_columns", _list(_SELECTOR))),
    "slider": _struct(("dimension", "uint32")),
    "sort_by": _struct(("column", "string"), ("direction", "uint8", True)),
    "timeline_column": _struct(("visible", "bool"), ("timeline", "string")),
}  # fmt: skip


def text_of(tree: Tree) -> str:
    """Return the text of a type, exactly as pyarrow prints it: the form in which it travels."""
    if isinstance(tree, str):
        return tree
    kind, *fields = tree
    size = f"[{fields.pop()}]" if kind == "fixed_size_list" else ""
    texts = [f"{name}: {text_of(inner)}{'' if nullable else ' not null'}" for name, inner, nullable in fields]
    if kind == "dense_union":
        texts = [f"{text}={code}" for code, text in enumerate(texts)]
    return f"{kind}<{', '.join(texts)}>{size}"


#: Converter: text of its Arrow type.
ARROW = {name: text_of(tree) for name, tree in TYPES.items()}

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
