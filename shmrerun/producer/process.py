"""The logging side of a process: its trees, its streams, and how a child finds the recording of its parent.

A :class:`Stream` is what a ``RecordingStream`` and all its copies share: ids, and the session that rows go to. It survives fork
and pickling as names; in each process it binds to the session anew at its first call.

Discovery, for a process that never called ``init``: memory inherited by fork; an entry in
``multiprocessing.current_process()._config``, which multiprocessing copies into every child; the environment (plain
``subprocess``); last, for pools made before ``init``, an entry named by the authkey. All of them name a process of a tree, whose
*current* recording the child follows.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from hashlib import blake2b
from typing import Any

from shmrerun import _core
from shmrerun.errors import SegmentError, ShmrerunError, say, say_once
from shmrerun.producer.member import Session
from shmrerun.shm import places
from shmrerun.shm.session import BatchLimits, id_hash, session_name
from shmrerun.shm.tree import Tree, TreeEndedError

L = _core.LAYOUT
PARENT_VARIABLE = "SHMRERUN_PARENT"
TREE_VARIABLE = "SHMRERUN_TREE"
_LOOK_NANOS = 100_000_000


class Follow:
    """Another process of a tree, whose global recording is ours until we call ``init``."""

    __slots__ = ("index", "serial", "token")

    def __init__(self, token: str, index: int, serial: int) -> None:
        self.token, self.index, self.serial = token, index, serial

    @classmethod
    def parse(cls, text: str) -> Follow | None:
        """From the text that :meth:`__str__` made; None if it is not one."""
        token, _, rest = text.partition(":")
        index, _, rest = rest.partition(":")
        serial, _, home = rest.partition(":")
        if not (token.isalnum() and index.isdigit() and serial.isdigit()):
            return None
        return cls(places.arrive(f"{token}:{home}"), int(index), int(serial))

    def __str__(self) -> str:
        home = places.address(self.token)[len(self.token) :]  # empty, or a colon and the directory
        return f"{self.token}:{self.index}:{self.serial}{home}"


class Process:
    """What belongs to this process alone. A forked child gets a fresh one, which keeps only whom to follow."""

    def __init__(self, before: Process | None) -> None:
        self.stamp = _core.stamp()
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.trees: dict[str, Tree] = {}
        self.sessions: dict[tuple[str, int], Session] = {}
        self.forked = before is not None
        self.own: str | None = before.own if before else None  # token of the tree that our sessions are made in
        self.follow: Follow | None = before.followed() if before else None
        self.made_global = False  # we called init: follow nobody
        self.next_look = 0
        self.hooked = False
        self.ended = False  # the exit hook has run
        self.owned: dict[int, Session] = {}  # sessions whose sink we set
        self.published = False

    def followed(self) -> Follow | None:
        """Whom a forked child of ours follows: ourselves if we made a recording, else whom we follow."""
        tree = self.trees.get(self.own or "")
        if self.made_global and tree is not None and tree.index >= 0:
            return Follow(tree.token, tree.index, tree.serial)
        return self.follow

    def is_child(self) -> bool:
        """Whether this process was made by another one of the program: forked, or by multiprocessing."""
        if self.forked or TREE_VARIABLE in os.environ:
            return True
        module = sys.modules.get("multiprocessing.process")
        return module is not None and module.parent_process() is not None

    def tree(self, token: str) -> Tree:
        """Our part in a tree that exists. FileNotFoundError: it has ended."""
        with self.lock:
            tree = self.trees.get(token)
            if tree is None:
                tree = self.trees[token] = Tree.attach(token)
            return tree

    def named(self) -> str | None:
        """Token of the tree that the environment names, the same for all processes of this user since the machine started."""
        name = os.environ.get(TREE_VARIABLE)
        if not name:
            return None
        return places.new_token(name)

    def own_tree(self) -> Tree:
        """The tree that this process makes its sessions in: the named one, the one it was born into, or a new one."""
        with self.lock:
            name = self.named()
            if name:
                self.own = name
            elif self.own is None and self.is_child():
                follow = self.follow or discover(self)
                self.own = follow.token if follow else None
            for _ in range(3):
                tree = self.trees.get(self.own or "")
                try:
                    if tree is None:
                        tree = Tree.create(self.own) if name or self.own is None else Tree.attach(self.own)
                    tree.claim()
                except (FileNotFoundError, TreeEndedError):
                    self.trees.pop(self.own or "", None)
                    self.own = self.own if name else None
                    continue
                self.own = tree.token
                self.trees[tree.token] = tree
                return tree
            msg = "the tree ends as fast as it is joined; try again"
            raise SegmentError(msg)

    def session(self, token: str, serial: int) -> Session:
        """Our part in a session of a tree. TreeEndedError, FileNotFoundError: it has ended."""
        with self.lock:
            session = self.sessions.get((token, serial))
            if session is None or session.member < 0:
                session = Session.attach(self.tree(token), serial)
                session.join()
                self.sessions[token, serial] = session
            return session


_process = Process(None)


def this_process() -> Process:
    """The calling process's state; made anew in a forked child, raw forks included."""
    global _process
    if _process.stamp != _core.stamp():
        _process = Process(_process)
    return _process


def is_inheriting() -> bool:
    """Whether multiprocessing is running a module's top level again in a child, or in the forkserver."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and bool(getattr(module.current_process(), "_inheriting", False))


# ---- discovery


def _entry_path(runtime: str, authkey: bytes) -> str:
    return f"{runtime}/key-{blake2b(authkey, digest_size=8).hexdigest()}"


def publish(me: Process, tree: Tree) -> None:
    """Make this process findable for children that it starts from now on, and for pools that it has."""
    follow = str(Follow(tree.token, tree.index, tree.serial))
    import multiprocessing.process as module

    current = module.current_process()
    with contextlib.suppress(AttributeError, TypeError):
        current._config["shmrerun"] = follow  # type: ignore[attr-defined]  # copied into each child by multiprocessing
    if os.environ.get(PARENT_VARIABLE) != follow:
        os.environ[PARENT_VARIABLE] = follow
    if not me.published and module.parent_process() is None:
        with contextlib.suppress(OSError):
            os.symlink(follow, _entry_path(os.path.dirname(tree.directory), bytes(current.authkey)))
    me.published = True


def discover(me: Process) -> Follow | None:
    """Whom this process follows, looked up outside its own memory; None if it was started by nobody that logs."""
    module = sys.modules.get("multiprocessing.process")
    if module is not None:
        text = getattr(module.current_process(), "_config", {}).get("shmrerun")
        if text and (found := Follow.parse(text)):
            return found
    name = me.named()
    if name:
        with contextlib.suppress(ShmrerunError, FileNotFoundError):
            root = me.tree(name).segment.load(L["tree.root"])
            return Follow(name, root >> 32, root & 0xFFFF_FFFF) if root else None
        return None
    text = os.environ.get(PARENT_VARIABLE)
    if text and (found := Follow.parse(text)) and (me.own is None or me.own != found.token):
        return found
    if module is not None and module.parent_process() is not None:
        for runtime in places.runtimes():
            with contextlib.suppress(OSError):
                return Follow.parse(os.readlink(_entry_path(runtime, bytes(module.current_process().authkey))))
    return None


# ---- streams


class Stream(_core.Stream):
    """What all copies of a recording stream share: ids and the session. Threads share it; a forked child rebinds it."""

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
        self.batcher = BatchLimits()
        self._use_lane(None, self.key)

    def bind(self, session: Session) -> None:
        """Send rows to a session, from the hot path on."""
        before = self.session
        self.session, self.token, self.serial = session, session.tree.token, session.serial
        self._use_lane(session.lane(), self.key)
        self._use_follow(None, 0, 0)
        if before is not session:
            session.streams += 1
            if before is not None:
                _release(before)

    # what the extension's hot path calls

    def _grow(self, path: int, columns: int, parts: tuple[Any, ...], flags: int, need: Any) -> None:
        assert self.session is not None
        self.session.append_slowly((path, columns, parts, flags), need)

    def _wake(self) -> None:
        assert self.session is not None
        self.session.tree.ring()

    def _widen(self) -> None:
        assert self.session is not None
        self.session.widen()

    def _look(self) -> None:
        assert self.session is not None
        self.session.look()

    def create(self, batcher: BatchLimits, switches: int) -> None:
        """Make a session of its own in this process's tree; in a child, join a live one of the same ids that is not its own."""
        me = this_process()
        tree = me.own_tree()
        with me.lock, tree.meeting(wanted=TREE_VARIABLE in os.environ):
            session = self._join(me, tree) if me.is_child() else None
            joined = session is not None
            if session is None:
                session = Session.create(tree, self.application_id, self.recording_id, batcher, switches)
        if not joined:
            me.sessions[tree.token, session.serial] = session
            self.stamp = me.stamp
            hook_exit(me)
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
        """The session, bound in this process; None: it has ended and there is nothing to continue."""
        session = self.session
        if session is not None and session.stamp == _core.stamp() and session.member >= 0:
            return session
        return self._rebind()

    def _rebind(self) -> Session | None:
        me = this_process()
        with me.lock:
            if self.gone:
                return None
            if me.ended:
                say_once("after the end", "rows that are logged after the end of the program's files are dropped")
                return None
            if self.token is None:  # made while a module's top level ran again in a child: join now
                if self.default_enabled and not is_inheriting():
                    self.create(self.batcher, L["SWITCH_ENABLED"] | L["SWITCH_LOG_TIME"] | L["SWITCH_LOG_TICK"])
                return self.session
            try:
                session = me.session(self.token, self.serial)
            except (FileNotFoundError, TreeEndedError):
                return self._continue(me)
            except ShmrerunError as error:
                self.gone = True
                say_once(("unreachable", self.token, self.serial), f"cannot reach the recording {self.recording_id}: {error}")
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
            tree = me.own_tree()
            switches = L["SWITCH_ENABLED"] | L["SWITCH_LOG_TIME"] | L["SWITCH_LOG_TICK"]
            session = Session.create(tree, self.application_id, self.recording_id, self.batcher, switches)
            me.sessions[tree.token, session.serial] = session
            self.bind(session)
            session.set_sink(L["SINK_FILE"], L["SINK_CONTINUE"], path, fd)
            me.owned[session.serial] = session
            hook_exit(me)
        finally:
            os.close(fd)
        return session

    def own_session(self, session: Session) -> Session:
        """Leave a shared session for one of this process's own with the same ids (it sets a sink of its own)."""
        session.flush(timeout=30)
        me = this_process()
        tree = me.own_tree()
        self.shared = (session.tree.token, session.serial)
        words = ("flush_tick_nanos", "flush_bytes", "flush_rows", "unsorted_rows")
        batcher = BatchLimits._make((*(session.segment.load(L[f"session.{word}"]) for word in words), False))
        switches = session.segment.load(L["session.switches"])
        own = Session.create(tree, self.application_id, self.recording_id, batcher, switches & ~L["SWITCH_TICK_SET"])
        me.sessions[tree.token, own.serial] = own
        self.bind(own)
        return own

    def rejoin(self) -> None:
        """Back from a session of this process's own to the shared one, after its sink was closed."""
        if self.shared and self.session is not None and self.session.stamp == _core.stamp():
            self.session.leave()
            (self.token, self.serial), self.session, self.shared = self.shared, None, None

    def enabled(self) -> bool:
        """Whether rows are taken at all (``RERUN``, ``default_enabled``)."""
        if self.token is None:
            return self.default_enabled
        session = self.live()
        return session is not None and bool(session.segment.load(L["session.switches"]) & L["SWITCH_ENABLED"])

    def close(self) -> None:
        """The maker's last reference goes: barrier, footer, file closed; the session ends when its other members are gone."""
        session = self.session
        if session is None or session.stamp != _core.stamp() or session.member < 0:
            return
        me = this_process()
        try:
            if self.stamp == me.stamp and session.active_sink() is not None and session.may_set_sink():
                session.complete_sink(timeout=30)
        except ShmrerunError as error:
            say(f"closing the recording {self.recording_id}: {error}")
        me.owned.pop(session.serial, None)
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
        return _unpickle, (
            self.application_id,
            self.recording_id,
            self.token and places.address(self.token),
            self.serial,
            self.sink_path,
            self.default_enabled,
        )


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
    if own is not None and own.stamp == me.stamp and own.member >= 0:
        stream.bind(own)
    return stream


# ---- the end of the process


def hook_exit(me: Process) -> None:
    """Have :func:`at_exit` run after workers were joined, in this process only."""
    if me.hooked:
        return
    me.hooked = True
    stamp = me.stamp
    if "multiprocessing.util" in sys.modules:
        from multiprocessing.util import Finalize

        Finalize(None, at_exit, args=(stamp,), exitpriority=-100)
    else:
        import atexit

        atexit.register(at_exit, stamp)


def unhook_exit() -> None:
    """Take the hook back (``unregister_shutdown``)."""
    this_process().owned.clear()


def at_exit(stamp: int, patience: float = 10.0) -> None:
    """Wait until the files of this process's sessions are complete; bounded by progress, quiet on Ctrl-C."""
    if stamp != _core.stamp():
        return
    me = this_process()
    owned, me.owned = list(me.owned.values()), {}
    owned += [session for session in me.sessions.values() if session not in owned and _inherits(session)]
    try:
        for session in owned:
            _finish(session, patience)
        for session in me.sessions.values():
            if session.stamp == stamp and session.maker == session.tree.ref:
                _tell_unsaved(session)
        me.ended = bool(owned)
        for tree in me.trees.values():  # one that just died would leave our memory behind: nobody else may look again
            if tree.stamp == stamp and tree.index >= 0 and tree.segment.load(L["tree.state"]) == L["STATE_OPEN"]:
                tree.see_aggregator()
        if 1 in (os.getpid(), os.getppid()):  # the container ends with us, and takes the aggregator along
            me.ended = True
            for session in me.sessions.values():
                session.leave()
            for tree in me.trees.values():
                tree.depart(seconds=1)
    except KeyboardInterrupt:
        say("interrupted while finishing; the aggregator goes on with it")
    except ShmrerunError as error:
        say(str(error))


def _inherits(session: Session) -> bool:
    """Whether this process made the session and the one that set its sink is gone: then the file is ours to finish."""
    if session.stamp != _core.stamp() or session.maker != session.tree.ref:
        return False
    sink = session.active_sink()
    return sink is not None and sink.owner != session.tree.ref and not session.tree.ref_is_live(sink.owner)


def _tell_unsaved(session: Session) -> None:
    """One line if rows were logged and no sink was ever set for them."""
    rows = session.rows_waiting()
    if rows > 1 and session.active_sink() is None:  # one: the start time
        say(f"{rows - 1:,} rows of {session.application_id!r} had no sink and are dropped: call save() to keep them")


def _finish(session: Session, patience: float) -> None:
    """Barrier, then leave; then wait for the footer if nobody else is left to log."""
    if session.stamp != _core.stamp():
        return
    segment = session.segment
    sink, given_up = session.active_sink(), False
    if session.member >= 0 and sink is not None:
        progress, began, told = -1, time.monotonic(), False
        while True:
            try:
                session.flush(timeout=1.0)
                break
            except ShmrerunError as error:
                now, rows = time.monotonic(), segment.load(L["session.rows"])
                if not told:
                    told = True
                    say(f"finishing {sink.path or 'the recording'} ...")
                if rows != progress:
                    progress, began = rows, now
                elif now - began > patience:
                    say(f"gave up finishing {sink.path}: {error}")
                    given_up = True
                    break
    alone = not session.other_members()
    session.leave()
    session.print_message()
    deadline = time.monotonic() + patience
    while alone and sink is not None and not given_up and time.monotonic() < deadline:
        if segment.load(L["session.state"]) == L["STATE_ENDED"]:
            break
        session.tree.ring()
        time.sleep(0.001)
        with contextlib.suppress(ShmrerunError):
            session.tree.ensure_aggregator()
    session.print_message()


__all__ = [
    "Follow",
    "Process",
    "Stream",
    "at_exit",
    "discover",
    "hook_exit",
    "is_inheriting",
    "publish",
    "session_name",
    "this_process",
]
