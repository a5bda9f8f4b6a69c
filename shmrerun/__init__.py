"""The Rerun logging API for programs made of many processes.

``import shmrerun as rr``, then ``init``, ``save``, ``log``, ``set_time`` as in Rerun. Any process of the program logs: children need
no line of set-up, and a row is safe when ``log`` returns. See README.md and ARCHITECTURE.md.
"""

from __future__ import annotations

import importlib  # noqa: F401 - 0.4 ms, before threads import: an `importlib` that is found half imported stays broken (CPython 3.11 to 3.13)
import os as _os
from typing import TYPE_CHECKING

from shmrerun.api import (
    __version__ as __version__,
)
from shmrerun.api import (
    __version_info__ as __version_info__,
)
from shmrerun.api import (
    binary_stream,
    cleanup_if_forked_child,
    disable_timeline,
    disconnect,
    log,
    log_file_from_contents,
    log_file_from_path,
    memory_recording,
    rerun_shutdown,
    reset_time,
    save,
    send_blueprint,
    send_chunks,
    send_columns,
    send_dataframe,
    send_property,
    send_record_batch,
    send_recording_name,
    send_recording_start_time_nanos,
    set_log_tick_enabled,
    set_log_time_enabled,
    set_sinks,
    set_time,
    set_time_nanos,
    set_time_seconds,
    set_time_sequence,
    shutdown_at_exit,
    unregister_shutdown,
    version,
)
from shmrerun.errors import set_strict_mode, strict_mode
from shmrerun.loaded import wait_for_imports as _wait_for_imports
from shmrerun.model.entity_paths import escape_entity_path_part, new_entity_path
from shmrerun.recording_stream import (
    RecordingStream,
    get_application_id,
    get_data_recording,
    get_global_data_recording,
    get_recording_id,
    get_thread_local_data_recording,
    init,
    is_enabled,
    set_global_data_recording,
    set_thread_local_data_recording,
)

if TYPE_CHECKING:
    from typing import Any

_MODULES = (
    *("archetypes", "blueprint", "chunk", "components", "datatypes", "encodings", "error_utils", "experimental", "urdf"),
    "utilities",
)
_LAZY = {  # name: the module that has it, imported when the name is first used
    name: module
    for module, names in {
        "archetypes": """
            AnnotationContext Archetype Arrows2D Arrows3D Asset3D AssetAudio AssetVideo BarChart Box2DFormat Boxes2D Boxes3D
            Capsules3D Clear CoordinateFrame Cylinders3D DepthImage Ellipses2D Ellipsoids3D EncodedDepthImage EncodedImage
            GaussianSplats3D GeoLineStrings GeoPoints GraphEdges GraphNodes GridMap Image InstancePoses3D LineStrips2D LineStrips3D
            McapChannel McapMessage McapSchema McapStatistics Measurements Mesh3D Pinhole Points2D Points3D RecordingInfo Scalars
            SegmentationImage SeriesLines SeriesPoints StateChange StateConfiguration Tensor TextDocument TextLog Transform3D
            TransformAxes3D VideoFrameReference VideoStream ViewCoordinates Volume3D VoxelGridMap
        """,
        "components": """
            AlbedoFactor GraphEdge GraphType MediaType Radius Scale3D TensorDimensionIndexSelection TextLogLevel
            TransformRelation VideoCodec
        """,
        "encodings": """
            Angle AnnotationInfo ChannelDatatype ClassDescription ColorModel PixelFormat Quaternion RotationAxisAngle TensorData
            TensorDimensionSelection TimeInt TimeRange TimeRangeBoundary VisibleTimeRange
        """,
        "constants": """
            AUTO_INDEX ComponentValueLike EXTERNAL_DATA_LOADER_INCOMPATIBLE_EXIT_CODE EXTERNAL_IMPORTER_INCOMPATIBLE_EXIT_CODE
            RECORDING_PROPERTIES_PATH RERUN_KIND RERUN_KIND_CONTROL RERUN_KIND_INDEX SORBET_ARCHETYPE_NAME SORBET_COMPONENT
            SORBET_COMPONENT_TYPE SORBET_ENTITY_PATH SORBET_INDEX_NAME SORBET_IS_TABLE_INDEX
        """,
        "model.any_values": "AnyBatchValue AnyValues DynamicArchetype",
        "model.batches": """
            AsComponents ComponentBatchLike ComponentBatchMixin ComponentColumn ComponentColumnList ComponentDescriptor
            ComponentMixin DescribedComponentBatch
        """,
        "model.time_columns": "TimeColumn TimeColumnLike TimeNanosColumn TimeSecondsColumn TimeSequenceColumn",
        "sinks": "CustomSink FileSink GrpcServerSink GrpcSink",
        "scopes": "recording_stream_generator_ctx thread_local_stream",
        "producer.batcher_config": "ChunkBatcherConfig",
        "producer.reading": "BinaryStream MemoryRecording",
        "producer.live": "connect_grpc serve_grpc stdout",
        "producer.notebook": "notebook_show",
        "producer.viewer": "spawn",
        "producer.web": "serve_web serve_web_viewer start_web_viewer_server",
        "rrd.reader": "Recording read",
        "rrd.view": "RecordingView",
        "integrations.alias": "install_as_rerun",
        "integrations.logging_handler": "LoggingHandler",
        "integrations.notebook": "legacy_notebook_show",
        "integrations.script": "script_add_args script_setup script_teardown",
    }.items()
    for name in names.split()
}
_DEPRECATED = ("EXTERNAL_DATA_LOADER_INCOMPATIBLE_EXIT_CODE",)  # using it warns, so `import *` does not

__all__ = [
    "RecordingStream",
    "binary_stream",
    "cleanup_if_forked_child",
    "disable_timeline",
    "disconnect",
    "escape_entity_path_part",
    "get_application_id",
    "get_data_recording",
    "get_global_data_recording",
    "get_recording_id",
    "get_thread_local_data_recording",
    "init",
    "is_enabled",
    "log",
    "log_file_from_contents",
    "log_file_from_path",
    "memory_recording",
    "new_entity_path",
    "rerun_shutdown",
    "reset_time",
    "save",
    "send_blueprint",
    "send_chunks",
    "send_columns",
    "send_dataframe",
    "send_property",
    "send_record_batch",
    "send_recording_name",
    "send_recording_start_time_nanos",
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
    "strict_mode",
    "unregister_shutdown",
    "version",
]
__all__ += [*_MODULES, *(name for name in _LAZY if name not in _DEPRECATED)]  # noqa: PLE0604  the stub has the plain list
__all__.sort()


_os.register_at_fork(before=_wait_for_imports)


def __getattr__(name: str) -> Any:
    """Import what a lazy name stands for, at its first use; from then on it is a global like any other."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"shmrerun.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module 'shmrerun' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"shmrerun.{_LAZY[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
