"""Which recording a call logs to: the argument's, else the task's or thread's, else the global one, else none.

The extension keeps copies of the answer (``_core.use``, ``use_thread``) for its hot path and asks here where they do not apply.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from shmrerun import _core, errors
from shmrerun.model import times
from shmrerun.producer.log import log_row
from shmrerun.producer.process import Process, Stream, discover, is_inheriting, publish, this_process
from shmrerun.shm.tree import TreeEndedError

if TYPE_CHECKING:
    from shmrerun.recording_stream import RecordingStream

_LOOK_NANOS = 100_000_000  # how often a process without a recording looks for its parent's


class _Thread(threading.local):
    """The thread's own recording."""

    stream: Stream | None = None


_thread = _Thread()
_global: Stream | None = None
_task_stream: Any = None  # ContextVar of (thread id, stream), made when `with rec:` is first used inside an asyncio task
_follow_stamp = 0  # of this process, while its global recording is another process's


# ---- of a task or thread


def in_task() -> bool:
    """Whether the caller runs in an asyncio task."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


def task_variable() -> Any:
    """The context variable of the running task's stream: (thread id, stream)."""
    global _task_stream
    if _task_stream is None:
        from contextvars import ContextVar

        _task_stream = ContextVar("shmrerun_stream", default=None)
        _use()
    return _task_stream


def local_stream() -> Stream | None:
    """The stream of the running task, or of the calling thread."""
    if _task_stream is not None:
        entry = _task_stream.get()
        if entry is not None and entry[0] == threading.get_ident():
            return entry[1]  # type: ignore[no-any-return]
    return _thread.stream


def thread_stream() -> Stream | None:
    """The stream of the calling thread, whatever its task has."""
    return _thread.stream


def set_thread_stream(stream: Stream | None) -> None:
    """Give the calling thread a stream of its own, or none."""
    _thread.stream = stream
    _core.use_thread(stream)


# ---- of the process


def _use(absent_until: int = 0) -> None:
    """Tell the hot path what the global recording is."""
    _core.use(_global, _task_stream is not None, absent_until)


def active_stream(recording: RecordingStream | None = None) -> Stream | None:
    """What a call logs to.

    AttributeError: the argument is not a RecordingStream.
    """
    if recording is not None:
        return recording.to_native()._stream
    return local_stream() or global_stream()


def global_stream() -> Stream | None:
    """The stream of the global recording: our own, else that of the process we follow, looked for ten times a second at most."""
    me = this_process()
    if me.made_global:
        if _global is None:
            _use(_core.monotonic() + _LOOK_NANOS)
        return _global
    if me.follow is None or _follow_stamp != me.stamp:
        return _find_global(me)
    with me.lock:
        return _followed(me)


def set_global_stream(stream: Stream | None) -> None:
    """Make a stream the global one of this process, and of children that follow it. The one before is finished unless held."""
    global _global, _follow_stamp
    me, old = this_process(), _global
    _global = stream
    _use()
    if is_inheriting():
        return
    me.made_global, _follow_stamp = True, 0
    if stream is not None and stream.token is not None and (session := stream.live()) is not None:
        with contextlib.suppress(errors.ShmrerunError):
            session.tree.claim()
            session.tree.set_current(session.serial)
            publish(me, session.tree)
    del old  # finished only now: those who follow this process have moved on


def _find_global(me: Process) -> Stream | None:
    """Whom do we follow? In a process that nobody who logs has started: nobody, and nothing changes.

    Threads wait for one another here: a row is not dropped because another thread is just finding its recording.
    """
    global _follow_stamp
    if is_inheriting():
        return None
    with me.lock:
        now = _core.monotonic()
        if me.follow is None and _global is None and now < me.next_look:
            return None
        me.follow = me.follow or discover(me)
        found = _global
        if me.follow is not None:
            _follow_stamp = me.stamp
            found = _followed(me)
        if found is None:
            me.next_look = now + _LOOK_NANOS
            _use(me.next_look)
        return found


def _followed(me: Process) -> Stream | None:
    """The recording of the process that we follow; moves with it when it calls ``init`` again. Under the process's lock."""
    global _global
    follow, stream = me.follow, _global
    assert follow is not None
    try:
        tree = me.tree(follow.token)
        serial = tree.current_of(follow.index)
        if serial and not (stream is not None and serial in (stream.serial, stream.shared and stream.shared[1])):
            session = me.session(follow.token, serial)
            stream = Stream(session.application_id, session.recording_id)
            stream.bind(session)
            _global = stream
            _use()
        if stream is not None and stream.live() is not None and stream.shared is None:
            stream._use_follow(tree.segment, tree.current_offset(follow.index), serial)
    except (FileNotFoundError, errors.ShmrerunError, ValueError) as error:
        if isinstance(error, errors.SegmentError) and not isinstance(error, TreeEndedError):
            errors.say_once(("follow", follow.token), f"cannot join the recording of the process that started this one: {error}")
    return stream


# ---- what the extension calls


def _arguments(
    entity_path: Any,
    entity: Any,
    *extra: Any,
    static: bool = False,
    recording: RecordingStream | None = None,
    strict: bool | None = None,
) -> tuple[Stream | None, Any, Any, tuple[Any, ...], bool, bool | None]:
    """What a call of ``log`` was given, and the stream that it goes to."""
    return active_stream(recording), entity_path, entity, extra, static, strict


def _log_slowly(*given: Any, **named: Any) -> None:
    """``log`` where the extension's hot path does not apply. Wrong arguments are a warning unless strict, as any other error is."""
    try:
        stream, *row = _arguments(*given, **named)
    except Exception as error:
        errors.report("log", error, named.get("strict"))
        return
    if stream is not None:
        log_row(stream, *row)


def _log_warning(text: str) -> None:
    """Log a warning into the active recording, where the viewer shows it."""
    stream = active_stream()
    if stream is not None:
        from shmrerun.archetypes import TextLog

        log_row(stream, "__warnings", TextLog(text, level="WARN"), (), False, False)


errors.on_warning = _log_warning


def _log_failed(error: Exception, strict: bool | None) -> None:
    errors.report("log", error, strict)


_arguments.__name__ = _arguments.__qualname__ = "log"  # its errors name the function that was called
_core.use(None, False, 0, _log_slowly, active_stream, times.convert, _log_failed)
