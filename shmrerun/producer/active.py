"""Which recording a call logs to: the argument's, else the task's or thread's, else the global one, else none.

The extension keeps copies of the answer (``_core.use``, ``use_thread``) for its hot path and asks here where they do not apply.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any, Protocol

from shmrerun import _core, errors
from shmrerun.loaded import loaded
from shmrerun.model import times
from shmrerun.producer.discovery import discover, publish
from shmrerun.producer.exit import hook_exit
from shmrerun.producer.log import log_row
from shmrerun.producer.process import Process, is_inheriting, this_process
from shmrerun.producer.stream import Stream
from shmrerun.shm.tree import TreeEndedError


class RecordingStream(Protocol):
    """What a call's ``recording`` argument must be: the public class of that name."""

    def to_native(self) -> Any:
        """The object that holds the stream, as ``_stream``."""


_LOOK_NANOS = 100_000_000  # how often a process without a recording looks for its parent's


class _Thread(threading.local):
    """The thread's own recording."""

    stream: Stream | None = None
    guard: object = None  # gives the extension's reference back when the thread ends


_thread = _Thread()
_global: Stream | None = None
_task_stream: Any = None  # ContextVar of (thread id, stream), made when `with rec:` is first used inside an asyncio task
_follow_stamp = 0  # of this process, while its global recording is another process's


# ---- of a task or thread


def in_task() -> bool:
    """Whether the caller runs in an asyncio task."""
    asyncio = loaded("asyncio")
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
    _thread.guard = _core.use_thread(stream) or _thread.guard


# ---- of the process


def _use(absent_until: int = 0) -> None:
    """Tell the hot path what the global recording is."""
    _core.use(_global, _task_stream is not None, absent_until)


def active_stream(recording: RecordingStream | None = None) -> Stream | None:
    """What a call logs to.

    AttributeError: the argument is not a RecordingStream.
    """
    if recording is not None:
        stream: Stream = recording.to_native()._stream
        return stream
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
            _use(0 if me.refusal else me.next_look)  # rows that cannot go where they belong are counted one by one
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
        me.refusal = None
    except (FileNotFoundError, TreeEndedError):
        me.refusal = _why_unreachable(me)
    except (OSError, errors.ShmrerunError, ValueError) as error:
        me.refusal = f"process {me.pid} cannot join the recording of the process that started it, and its rows are dropped: {error}"
    if me.refusal is not None:
        errors.say_once(("follow", follow.token), me.refusal)
        return None
    return stream


def _why_unreachable(me: Process) -> str | None:
    """Why the tree of a process that we follow is not there. None: it has ended, as trees do."""
    if not me.forked or os.getppid() != me.parent:
        return None
    if me.user != me.parent_user:
        why = f"it runs as user {me.user}, and the recording belongs to user {me.parent_user}"
    else:
        why = "its shared memory was removed, though the process that made it lives"
    return f"process {me.pid} cannot join the recording of the process that started it, and its rows are dropped: {why}"


def _count_unjoined(me: Process) -> None:
    """A row goes nowhere because this process cannot reach the recording that it follows: count it; warn the first time."""
    me.unjoined += 1
    hook_exit(me)
    if me.unjoined == 1:
        raise errors.SegmentError(me.refusal)


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
    elif (me := this_process()).refusal is not None:
        try:
            _count_unjoined(me)
        except errors.ShmrerunError as error:
            errors.report("log", error, row[-1])


def _log_warning(text: str) -> None:
    """Log a warning into the active recording, where the viewer shows it."""
    stream = active_stream()
    if stream is not None and stream.refusal is None:
        from shmrerun.model.archetype import archetype_class

        text_log: Any = archetype_class("TextLog")
        log_row(stream, "__warnings", text_log(text, level="WARN"), (), False, False)


errors.on_warning = _log_warning


def _log_failed(error: Exception, strict: bool | None) -> None:
    errors.report("log", error, strict)


_arguments.__name__ = _arguments.__qualname__ = "log"  # its errors name the function that was called
_core.use(None, False, 0, _log_slowly, active_stream, times.convert, _log_failed)
