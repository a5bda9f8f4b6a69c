"""This process's part in a session: its member slot and lane, the barrier over all lanes, and what it asks of the sink table.

A session is one stream object and all its copies in children. Everything that must outlive a process is in its control segment: a
successor of the aggregator reads nothing else. Requests are words in it too (flush counters, wishes of sinks), so none is lost with
a connection.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from shmrerun import _core
from shmrerun.errors import (
    AggregatorError,
    FlushTimeoutError,
    RowsLostError,
    SegmentError,
    SinkError,
    UndeliveredError,
    say,
    say_once,
)
from shmrerun.shm import places, segments
from shmrerun.shm.log_reader import log_of
from shmrerun.shm.served import PATIENCE, Patience, patience_of, read_why
from shmrerun.shm.session import (
    FIRST_DICTIONARY_BYTES,
    FIRST_LANE_BYTES,
    BatchLimits,
    Sink,
    id_hash,
    is_free,
    lane_prefix,
    open_session,
    read_sink,
    session_name,
    sinks,
    wish_word,
)
from shmrerun.shm.tree import SWEEP_SECONDS, Tree, TreeEndedError
from shmrerun.shm.words import (
    SESSION_MAGIC,
    SESSION_MEMBERS,
    SESSION_OWN_SINKS,
    SESSION_PATH,
    SESSION_TEXT,
    SINK_CUSTOM,
    SINK_FAILED,
    SINK_GRPC,
    STATE_ENDING,
    STATE_OPEN,
    SWITCH_TICK_SET,
    WISH_CLOSE,
    WISH_COMPLETE,
    WISH_FREE,
    WISH_MAKING,
    WISH_OPEN,
    HeadView,
    MemberView,
    SessionView,
    SinkView,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FULL_SECONDS = 5.0  # a full lane that nobody empties for this long: rows are dropped, counted and reported
# What became of a row: the numbers of ROW_* in _core/binding.h.
DONE, WAKE, WAKE_HALF, DROPPED, FULL, SPILL, NO_ROOM, CLOSED = range(8)


class Session:
    """A process's part in one session. Not inherited by fork: a child attaches for itself."""

    def __init__(self, tree: Tree, serial: int, segment: _core.Segment) -> None:
        self.tree = tree
        self.serial = serial
        self.segment = segment
        self.words = SessionView(segment)
        self.stamp = _core.stamp()
        self.application_id = self.words.text("application")
        self.recording_id = self.words.text("recording")
        self.key = id_hash(self.application_id, self.recording_id)
        self.index = -1  # of the member slot
        self.streams = 0  # of this process that are bound to it
        self.maker = HeadView(segment).maker
        self.own_rows = 0  # that were logged in the user's name, such as the start time
        self._lock = threading.RLock()
        self._lane: _core.Lane | None = None
        self._message_turn = 0
        self._lost_told = 0
        self.pieces: Any = None  # the cursor of memory_recording and binary_stream
        self._patience: dict[int, Patience] = {}  # of sinks that others serve, by number

    # ---- making and finding

    @classmethod
    def create(cls, tree: Tree, application_id: str, recording_id: str, limits: BatchLimits, switches: int) -> Session:
        """Make a session in a tree and become its first member."""
        texts = {"application": application_id, "recording": recording_id}
        raw = {name: text.encode("utf-8", "surrogatepass") for name, text in texts.items()}
        for name, text in raw.items():
            if len(text) > SESSION_TEXT:
                raise ValueError(f"the {name} id has {len(text)} bytes in UTF-8, over the limit of {SESSION_TEXT}: choose a shorter one")
        tree.claim()
        serial = tree.words.add(type(tree.words).next_session, 1)
        segment = segments.create(session_name(tree.token, serial), SessionView.size)
        words = SessionView(segment)
        for name, text in raw.items():
            words.set_text(name, text)
        words.state = STATE_OPEN
        words.flush_tick_nanos = limits.tick_nanos
        words.flush_bytes = limits.num_bytes
        words.flush_rows = limits.num_rows
        words.unsorted_rows = limits.unsorted_rows
        words.switches = switches | (SWITCH_TICK_SET if limits.tick_is_set else 0)
        words.id_hash = key = id_hash(application_id, recording_id)
        segments.publish(segment, SESSION_MAGIC, token=os.urandom(16), serial=serial, maker=tree.ref)
        session = cls(tree, serial, segment)
        try:
            session.join()
            tree.add_session(serial, key)
        except BaseException:  # of a signal handler too
            tree.remove_session(serial)
            segments.unlink(session_name(tree.token, serial))
            raise
        tree.wake()
        tree.ensure_aggregator()
        return session

    @classmethod
    def attach(cls, tree: Tree, serial: int) -> Session:
        """Find a session of the tree by its serial. TreeEndedError: it has ended."""
        try:
            segment = open_session(tree.token, serial)
        except FileNotFoundError as error:
            raise TreeEndedError(f"the recording has ended (session {serial} of tree {tree.token})") from error
        return cls(tree, serial, segment)

    @property
    def is_ours(self) -> bool:
        """Whether this process is a member by this object."""
        return self.stamp == _core.stamp() and self.index >= 0

    @property
    def is_own(self) -> bool:
        """Whether this process made this object: it was not inherited by a fork."""
        return self.stamp == _core.stamp()

    @property
    def member(self) -> MemberView:
        """This process's slot."""
        return self.words.member(self.index)

    def join(self) -> None:
        """Take a member slot. Idempotent. TreeEndedError: the session has ended; a later one must continue it."""
        with self._lock:
            if self.index >= 0:
                return
            self.tree.claim()
            for step in range(SESSION_MEMBERS):
                index = (self.tree.index + step) % SESSION_MEMBERS
                slot = self.words.member(index)
                if slot.owner == 0 and slot.swap(MemberView.owner, 0, self.tree.ref):
                    break
            else:
                raise SegmentError(f"the recording has {SESSION_MEMBERS} processes, its limit (session {self.serial})")
            _core.fence()  # SYNC POINT end: our slot, fence, their state
            deadline = time.monotonic() + SWEEP_SECONDS
            while (state := self.words.state) == STATE_ENDING and time.monotonic() < deadline:
                time.sleep(0.0005)
                self.tree.ensure_aggregator()  # one that died in the middle of the end has to be followed
            if state != STATE_OPEN:
                slot.swap(MemberView.owner, self.tree.ref, 0)
                raise TreeEndedError(f"the recording has ended (session {self.serial})")
            self.index = index
            self.words.add(SessionView.sink_turn, 1)

    def leave(self) -> None:
        """Log no more under this membership. The rows stay; the aggregator frees the slot when they are in the log."""
        with self._lock:
            if not self.is_ours:
                return
            if self._lane is not None:
                self._lane.close()
            self.member.left = 1
            self.words.add(SessionView.sink_turn, 1)
            self.index = -1
            self._lane = None
            self.tree.wake()

    # ---- rows

    def lane(self) -> _core.Lane:
        """This process's lane; rows appended to it are safe when ``append`` returns. Its first segment comes with the first row."""
        with self._lock:
            if self._lane is None:
                self.join()
                prefix = lane_prefix(self.tree.token, self.serial, self.index)
                ring = FIRST_LANE_BYTES - 512 - FIRST_DICTIONARY_BYTES
                self._lane = _core.Lane(
                    self.tree.segment, self.segment, self.key, self.index, self.tree.ref, prefix, ring, FIRST_DICTIONARY_BYTES
                )
            return self._lane

    def append(self, *row: Any) -> bool:
        """Log one row (path, columns, parts, flags), or many as columns (path, columns, times' text, parts, flags).

        Published, and so safe, or dropped and counted, when this returns True. False: this process is no member any more.
        Blocks only while every generation is full and over budget, ``FULL_SECONDS`` at most.
        """
        lane = self.lane()
        waited, head, pause = 0.0, -1, 0.0002
        while True:
            outcome, record = lane.append(*row) if len(row) == 4 else lane.append_columns(*row)
            if outcome == WAKE_HALF:
                lane.widen()
            if outcome <= WAKE_HALF:
                if outcome != DONE or waited:
                    self.tree.wake()
                return True
            if outcome in (DROPPED, CLOSED):
                return outcome == DROPPED
            if outcome == NO_ROOM:
                self._drop(MemberView.dropped_size, f"a row of {record:,} bytes was dropped: {self._no_room()}")
                return True
            if outcome == SPILL:
                limit = self.tree.words.budget_limit
                say_once("budget", f"over the budget of {limit:,} bytes of shared memory: a lane goes into a file mapping")
                try:
                    lane.spill_to(os.fsencode(places.spill_directory(self.tree.token)))
                except SegmentError as error:
                    self._drop(MemberView.dropped_size, f"a row of {record:,} bytes was dropped: {error}")
                    return True
                continue
            self.tree.wake()
            time.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, 0.01)
            if not self.is_ours:  # a signal handler forked, or left
                return False
            position = lane.position()[2]
            if position != head:
                head, waited = position, 0.0
            if waited > 0.05:
                self.look()
            if waited > FULL_SECONDS:
                lane.over = True  # from now on rows are dropped at once, until one fits again
                self._drop(MemberView.dropped_full, self._full_text(waited))
                return True

    def widen(self) -> None:
        """The lane is half full of rows that patience keeps back: double it, within a small part of the budget."""
        self.lane().widen()
        self.tree.wake()

    def look(self) -> None:
        """Look, ten times a second while rows are logged, whether the aggregator lives and has a message for us."""
        try:
            self.tree.ensure_aggregator()
        except AggregatorError as error:
            say_once("no aggregator", str(error))
        self.print_message()

    def print_message(self) -> None:
        """Print the aggregator's newest message to this session's owner, once."""
        turn = self.words.message_turn
        if turn == self._message_turn or turn & 1:
            return
        text = self.words.message()
        self._message_turn = turn
        mine = self.maker == self.tree.ref or any(sink.owner == self.tree.ref for sink in sinks(self.words))
        if mine:
            self.words.message_read = turn
            for line in text.split("\n"):
                say(line)

    def _full_text(self, waited: float) -> str:
        bad = _failing(self.words)
        why = f"{bad[0].path}: {os.strerror(bad[0].error)}" if bad else "the aggregator does not keep up"
        return (
            f"rows are being dropped: the lane of process {os.getpid()} was full for {waited:.0f} s ({why}; the budget of the "
            f"program is {self.tree.words.budget_limit:,} bytes of shared memory). Dropped rows are counted: shmrerun ps"
        )

    def _no_room(self) -> str:
        owner = HeadView(self.segment).uid
        if os.geteuid() != owner:
            return f"this process runs as user {os.geteuid()} now, and its recording belongs to user {owner}. Log before changing the user"
        return "neither shared memory nor the temporary directory has room for it. Free space in either"

    def _drop(self, counter: Any, text: str) -> None:
        if self.is_ours:
            self.member.add(counter, 1)
        say_once(counter.offset, text)

    def rows_waiting(self) -> int:
        """Rows of this process that are in no log yet, without those that were logged in its name."""
        if not self.is_ours:
            return 0
        waiting = self.member.written - self.member.rows - self.member.lost
        return waiting - (self.own_rows if self.words.rows == 0 else 0)

    # ---- barriers

    def wait(self, done: Callable[[], bool], timeout: float, what: str) -> None:
        """Wait until done() is true; the aggregator is started again if it dies. FlushTimeoutError, AggregatorError."""
        if done():
            return
        deadline = None if timeout > 1e9 else time.monotonic() + timeout
        pause, look = 0.00005, time.monotonic() + 0.05
        self.tree.wake()
        while not done():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise FlushTimeoutError(
                    f"{what} timed out after {timeout:g} s - not all log messages were sent (recording {self.recording_id})"
                )
            if now >= look:
                look = now + 0.05
                self.tree.ensure_aggregator()
                self.tree.wake()
                self.print_message()
            time.sleep(pause)
            pause = min(pause * 1.3, 0.002)

    def flush(self, timeout: float = float("inf")) -> None:
        """Barrier over all lanes: every row published before the call is in the sinks when this returns.

        A request is a counter in shared memory, so it survives the aggregator's death. SinkError: the file cannot be written, a viewer
        takes nothing, or rows of this process were lost since its last flush; FlushTimeoutError: not in time.
        """
        words = self.words
        wanted = words.add(SessionView.flush_wanted, 1) + 1
        patience = time.monotonic() + min(1.0, timeout)

        def in_log() -> bool:
            if words.flush_done >= wanted:
                return True
            bad = _failing(words)
            if bad and time.monotonic() > patience:
                raise SinkError(
                    f"cannot write {bad[0].path}: {os.strerror(bad[0].error)}. Rows wait in shared memory; make room and flush again"
                )
            return False

        began = time.monotonic()
        self.wait(in_log, timeout, "Flush")
        log = log_of(words)
        if log is not None:
            self.wait(lambda: self._is_followed(log), max(0.0, timeout - (time.monotonic() - began)), "Flush")
        self._tell_lost()

    def _is_followed(self, log: Sink) -> bool:
        """Whether all that follow a log have what it held when it was looked at, or cannot take it. UndeliveredError: not in their time."""
        done = True
        for sink in sinks(self.words):
            if not sink.is_follower or not sink.is_active or (sink.log, sink.size) >= (log.number, log.size):
                continue
            if not sink.is_served:
                done = done and bool(sink.error)
            elif sink.kind in (SINK_GRPC, SINK_CUSTOM):
                entry = self.words.sink(sink.slot)
                if self._patience.setdefault(sink.number, patience_of(sink, entry)).is_over():
                    self._patience.pop(sink.number, None)
                    why = read_why(self.tree.directory, self.serial, sink) if sink.error else "it takes nothing"
                    raise UndeliveredError(
                        f"not all rows reached {sink.label}: {why}. {log.size - sink.size:,} bytes wait for it "
                        f"(recording {self.recording_id})"
                    )
                done = False
        return done

    def live_patience(self) -> float:
        """Seconds that the slowest of the sinks that others serve may take without progress; 0 without any."""
        served = [sink for sink in sinks(self.words) if sink.is_active and sink.kind in (SINK_GRPC, SINK_CUSTOM)]
        return max((sink.options.get("flush_timeout", PATIENCE) or 60.0 for sink in served), default=0.0)

    def _tell_lost(self) -> None:
        if self.is_ours and (lost := self.member.lost) > self._lost_told:
            self._lost_told, before = lost, self._lost_told
            raise RowsLostError(
                f"{lost - before:,} rows of this process are lost: what they were written to was damaged or removed by somebody. "
                f"They are counted: shmrerun ps (recording {self.recording_id})"
            )

    # ---- sinks

    def active_sink(self) -> Sink | None:
        """The sink that rows go to now (wanted ones count), or None while they are buffered."""
        found = [sink for sink in sinks(self.words) if sink.is_users and (sink.is_active or sink.is_wanted)]
        return max(found, key=lambda sink: sink.number) if found else None

    def may_set_sink(self) -> bool:
        """Whether this process may replace the sink: it is its owner, or the owner is gone, or there is none."""
        sink = self.active_sink()
        if sink is not None:
            return sink.owner == self.tree.ref or not self.tree.ref_is_live(sink.owner)
        return True

    def set_sink(self, kind: int, flags: int, path: str = "", fd: int = -1, timeout: float = 30.0) -> Sink:
        """Ask for a sink in place of the present one and wait until the aggregator has answered.

        ``fd`` is the file as this process opened it. SinkError: the aggregator could not open it.
        """
        raw = os.fsencode(path)
        if len(raw) >= SESSION_PATH:
            raise SinkError(f"the path has {len(raw)} bytes, over the limit of {SESSION_PATH - 1}: {path[:200]}")
        self.join()
        slot, turn = self._take_entry()
        entry = self.words.sink(slot)
        try:
            found = os.fstat(fd) if fd >= 0 else None
            entry.kind, entry.flags, entry.owner = kind, flags, self.tree.ref
            entry.number = self.words.add(SessionView.sink_turn, 1) + 1
            entry.device, entry.inode = (found.st_dev, found.st_ino) if found else (0, 0)
            entry.scan_from = entry.size = entry.log = entry.error = 0
            entry.until = entry.done = entry.value = entry.dropped = 0
            entry.caller_pid, entry.caller_fd = os.getpid(), max(fd, 0)
            entry.path = raw
            entry.wish = wish_word(turn, WISH_OPEN)
            self.words.add(SessionView.sink_turn, 1)
            self.wait(lambda: not read_sink(self.words, slot).is_asked, timeout, "Opening a sink")
        except BaseException:  # it must not be opened later, when nobody expects it
            entry.swap(SinkView.wish, wish_word(turn, WISH_MAKING, self.tree.index + 1), wish_word(turn + 1, WISH_FREE))
            if entry.swap(SinkView.wish, wish_word(turn, WISH_OPEN), wish_word(turn + 1, WISH_CLOSE)):
                self.words.add(SessionView.sink_turn, 1)
            raise
        sink = read_sink(self.words, slot)
        if sink.answer == SINK_FAILED:
            entry.wish = wish_word(turn + 1, WISH_FREE)
            raise SinkError(f"the aggregator cannot open {sink.label}: {os.strerror(sink.error)}")
        return sink

    def _take_entry(self) -> tuple[int, int]:
        """An entry of the sink table for this process to fill, and the turn of its wish."""
        for slot in range(SESSION_OWN_SINKS):
            entry = self.words.sink(slot)
            wish = entry.wish
            sink = read_sink(self.words, slot)
            if is_free(entry) and entry.swap(SinkView.wish, wish, wish_word(sink.turn + 1, WISH_MAKING, self.tree.index + 1)):
                return slot, sink.turn + 1
        raise SinkError(f"the recording has {SESSION_OWN_SINKS} sinks, its limit (session {self.serial})")

    def close_sink(self, timeout: float = float("inf")) -> None:
        """Barrier over all lanes, footer, file closed; rows after it are buffered. No sink: nothing to do."""
        self._ask_sink(WISH_CLOSE, timeout)

    def drop_sink(self, sink: Sink, timeout: float = 30.0) -> None:
        """End one sink of this process's own that turned out not to work."""
        self._ask_sink(WISH_CLOSE, timeout, sink)

    def complete_sink(self, timeout: float = float("inf")) -> None:
        """Barrier over all lanes, footer; rows of others that come late are still added. No sink: nothing to do."""
        self._ask_sink(WISH_COMPLETE, timeout)

    def _ask_sink(self, verb: int, timeout: float, sink: Sink | None = None) -> None:
        sink = sink or self.active_sink()
        if sink is None:
            return
        asked = wish_word(sink.turn + 1, verb)
        self.words.sink(sink.slot).swap(SinkView.wish, sink.wish, asked)
        self.words.add(SessionView.sink_turn, 1)
        began = time.monotonic()

        def done() -> bool:
            found = read_sink(self.words, sink.slot)
            if found.number != sink.number or not found.is_asked:
                return True
            if found.error and not found.is_served and time.monotonic() > began + 2:
                why = f"{os.strerror(found.error)}. Rows wait in shared memory; make room and disconnect again"
                raise SinkError(f"cannot finish {sink.path}: {why}")
            return False

        self.wait(done, timeout, "Closing a sink")
        try:
            self._tell_lost()
        except RowsLostError as error:  # the sink is closed all the same: only a flush is asked whether all is there
            say(str(error))

    # ---- others

    def other_members(self) -> list[int]:
        """References of other processes of the session that are not known to be dead or done."""
        found = []
        for _, owner, _, _, left, _, _ in self.words.members():
            if not left and owner != self.tree.ref and self.tree.ref_is_live(owner):
                found.append(owner)
        return found


def _failing(session: SessionView) -> list[Sink]:
    """Sinks that rows wait for because they cannot be written. Nothing waits for a copy."""
    return [sink for sink in sinks(session) if sink.error and not sink.is_follower]


__all__ = ["FULL_SECONDS", "Session"]
