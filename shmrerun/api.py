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
from shmrerun.producer.work import finish_work
from shmrerun.recording_stream import RecordingStream

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from shmrerun.producer.reading import BinaryStream, MemoryRecording

__version__ = "0.1.0"
__version_info__ = (0, 41, 0, None)  # of the Rerun API that this package gives: libraries ask by it which names there are

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
        What viewers show, and come back to on reset; they keep what they show if they know the application. As for
        :func:`send_blueprint`.
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
    One call is one record in shared memory and one chunk of the recording; safe when it returns, in any thread and process. Some 70 us up
    to 1,000 rows for an archetype's columns and times in an int64 array; other columns, and times that do not ascend, take pyarrow, 200 us.
    """
    from shmrerun.producer.columns import send_columns as send

    send(active_stream(recording), entity_path, indexes, columns, strict)


def log_file_from_path(
    file_path: str | os.PathLike[str],
    *,
    entity_path_prefix: str | None = None,
    static: bool = False,
    recording: RecordingStream | None = None,
) -> None:
    """Log a file, or every file below a directory, with whatever importer takes it. Any process and thread may.

    Parameters
    ----------
    file_path
        What is logged. Its parts are the parts of the entity path, those that lead up (``..``) left out.
    entity_path_prefix
        An entity path that everything goes below.
    static
        Tell external importers no times. Built-in ones log files without times of their own as static, either way.
    recording
        Instead of the active recording.

    Raises
    ------
    TypeError, RuntimeError, ImportFailedError, OSError
        No path; there is no such file, or no importer for it; it is damaged; it cannot be read. A warning unless strict. What is found
        later than that is said on standard error, and what was read before is logged.

    Notes
    -----
    Images, texts, meshes, point clouds and videos are logged when it returns. All else is read by a process of its own, and this
    returns as soon as that has logged something, or nobody takes the file: it goes on even if this process is killed. ``flush``,
    ``disconnect`` and the end of the program wait for it. About 0.2 s to start; at most 8 a process at once, more wait.

    A ``.rrd`` file's messages keep the application and recording ids that they have. What is neither file nor directory (a FIFO) is read
    as such a stream.

    Files of unknown types, and directories, are offered to all programs on the PATH whose names begin with ``rerun-importer-``:
    with the arguments that Rerun gives them; they write an RRD stream to standard output, or end with status 66.
    """
    from shmrerun.importers.files import from_path

    from_path(active_stream(recording), file_path, entity_path_prefix, static)


def log_file_from_contents(
    file_path: str | os.PathLike[str],
    file_contents: bytes,
    *,
    entity_path_prefix: str | None = None,
    static: bool = False,
    recording: RecordingStream | None = None,
) -> None:
    """Log the contents of a file that need not exist; see :func:`log_file_from_path`.

    Parameters
    ----------
    file_path
        Names the entity, and the type by its extension.
    file_contents
        The file.
    entity_path_prefix, static, recording
        As for :func:`log_file_from_path`.

    Raises
    ------
    TypeError, RuntimeError, ImportFailedError
        No path, or no bytes; no built-in importer (external ones are not asked); the contents are damaged. A warning unless strict.
    """
    from shmrerun.importers.files import from_contents

    from_contents(active_stream(recording), file_path, file_contents, entity_path_prefix, static)


def send_blueprint(
    blueprint: Any, *, make_active: bool = True, make_default: bool = True, recording: RecordingStream | None = None
) -> None:
    """Send a blueprint, the layout that viewers show the recording in. Any process may.

    Parameters
    ----------
    blueprint
        A :class:`~shmrerun.blueprint.Blueprint`, a view or a container, ours or of ``rerun.blueprint``. Or the bytes of an ``.rbl`` file,
        or the path of one (of an ``.rrd`` file too: what it holds of recordings is left out); it is for the recording's application,
        whatever it was made for.
    make_active, make_default
        Viewers switch to it now; they come back to it on reset.
    recording
        Instead of the active recording.

    Raises
    ------
    TypeError
        None of these.
    ValueError
        There is no recording, or no blueprint in what was given, or it is damaged; a container's active tab is none of its tabs.
    OSError
        The file cannot be read.

    Notes
    -----
    Safe when it returns, and in the file once, as rows are. Rows that still wait for their chunks come after it. A blueprint of ten
    views costs about 30 ms, and the first one the import of pyarrow.

    Examples
    --------
    >>> import shmrerun as rr
    >>> import shmrerun.blueprint as rrb
    >>> rr.init("example")
    >>> rr.send_blueprint(rrb.Horizontal(rrb.Spatial3DView(origin="/world"), rrb.TimeSeriesView(origin="/plots")))
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
    finish_work()
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
