"""Setting, flushing and finishing sinks on behalf of a stream: who may do what to whose sink.

Owner of a sink is the process that set it; when it is gone, or there is none, whoever sets next. Another process that asks for the
same file changes nothing; one that asks for a different sink gets a session of its own, so only its own rows move.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from shmrerun.errors import FlushTimeoutError, RowsLostError, ShmrerunError, SinkError, say, say_once
from shmrerun.producer.exit import hook_exit
from shmrerun.producer.files import open_file
from shmrerun.producer.messages import default_messages, send_messages
from shmrerun.producer.process import TREE_VARIABLE, is_inheriting, this_process
from shmrerun.shm.session import open_session, sinks
from shmrerun.shm.words import (
    SESSION_OWN_SINKS,
    SINK_CONTINUE,
    SINK_COPY,
    SINK_FILE,
    SINK_NO_FOOTER,
    SINK_ODD_FILE,
    SINK_PIECES,
    SINK_SPOOL,
    SessionView,
)
from shmrerun.sinks import FileSink

if TYPE_CHECKING:
    from shmrerun.producer.member import Session
    from shmrerun.producer.reading import BinaryStream, MemoryRecording
    from shmrerun.producer.stream import Stream

FORCE_SAVE = "_RERUN_TEST_FORCE_SAVE"  # every recording goes to this file, whatever the program asks for


def _ignored(call: str) -> None:
    import logging

    logging.getLogger().warning("Rerun is disabled - %s() call ignored. You must call rerun.init before using it", call)


def _settle(stream: Stream, session: Session) -> Session:
    """The session whose sink this process may set: the shared one if it is its owner's, else one of its own."""
    if session.may_set_sink():
        return session
    say_once(
        ("own sink", stream.recording_id),
        f"rows of this process ({os.getpid()}) now go to a sink of its own; nobody else's rows move",
    )
    return stream.own_session(session)


def _files_of(session: Session) -> set[tuple[int, int]]:
    """Device and inode of the files that this process set as sinks, in any recording of the program: it may replace them."""
    found = set()
    for _, serial, _ in session.tree.sessions():
        with contextlib.suppress(OSError, ShmrerunError):
            words = session.words if serial == session.serial else SessionView(open_session(session.tree.token, serial))
            found |= {(sink.device, sink.inode) for sink in sinks(words) if sink.owner == session.tree.ref}
    return found


def set_sinks(stream: Stream | None, sinks: tuple[Any, ...], blueprint: Any = None) -> None:
    """See :func:`shmrerun.set_sinks`."""
    for sink in sinks:
        if not isinstance(sink, FileSink):
            raise RuntimeError(  # noqa: TRY004 - Rerun's type
                f"{type(sink).__name__} is not a valid LogSink, must be one of: FileSink"
            )
    if len(set(sinks)) != len(sinks):
        raise ValueError(f"Duplicate sinks detected: {list(sinks)}")
    paths = [os.path.realpath(sink.path) for sink in sinks]
    if len(set(paths)) != len(paths):
        raise ValueError(f"Duplicate sinks detected: {list(sinks)}")
    if len(sinks) > SESSION_OWN_SINKS - 1:
        raise SinkError(f"a recording goes to {SESSION_OWN_SINKS - 1} files at most, got {len(sinks)}")
    if sinks:
        save(stream, sinks[0].path, write_footer=sinks[0].write_footer, copies=sinks[1:], blueprint=blueprint)
    else:
        disconnect(stream)


def _open_begun(path: str, session: Session) -> tuple[int, int]:
    """Open a file that this very recording began, by processes of the named tree that have ended; -1: it is another one, or none."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        head = os.pread(fd, 4096, 0)
    except OSError:
        return -1, 0
    if head.startswith(b"RRF2") and all(text.encode() in head for text in (session.recording_id, session.application_id)):
        return fd, SINK_CONTINUE
    os.close(fd)
    return -1, 0


def save(stream: Stream | None, path: Any, *, write_footer: bool, copies: tuple[FileSink, ...] = (), blueprint: Any = None) -> None:
    """Make a file the stream's sink, with copies of it, and send the blueprint there.

    A no-op while multiprocessing runs a module's top level again in a child.
    """
    if is_inheriting():
        return
    session = stream.live() if stream is not None and stream.enabled() else None
    if stream is None or session is None:
        _ignored("save")
        return
    full = os.path.abspath(str(path))
    forced = os.environ.get(FORCE_SAVE)
    if forced and full != os.path.abspath(forced):
        return
    messages = default_messages(stream, blueprint)
    with session.tree.meeting(wanted=TREE_VARIABLE in os.environ):
        is_set = _save(stream, session, full, write_footer=write_footer, copies=copies)
    if messages and is_set:
        send_messages(stream, messages)


def _save(stream: Stream, session: Session, full: str, *, write_footer: bool, copies: tuple[FileSink, ...]) -> bool:
    """False: the file is the recording's already, by another process."""
    active = session.active_sink()
    same = active is not None and active.kind == SINK_FILE and os.path.realpath(active.path) == os.path.realpath(full)
    met = TREE_VARIABLE in os.environ  # processes of a named tree begin a file together, whoever comes first
    if same and active is not None and (not session.may_set_sink() or (met and active.owner != session.tree.ref)):
        return False
    session = _settle(stream, session)
    opened: list[tuple[str, int, int]] = []
    try:
        # All of them before the sink changes, the log last: its file may be the present one, which is replaced now.
        for sink in (*copies, FileSink(full, write_footer=write_footer)):
            name = os.path.abspath(sink.path)
            fd, flags = _open_begun(name, session) if met and active is None else (-1, 0)
            if fd < 0:
                fd, flags = open_file(name, lambda: _files_of(session))
            opened.insert(0, (name, fd, flags | (0 if sink.write_footer else SINK_NO_FOOTER)))
        _, fd, flags = opened[0]
        found = os.fstat(fd)
        for number, (name, descriptor, wanted) in enumerate(opened):
            session.set_sink(SINK_FILE, wanted | (SINK_COPY if number else 0), name, descriptor)
    finally:
        for _, descriptor, _ in opened:
            os.close(descriptor)
    flags &= SINK_ODD_FILE
    stream.sink_path = (full, found.st_dev, found.st_ino) if not flags else None
    _owns(session)
    return True


def _owns(session: Session) -> None:
    me = this_process()
    me.owns(session)
    hook_exit(me)


def flush(stream: Stream | None, blocking: bool, timeout: float) -> None:
    """Barrier over the stream's lanes; nothing to wait for without a sink, or without rows of this process."""
    session = stream.live() if stream is not None else None
    if session is None or session.active_sink() is None:
        return
    if not blocking:
        session.words.add(SessionView.flush_wanted, 1)
        session.tree.wake()
        return
    session.flush(timeout)


def disconnect(stream: Stream | None) -> None:
    """The owner: barrier, footer, file closed. Others: barrier, and back from a sink of their own to the shared recording."""
    session = stream.live() if stream is not None and not is_inheriting() else None
    if stream is None or session is None:
        return
    if session.active_sink() is not None:
        if session.may_set_sink():
            session.close_sink()
            this_process().disown(session)
        else:
            session.flush()
    session.print_message()
    stream.rejoin()


def finish_files(stream: Stream) -> None:
    """Leaving ``with rec:``: flush; a file of this process's own is finished, everything else goes on."""
    session = stream.live()
    if session is None:
        return
    sink = session.active_sink()
    if sink is None:
        return
    try:
        if sink.kind == SINK_FILE and session.may_set_sink():
            session.close_sink()
            this_process().disown(session)
        else:
            session.flush(timeout=30)
    except (FlushTimeoutError, RowsLostError) as error:
        say(str(error))


def _pieces(stream: Stream | None, missing: str) -> Session:
    """Make a spool of pieces the sink, for this process to read back."""
    session = stream.live() if stream is not None else None
    if stream is None or session is None:
        raise RuntimeError(missing)
    session = _settle(stream, session)
    session.set_sink(SINK_SPOOL, SINK_PIECES)
    return session


def memory_recording(stream: Stream | None) -> MemoryRecording:
    """See :func:`shmrerun.memory_recording`."""
    from shmrerun.producer.reading import MemoryRecording, Pieces

    if stream is not None and not stream.enabled():
        return MemoryRecording(Pieces(None))
    return MemoryRecording(Pieces(_pieces(stream, "No recording was provided or set as current.")))


def binary_stream(stream: Stream | None) -> BinaryStream:
    """See :func:`shmrerun.binary_stream`."""
    from shmrerun.producer.reading import BinaryStream, Pieces

    if stream is not None and not stream.enabled():
        return BinaryStream(Pieces(None))
    return BinaryStream(Pieces(_pieces(stream, "No recording stream was provided and set as current")))
