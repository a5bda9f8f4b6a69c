"""A stream: what a ``RecordingStream`` and all its copies share, namely ids and the session that rows go to.

It survives fork and pickling as names; in each process it binds to the session anew at its first call. What stands between a stream
and its session (it has ended, it is full, it belongs to another user) is told once, and every row that it costs is counted.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from shmrerun import _core
from shmrerun.errors import RowsLostError, ShmrerunError, say, say_once
from shmrerun.producer.discovery import discover
from shmrerun.producer.exit import hook_exit, tell_unsaved
from shmrerun.producer.member import Session
from shmrerun.producer.process import TREE_VARIABLE, is_inheriting, this_process
from shmrerun.producer.work import finish_work
from shmrerun.shm import places
from shmrerun.shm.session import BatchLimits, id_hash, open_session
from shmrerun.shm.tree import TreeEndedError
from shmrerun.shm.words import (
    SINK_CONTINUE,
    SINK_FILE,
    SWITCH_ENABLED,
    SWITCH_LOG_TICK,
    SWITCH_LOG_TIME,
    SWITCH_TICK_SET,
    SessionView,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.producer.process import Process
    from shmrerun.shm.tree import Tree

_RETRY_NANOS = 100_000_000  # how often a stream that cannot join tries again
_SWITCHES = SWITCH_ENABLED | SWITCH_LOG_TIME | SWITCH_LOG_TICK


class Stream(_core.Stream):
    """Ids and a session. Threads share it; a forked child rebinds it."""

    def __new__(cls, *_: Any) -> Stream:
        """Make one without a session; see :meth:`create`, :meth:`bind`."""
        return super().__new__(cls)

    def __init__(self, application_id: str, recording_id: str) -> None:
        self.application_id = application_id
        self.recording_id = recording_id
        self.key = id_hash(application_id, recording_id)
        self.token: str | None = None  # of the tree, with the session's serial; None: not bound yet
        self.serial = 0
        self.session: Session | None = None
        self.shared: tuple[str, int] | None = None  # the session left for a sink of this process's own
        self.sink_path: tuple[str, int, int] | None = None  # last file: how a late process continues it
        self.stamp = 0  # of the process that made the session; its last reference closes it
        self.gone = False
        self.default_enabled = True
        self.limits = BatchLimits()
        self.refusal: ShmrerunError | None = None  # why this process cannot join now
        self._next_try = 0
        self._told = False
        self._use_lane(None, self.key)

    def bind(self, session: Session) -> None:
        """Send rows to a session, from the hot path on."""
        before = self.session
        self.session, self.token, self.serial = session, session.tree.token, session.serial
        self.refusal = None
        self._use_lane(session.lane(), self.key)
        self._use_follow(None, 0, 0)
        if before is not session:
            session.streams += 1
            if before is not None:
                _release(before)

    # ---- rows

    def append(self, *row: Any) -> None:
        """Log a row (see :meth:`Session.append`), binding anew as often as it takes. ShmrerunError, once: this process cannot join."""
        for _ in range(8):  # each round another fork or end, in a signal handler
            session = self.live()
            if session is None:
                self._count_unjoined()
                return
            try:
                if session.append(*row):
                    return
            except Exception:
                if session.stamp == _core.stamp():
                    raise  # else a signal handler forked in the middle, and this is the child: again, in its own session
        self._count_unjoined()

    def _count_unjoined(self) -> None:
        """A row goes nowhere, though the recording was there: count it, and say why the first time."""
        me = this_process()
        if self.refusal is None and not me.ended:
            return  # the recording has ended, or never was
        me.unjoined += 1
        hook_exit(me)
        session = self.session
        with contextlib.suppress(ShmrerunError, OSError, ValueError):
            words = session.words if session is not None and session.stamp == me.stamp else None
            if words is None and self.token is not None:
                words = SessionView(open_session(self.token, self.serial))
            if words is not None:
                words.add(SessionView.unjoined, 1)
        if self.refusal is not None and not self._told:
            self._told = True
            raise self.refusal

    # what the extension's hot path calls

    def _refused(self, path: int, columns: int, parts: tuple[Any, ...], flags: int) -> None:
        self.append(path, columns, parts, flags)

    def _wake(self) -> None:
        self._afterwards(lambda session: session.tree.wake())

    def _half(self) -> None:
        self._afterwards(Session.widen)

    def _look(self) -> None:
        self._afterwards(Session.look)

    def _afterwards(self, action: Callable[[Session], None]) -> None:
        """What follows a row. The row is in the lane already, and if a signal handler forks meanwhile, the child has no part in it."""
        session = self.session
        try:
            if session is not None and session.is_ours:
                action(session)
        except Exception:
            if session is not None and session.stamp == _core.stamp():
                raise

    # ---- the session

    def create(self, limits: BatchLimits, switches: int) -> None:
        """Make a session of its own in this process's tree; in a child, join a live one of the same ids that is not its own."""
        me = this_process()
        tree = me.own_tree(discover)
        with me.lock, tree.meeting(wanted=TREE_VARIABLE in os.environ):
            session = self._join(me, tree) if me.is_child() else None
            joined = session is not None
            if session is None:
                session = Session.create(tree, self.application_id, self.recording_id, limits, switches)
        if not joined:
            me.sessions[tree.token, session.serial] = session
            self.stamp = me.stamp
        hook_exit(me)  # whoever joined may be the last to leave
        self.bind(session)

    def _join(self, me: Process, tree: Tree) -> Session | None:
        """The newest live session of these ids that another process made."""
        for _, serial, found in sorted(tree.sessions(), key=lambda entry: -entry[1]):
            if found != self.key:
                continue
            with contextlib.suppress(ShmrerunError, FileNotFoundError):
                session = me.sessions.get((tree.token, serial)) or Session.attach(tree, serial)
                if session.maker != tree.ref and session.application_id == self.application_id:
                    return me.session(tree.token, serial)
        return None

    def live(self) -> Session | None:
        """The session, bound in this process; None: it has ended and there is nothing to continue, or it cannot be joined now."""
        session = self.session
        if session is not None and session.is_ours:
            return session
        if self.refusal is not None and _core.monotonic() < self._next_try:
            return None
        return self._rebind()

    def _rebind(self) -> Session | None:
        me = this_process()
        with me.lock:
            if self.gone:
                return None
            if me.ended:
                say_once("after the end", "rows that are logged after the end of the program's files are dropped, and counted")
                return None
            try:
                if self.token is None:  # made while a module's top level ran again in a child: join now
                    if self.default_enabled and not is_inheriting():
                        self.create(self.limits, _SWITCHES)
                    return self.session
                session = me.session(self.token, self.serial)
            except (FileNotFoundError, TreeEndedError):
                return self._continue(me)
            except ShmrerunError as error:
                self.refusal, self._next_try = error, _core.monotonic() + _RETRY_NANOS
                say_once(
                    ("unjoined", self.token, self.serial),
                    f"process {me.pid} cannot join the recording {self.recording_id}, and its rows are dropped until it can: {error}",
                )
                return None
            self.bind(session)
            return session

    def _continue(self, me: Process) -> Session | None:
        """The session has ended. With a file, open its next incarnation, which continues the file; else there is nothing to log to."""
        if self.sink_path is None or is_inheriting():
            self.gone = True
            return None
        path, device, inode = self.sink_path
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            self.gone = True
            return None
        try:
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) != (device, inode):
                self.gone = True
                return None
            me.own = None if me.own == self.token else me.own
            me.trees.pop(self.token or "", None)
            tree = me.own_tree(discover)
            session = Session.create(tree, self.application_id, self.recording_id, self.limits, _SWITCHES)
            me.sessions[tree.token, session.serial] = session
            self.bind(session)
            session.set_sink(SINK_FILE, SINK_CONTINUE, path, fd)
            me.owns(session)
            hook_exit(me)
        finally:
            os.close(fd)
        return session

    def own_session(self, session: Session) -> Session:
        """Leave a shared session for one of this process's own with the same ids (it sets a sink of its own)."""
        try:
            session.flush(timeout=30)
        except RowsLostError as error:
            say(str(error))
        me = this_process()
        tree = me.own_tree(discover)
        self.shared = (session.tree.token, session.serial)
        words = session.words
        limits = BatchLimits(words.flush_tick_nanos, words.flush_bytes, words.flush_rows, words.unsorted_rows)
        own = Session.create(tree, self.application_id, self.recording_id, limits, words.switches & ~SWITCH_TICK_SET)
        me.sessions[tree.token, own.serial] = own
        self.bind(own)
        return own

    def rejoin(self) -> None:
        """Back from a session of this process's own to the shared one, after its sink was closed."""
        if self.shared and self.session is not None and self.session.is_ours:
            self.session.leave()
            (self.token, self.serial), self.session, self.shared = self.shared, None, None

    def enabled(self) -> bool:
        """Whether rows are taken at all (``RERUN``, ``default_enabled``)."""
        if self.token is None:
            return self.default_enabled
        session = self.live()
        return session is not None and bool(session.words.switches & SWITCH_ENABLED)

    def close(self) -> None:
        """The maker's last reference goes: barrier, footer, file closed; the session ends when its other members are gone."""
        session = self.session
        if session is None or not session.is_ours:
            return
        me = this_process()
        try:
            if self.stamp == me.stamp:
                finish_work(self.key)
                if session.active_sink() is None:
                    tell_unsaved(session)
                elif session.may_set_sink():
                    session.complete_sink(timeout=30)
        except ShmrerunError as error:
            say(f"closing the recording {self.recording_id}: {error}")
        me.disown(session)
        me.sessions.pop((session.tree.token, session.serial), None)
        session.leave()

    def __del__(self) -> None:
        try:
            session = self.session
            if session is None or session.stamp != _core.stamp() or sys.is_finalizing():
                return
            if self.stamp == session.stamp:
                self.close()
            _release(session)
        except BaseException:  # a destructor has nobody to tell
            pass

    def __reduce__(self) -> tuple[Any, ...]:
        token = self.token and places.address(self.token)
        state = (self.application_id, self.recording_id, token, self.serial, self.sink_path, self.default_enabled)
        return _unpickle, state


def _release(session: Session) -> None:
    """One stream of this process less: the last one of a session that others made takes this process out of it."""
    session.streams -= 1
    if session.streams <= 0 and session.stamp == _core.stamp() and session.maker != session.tree.ref:
        this_process().sessions.pop((session.tree.token, session.serial), None)
        session.leave()


def _unpickle(application_id: str, recording_id: str, token: str | None, serial: int, sink_path: Any, enabled: bool) -> Stream:
    """A copy in another process: bound to the same session, made by somebody else, so its end closes nothing."""
    me = this_process()
    token = token and places.arrive(token)
    own = me.sessions.get((token or "", serial))
    stream = Stream(application_id, recording_id)
    stream.token, stream.serial, stream.sink_path, stream.default_enabled = token, serial, sink_path, enabled
    if own is not None and own.is_ours:
        stream.bind(own)
    return stream
