"""RecordingStream and the active recording: identity, time, sinks. Same names and signatures as Rerun's.

Source: names, defaults and errors of rerun-sdk 0.41, and of about 0.24 where the two differ.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from shmrerun import _core, errors
from shmrerun.loaded import loaded
from shmrerun.model import times
from shmrerun.model.archetype import archetype_class
from shmrerun.model.auto_index import AUTO_INDEX
from shmrerun.producer import active, identity, live, messages
from shmrerun.producer import sinks as sinking
from shmrerun.producer.active import active_stream
from shmrerun.producer.log import log_row
from shmrerun.producer.process import is_inheriting, this_process
from shmrerun.producer.settings import batch_limits, environment_enabled, flag
from shmrerun.producer.stream import Stream
from shmrerun.shm.words import SWITCH_ENABLED, SWITCH_LOG_TICK, SWITCH_LOG_TIME, SessionView

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from uuid import UUID

    from shmrerun.producer.reading import BinaryStream, MemoryRecording


class _Entered(threading.local):
    """What ``with rec:`` replaced in this thread, innermost last: (stream, what was before or the task's token, of a task?)."""

    stack: list[tuple[Stream, Any, bool]] | None = None


_contexts = _Entered()


def _entered() -> list[tuple[Stream, Any, bool]]:
    if _contexts.stack is None:
        _contexts.stack = []
    return _contexts.stack


class RecordingStream:
    """A stream of rows into one recording.

    Parameters
    ----------
    application_id
        Name of the program, not empty. Same id, same layout in the viewer.
    recording_id
        Any text or UUID. Default: derived from ``multiprocessing.current_process().authkey`` and the application id, so a program
        and its workers have the same one.
    make_default, make_thread_default
        Make it the global recording, or this thread's.
    default_enabled
        Whether rows are taken, unless the environment variable ``RERUN`` says otherwise.
    send_properties
        Whether the recording starts with its start time.
    batcher_config
        Micro-batching limits: an object with ``flush_tick`` (seconds or timedelta), ``flush_num_bytes``, ``flush_num_rows``,
        ``chunk_max_rows_if_unsorted``.

    Raises
    ------
    ValueError
        The application id is empty, or an id is over 1,016 bytes in UTF-8.
    TypeError
        The application id is not a str.
    SegmentError
        Neither shared memory nor a temporary directory has room.

    Notes
    -----
    Streams are safe to share between threads, forked children, and (pickled) spawned ones: all log into the same recording. In a
    child, a stream made with the ids of a live recording of its program joins that one. Making one costs about 0.3 ms.
    """

    def __init__(
        self,
        application_id: str,
        *,
        recording_id: str | UUID | None = None,
        make_default: bool = False,
        make_thread_default: bool = False,
        default_enabled: bool = True,
        send_properties: bool = True,
        batcher_config: Any = None,
    ) -> None:
        if not isinstance(application_id, str):
            raise TypeError(f"application_id must be a str, got {type(application_id).__name__}")
        if not application_id:
            raise ValueError("Application ID must not be empty")
        if recording_id is None:
            text = identity.default_recording_id(application_id)
        else:
            text = identity.recording_id_text(recording_id)
        self._stream = stream = Stream(application_id, text)
        stream.default_enabled = enabled = environment_enabled(default_enabled)
        if enabled and not is_inheriting():
            joined = _make(stream, batcher_config)
            if send_properties and not joined:
                _send_start_time(self)
        elif enabled:
            stream.gone = False  # bound later, at the first call after multiprocessing has set this child up
        if make_default:
            set_global_data_recording(self)
        if make_thread_default:
            set_thread_local_data_recording(self)

    @classmethod
    def _wrap(cls, stream: Stream) -> RecordingStream:
        self = cls.__new__(cls)
        self._stream = stream
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return RecordingStream._wrap, (self._stream,)

    def __copy__(self) -> RecordingStream:
        return RecordingStream._wrap(self._stream)

    def __str__(self) -> str:
        return (
            f"RecordingStream(kind=recording, application_id={self._stream.application_id!r}, recording_id={self._stream.recording_id!r})"
        )

    def _repr_html_(self) -> str:
        """What notebooks show of it: ids, counters over all processes, sinks. Flushes nothing; about 0.1 ms."""
        from shmrerun.producer.summary import html_table

        return html_table(self._stream)

    # ---- the context

    def __enter__(self) -> RecordingStream:
        """Make this the active recording: of the running asyncio task if there is one, else of the thread."""
        if active.in_task():
            token = active.task_variable().set((threading.get_ident(), self._stream))
            _entered().append((self._stream, token, True))
        else:
            _entered().append((self._stream, active.thread_stream(), False))
            active.set_thread_stream(self._stream)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Flush, finish files, and restore the recording that was active before.

        RuntimeError: another context was entered after this one and not left.
        """
        stack = _entered()
        place = next((i for i in range(len(stack) - 1, -1, -1) if stack[i][0] is self._stream), -1)
        if place < 0 or (not stack[place][2] and active.thread_stream() is not self._stream):
            raise RuntimeError(
                "RecordingStream context manager exited while not active. Leave contexts in the reverse order of entering them"
            )
        _, before, of_task = stack.pop(place)
        if of_task:
            active.task_variable().reset(before)
        else:
            active.set_thread_stream(before)
        sinking.finish_files(self._stream)

    # ---- identity

    def get_application_id(self) -> str | None:
        """Application id; None for a disabled stream."""
        return self._stream.application_id if self._stream.enabled() else None

    def get_recording_id(self) -> str:
        """Recording id. AssertionError: the stream is disabled."""
        assert self._stream.enabled(), "a disabled recording has no id"
        return self._stream.recording_id

    def is_enabled(self) -> bool:
        """Whether rows are taken."""
        return self._stream.enabled()

    def to_native(self) -> RecordingStream:
        """Return itself; there is no separate native object."""
        return self

    # ---- rows and times

    def log(
        self,
        entity_path: str | list[object],
        entity: Any,
        *extra: Any,
        static: bool = False,
        strict: bool | None = None,
    ) -> None:
        """Log an entity; see :func:`shmrerun.log`."""
        log_row(self._stream, entity_path, entity, extra, static, strict)

    def set_time(self, timeline: str, *, sequence: Any = None, duration: Any = None, timestamp: Any = None) -> None:
        """Set the calling thread's time on a timeline; see :func:`shmrerun.set_time`."""
        _core.set_time(timeline, recording=self, sequence=sequence, duration=duration, timestamp=timestamp)

    def set_time_sequence(self, timeline: str, sequence: int) -> None:
        """Set a sequence time (the older form of ``set_time(sequence=)``)."""
        self.set_time(timeline, sequence=sequence)

    def set_time_seconds(self, timeline: str, seconds: float) -> None:
        """Set a timestamp in seconds since the epoch (the older form); fractions of a nanosecond are cut off."""
        _core.put_time(self._stream.key, timeline, *times.seconds_to_timestamp(timeline, seconds))

    def set_time_nanos(self, timeline: str, nanos: int) -> None:
        """Set a timestamp in nanoseconds since the epoch (the older form)."""
        _core.put_time(self._stream.key, timeline, *times.nanos_to_timestamp(timeline, nanos))

    def disable_timeline(self, timeline: str) -> None:
        """Forget the calling thread's time on a timeline; an unknown name is fine."""
        _core.forget_time(self._stream.key, timeline)

    def reset_time(self) -> None:
        """Forget all of the calling thread's times in this recording."""
        _core.reset_time(self._stream.key)

    def set_log_tick_enabled(self, enabled: bool) -> None:
        """Switch the automatic ``log_tick`` timeline, for all processes of the recording."""
        _switch(self._stream, SWITCH_LOG_TICK, on=enabled)

    def set_log_time_enabled(self, enabled: bool) -> None:
        """Switch the automatic ``log_time`` timeline, for all processes of the recording."""
        _switch(self._stream, SWITCH_LOG_TIME, on=enabled)

    def send_recording_name(self, name: str) -> None:
        """Name the recording. TypeError: not a str."""
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, got {type(name).__name__}")
        info: Any = archetype_class("RecordingInfo")

        log_row(self._stream, ["__properties"], info(name=name), (), True, None)

    def send_recording_start_time_nanos(self, nanos: int) -> None:
        """Set the recording's start time, in nanoseconds since the epoch. TypeError: not an int."""
        from operator import index

        info: Any = archetype_class("RecordingInfo")

        log_row(self._stream, ["__properties"], info(start_time=index(nanos)), (), True, None)

    def send_property(self, name: str, values: Any) -> None:
        """Send a property of the recording: ``values`` is anything that can be logged."""
        log_row(self._stream, ["__properties", name] if name else ["__properties"], values, (), True, None)

    def send_columns(self, entity_path: str, indexes: Iterable[Any], columns: Iterable[Any], strict: bool | None = None) -> None:
        """Send many rows at once; see :func:`shmrerun.send_columns`."""
        from shmrerun.producer.columns import send_columns

        send_columns(self._stream, entity_path, indexes, columns, strict)

    def log_file_from_path(self, file_path: str | os.PathLike[str], *, entity_path_prefix: str | None = None, static: bool = False) -> None:
        """Log a file or directory; see :func:`shmrerun.log_file_from_path`."""
        from shmrerun.importers.files import from_path

        from_path(self._stream, file_path, entity_path_prefix, static)

    def log_file_from_contents(
        self,
        file_path: str | os.PathLike[str],
        file_contents: bytes,
        *,
        entity_path_prefix: str | None = None,
        static: bool = False,
    ) -> None:
        """Log the contents of a file; see :func:`shmrerun.log_file_from_contents`."""
        from shmrerun.importers.files import from_contents

        from_contents(self._stream, file_path, file_contents, entity_path_prefix, static)

    def send_chunks(self, chunks: Any) -> None:
        """Send chunks that were made or read elsewhere; see :func:`shmrerun.send_chunks`."""
        from shmrerun.producer.chunks import send_chunks

        send_chunks(self._stream, chunks)

    def send_record_batch(self, batch: Any, *, index: Any = AUTO_INDEX, entity_path: str | None = None) -> None:
        """Send a table whose columns are timelines and components; see :func:`shmrerun.send_record_batch`."""
        from shmrerun.producer.chunks import send_record_batch

        send_record_batch(self._stream, batch, index, entity_path)

    def send_dataframe(self, df: Any, *, index: Any = AUTO_INDEX, entity_path: str | None = None) -> None:
        """Send a data frame whose columns are timelines and components; see :func:`shmrerun.send_dataframe`."""
        from shmrerun.producer.chunks import send_dataframe

        send_dataframe(self._stream, df, index, entity_path)

    def send_blueprint(self, blueprint: Any, *, make_active: bool = True, make_default: bool = True) -> None:
        """Send a blueprint; see :func:`shmrerun.send_blueprint`."""
        messages.send_blueprint(self._stream, blueprint, make_active=make_active, make_default=make_default)

    # ---- sinks

    def flush(self, blocking: bool = True, *, timeout_sec: float = 1e38) -> None:
        """Wait until all rows so far are in the sinks.

        Parameters
        ----------
        blocking
            False: only ask for it.
        timeout_sec
            Seconds to wait.

        Raises
        ------
        RuntimeError
            A negative timeout; ``FlushTimeoutError``: not in time; ``SinkError``: the file cannot be written; ``RowsLostError`` (a
            SinkError), once: rows of this process will never be in the sinks, because somebody damaged or removed their memory. They are
            counted, and everything else is in the sinks.

        Notes
        -----
        A barrier on positions in shared memory over all processes of the recording; survives the aggregator's death. About 1 ms
        for a warm file. Without a sink there is nothing to wait for.
        """
        if timeout_sec < 0:
            raise RuntimeError("duration must be non-negative")
        sinking.flush(self._stream, blocking, timeout_sec)

    def save(self, path: str | os.PathLike[str], default_blueprint: Any = None, *, write_footer: bool = True) -> None:
        """Write to a file; see :func:`shmrerun.save`."""
        sinking.save(self._stream, path, write_footer=write_footer, blueprint=default_blueprint)

    def set_sinks(self, *sinks: Any, default_blueprint: Any = None) -> None:
        """Replace the sinks; see :func:`shmrerun.set_sinks`."""
        sinking.set_sinks(self._stream, sinks, default_blueprint)

    def disconnect(self) -> None:
        """Finish the sink: all rows so far, footer, file closed. Rows that follow are buffered for the next sink."""
        sinking.disconnect(self._stream)

    def connect_grpc(self, url: str | None = None, *, flush_timeout_sec: float | None = 2.0, default_blueprint: Any = None) -> None:
        """Send to a viewer; see :func:`shmrerun.connect_grpc`."""
        live.connect_grpc(url, flush_timeout_sec=flush_timeout_sec, default_blueprint=default_blueprint, recording=self)

    def serve_grpc(
        self,
        *,
        grpc_port: int | None = None,
        default_blueprint: Any = None,
        server_memory_limit: str = "1GiB",
        newest_first: bool = False,
        cors_allow_origin: list[str] | None = None,
    ) -> str:
        """Serve to viewers; see :func:`shmrerun.serve_grpc`."""
        return live.serve_grpc(
            grpc_port=grpc_port,
            default_blueprint=default_blueprint,
            recording=self,
            server_memory_limit=server_memory_limit,
            newest_first=newest_first,
            cors_allow_origin=cors_allow_origin,
        )

    def stdout(self, default_blueprint: Any = None, *, write_footer: bool = True) -> None:
        """Write to standard output; see :func:`shmrerun.stdout`."""
        live.stdout(default_blueprint, self, write_footer=write_footer)

    def spawn(
        self,
        *,
        port: int = 9876,
        connect: bool = True,
        memory_limit: str = "75%",
        hide_welcome_screen: bool = False,
        detach_process: bool = True,
        default_blueprint: Any = None,
    ) -> None:
        """Start a viewer on this machine and send the recording to it; see :func:`shmrerun.spawn`."""
        from shmrerun.producer.viewer import spawn

        spawn(
            port=port,
            connect=connect,
            memory_limit=memory_limit,
            hide_welcome_screen=hide_welcome_screen,
            detach_process=detach_process,
            default_blueprint=default_blueprint,
            recording=self,
        )

    def serve_web(
        self,
        *,
        open_browser: bool = True,
        web_port: int | None = None,
        grpc_port: int | None = None,
        default_blueprint: Any = None,
        server_memory_limit: str = "25%",
    ) -> None:
        """Serve the recording, and a viewer as a page that shows it; see :func:`shmrerun.serve_web`."""
        from shmrerun.producer.web import serve_web

        serve_web(
            open_browser=open_browser,
            web_port=web_port,
            grpc_port=grpc_port,
            default_blueprint=default_blueprint,
            recording=self,
            server_memory_limit=server_memory_limit,
        )

    def notebook_show(self, *, width: int | str | None = None, height: int | str | None = None, blueprint: Any = None) -> None:
        """Show the recording live in a notebook's cell; see :func:`shmrerun.notebook_show`."""
        from shmrerun.producer.notebook import notebook_show

        notebook_show(width=width, height=height, blueprint=blueprint, recording=self)

    def memory_recording(self) -> MemoryRecording:
        """Keep rows for :meth:`MemoryRecording.drain_as_bytes`."""
        return sinking.memory_recording(self._stream)

    def binary_stream(self) -> BinaryStream:
        """Keep rows for :meth:`BinaryStream.read`."""
        return sinking.binary_stream(self._stream)


# ---- making


def _make(stream: Stream, batcher_config: Any = None) -> bool:
    """Give a stream its session; True if it joined one that another process made."""
    switches = SWITCH_ENABLED
    switches |= SWITCH_LOG_TIME if flag("RERUN_LOG_TIME", default=True) else 0
    switches |= SWITCH_LOG_TICK if flag("RERUN_LOG_TICK", default=True) else 0
    stream.limits = batch_limits(batcher_config)
    stream.create(stream.limits, switches)
    if stream.stamp and sinking.FORCE_SAVE in os.environ:
        sinking.save(stream, os.environ[sinking.FORCE_SAVE], write_footer=True)
    return stream.stamp == 0


def _send_start_time(recording: RecordingStream) -> None:
    """Begin the recording with its start time, in a chunk of its own, as Rerun does."""
    import time

    info: Any = archetype_class("RecordingInfo")

    columns, parts = info(start_time=time.time_ns())._row()
    if not columns.id:
        columns.id = _core.columns(columns.definition)
    session = recording._stream.session
    assert session is not None
    one_row = (1, None, (0).to_bytes(4, "little") + (1).to_bytes(4, "little"))  # a list column's length and offsets
    session.own_rows += 1
    recording._stream.append(_core.path(b"/__properties"), columns.id, b"", (*one_row, *parts), 0)


def _switch(stream: Stream, bit: int, *, on: bool) -> None:
    session = stream.live()
    if session is None:
        return
    while True:
        before = session.words.switches
        if session.words.swap(SessionView.switches, before, before | bit if on else before & ~bit):
            return


# ---- the active recording


def set_global_data_recording(recording: RecordingStream | None) -> RecordingStream | None:
    """Make a recording the global one of this process, and of children that follow it; returns the one before."""
    before = get_global_data_recording()
    active.set_global_stream(None if recording is None else recording.to_native()._stream)
    return before


def get_global_data_recording() -> RecordingStream | None:
    """The global recording, or None. Each call returns a new wrapper of it."""
    return _wrapped(active.global_stream())


def _wrapped(stream: Stream | None) -> RecordingStream | None:
    return RecordingStream._wrap(stream) if stream is not None else None


def set_thread_local_data_recording(recording: RecordingStream | None) -> RecordingStream | None:
    """Make a recording the calling thread's; returns the one before."""
    before = active.thread_stream()
    active.set_thread_stream(None if recording is None else recording.to_native()._stream)
    return _wrapped(before)


def get_thread_local_data_recording() -> RecordingStream | None:
    """The calling thread's recording (the running task's, inside ``with rec:``), or None."""
    return _wrapped(active.local_stream())


def get_data_recording(recording: RecordingStream | None = None) -> RecordingStream | None:
    """The recording that a call would log to; an explicit argument wins."""
    return _wrapped(active_stream(recording))


def init(
    application_id: str,
    *,
    recording_id: str | UUID | None = None,
    spawn: bool = False,
    init_logging: bool = True,
    default_enabled: bool = True,
    strict: bool | None = None,
    default_blueprint: Any = None,
    send_properties: bool = True,
) -> None:
    """Start (or, in a child, join) the global recording.

    Parameters
    ----------
    application_id
        Name of the program, not empty.
    recording_id
        As for :class:`RecordingStream`; the default is the same in all processes of a program.
    spawn
        Start a viewer and connect to it, as :func:`shmrerun.spawn` does: in a program, not in each of its workers.
    init_logging
        False: only set the strict mode and drop the recording before.
    default_enabled, send_properties
        As for :class:`RecordingStream`.
    strict
        True or False sets the strict mode of the process.
    default_blueprint
        Sent into a recording that this call starts, as :func:`send_blueprint` takes it; viewers show it on reset.

    Raises
    ------
    ValueError, AttributeError
        An empty application id; one that is not a str.
    SegmentError
        No room in shared memory nor in a temporary directory.
    SinkError
        With ``spawn``: there is no viewer, or no display for it.

    Notes
    -----
    In a child, ``init`` with the ids of a recording of its program joins it. A recording that was global before is finished unless
    somebody holds it. About 0.5 ms; the first one of a program also starts its aggregator in the background.
    """
    application_id.encode  # noqa: B018 - Rerun's AttributeError for what is not a str
    if not application_id:
        raise ValueError("Application ID must not be empty")
    if strict is not None:
        errors.set_strict_mode(strict)
    if is_inheriting():
        return
    me = this_process()
    joined = me.is_child()
    if not init_logging:
        active.set_global_stream(None)
        return
    recording = RecordingStream(
        application_id,
        recording_id=recording_id,
        make_default=True,
        default_enabled=default_enabled,
        send_properties=send_properties,
    )
    if application_id.startswith("rerun_example_") and not (joined and recording._stream.stamp == 0):
        _seed()
    if default_blueprint is not None and recording._stream.stamp:
        messages.send_messages(recording._stream, messages.default_messages(recording._stream, default_blueprint))
    if spawn:
        from shmrerun.producer.viewer import spawn as start_viewer

        start_viewer()  # the blueprint has been sent


def _seed() -> None:
    """Rerun's examples are reproducible: their ids seed the generators, once, in the process that made the recording."""
    import random

    random.seed(0)
    if (numpy := loaded("numpy")) is not None:
        numpy.random.seed(0)


def is_enabled(recording: RecordingStream | None = None) -> bool:
    """Whether rows logged now are taken; False without a recording."""
    stream = active_stream(recording)
    return stream is not None and stream.enabled()


def get_application_id(recording: RecordingStream | None = None) -> str | None:
    """Application id of the active recording; None without one, and for a disabled one."""
    stream = active_stream(recording)
    return stream.application_id if stream is not None and stream.enabled() else None


def get_recording_id(recording: RecordingStream | None = None) -> str | None:
    """Recording id of the active recording; None without one, and for a disabled one."""
    stream = active_stream(recording)
    return stream.recording_id if stream is not None and stream.enabled() else None
