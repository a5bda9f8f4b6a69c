"""The functions of the package that act on the active recording: a line or a few each, over the producer.

``log`` and ``set_time`` are the extension's own functions, so that the hot path has no Python in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun import _core
from shmrerun.model import times
from shmrerun.model.auto_index import AUTO_INDEX
from shmrerun.producer import messages
from shmrerun.producer import sinks as sinking
from shmrerun.producer.active import active_stream
from shmrerun.producer.exit import unhook_exit
from shmrerun.producer.process import this_process
from shmrerun.recording_stream import RecordingStream

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from shmrerun.producer.reading import BinaryStream, MemoryRecording

__version__ = "0.1.0"

log = _core.log
set_time = _core.set_time


def set_time_sequence(timeline: str, sequence: int, recording: RecordingStream | None = None) -> None:
    """Set a sequence time (the older form of ``set_time(sequence=)``)."""
    set_time(timeline, sequence=sequence, recording=recording)


def set_time_seconds(timeline: str, seconds: float, recording: RecordingStream | None = None) -> None:
    """Set a timestamp in seconds since the epoch (the older form); fractions of a nanosecond are cut off."""
    stream = active_stream(recording)
    kind, value = times.seconds_to_timestamp(timeline, seconds)
    if stream is not None:
        _core.put_time(stream.key, timeline, kind, value)


def set_time_nanos(timeline: str, nanos: int, recording: RecordingStream | None = None) -> None:
    """Set a timestamp in nanoseconds since the epoch (the older form)."""
    stream = active_stream(recording)
    kind, value = times.nanos_to_timestamp(timeline, nanos)
    if stream is not None:
        _core.put_time(stream.key, timeline, kind, value)


def disable_timeline(timeline: str, recording: RecordingStream | None = None) -> None:
    """Forget the calling thread's time on a timeline; an unknown name is fine."""
    stream = active_stream(recording)
    if stream is not None:
        _core.forget_time(stream.key, timeline)


def reset_time(recording: RecordingStream | None = None) -> None:
    """Forget all of the calling thread's times in the recording."""
    stream = active_stream(recording)
    if stream is not None:
        _core.reset_time(stream.key)


def _with(recording: RecordingStream | None) -> RecordingStream | None:
    stream = active_stream(recording)
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
        The bytes or the path of an ``.rbl`` file: a layout that viewers show on reset. See :func:`send_blueprint`.
    recording
        Instead of the active recording.
    write_footer
        Whether the finished file gets the footer that random access needs.

    Raises
    ------
    SinkError
        (a RuntimeError) The file cannot be created, or another recording is writing it.
    TypeError, ValueError, OSError
        Of the blueprint, as :func:`send_blueprint` raises them; the sink is then as before.

    Notes
    -----
    The file can be read while it grows. Its footer is written by :func:`disconnect`, leaving ``with rec:``, the next ``init``, or
    the end of the program, after its workers ended. In another process than the owner's: the same path is a no-op, a different one
    takes that process's own rows. About 1 ms.
    """
    sinking.save(active_stream(recording), path, write_footer=write_footer, blueprint=default_blueprint)


def set_sinks(*sinks: Any, default_blueprint: Any = None, recording: RecordingStream | None = None) -> None:
    """Replace the recording's sinks: ``FileSink``, ``GrpcSink``, ``GrpcServerSink``, ``CustomSink``; none: rows wait for the next.

    Any object with a method ``write(batch)`` is taken as ``CustomSink(object)``.

    Raises
    ------
    ValueError, RuntimeError
        Equal sinks; something that is no sink; a file that cannot be created, a port in use, an object that cannot be pickled: then the
        present sinks go on.

    Notes
    -----
    The first file is the recording's log; more are kept equal to it, byte for byte. Without a file the log is a temporary one. Every
    other sink reads the log, so one that is slow, or cannot be written, is reported and tried again, and stops neither log nor program.
    """
    sinking.set_sinks(active_stream(recording), sinks, default_blueprint)


def disconnect(recording: RecordingStream | None = None) -> None:
    """Finish the sink: all rows of all processes so far, footer, file closed. Rows that follow are buffered for the next sink."""
    sinking.disconnect(active_stream(recording))


def memory_recording(recording: RecordingStream | None = None) -> MemoryRecording:
    """Keep rows for ``drain_as_bytes()``. RuntimeError: no recording."""
    return sinking.memory_recording(active_stream(recording))


def binary_stream(recording: RecordingStream | None = None) -> BinaryStream:
    """Keep rows for ``read()``, piece by piece. RuntimeError: no recording."""
    return sinking.binary_stream(active_stream(recording))


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

    send(active_stream(recording), entity_path, indexes, columns, strict)


def send_blueprint(
    blueprint: Any, *, make_active: bool = True, make_default: bool = True, recording: RecordingStream | None = None
) -> None:
    """Send a blueprint, the layout that viewers show the recording in. Any process may.

    Parameters
    ----------
    blueprint
        The bytes of an ``.rbl`` file, or the path of one (of an ``.rrd`` file too: what it holds of recordings is left out). It is for
        the recording's application, whatever it was made for.
    make_active, make_default
        Viewers switch to it now; they come back to it on reset.
    recording
        Instead of the active recording.

    Raises
    ------
    TypeError
        Neither bytes nor a path: an object of ``rerun.blueprint`` must be saved first.
    ValueError
        There is no recording, or no blueprint in what was given, or it is damaged.
    OSError
        The file cannot be read.

    Notes
    -----
    Safe when it returns, and in the file once, as rows are. Rows that still wait for their chunks come after it.
    """
    messages.send_blueprint(active_stream(recording), blueprint, make_active=make_active, make_default=make_default)


def send_chunks(chunks: Any, *, recording: RecordingStream | None = None) -> None:
    """Send chunks that were made or read elsewhere.

    Parameters
    ----------
    chunks
        A :class:`shmrerun.chunk.Chunk`, an iterable of them, a :class:`Recording` or anything of :mod:`shmrerun.chunk` that has chunks;
        also those of ``rerun.chunk``, and record batches with Rerun's metadata.
    recording
        Instead of the active recording.

    Raises
    ------
    TypeError, ValueError
        Something that is no chunk. Those before it were sent.

    Notes
    -----
    They become rows of this recording, whatever application or recording they came from; chunk ids, row ids and times are kept, and
    the thread's current times are not added. Safe when it returns, and in the file as they are: small chunks stay small. A recording
    in a file is read chunk by chunk while it is sent.
    """
    from shmrerun.producer.chunks import send_chunks as send

    send(active_stream(recording), chunks)


def send_record_batch(
    batch: Any,
    recording: RecordingStream | None = None,
    *,
    index: Any = AUTO_INDEX,
    entity_path: str | None = None,
) -> None:
    """Send a table whose columns are timelines and components: :meth:`shmrerun.chunk.Chunk.from_record_batch`, then :func:`send_chunks`.

    Raises
    ------
    TypeError, ValueError
        As those raise them. Nothing was sent.
    """
    from shmrerun.producer.chunks import send_record_batch as send

    send(active_stream(recording), batch, index, entity_path)


def send_dataframe(
    df: Any,
    recording: RecordingStream | None = None,
    *,
    index: Any = AUTO_INDEX,
    entity_path: str | None = None,
) -> None:
    """Send a data frame whose columns are timelines and components: :meth:`shmrerun.chunk.Chunk.from_dataframe`, then :func:`send_chunks`.

    Raises
    ------
    TypeError, ValueError
        As those raise them. Batches before the one at fault were sent.
    """
    from shmrerun.producer.chunks import send_dataframe as send

    send(active_stream(recording), df, index, entity_path)


def rerun_shutdown() -> None:
    """Finish this process's sinks now, as its end would. Rows of others are never cut off."""
    for session in list(this_process().owned.values()):
        session.close_sink()
    this_process().owned.clear()


def unregister_shutdown() -> None:
    """Do not wait for files at the end of the process; the aggregator finishes them all the same."""
    unhook_exit()


def shutdown_at_exit(func: Any) -> Any:
    """Decorate a worker's function as Rerun needs it; here rows are safe without, so nothing is added."""
    return func


def cleanup_if_forked_child() -> None:
    """Nothing to do: forked children log."""


def version() -> str:
    """Version of this package and of the format it writes."""
    return f"shmrerun {__version__} (writes the format of rerun-sdk 0.41.0)"
