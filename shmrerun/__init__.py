"""The Rerun logging API for programs made of many processes.

``import shmrerun as rr``, then ``init``, ``save``, ``log``, ``set_time`` as in Rerun. Any process of the program logs: children need
no line of set-up, and a row is safe when ``log`` returns. See README.md and ARCHITECTURE.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun import _core
from shmrerun.errors import set_strict_mode, strict_mode
from shmrerun.model import times
from shmrerun.model.entity_paths import escape_entity_path_part, new_entity_path
from shmrerun.producer import sinks as _attach
from shmrerun.producer.active import active_stream as _stream_of
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
    import os
    from collections.abc import Iterable

    from shmrerun.producer.reading import BinaryStream, MemoryRecording

__version__ = "0.1.0"

_SUBMODULES = ("archetypes", "components", "datatypes", "encodings", "error_utils", "utilities")
_WHERE = (
    "archetypes",
    "components",
    "encodings",
    "model.any_values",
    "model.batches",
)  # where names that stand nowhere else are looked for, in this order
_LAZY: dict[str, str] = {  # name -> module that has it
    "ChunkBatcherConfig": "producer.batcher_config",
    "LoggingHandler": "integrations.logging_handler",
    "RotationAxisAngle": "encodings",  # not the component of that name
    "TensorData": "encodings",
    "ComponentValueLike": "constants",
    **dict.fromkeys(
        (
            "AUTO_INDEX",
            "EXTERNAL_DATA_LOADER_INCOMPATIBLE_EXIT_CODE",
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
        ),
        "constants",
    ),
    "recording_stream_generator_ctx": "scopes",
    "thread_local_stream": "scopes",
    "script_add_args": "integrations.script",
    "script_setup": "integrations.script",
    "script_teardown": "integrations.script",
    "install_as_rerun": "integrations.alias",
    "BinaryStream": "producer.reading",
    "MemoryRecording": "producer.reading",
    "FileSink": "sinks",
    "connect_grpc": "producer.absent",
    "serve_grpc": "producer.absent",
    "spawn": "producer.absent",
    "stdout": "producer.absent",
}

log = _core.log
set_time = _core.set_time


def set_time_sequence(timeline: str, sequence: int, recording: RecordingStream | None = None) -> None:
    """Set a sequence time (the older form of ``set_time(sequence=)``)."""
    set_time(timeline, sequence=sequence, recording=recording)


def set_time_seconds(timeline: str, seconds: float, recording: RecordingStream | None = None) -> None:
    """Set a timestamp in seconds since the epoch (the older form); fractions of a nanosecond are cut off."""
    stream = _stream_of(recording)
    kind, value = times.seconds_to_timestamp(timeline, seconds)
    if stream is not None:
        _core.put_time(stream.key, timeline, kind, value)


def set_time_nanos(timeline: str, nanos: int, recording: RecordingStream | None = None) -> None:
    """Set a timestamp in nanoseconds since the epoch (the older form)."""
    stream = _stream_of(recording)
    kind, value = times.nanos_to_timestamp(timeline, nanos)
    if stream is not None:
        _core.put_time(stream.key, timeline, kind, value)


def disable_timeline(timeline: str, recording: RecordingStream | None = None) -> None:
    """Forget the calling thread's time on a timeline; an unknown name is fine."""
    stream = _stream_of(recording)
    if stream is not None:
        _core.forget_time(stream.key, timeline)


def reset_time(recording: RecordingStream | None = None) -> None:
    """Forget all of the calling thread's times in the recording."""
    stream = _stream_of(recording)
    if stream is not None:
        _core.reset_time(stream.key)


def _with(recording: RecordingStream | None) -> RecordingStream | None:
    stream = _stream_of(recording)
    return RecordingStream._wrap(stream) if stream is not None else None


def set_log_time_enabled(enabled: bool, recording: RecordingStream | None = None) -> None:
    """Switch the automatic ``log_time`` timeline, for all processes of the recording."""
    if found := _with(recording):
        found.set_log_time_enabled(enabled)


def set_log_tick_enabled(enabled: bool, recording: RecordingStream | None = None) -> None:
    """Switch the automatic ``log_tick`` timeline, for all processes of the recording."""
    if found := _with(recording):
        found.set_log_tick_enabled(enabled)


def save(
    path: str | os.PathLike[str],
    default_blueprint: Any = None,
    recording: RecordingStream | None = None,
    *,
    write_footer: bool = True,
) -> None:
    """Write the recording to a file, what was buffered first.

    Parameters
    ----------
    path
        ``str(path)`` is used, made absolute now. A regular file that exists is replaced; a FIFO or device is written as it is.
    default_blueprint
        Accepted for Rerun's sake.
    recording
        Instead of the active recording.
    write_footer
        Whether the finished file gets the footer that random access needs.

    Raises
    ------
    SinkError
        (a RuntimeError) The file cannot be created, or another recording is writing it.

    Notes
    -----
    The file can be read while it grows. Its footer is written by :func:`disconnect`, leaving ``with rec:``, the next ``init``, or
    the end of the program, after its workers ended. In another process than the owner's: the same path is a no-op, a different one
    takes that process's own rows. About 1 ms.
    """
    del default_blueprint
    _attach.save(_stream_of(recording), path, write_footer=write_footer)


def set_sinks(*sinks: Any, default_blueprint: Any = None, recording: RecordingStream | None = None) -> None:
    """Replace the recording's sinks: one or more ``FileSink(path)``, or nothing for rows that wait for the next sink.

    Raises
    ------
    ValueError, RuntimeError
        Equal sinks; something that is no sink; a file that cannot be created: then the present sink goes on.

    Notes
    -----
    The first file is the recording's log; up to four more are kept equal to it, byte for byte. A copy that cannot be written is
    reported and tried again, and stops neither the log nor the program.
    """
    _attach.set_sinks(_stream_of(recording), sinks)


def disconnect(recording: RecordingStream | None = None) -> None:
    """Finish the sink: all rows of all processes so far, footer, file closed. Rows that follow are buffered for the next sink."""
    _attach.disconnect(_stream_of(recording))


def memory_recording(recording: RecordingStream | None = None) -> MemoryRecording:
    """Keep rows for ``drain_as_bytes()``. RuntimeError: no recording."""
    return _attach.memory_recording(_stream_of(recording))


def binary_stream(recording: RecordingStream | None = None) -> BinaryStream:
    """Keep rows for ``read()``, piece by piece. RuntimeError: no recording."""
    return _attach.binary_stream(_stream_of(recording))


def send_recording_name(name: str, recording: RecordingStream | None = None) -> None:
    """Name the recording. TypeError: not a str."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, got {type(name).__name__}")
    if found := _with(recording):
        found.send_recording_name(name)


def send_recording_start_time_nanos(nanos: int, recording: RecordingStream | None = None) -> None:
    """Set the recording's start time, nanoseconds since the epoch. TypeError: not an int."""
    if isinstance(nanos, float):
        raise TypeError("nanos must be an int, got float")
    if found := _with(recording):
        found.send_recording_start_time_nanos(nanos)


def send_property(name: str, values: Any, recording: RecordingStream | None = None) -> None:
    """Send a property of the recording: ``values`` is anything that can be logged."""
    if found := _with(recording):
        found.send_property(name, values)


def send_columns(
    entity_path: str,
    indexes: Iterable[Any],
    columns: Iterable[Any],
    *,
    recording: RecordingStream | None = None,
    strict: bool | None = None,
) -> None:
    """Send many rows of one entity at once, as columns.

    Parameters
    ----------
    entity_path
        Text, split at unescaped slashes.
    indexes
        ``TimeColumn`` or anything with ``timeline_name()`` and ``as_arrow_array()`` (int64, duration or timestamp of length n); none:
        the rows are static. The thread's current times and the automatic timelines are not added.
    columns
        ``Archetype.columns(...)``, ``ComponentColumn``, or anything with ``component_descriptor()`` and ``as_arrow_array()`` (a list
        array of length n).
    recording, strict
        As for :func:`log`.

    Notes
    -----
    One call is one record in shared memory and one chunk of the recording; safe when it returns.
    """
    from shmrerun.producer.columns import send_columns as send

    send(_stream_of(recording), entity_path, indexes, columns, strict)


def rerun_shutdown() -> None:
    """Finish this process's sinks now, as its end would. Rows of others are never cut off."""
    from shmrerun.producer import process

    for session in list(process.this_process().owned.values()):
        session.close_sink()
    process.this_process().owned.clear()


def unregister_shutdown() -> None:
    """Do not wait for files at the end of the process; the aggregator finishes them all the same."""
    from shmrerun.producer.exit import unhook_exit

    unhook_exit()


def shutdown_at_exit(func: Any) -> Any:
    """Decorate a worker's function as Rerun needs it; here rows are safe without, so nothing is added."""
    return func


def cleanup_if_forked_child() -> None:
    """Nothing to do: forked children log."""


def version() -> str:
    """Version of this package and of the format it writes."""
    return f"shmrerun {__version__} (writes the format of rerun-sdk 0.41.0)"


def __getattr__(name: str) -> Any:
    """Archetypes and the like, made on first use, so that importing the package stays cheap."""
    from importlib import import_module

    if name in _SUBMODULES:
        return import_module(f"shmrerun.{name}")
    for where in (_LAZY[name],) if name in _LAZY else _WHERE if not name.startswith("_") else ():
        try:
            value = getattr(import_module(f"shmrerun.{where}"), name)
        except AttributeError:
            continue
        globals()[name] = value
        return value
    raise AttributeError(f"module 'shmrerun' has no attribute {name!r}")


def __dir__() -> list[str]:
    from shmrerun.archetypes import __all__ as archetypes

    return sorted({*globals(), *_LAZY, *_SUBMODULES, *archetypes})


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
    "memory_recording",
    "new_entity_path",
    "rerun_shutdown",
    "reset_time",
    "save",
    "send_columns",
    "send_property",
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
