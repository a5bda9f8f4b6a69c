"""What ``shmrerun`` has: the list of its public names, with their types. See README.md for what they are for."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol, overload

import numpy as np

from shmrerun import archetypes as archetypes
from shmrerun import blueprint as blueprint
from shmrerun import chunk as chunk
from shmrerun import components as components
from shmrerun import datatypes as datatypes
from shmrerun import encodings as encodings
from shmrerun import error_utils as error_utils
from shmrerun import experimental as experimental
from shmrerun import urdf as urdf
from shmrerun import utilities as utilities
from shmrerun.api import (
    __version__ as __version__,
)
from shmrerun.api import (
    __version_info__ as __version_info__,
)
from shmrerun.api import (
    binary_stream as binary_stream,
)
from shmrerun.api import (
    cleanup_if_forked_child as cleanup_if_forked_child,
)
from shmrerun.api import (
    disable_timeline as disable_timeline,
)
from shmrerun.api import (
    disconnect as disconnect,
)
from shmrerun.api import (
    log_file_from_contents as log_file_from_contents,
)
from shmrerun.api import (
    log_file_from_path as log_file_from_path,
)
from shmrerun.api import (
    memory_recording as memory_recording,
)
from shmrerun.api import (
    rerun_shutdown as rerun_shutdown,
)
from shmrerun.api import (
    reset_time as reset_time,
)
from shmrerun.api import (
    save as save,
)
from shmrerun.api import (
    send_blueprint as send_blueprint,
)
from shmrerun.api import (
    send_chunks as send_chunks,
)
from shmrerun.api import (
    send_columns as send_columns,
)
from shmrerun.api import (
    send_dataframe as send_dataframe,
)
from shmrerun.api import (
    send_property as send_property,
)
from shmrerun.api import (
    send_record_batch as send_record_batch,
)
from shmrerun.api import (
    send_recording_name as send_recording_name,
)
from shmrerun.api import (
    send_recording_start_time_nanos as send_recording_start_time_nanos,
)
from shmrerun.api import (
    set_log_tick_enabled as set_log_tick_enabled,
)
from shmrerun.api import (
    set_log_time_enabled as set_log_time_enabled,
)
from shmrerun.api import (
    set_sinks as set_sinks,
)
from shmrerun.api import (
    set_time_nanos as set_time_nanos,
)
from shmrerun.api import (
    set_time_seconds as set_time_seconds,
)
from shmrerun.api import (
    set_time_sequence as set_time_sequence,
)
from shmrerun.api import (
    shutdown_at_exit as shutdown_at_exit,
)
from shmrerun.api import (
    unregister_shutdown as unregister_shutdown,
)
from shmrerun.api import (
    version as version,
)
from shmrerun.archetypes import (
    AnnotationContext as AnnotationContext,
)
from shmrerun.archetypes import (
    Archetype as Archetype,
)
from shmrerun.archetypes import (
    Arrows2D as Arrows2D,
)
from shmrerun.archetypes import (
    Arrows3D as Arrows3D,
)
from shmrerun.archetypes import (
    Asset3D as Asset3D,
)
from shmrerun.archetypes import (
    AssetAudio as AssetAudio,
)
from shmrerun.archetypes import (
    AssetVideo as AssetVideo,
)
from shmrerun.archetypes import (
    BarChart as BarChart,
)
from shmrerun.archetypes import (
    Box2DFormat as Box2DFormat,
)
from shmrerun.archetypes import (
    Boxes2D as Boxes2D,
)
from shmrerun.archetypes import (
    Boxes3D as Boxes3D,
)
from shmrerun.archetypes import (
    Capsules3D as Capsules3D,
)
from shmrerun.archetypes import (
    Clear as Clear,
)
from shmrerun.archetypes import (
    CoordinateFrame as CoordinateFrame,
)
from shmrerun.archetypes import (
    Cylinders3D as Cylinders3D,
)
from shmrerun.archetypes import (
    DepthImage as DepthImage,
)
from shmrerun.archetypes import (
    Ellipses2D as Ellipses2D,
)
from shmrerun.archetypes import (
    Ellipsoids3D as Ellipsoids3D,
)
from shmrerun.archetypes import (
    EncodedDepthImage as EncodedDepthImage,
)
from shmrerun.archetypes import (
    EncodedImage as EncodedImage,
)
from shmrerun.archetypes import (
    GaussianSplats3D as GaussianSplats3D,
)
from shmrerun.archetypes import (
    GeoLineStrings as GeoLineStrings,
)
from shmrerun.archetypes import (
    GeoPoints as GeoPoints,
)
from shmrerun.archetypes import (
    GraphEdges as GraphEdges,
)
from shmrerun.archetypes import (
    GraphNodes as GraphNodes,
)
from shmrerun.archetypes import (
    GridMap as GridMap,
)
from shmrerun.archetypes import (
    Image as Image,
)
from shmrerun.archetypes import (
    InstancePoses3D as InstancePoses3D,
)
from shmrerun.archetypes import (
    LineStrips2D as LineStrips2D,
)
from shmrerun.archetypes import (
    LineStrips3D as LineStrips3D,
)
from shmrerun.archetypes import (
    McapChannel as McapChannel,
)
from shmrerun.archetypes import (
    McapMessage as McapMessage,
)
from shmrerun.archetypes import (
    McapSchema as McapSchema,
)
from shmrerun.archetypes import (
    McapStatistics as McapStatistics,
)
from shmrerun.archetypes import (
    Measurements as Measurements,
)
from shmrerun.archetypes import (
    Mesh3D as Mesh3D,
)
from shmrerun.archetypes import (
    Pinhole as Pinhole,
)
from shmrerun.archetypes import (
    Points2D as Points2D,
)
from shmrerun.archetypes import (
    Points3D as Points3D,
)
from shmrerun.archetypes import (
    RecordingInfo as RecordingInfo,
)
from shmrerun.archetypes import (
    Scalars as Scalars,
)
from shmrerun.archetypes import (
    SegmentationImage as SegmentationImage,
)
from shmrerun.archetypes import (
    SeriesLines as SeriesLines,
)
from shmrerun.archetypes import (
    SeriesPoints as SeriesPoints,
)
from shmrerun.archetypes import (
    StateChange as StateChange,
)
from shmrerun.archetypes import (
    StateConfiguration as StateConfiguration,
)
from shmrerun.archetypes import (
    Tensor as Tensor,
)
from shmrerun.archetypes import (
    TextDocument as TextDocument,
)
from shmrerun.archetypes import (
    TextLog as TextLog,
)
from shmrerun.archetypes import (
    Transform3D as Transform3D,
)
from shmrerun.archetypes import (
    TransformAxes3D as TransformAxes3D,
)
from shmrerun.archetypes import (
    VideoFrameReference as VideoFrameReference,
)
from shmrerun.archetypes import (
    VideoStream as VideoStream,
)
from shmrerun.archetypes import (
    ViewCoordinates as ViewCoordinates,
)
from shmrerun.archetypes import (
    Volume3D as Volume3D,
)
from shmrerun.archetypes import (
    VoxelGridMap as VoxelGridMap,
)
from shmrerun.components import (
    AlbedoFactor as AlbedoFactor,
)
from shmrerun.components import (
    GraphEdge as GraphEdge,
)
from shmrerun.components import (
    GraphType as GraphType,
)
from shmrerun.components import (
    MediaType as MediaType,
)
from shmrerun.components import (
    Radius as Radius,
)
from shmrerun.components import (
    Scale3D as Scale3D,
)
from shmrerun.components import (
    TensorDimensionIndexSelection as TensorDimensionIndexSelection,
)
from shmrerun.components import (
    TextLogLevel as TextLogLevel,
)
from shmrerun.components import (
    TransformRelation as TransformRelation,
)
from shmrerun.components import (
    VideoCodec as VideoCodec,
)
from shmrerun.constants import (
    AUTO_INDEX as AUTO_INDEX,
)
from shmrerun.constants import (
    EXTERNAL_IMPORTER_INCOMPATIBLE_EXIT_CODE as EXTERNAL_IMPORTER_INCOMPATIBLE_EXIT_CODE,
)
from shmrerun.constants import (
    RECORDING_PROPERTIES_PATH as RECORDING_PROPERTIES_PATH,
)
from shmrerun.constants import (
    RERUN_KIND as RERUN_KIND,
)
from shmrerun.constants import (
    RERUN_KIND_CONTROL as RERUN_KIND_CONTROL,
)
from shmrerun.constants import (
    RERUN_KIND_INDEX as RERUN_KIND_INDEX,
)
from shmrerun.constants import (
    SORBET_ARCHETYPE_NAME as SORBET_ARCHETYPE_NAME,
)
from shmrerun.constants import (
    SORBET_COMPONENT as SORBET_COMPONENT,
)
from shmrerun.constants import (
    SORBET_COMPONENT_TYPE as SORBET_COMPONENT_TYPE,
)
from shmrerun.constants import (
    SORBET_ENTITY_PATH as SORBET_ENTITY_PATH,
)
from shmrerun.constants import (
    SORBET_INDEX_NAME as SORBET_INDEX_NAME,
)
from shmrerun.constants import (
    SORBET_IS_TABLE_INDEX as SORBET_IS_TABLE_INDEX,
)
from shmrerun.constants import (
    ComponentValueLike as ComponentValueLike,
)
from shmrerun.encodings import (
    Angle as Angle,
)
from shmrerun.encodings import (
    AnnotationInfo as AnnotationInfo,
)
from shmrerun.encodings import (
    ChannelDatatype as ChannelDatatype,
)
from shmrerun.encodings import (
    ClassDescription as ClassDescription,
)
from shmrerun.encodings import (
    ColorModel as ColorModel,
)
from shmrerun.encodings import (
    PixelFormat as PixelFormat,
)
from shmrerun.encodings import (
    Quaternion as Quaternion,
)
from shmrerun.encodings import (
    RotationAxisAngle as RotationAxisAngle,
)
from shmrerun.encodings import (
    TensorData as TensorData,
)
from shmrerun.encodings import (
    TensorDimensionSelection as TensorDimensionSelection,
)
from shmrerun.encodings import (
    TimeInt as TimeInt,
)
from shmrerun.encodings import (
    TimeRange as TimeRange,
)
from shmrerun.encodings import (
    TimeRangeBoundary as TimeRangeBoundary,
)
from shmrerun.encodings import (
    VisibleTimeRange as VisibleTimeRange,
)
from shmrerun.errors import (
    set_strict_mode as set_strict_mode,
)
from shmrerun.errors import (
    strict_mode as strict_mode,
)
from shmrerun.integrations.alias import (
    install_as_rerun as install_as_rerun,
)
from shmrerun.integrations.logging_handler import (
    LoggingHandler as LoggingHandler,
)
from shmrerun.integrations.notebook import (
    legacy_notebook_show as legacy_notebook_show,
)
from shmrerun.integrations.script import (
    script_add_args as script_add_args,
)
from shmrerun.integrations.script import (
    script_setup as script_setup,
)
from shmrerun.integrations.script import (
    script_teardown as script_teardown,
)
from shmrerun.model.any_values import (
    AnyBatchValue as AnyBatchValue,
)
from shmrerun.model.any_values import (
    AnyValues as AnyValues,
)
from shmrerun.model.any_values import (
    DynamicArchetype as DynamicArchetype,
)
from shmrerun.model.batches import (
    AsComponents as AsComponents,
)
from shmrerun.model.batches import (
    ComponentBatchLike as ComponentBatchLike,
)
from shmrerun.model.batches import (
    ComponentBatchMixin as ComponentBatchMixin,
)
from shmrerun.model.batches import (
    ComponentColumn as ComponentColumn,
)
from shmrerun.model.batches import (
    ComponentColumnList as ComponentColumnList,
)
from shmrerun.model.batches import (
    ComponentDescriptor as ComponentDescriptor,
)
from shmrerun.model.batches import (
    ComponentMixin as ComponentMixin,
)
from shmrerun.model.batches import (
    DescribedComponentBatch as DescribedComponentBatch,
)
from shmrerun.model.entity_paths import (
    escape_entity_path_part as escape_entity_path_part,
)
from shmrerun.model.entity_paths import (
    new_entity_path as new_entity_path,
)
from shmrerun.model.time_columns import (
    TimeColumn as TimeColumn,
)
from shmrerun.model.time_columns import (
    TimeColumnLike as TimeColumnLike,
)
from shmrerun.model.time_columns import (
    TimeNanosColumn as TimeNanosColumn,
)
from shmrerun.model.time_columns import (
    TimeSecondsColumn as TimeSecondsColumn,
)
from shmrerun.model.time_columns import (
    TimeSequenceColumn as TimeSequenceColumn,
)
from shmrerun.producer.batcher_config import (
    ChunkBatcherConfig as ChunkBatcherConfig,
)
from shmrerun.producer.live import (
    connect_grpc as connect_grpc,
)
from shmrerun.producer.live import (
    serve_grpc as serve_grpc,
)
from shmrerun.producer.live import (
    stdout as stdout,
)
from shmrerun.producer.notebook import (
    notebook_show as notebook_show,
)
from shmrerun.producer.reading import (
    BinaryStream as BinaryStream,
)
from shmrerun.producer.reading import (
    MemoryRecording as MemoryRecording,
)
from shmrerun.producer.viewer import (
    spawn as spawn,
)
from shmrerun.producer.web import (
    serve_web as serve_web,
)
from shmrerun.producer.web import (
    serve_web_viewer as serve_web_viewer,
)
from shmrerun.producer.web import (
    start_web_viewer_server as start_web_viewer_server,
)
from shmrerun.recording_stream import (
    RecordingStream as RecordingStream,
)
from shmrerun.recording_stream import (
    get_application_id as get_application_id,
)
from shmrerun.recording_stream import (
    get_data_recording as get_data_recording,
)
from shmrerun.recording_stream import (
    get_global_data_recording as get_global_data_recording,
)
from shmrerun.recording_stream import (
    get_recording_id as get_recording_id,
)
from shmrerun.recording_stream import (
    get_thread_local_data_recording as get_thread_local_data_recording,
)
from shmrerun.recording_stream import (
    init as init,
)
from shmrerun.recording_stream import (
    is_enabled as is_enabled,
)
from shmrerun.recording_stream import (
    set_global_data_recording as set_global_data_recording,
)
from shmrerun.recording_stream import (
    set_thread_local_data_recording as set_thread_local_data_recording,
)
from shmrerun.rrd.reader import (
    Recording as Recording,
)
from shmrerun.rrd.reader import (
    read as read,
)
from shmrerun.rrd.view import (
    RecordingView as RecordingView,
)
from shmrerun.scopes import (
    recording_stream_generator_ctx as recording_stream_generator_ctx,
)
from shmrerun.scopes import (
    thread_local_stream as thread_local_stream,
)
from shmrerun.sinks import (
    CustomSink as CustomSink,
)
from shmrerun.sinks import (
    FileSink as FileSink,
)
from shmrerun.sinks import (
    GrpcServerSink as GrpcServerSink,
)
from shmrerun.sinks import (
    GrpcSink as GrpcSink,
)

EXTERNAL_DATA_LOADER_INCOMPATIBLE_EXIT_CODE: int  # deprecated

class _DescribedBatch(Protocol):
    def component_descriptor(self) -> Any: ...
    def as_arrow_array(self) -> Any: ...

class _Loggable(Protocol):
    """Archetypes, AnyValues, users' own classes, and objects of rerun-sdk."""

    def as_component_batches(self) -> Iterable[_DescribedBatch]: ...

def log(
    entity_path: str | list[object],
    entity: _Loggable | Iterable[_DescribedBatch],
    *extra: _Loggable | Iterable[_DescribedBatch],
    static: bool = False,
    recording: RecordingStream | None = None,
    strict: bool | None = None,
) -> None:
    """Log a row: components of one entity at the calling thread's current times.

    Parameters
    ----------
    entity_path
        Text, split at unescaped slashes, or a list of parts.
    entity, *extra
        Archetypes, anything with ``as_component_batches()`` (real ``rerun`` objects too), or iterables of described batches.
    static
        Without times: holds for all of them.
    recording
        Instead of the active recording.
    strict
        True: errors propagate; False: they become warnings; None: as ``strict_mode()`` says.

    Notes
    -----
    The row is safe when this returns: killing the process loses nothing. Without a recording nothing happens.
    """

@overload
def set_time(timeline: str, *, recording: RecordingStream | None = None, sequence: int) -> None: ...
@overload
def set_time(timeline: str, *, recording: RecordingStream | None = None, duration: float | timedelta | np.timedelta64) -> None: ...
@overload
def set_time(timeline: str, *, recording: RecordingStream | None = None, timestamp: float | datetime | np.datetime64) -> None:
    """Set the calling thread's current time on a timeline, for rows logged from now on.

    Parameters
    ----------
    timeline
        Its name, not empty.
    recording
        Instead of the active recording.
    sequence
        A frame or a step.
    duration
        Seconds, ``timedelta`` or ``timedelta64``.
    timestamp
        Seconds since the epoch, ``datetime`` (naive is UTC), ``datetime64``, pandas or pyarrow timestamp.

    Raises
    ------
    ValueError
        Not exactly one of the three, an empty name, NaN, or a timestamp that looks like milliseconds.
    TypeError, OverflowError
        A value of another type, or beyond 64 bits of nanoseconds.
    """

__all__ = [
    "AUTO_INDEX",
    "EXTERNAL_IMPORTER_INCOMPATIBLE_EXIT_CODE",
    "RECORDING_PROPERTIES_PATH",
    "RERUN_KIND",
    "RERUN_KIND_CONTROL",
    "RERUN_KIND_INDEX",
    "SORBET_ARCHETYPE_NAME",
    "SORBET_COMPONENT",
    "SORBET_COMPONENT_TYPE",
    "SORBET_ENTITY_PATH",
    "SORBET_INDEX_NAME",
    "SORBET_IS_TABLE_INDEX",
    "AlbedoFactor",
    "Angle",
    "AnnotationContext",
    "AnnotationInfo",
    "AnyBatchValue",
    "AnyValues",
    "Archetype",
    "Arrows2D",
    "Arrows3D",
    "AsComponents",
    "Asset3D",
    "AssetAudio",
    "AssetVideo",
    "BarChart",
    "BinaryStream",
    "Box2DFormat",
    "Boxes2D",
    "Boxes3D",
    "Capsules3D",
    "ChannelDatatype",
    "ChunkBatcherConfig",
    "ClassDescription",
    "Clear",
    "ColorModel",
    "ComponentBatchLike",
    "ComponentBatchMixin",
    "ComponentColumn",
    "ComponentColumnList",
    "ComponentDescriptor",
    "ComponentMixin",
    "ComponentValueLike",
    "CoordinateFrame",
    "CustomSink",
    "Cylinders3D",
    "DepthImage",
    "DescribedComponentBatch",
    "DynamicArchetype",
    "Ellipses2D",
    "Ellipsoids3D",
    "EncodedDepthImage",
    "EncodedImage",
    "FileSink",
    "GaussianSplats3D",
    "GeoLineStrings",
    "GeoPoints",
    "GraphEdge",
    "GraphEdges",
    "GraphNodes",
    "GraphType",
    "GridMap",
    "GrpcServerSink",
    "GrpcSink",
    "Image",
    "InstancePoses3D",
    "LineStrips2D",
    "LineStrips3D",
    "LoggingHandler",
    "McapChannel",
    "McapMessage",
    "McapSchema",
    "McapStatistics",
    "Measurements",
    "MediaType",
    "MemoryRecording",
    "Mesh3D",
    "Pinhole",
    "PixelFormat",
    "Points2D",
    "Points3D",
    "Quaternion",
    "Radius",
    "Recording",
    "RecordingInfo",
    "RecordingStream",
    "RecordingView",
    "RotationAxisAngle",
    "Scalars",
    "Scale3D",
    "SegmentationImage",
    "SeriesLines",
    "SeriesPoints",
    "StateChange",
    "StateConfiguration",
    "Tensor",
    "TensorData",
    "TensorDimensionIndexSelection",
    "TensorDimensionSelection",
    "TextDocument",
    "TextLog",
    "TextLogLevel",
    "TimeColumn",
    "TimeColumnLike",
    "TimeInt",
    "TimeNanosColumn",
    "TimeRange",
    "TimeRangeBoundary",
    "TimeSecondsColumn",
    "TimeSequenceColumn",
    "Transform3D",
    "TransformAxes3D",
    "TransformRelation",
    "VideoCodec",
    "VideoFrameReference",
    "VideoStream",
    "ViewCoordinates",
    "VisibleTimeRange",
    "Volume3D",
    "VoxelGridMap",
    "archetypes",
    "binary_stream",
    "blueprint",
    "chunk",
    "cleanup_if_forked_child",
    "components",
    "connect_grpc",
    "datatypes",
    "disable_timeline",
    "disconnect",
    "encodings",
    "error_utils",
    "escape_entity_path_part",
    "experimental",
    "get_application_id",
    "get_data_recording",
    "get_global_data_recording",
    "get_recording_id",
    "get_thread_local_data_recording",
    "init",
    "install_as_rerun",
    "is_enabled",
    "legacy_notebook_show",
    "log",
    "log_file_from_contents",
    "log_file_from_path",
    "memory_recording",
    "new_entity_path",
    "notebook_show",
    "read",
    "recording_stream_generator_ctx",
    "rerun_shutdown",
    "reset_time",
    "save",
    "script_add_args",
    "script_setup",
    "script_teardown",
    "send_blueprint",
    "send_chunks",
    "send_columns",
    "send_dataframe",
    "send_property",
    "send_record_batch",
    "send_recording_name",
    "send_recording_start_time_nanos",
    "serve_grpc",
    "serve_web",
    "serve_web_viewer",
    "set_global_data_recording",
    "set_log_tick_enabled",
    "set_log_time_enabled",
    "set_sinks",
    "set_strict_mode",
    "set_thread_local_data_recording",
    "set_time",
    "set_time_nanos",
    "set_time_seconds",
    "set_time_sequence",
    "shutdown_at_exit",
    "spawn",
    "start_web_viewer_server",
    "stdout",
    "strict_mode",
    "thread_local_stream",
    "unregister_shutdown",
    "urdf",
    "utilities",
    "version",
]
