"""Setting, flushing and finishing sinks on behalf of a stream: who may do what to whose sink.

Owner of a sink is the process that set it; when it is gone, or there is none, whoever sets next. Another process that asks for the
same file changes nothing; one that asks for a different sink gets a session of its own, so only its own rows move.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from shmrerun.errors import FlushTimeoutError, RowsLostError, ShmrerunError, SinkError, UndeliveredError, say, say_once
from shmrerun.producer.exit import hook_exit
from shmrerun.producer.messages import default_messages, send_messages
from shmrerun.producer.process import TREE_VARIABLE, is_inheriting, this_process
from shmrerun.producer.wanted import Wanted, WantedCustom, WantedFile, WantedServer, WantedStdout, WantedViewer
from shmrerun.producer.work import finish_work
from shmrerun.shm.session import open_session, sinks
from shmrerun.shm.words import (
    SESSION_OWN_SINKS,
    SINK_BESIDE,
    SINK_FILE,
    SINK_PIECES,
    SINK_READER,
    SessionView,
)
from shmrerun.sinks import CustomSink, FileSink, GrpcServerSink, GrpcSink

if TYPE_CHECKING:
    from shmrerun.producer.following import Following
    from shmrerun.producer.member import Session
    from shmrerun.producer.reading import BinaryStream, MemoryRecording, Pieces
    from shmrerun.producer.stream import Stream
    from shmrerun.shm.session import Sink

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
    values = (FileSink, GrpcSink, GrpcServerSink, CustomSink)
    sinks = tuple(CustomSink(sink) if not isinstance(sink, values) and CustomSink.takes(sink) else sink for sink in sinks)
    for sink in sinks:
        if not isinstance(sink, values):
            raise RuntimeError(  # noqa: TRY004 - Rerun's type
                f"{type(sink).__name__} is not a valid LogSink, must be one of: FileSink, GrpcSink, GrpcServerSink, CustomSink"
            )
    if len(set(sinks)) != len(sinks):
        raise ValueError(f"Duplicate sinks detected: {list(sinks)}")
    paths = [os.path.realpath(sink.path) for sink in sinks if isinstance(sink, FileSink)]
    if len(set(paths)) != len(paths):
        raise ValueError(f"Duplicate sinks detected: {list(sinks)}")
    if len(sinks) > SESSION_OWN_SINKS - 1:
        raise SinkError(f"a recording goes to {SESSION_OWN_SINKS - 1} sinks at most, got {len(sinks)}")
    if sinks:
        wanted = [wanted_of(sink) for sink in sorted(sinks, key=lambda sink: not isinstance(sink, FileSink))]
        replace(stream, "set_sinks", wanted, blueprint)
    else:
        disconnect(stream)


def wanted_of(sink: Any) -> Wanted:
    """What a sink's value asks for. RuntimeError, TypeError: its URL or its limit makes no sense, or it cannot be pickled."""
    if isinstance(sink, FileSink):
        return WantedFile(sink)
    if isinstance(sink, CustomSink):
        return WantedCustom(sink)
    return WantedViewer(sink) if isinstance(sink, GrpcSink) else WantedServer(sink)


def save(stream: Stream | None, path: Any, *, write_footer: bool, blueprint: Any = None) -> None:
    """Make a file the stream's sink. A no-op while multiprocessing runs a module's top level again in a child."""
    replace(stream, "save", [WantedFile(FileSink(path, write_footer=write_footer))], blueprint)


def replace(stream: Stream | None, call: str, wanted: list[Wanted], blueprint: Any = None) -> list[Sink]:
    """Put sinks in place of the present ones, the log's first, and send a blueprint there.

    Returns their entries; none if nothing was to do, or it is done by another process.
    """
    if is_inheriting():
        return []
    session = stream.live() if stream is not None and stream.enabled() else None
    if stream is None or session is None:
        _ignored(call)
        return []
    forced = os.environ.get(FORCE_SAVE)
    if forced:
        wanted = [one for one in wanted if one.kind == SINK_FILE and one.label == os.path.abspath(forced)]
        if not wanted:
            return []
    messages = default_messages(stream, blueprint)
    with session.tree.meeting(wanted=TREE_VARIABLE in os.environ):
        found, is_sent = _replace(stream, session, wanted, messages)
    if messages and found and not is_sent:
        send_messages(stream, messages)
    return found


def _replace(stream: Stream, session: Session, wanted: list[Wanted], messages: bytes) -> tuple[list[Sink], bool]:
    """Returns the entries, and whether the messages have been sent: before the first sink, so that its log begins with them."""
    active = session.active_sink()
    met = TREE_VARIABLE in os.environ  # processes of a named tree begin a file together, whoever comes first
    if active is not None and wanted[0].is_same(active) and (not session.may_set_sink() or (met and active.owner != session.tree.ref)):
        return [], False
    session = _settle(stream, session)
    is_first = session.active_sink() is None
    try:
        for one in reversed(wanted):  # all are opened before the sink changes, the log last: its file may be the present one
            one.open(session, begun=met and active is None, own=lambda: _files_of(session))
        found = []
        if is_first and messages:
            send_messages(stream, messages)
        for number, one in enumerate(wanted):
            flags = one.flags | (SINK_BESIDE if number else 0)
            found.append(session.set_sink(one.kind, flags, one.text, one.fd))
        stream.sink_path = wanted[0].identity()
    finally:
        for one in wanted:
            one.close()
    _owns(session)
    for one, sink in zip(wanted, found, strict=True):
        one.settle(session, sink)
    return found, is_first


def _owns(session: Session) -> None:
    me = this_process()
    me.owns(session)
    hook_exit(me)


def flush(stream: Stream | None, blocking: bool, timeout: float) -> None:
    """Barrier over the stream's lanes; nothing to wait for without a sink, or without rows of this process."""
    session = stream.live() if stream is not None else None
    if stream is None or session is None:
        return
    began = time.monotonic()
    if blocking:
        finish_work(stream.key, timeout)
    if session.active_sink() is None:
        return
    if not blocking:
        session.words.add(SessionView.flush_wanted, 1)
        session.tree.wake()
        return
    session.flush(max(0.0, timeout - (time.monotonic() - began)))


def settle(stream: Stream, timeout: float) -> None:
    """Wait until all rows so far are in the log, whoever follows it; so that a process that logs much never runs out of memory for it.

    FlushTimeoutError: not in time, since the disk is full.
    """
    session = stream.live()
    if session is None:
        return
    words = session.words
    wanted = words.add(SessionView.flush_wanted, 1) + 1
    session.wait(lambda: words.flush_done >= wanted, timeout, "Writing")


def disconnect(stream: Stream | None) -> None:
    """The owner: barrier, footer, file closed. Others: barrier, and back from a sink of their own to the shared recording."""
    session = stream.live() if stream is not None and not is_inheriting() else None
    if stream is None or session is None:
        return
    finish_work(stream.key)
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
    finish_work(stream.key)
    sink = session.active_sink()
    if sink is None:
        return
    try:
        if sink.kind == SINK_FILE and session.may_set_sink():
            session.close_sink()
            this_process().disown(session)
        else:
            session.flush(timeout=30)
    except (FlushTimeoutError, RowsLostError, UndeliveredError) as error:
        say(str(error))


def connect_grpc(stream: Stream | None, url: str | None, flush_timeout_sec: float | None, blueprint: Any = None) -> None:
    """See :func:`shmrerun.connect_grpc`."""
    replace(stream, "connect_grpc", [WantedViewer(GrpcSink(url, flush_timeout_sec=flush_timeout_sec))], blueprint)


def serve_grpc(stream: Stream | None, sink: GrpcServerSink, blueprint: Any = None) -> str:
    """See :func:`shmrerun.serve_grpc`."""
    wanted = WantedServer(sink)
    if not replace(stream, "serve_grpc", [wanted], blueprint) and wanted.port == 0:
        return "[rerun is disabled]"
    return wanted.url


def stdout(stream: Stream | None, blueprint: Any = None) -> None:
    """See :func:`shmrerun.stdout`."""
    if not is_inheriting() and os.isatty(1):
        disconnect(stream)
        return
    replace(stream, "stdout", [WantedStdout()], blueprint)


def follow(stream: Stream | None, label: str) -> Following | None:
    """Have this process follow the log: beside the present sink, or in place of none. None: there is no recording."""
    from shmrerun.producer.following import Following

    session = stream.live() if stream is not None and stream.enabled() else None
    if session is None:
        return None
    beside = session.active_sink() is not None
    sink = session.set_sink(SINK_READER, SINK_BESIDE if beside else 0, label)
    if not beside:
        _owns(session)
    return Following(session, sink)


def _pieces(stream: Stream | None, missing: str) -> Pieces:
    """Make a spool the sink, for this process to read; or go on with the one that it has."""
    from shmrerun.producer.following import Following
    from shmrerun.producer.reading import Pieces

    if stream is not None and not stream.enabled():
        return Pieces(None)
    session = stream.live() if stream is not None else None
    if stream is None or session is None:
        raise RuntimeError(missing)
    session = _settle(stream, session)
    present = session.pieces
    if present is not None and present.is_active:
        found: Pieces = present
        return found
    pieces = Pieces(Following(session, session.set_sink(SINK_READER, SINK_PIECES, "memory")))
    session.pieces = pieces
    return pieces


def memory_recording(stream: Stream | None) -> MemoryRecording:
    """See :func:`shmrerun.memory_recording`."""
    from shmrerun.producer.reading import MemoryRecording

    return MemoryRecording(_pieces(stream, "No recording was provided or set as current."))


def binary_stream(stream: Stream | None) -> BinaryStream:
    """See :func:`shmrerun.binary_stream`."""
    from shmrerun.producer.reading import BinaryStream

    return BinaryStream(_pieces(stream, "No recording stream was provided and set as current"))
