"""A session: one stream object and all its copies in children. Control segment, members, lanes, flush barrier, sink table.

This is the producer's view; the aggregator's is ``aggregator/host.py``. Everything that must outlive a process is in the control
segment: a successor of the aggregator reads nothing else. Requests are words in it too (flush counters, states of sinks), so
none is lost with a connection.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from typing import Any

from shmrerun import _core
from shmrerun.errors import AggregatorError, FlushTimeoutError, SegmentError, SinkError, say, say_once
from shmrerun.shm import segments
from shmrerun.shm.session import BatchLimits, Sink, id_hash, lane_name, open_session, read_sink, read_text, session_name, sinks
from shmrerun.shm.tree import Tree, TreeEndedError

L = _core.LAYOUT
_MEMBERS, _MEMBER = L["session.member"], L["sizeof.member"]
_SINKS, _SINK = L["session.sink"], L["sizeof.sink"]

_IN_USE = (L["SINK_WANTED"], L["SINK_ACTIVE"], L["SINK_COMPLETING"])

FIRST_LANE_BYTES = 64 * 1024
FIRST_DICTIONARY_BYTES = 12 * 1024
FULL_SECONDS = 5.0  # a full lane that nobody empties for this long: rows are dropped, counted and reported


class Session:
    """This process's part in one session: its member slot and, from the first row on, its lane. Not inherited by fork."""

    def __init__(self, tree: Tree, serial: int, segment: _core.Segment) -> None:
        self.tree = tree
        self.serial = serial
        self.segment = segment
        self.token = segment.read(L["segment_head.token"], 16)
        self.stamp = _core.stamp()
        self.application_id = read_text(segment, "application")
        self.recording_id = read_text(segment, "recording")
        self.key = id_hash(self.application_id, self.recording_id)
        self.member = -1
        self.streams = 0  # of this process that are bound to it
        self.maker = segment.load(L["segment_head.maker"])
        self._lock = threading.RLock()
        self._lane: _core.Lane | None = None
        self._generation: _core.Segment | None = None
        self._ring_bytes = self._dictionary_bytes = 0
        self._message_turn = 0
        self._rows_before = 0  # in generations before the present one

    # ---- making and finding

    @classmethod
    def create(cls, tree: Tree, application_id: str, recording_id: str, batcher: BatchLimits, switches: int) -> Session:
        """Make a session in a tree and become its first member."""
        texts = {"application": application_id, "recording": recording_id}
        for name, text in texts.items():
            size = len(text.encode("utf-8", "surrogatepass"))
            if size > L["SESSION_TEXT"]:
                msg = f"the {name} id has {size} bytes in UTF-8, over the limit of {L['SESSION_TEXT']}: choose a shorter one"
                raise ValueError(msg)
        tree.claim()
        serial = tree.segment.add(L["tree.next_session"], 1)
        segment = segments.create(session_name(tree.token, serial), L["sizeof.session"])
        key = id_hash(application_id, recording_id)
        for name, text in texts.items():
            raw = text.encode("utf-8", "surrogatepass")
            segment.write(L[f"session.{name}"], raw)
            segment.store32(L[f"session.{name}_size"], len(raw))
        segment.store(L["session.state"], L["STATE_OPEN"])
        segment.store(L["session.flush_tick_nanos"], batcher.tick_nanos)
        segment.store(L["session.flush_bytes"], batcher.num_bytes)
        segment.store(L["session.flush_rows"], batcher.num_rows)
        segment.store(L["session.unsorted_rows"], batcher.unsorted_rows)
        segment.store(L["session.switches"], switches | (L["SWITCH_TICK_SET"] if batcher.tick_is_set else 0))
        segment.store(L["session.id_hash"], key)
        segments.publish(segment, L["SESSION_MAGIC"], token=os.urandom(16), serial=serial, maker=tree.ref)
        session = cls(tree, serial, segment)
        session.join()
        try:
            tree.add_session(serial, key)
        except SegmentError:
            segments.unlink(session_name(tree.token, serial))
            raise
        tree.ring()
        tree.ensure_aggregator()
        return session

    @classmethod
    def attach(cls, tree: Tree, serial: int) -> Session:
        """Find a session of the tree by its serial. TreeEndedError: it has ended."""
        try:
            segment = open_session(tree.token, serial)
        except FileNotFoundError as error:
            msg = f"the recording has ended (session {serial} of tree {tree.token})"
            raise TreeEndedError(msg) from error
        return cls(tree, serial, segment)

    def join(self) -> None:
        """Take a member slot. Idempotent. TreeEndedError: the session has ended; a later one must continue it."""
        with self._lock:
            if self.member >= 0:
                return
            self.tree.claim()
            segment, count = self.segment, L["SESSION_MEMBERS"]
            for step in range(count):
                index = (self.tree.index + step) % count
                at = _MEMBERS + index * _MEMBER
                if segment.load(at) == 0 and segment.swap(at, 0, self.tree.ref):
                    break
            else:
                msg = f"the recording has {count} processes, its limit (session {self.serial})"
                raise SegmentError(msg)
            _core.fence()  # SYNC POINT end: our slot, fence, their state
            deadline = time.monotonic() + 10
            while (state := segment.load(L["session.state"])) == L["STATE_ENDING"] and time.monotonic() < deadline:
                time.sleep(0.0005)
            if state != L["STATE_OPEN"]:
                segment.swap(at, self.tree.ref, 0)
                msg = f"the recording has ended (session {self.serial})"
                raise TreeEndedError(msg)
            self.member = index
            segment.add(L["session.sink_turn"], 1)

    def leave(self) -> None:
        """Log no more under this membership. The rows stay; the aggregator frees the slot when they are in the log."""
        with self._lock:
            if self.member < 0 or self.stamp != _core.stamp():
                return
            at = _MEMBERS + self.member * _MEMBER
            if self._generation is not None:
                self._generation.store(L["lane.closed"], L["LANE_LAST"])
            self.segment.store32(at + L["member.left"], 1)
            self.segment.add(L["session.sink_turn"], 1)
            self.member = -1
            if self._lane is not None:
                self._lane.close()
            self._lane = self._generation = None
            self.tree.ring()

    # ---- rows

    def lane(self) -> _core.Lane:
        """This process's lane; rows appended to it are safe when ``append`` returns. Its first segment comes with the first row."""
        with self._lock:
            if self._lane is None:
                self.join()
                self._lane = _core.Lane(self.tree.segment, self.segment, self.key)
            return self._lane

    def append(self, *row: Any) -> None:
        """Log one row (path, columns, parts, flags), or many as columns (path, columns, times' text, parts, flags).

        Published, and so safe, when this returns. Blocks only while every generation is full and over budget.
        """
        lane = self.lane()
        done = lane.append(*row) if len(row) == 4 else lane.append_columns(*row)
        if type(done) is tuple:
            self.append_slowly(row, done)
        elif done is not None:
            self.tree.ring() if done else self.widen()

    def look(self) -> None:
        """Look, ten times a second while rows are logged, whether the aggregator lives and has a message for us."""
        try:
            self.tree.ensure_aggregator()
        except AggregatorError as error:
            say_once("no aggregator", str(error))
        self.print_message()

    def print_message(self) -> None:
        """Print the aggregator's newest message to this session's owner, once."""
        turn = self.segment.load32(L["session.message_turn"])
        if turn == self._message_turn or turn & 1:
            return
        size = self.segment.load32(L["session.message_size"])
        text = self.segment.read(L["session.message"], min(size, 1016)).decode("utf-8", "replace")
        self._message_turn = turn
        if any(sink.owner == self.tree.ref for sink in sinks(self.segment)) or self.maker == self.tree.ref:
            say(text)

    def append_slowly(self, row: tuple[Any, ...], need: Any) -> None:
        """Grow the lane, else wait for space; after FULL_SECONDS without progress drop the row, counted."""
        waited, head, pause = 0.0, -1, 0.0002
        while True:
            try:
                grown = self._grow(*need)
            except SegmentError as error:
                self._drop("dropped_size", f"a row of {need[0]:,} bytes was dropped: {error}")
                return
            if not grown:
                self.tree.ring()
                time.sleep(pause)
                waited, pause = waited + pause, min(pause * 2, 0.01)
                position = self._position()[2]
                if position != head:
                    head, waited = position, 0.0
                if waited > 0.05:
                    self.look()
                if waited > FULL_SECONDS:
                    self._drop("dropped_full", self._full_text(waited))
                    return
            lane = self.lane()
            done = lane.append(*row) if len(row) == 4 else lane.append_columns(*row)
            if type(done) is not tuple:
                self.tree.ring()
                return
            need = done

    def _position(self) -> tuple[int, int, int, int]:
        return self._lane.position() if self._lane else (0, 0, 0, 0)

    def _full_text(self, waited: float) -> str:
        limit = self.tree.segment.load(L["tree.budget_limit"])
        bad = _failing(self.segment)
        why = f"{bad[0].path}: {os.strerror(bad[0].error)}" if bad else "the aggregator does not keep up"
        return (
            f"rows are being dropped: the lane of process {os.getpid()} was full for {waited:.0f} s ({why}; the budget of the "
            f"program is {limit:,} bytes of shared memory). Dropped rows are counted: shmrerun ps"
        )

    def _drop(self, counter: str, text: str) -> None:
        if self.member >= 0:
            self.segment.add(_MEMBERS + self.member * _MEMBER + L[f"member.{counter}"], 1)
        say_once(counter, text)

    # ---- lanes grow by succession

    def _grow(self, record: int, definition: int, generation: int) -> bool:
        """Make the next generation. True: try again at once. False: the budget is spent, wait. SegmentError: no memory at all."""
        with self._lock:
            self.lane()
            if self._generation is not None and self._position()[0] != generation:
                return True  # another thread was first
            ring, dictionary = self._sizes(record, definition)
            fits = self._generation is not None and self._will_fit(record) and dictionary == self._dictionary_bytes
            smallest = record + 4096
            while True:
                size = 512 + dictionary + ring
                if self._take_budget(size):
                    return self._succeed(size, dictionary, ring, shared=True)
                if ring // 2 < max(smallest, FIRST_LANE_BYTES):
                    break
                ring //= 2
                if fits and ring <= self._ring_bytes:
                    break
            if fits:
                return False
            limit = self.tree.segment.load(L["tree.budget_limit"])
            say_once("budget", f"over the budget of {limit:,} bytes of shared memory: a lane goes into a file mapping")
            return self._succeed(512 + dictionary + smallest, dictionary, smallest, shared=False)

    def _will_fit(self, record: int) -> bool:
        """Whether a record goes into the present generation once that is empty: records are contiguous, before its end or after."""
        offset = self._position()[1] % self._ring_bytes
        return record <= max(self._ring_bytes - offset, offset)

    def widen(self) -> None:
        """Double the lane: it is half full of rows that patience keeps back. As long as it takes a small part of the budget only."""
        self.tree.ring()
        with self._lock:
            ring = 2 * self._ring_bytes
            size = L["sizeof.lane"] + self._dictionary_bytes + ring
            if self._generation is None or size > self.tree.segment.load(L["tree.budget_limit"]) // 8 or not self._take_budget(size):
                return
            try:
                self._succeed(size, self._dictionary_bytes, ring, shared=True)
            except SegmentError as error:
                say_once("widen", str(error))

    def _sizes(self, record: int, definition: int) -> tuple[int, int]:
        """Ring and dictionary of the next generation: for four such records, doubled when it was full, with room for definitions."""
        first = self._generation is None
        dictionary = self._dictionary_bytes or FIRST_DICTIONARY_BYTES
        ring = self._ring_bytes or FIRST_LANE_BYTES - 512 - dictionary
        used = 0 if self._generation is None else self._generation.load(L["lane.dictionary_tail"])
        lacks_dictionary = definition > dictionary - used
        while definition > dictionary or (lacks_dictionary and not first and dictionary == self._dictionary_bytes):
            dictionary *= 2
        if not first and not lacks_dictionary:
            ring *= 2
        while record > ring // 4:
            ring *= 2
        return (ring + 4095) & ~4095 if ring > FIRST_LANE_BYTES else ring, dictionary

    def _take_budget(self, size: int) -> bool:
        segment = self.tree.segment
        if segment.add(L["tree.budget_used"], size) + size <= segment.load(L["tree.budget_limit"]):
            return True
        segment.add(L["tree.budget_used"], -size)
        return False

    def _succeed(self, size: int, dictionary: int, ring: int, *, shared: bool) -> bool:
        """Create, publish and use the next generation; then close the one before."""
        at = _MEMBERS + self.member * _MEMBER
        number = self.segment.load32(at + L["member.newest"])
        self.segment.store(at + L["member.intent_size"], size if shared else 0)
        self.segment.store32(at + L["member.intent"], number + 1)
        try:
            name = lane_name(self.tree.token, self.serial, self.member, number)
            segment = segments.create(name, size, shared=shared, first=L["sizeof.lane"] + dictionary + FIRST_LANE_BYTES)
        except SegmentError:
            self.segment.store32(at + L["member.intent"], 0)
            if shared:
                self.tree.segment.add(L["tree.budget_used"], -size)
            raise
        segment.store(L["lane.dictionary_offset"], L["sizeof.lane"])
        segment.store(L["lane.dictionary_size"], dictionary)
        segment.store(L["lane.ring_offset"], L["sizeof.lane"] + dictionary)
        segment.store(L["lane.ring_size"], ring)
        segments.publish(
            segment,
            L["LANE_MAGIC"],
            token=self.token,
            serial=self.serial,
            maker=self.tree.ref,
            generation=number,
            member=self.member,
        )
        self.segment.store32(at + L["member.newest"], number + 1)
        self.segment.store32(at + L["member.intent"], 0)
        self._rows_before += self._position()[3]
        self.lane().install(segment, number)
        if self._generation is not None:
            self._generation.store(L["lane.closed"], L["LANE_SUCCEEDED"])
        self._generation, self._ring_bytes, self._dictionary_bytes = segment, ring, dictionary
        self.segment.add(L["session.sink_turn"], 1)
        self.tree.ring()
        return True

    # ---- barriers

    def _wait(self, done: Any, timeout: float, what: str) -> None:
        """Wait until done() is true; the aggregator is started again if it dies. FlushTimeoutError, AggregatorError."""
        deadline = None if timeout > 1e9 else time.monotonic() + timeout
        pause, look = 0.00005, time.monotonic() + 0.05
        self.tree.ring()
        while not done():
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                msg = f"{what} timed out after {timeout:g} s - not all log messages were sent (recording {self.recording_id})"
                raise FlushTimeoutError(msg)
            if now >= look:
                look = now + 0.05
                self.tree.ensure_aggregator()
                self.tree.ring()
                self.print_message()
            time.sleep(pause)
            pause = min(pause * 1.3, 0.002)

    def flush(self, timeout: float = float("inf")) -> None:
        """Barrier over all lanes: every row published before the call is in the log when this returns.

        A request is a counter in shared memory, so it survives the aggregator's death. SinkError: the file cannot be written;
        FlushTimeoutError: not in time.
        """
        segment = self.segment
        wanted = segment.add(L["session.flush_wanted"], 1) + 1
        patience = time.monotonic() + min(1.0, timeout)

        def done() -> bool:
            if segment.load(L["session.flush_done"]) >= wanted:
                return True
            bad = _failing(segment)
            if bad and time.monotonic() > patience:
                msg = f"cannot write {bad[0].path}: {os.strerror(bad[0].error)}. Rows wait in shared memory; make room and flush again"
                raise SinkError(msg)
            return False

        self._wait(done, timeout, "Flush")

    # ---- sinks

    def active_sink(self) -> Sink | None:
        """The sink that rows go to now (wanted ones count), or None while they are buffered."""
        found = [s for s in sinks(self.segment) if s.state in _IN_USE and not _is_buffer(s) and not s.flags & L["SINK_COPY"]]
        return max(found, key=lambda sink: sink.number) if found else None

    def may_set_sink(self) -> bool:
        """Whether this process may replace the sink: it is its owner, or the owner is gone, or there is none."""
        sink = self.active_sink()
        if sink is not None:
            return sink.owner == self.tree.ref or not self.tree.ref_is_live(sink.owner)
        return True

    def set_sink(self, kind: int, flags: int, path: str = "", fd: int = -1, timeout: float = 30.0) -> Sink:
        """Ask for a sink in place of the present one and wait until it is in the table as active.

        ``fd`` is the file as this process opened it. SinkError: the aggregator could not open it.
        """
        raw = os.fsencode(path)
        if len(raw) >= L["SESSION_PATH"]:
            msg = f"the path has {len(raw)} bytes, over the limit of {L['SESSION_PATH'] - 1}: {path}"
            raise SinkError(msg)
        self.join()
        with self._lock:
            segment = self.segment
            slot = self._free_sink()
            at = _SINKS + slot * _SINK
            found = os.fstat(fd) if fd >= 0 else None
            number = segment.add(L["session.sink_turn"], 1) + 1
            head = struct.pack(
                "<IIQQQQQQQIII", kind, flags, self.tree.ref, number, found.st_dev if found else 0, found.st_ino if found else 0,
                0, 0, 0, os.getpid(), max(fd, 0), len(raw),
            )  # fmt: skip
            segment.write(at + L["sink.path"], raw)
            segment.write(at + L["sink.kind"], head)
            segment.store(at, L["SINK_WANTED"])
            segment.add(L["session.sink_turn"], 1)
        self._wait(lambda: segment.load(at) != L["SINK_WANTED"], timeout, "Opening a sink")
        sink = read_sink(segment, slot)
        if sink.state == L["SINK_FAILED"]:
            segment.store(at, L["SINK_FREE"])
            msg = f"the aggregator cannot open {path}: {os.strerror(sink.error)}"
            raise SinkError(msg)
        return sink

    def _free_sink(self) -> int:
        for slot in range(L["SESSION_OWN_SINKS"]):
            if self.segment.swap(_SINKS + slot * _SINK, L["SINK_FREE"], L["SINK_MAKING"]):
                return slot
        msg = f"the recording has {L['SESSION_OWN_SINKS']} sinks, its limit (session {self.serial})"
        raise SinkError(msg)

    def close_sink(self, timeout: float = float("inf")) -> None:
        """Barrier over all lanes, footer, file closed; rows after it are buffered. No sink: nothing to do."""
        self._ask_sink("SINK_CLOSING", timeout)

    def complete_sink(self, timeout: float = float("inf")) -> None:
        """Barrier over all lanes, footer; rows of others that come late are still added. No sink: nothing to do."""
        self._ask_sink("SINK_COMPLETING", timeout)

    def _ask_sink(self, request: str, timeout: float) -> None:
        sink = self.active_sink()
        if sink is None:
            return
        self.segment.swap(_SINKS + sink.slot * _SINK, L["SINK_ACTIVE"], L[request])
        self.segment.add(L["session.sink_turn"], 1)
        began = time.monotonic()

        def done() -> bool:
            found, now = read_sink(self.segment, sink.slot), time.monotonic()
            if found.state != L[request] or found.number != sink.number:
                return True
            if found.error and now > began + 2:
                why = f"{os.strerror(found.error)}. Rows wait in shared memory; make room and disconnect again"
                raise SinkError(f"cannot finish {sink.path}: {why}")
            return False

        self._wait(done, timeout, "Closing a sink")

    # ---- others

    def other_members(self) -> list[int]:
        """References of other processes of the session that are not known to be dead or done."""
        table = self.segment.read(_MEMBERS, L["SESSION_MEMBERS"] * _MEMBER)
        found = []
        for index in range(L["SESSION_MEMBERS"]):
            owner, _, _, _, left = struct.unpack_from("<QIIII", table, index * _MEMBER)
            if owner and not left and owner != self.tree.ref and self.tree.ref_is_live(owner):
                found.append(owner)
        return found

    def rows_waiting(self) -> int:
        """Rows of this process that are in no log yet."""
        if self.member < 0:
            return 0
        at = _MEMBERS + self.member * _MEMBER
        done = self.segment.load(at + L["member.rows"]) + self.segment.load(at + L["member.lost"])
        return self._rows_before + self._position()[3] - done


def _failing(segment: _core.Segment) -> list[Sink]:
    """Sinks that rows wait for because they cannot be written. Nothing waits for a copy."""
    return [sink for sink in sinks(segment) if sink.error and not sink.flags & L["SINK_COPY"]]


def _is_buffer(sink: Sink) -> bool:
    """A spool that only keeps rows until somebody sets a sink."""
    return sink.kind == L["SINK_SPOOL"] and not sink.flags & L["SINK_PIECES"]
