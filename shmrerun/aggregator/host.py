"""One session as the aggregator hosts it: its lanes in, chunks out, its sink table obeyed, its end.

A *turn* does everything once, in an order that the promises rest on: requests are read before lanes, liveness before tails; rows
are written, then heads move, then ``scan_from``, then segments go. All that a successor needs is in the control segment.
"""

from __future__ import annotations

import contextlib
import struct
import sys
from typing import TYPE_CHECKING, Any

from shmrerun import _core
from shmrerun.aggregator.batcher import Batcher
from shmrerun.aggregator.merge import Family, Group, Taken
from shmrerun.aggregator.notes import note_drops
from shmrerun.aggregator.outlet import Outlet
from shmrerun.shm import segments
from shmrerun.shm.session import Sink, lane_name, open_session, read_sink, read_text, session_name, sinks

if TYPE_CHECKING:
    from shmrerun.shm.tree import Tree

L = _core.LAYOUT
_MEMBERS, _MEMBER = L["session.member"], L["sizeof.member"]
_SINKS, _SINK = L["session.sink"], L["sizeof.sink"]
_REQUESTS = (L["SINK_WANTED"], L["SINK_CLOSING"], L["SINK_COMPLETING"])
CHUNK_BYTES = 4 << 20  # rows that pile up are cut into chunks of this size, small enough for caches, large enough for readers
MOST_BYTES = 512 << 20  # and never over this, whatever the batcher's limit
RETRY_NANOS = 500_000_000  # a file that could not be written is tried again this often


class Host:
    """A hosted session. One thread."""

    def __init__(self, tree: Tree, serial: int) -> None:
        self.tree = tree
        self.serial = serial
        self.segment = open_session(tree.token, serial)
        self.token = self.segment.read(L["segment_head.token"], 16)
        self.hopper = _core.Hopper()
        self.hopper.next_tick = self.segment.load(L["session.next_tick"])
        load = self.segment.load
        patient = not load(L["session.switches"]) & L["SWITCH_TICK_SET"]
        self.batcher = Batcher(
            load(L["session.flush_tick_nanos"]),
            load(L["session.flush_bytes"]),
            load(L["session.flush_rows"]),
            patient=patient,
        )
        self.unsorted_rows = load(L["session.unsorted_rows"])
        self._most_bytes = min(max(CHUNK_BYTES, self.batcher.num_bytes), MOST_BYTES)
        self.outlet = Outlet(self)
        self.ended = False
        self._groups: list[Group] = []
        self._group_of: dict[tuple[int, bytes, bytes, bytes], int] = {}
        self._families: list[Family] = []  # of the groups, in their order
        self._family_of: dict[tuple[Any, ...], Family] = {}
        self._readers: dict[tuple[int, int], int] = {}  # (member, generation) -> reader of the hopper
        self._members: list[tuple[int, ...]] = []  # (index, owner, oldest, newest, intent, left)
        self._turn = -1
        self._rows = self._counted = load(L["session.rows"])
        self._base: dict[int, list[int]] = {}  # member -> rows and lost of its generations that are gone
        self._retry = 0
        self._pressed: set[int] = set()
        self.outlet.resume()

    # ---- a turn

    def turn(self, now: int, dead: set[int], *, end_all: bool = False) -> int | None:
        """Do all that is to do; returns when the next turn is due (CLOCK_MONOTONIC ns), None if only a request can bring work.

        ``dead``: process references known dead before this turn. ``end_all``: finish every file now (SIGTERM).
        """
        wanted = self.segment.load(L["session.flush_wanted"])
        turn = self.segment.load(L["session.sink_turn"])
        if turn != self._turn or dead:
            self._turn = turn
            self._find_members()
        requests = [sink for sink in sinks(self.segment) if sink.state in _REQUESTS] if turn else []
        self._drain()
        flush = wanted != self.segment.load(L["session.flush_done"])
        ending = self._all_left(dead)
        everything = flush or bool(requests) or ending or end_all
        clean = self._flush(now, everything=everything, asked=everything)
        for sink in requests:
            self.outlet.obey(sink, clean=clean)
        if requests and self.outlet.log is not None:
            clean = self._flush(now, everything=True, asked=True)  # what had been buffered goes to the new sink at once
        if ending and not self.outlet.log:
            self._drop_rest()
            clean = True
        self.commit()
        self.outlet.follow()
        if end_all and clean:
            self.outlet.complete()
        if flush and clean:
            self.segment.store(L["session.flush_done"], wanted)
        self._remove_finished(dead)
        if ending and not self._members:
            self._end()
        due = self.batcher.next_due()
        return max(due, self._retry) if due is not None else None

    def busy(self) -> bool:
        """Whether rows or requests wait, looked at after arming the doorbell (SYNC POINT wake, consumer's half)."""
        if self.segment.load(L["session.flush_wanted"]) != self.segment.load(L["session.flush_done"]):
            return not self.outlet.failing()
        if self.segment.load(L["session.sink_turn"]) != self._turn:
            return True
        return self.hopper.has_news()

    # ---- members and their lanes

    def has_member(self, ref: int) -> bool:
        """Whether a process is (still) a member."""
        return any(owner == ref for _, owner, _, _, _, _ in self._members)

    def _find_members(self) -> None:
        table = self.segment.read(_MEMBERS, L["SESSION_MEMBERS"] * _MEMBER)
        owners = memoryview(table).cast("Q")[:: _MEMBER // 8].tolist()
        self._members = [(index, *struct.unpack_from("<QIIII", table, index * _MEMBER)) for index, owner in enumerate(owners) if owner]
        for index, _, oldest, newest, _, _ in self._members:
            for generation in range(oldest, newest):
                if (index, generation) not in self._readers:
                    self._open_lane(index, generation)

    def _open_lane(self, member: int, generation: int) -> None:
        name = lane_name(self.tree.token, self.serial, member, generation)
        try:
            segment = segments.attach(name, L["LANE_MAGIC"], L["sizeof.lane"], self.token)
            self._readers[member, generation] = self.hopper.add_reader(segment)
        except FileNotFoundError:
            self._readers[member, generation] = -1  # committed and unlinked by an aggregator that died right after
        except (ValueError, RuntimeError) as error:
            self._readers[member, generation] = -1
            self.say(f"a lane cannot be read and is put aside: {error}")

    def _drain(self) -> None:
        """Index every row published so far."""
        for reader, shape, flags, path, times, columns in self.hopper.scan():
            key = (flags, path, times, columns)
            group = self._group_of.get(key)
            if group is None:
                try:
                    made = Group(*key)
                    group = self.hopper.add_group(made.nodes(), made.times_in_records())
                    self._groups.append(made)
                    self._find_family(group, made)
                except (ValueError, UnicodeDecodeError) as error:
                    self.say(f"a lane defines a shape that makes no sense, and is put aside: {error}")
                    group = 0
                self._group_of[key] = group
            self.hopper.define(reader, shape, group)
        tick = self.hopper.next_tick
        self.hopper.collect(self.outlet.size())
        if self.hopper.next_tick != tick:
            self.segment.store(L["session.next_tick"], self.hopper.next_tick)  # before any of them is written

    def _find_family(self, number: int, group: Group) -> None:
        key = Family.key(group)
        family = self._family_of.setdefault(key, Family())
        if not family.admit(number, group):
            family = Family()
            family.admit(number, group)
        self._families.append(family)

    # ---- rows out

    def _flush(self, now: int, *, everything: bool, asked: bool) -> bool:
        """Write the groups that are due. False: the file cannot be written now; the rows stay in their lanes."""
        pending = self.hopper.pending()
        if not pending:
            return True
        pressed = self.hopper.pressed()
        if self.outlet.log is None:
            if not pressed:
                return True  # buffered: the rows are as safe in their lanes as in a spool
            self.outlet.open_spool()
            if self.outlet.log is None:
                return True
        elif now < self._retry and not asked:
            return False
        due = [group for group, _, _ in pending] if everything else self.batcher.due(pending, now)
        waiting = {group: (rows, size) for group, rows, size in pending}
        for group in [*due, *pressed]:
            groups = self._together(group, waiting)
            if groups and not self._write(groups):
                self._retry = now + RETRY_NANOS
                return False
            for written in groups:
                del waiting[written]
        return True

    def _together(self, group: int, waiting: dict[int, tuple[int, int]]) -> list[int]:
        """The groups to write with this one into a chunk, itself included; none if it has been written."""
        if group not in waiting:
            return []
        family = [number for number in self._families[group - 1].numbers if number in waiting]
        rows, size = (sum(column) for column in zip(*(waiting[number] for number in family), strict=True))
        if rows <= min(self.batcher.num_rows, self.unsorted_rows) and size <= self._most_bytes:
            return family
        return [group]

    def _write(self, groups: list[int]) -> bool:
        """Write all pending rows of a group, or of several of one family. False: the write failed; nothing of it is in the file."""
        log = self.outlet.log
        assert log is not None
        family = self._families[groups[0] - 1]
        while taken := [rows for group in groups if (rows := self._take(group)) is not None]:
            count = sum(part.rows for part in taken)
            try:
                chunk = family.chunk(taken) if len(taken) > 1 else taken[0].group.chunk(*taken[0][3:])
                size = log.append(chunk)
                self._rows += count
                self.segment.add(L["session.chunks"], 1)
                self.segment.add(L["session.bytes"], size)
            except OSError as error:
                for part in taken:
                    self.hopper.restore(part.token)
                self.outlet.failed(error)
                return False
            except (ValueError, ArithmeticError) as error:
                self.say(f"{count} rows of {taken[0].group.path} cannot be encoded and are lost: {error}")
                self.segment.add(L["session.dropped"], count)
            for part in taken:
                self.hopper.commit(part.token)
        for group in groups:
            self.batcher.flushed(group)
        self.outlet.worked()
        return True

    def _take(self, number: int) -> Taken | None:
        """The next rows of a group that make one chunk."""
        group = self._groups[number - 1]
        most = 1 if group.has_columns else max(1, self.batcher.num_rows)
        while True:
            token, rows, lost, ids, times, ticks, columns = self.hopper.take(number, self.unsorted_rows, most, self._most_bytes)
            if lost:
                self.say(f"{lost} rows of {group.path} could not be read and are lost: their lane is damaged")
            if rows or not lost:
                return Taken(group, token, rows, ids, times, ticks, columns) if rows else None

    def commit(self) -> None:
        """Heads, then scan_from: rows before a head are in the log; none at or behind a head lies before scan_from."""
        self.segment.store(L["session.rows"], self._rows)
        if self._counted != self._rows:
            self._counted = self._rows
            self._count_members()
        oldest = self.hopper.advance()
        self.outlet.scanned(oldest)
        if dropped := self.outlet.trim():
            self.segment.add(L["session.dropped_limit"], dropped)
            self.say(f"{dropped:,} buffered rows were dropped, the oldest first: no sink is set, and the buffer is full. Call save()")

    def _count_members(self) -> None:
        """Rows in the log, and rows lost, of each member: since this aggregator took over, on top of what it found."""
        done: dict[int, list[int]] = {}
        for (member, _), reader in self._readers.items():
            if reader >= 0:
                _, _, _, _, _, rows, lost, _ = self.hopper.reader(reader)
                sums = done.setdefault(member, [0, 0])
                sums[0] += rows
                sums[1] += lost
        for member, (rows, lost) in done.items():
            base = self._base.setdefault(member, [self._member_word(member, "rows"), self._member_word(member, "lost")])
            self.segment.store(_MEMBERS + member * _MEMBER + L["member.rows"], base[0] + rows)
            self.segment.store(_MEMBERS + member * _MEMBER + L["member.lost"], base[1] + lost)

    def _member_word(self, member: int, word: str) -> int:
        return self.segment.load(_MEMBERS + member * _MEMBER + L[f"member.{word}"])

    def _drop_rest(self) -> None:
        """Everybody left and there is no sink: the rows can go nowhere."""
        dropped = 0
        for group, rows, _ in self.hopper.pending():
            while rows > 0:
                token, taken, lost, *_ = self.hopper.take(group, self.unsorted_rows, (1 << 64) - 1, MOST_BYTES)
                self.hopper.commit(token)
                dropped += taken + lost
                rows -= taken + lost
        if dropped:
            self.segment.add(L["session.dropped_limit"], dropped)

    # ---- the end of lanes, members and the session

    def _all_left(self, dead: set[int]) -> bool:
        return all(left or owner in dead for _, owner, _, _, _, left in self._members)

    def _remove_finished(self, dead: set[int]) -> None:
        """Unlink generations whose rows are all in the log; free members that have none left and will make no more."""
        kept: list[tuple[int, ...]] = []
        for index, owner, oldest, newest, intent, left in self._members:
            gone = owner in dead
            while oldest < newest:
                if not self._is_finished(index, oldest, newest, gone=gone or bool(left)):
                    break
                self._remove_lane(index, oldest)
                oldest += 1
                self.segment.store32(_MEMBERS + index * _MEMBER + L["member.oldest"], oldest)
            if oldest == newest and (gone or left) and not self._free_member(index, owner, newest, gone=gone):
                continue
            kept.append((index, owner, oldest, newest, intent, left))
        self._members = kept

    def _is_finished(self, member: int, generation: int, newest: int, *, gone: bool) -> bool:
        reader = self._readers.get((member, generation), -1)
        if reader < 0:
            return True
        closed, tail, read, head, rows, _, _, broken = self.hopper.reader(reader)
        if rows or (broken is None and (read != tail or head != read)):
            return False
        if broken is not None and (gone or generation < newest - 1):
            self.say(f"a lane was damaged ({broken}) and put aside")
            return True
        return closed != L["LANE_OPEN"] or gone

    def _remove_lane(self, member: int, generation: int) -> None:
        reader = self._readers.pop((member, generation), -1)
        name = lane_name(self.tree.token, self.serial, member, generation)
        if reader >= 0:
            _, _, _, _, _, rows, lost, _ = self.hopper.reader(reader)
            base = self._base.setdefault(member, [self._member_word(member, "rows"), self._member_word(member, "lost")])
            base[0] += rows
            base[1] += lost
            self.hopper.remove_reader(reader)
        try:
            size = segments.size_of(name)
        except OSError:
            size = 0  # a file mapping: not of the budget
        if segments.unlink(name):
            self.tree.give_budget(size)

    def _free_member(self, index: int, owner: int, newest: int, *, gone: bool) -> bool:
        """Give a slot back. True: its process made a lane meanwhile, look again."""
        at = _MEMBERS + index * _MEMBER
        if gone:
            intent = self.segment.load32(at + L["member.intent"])
            if intent > newest:  # died while making the next generation: remove what there is of it
                segments.unlink(lane_name(self.tree.token, self.serial, index, intent - 1))
                self.tree.give_budget(self.segment.load(at + L["member.intent_size"]))
        if self.segment.load32(at + L["member.newest"]) != newest:
            self._turn = -1
            return True
        causes = {word: self._member_word(index, word) for word in ("dropped_full", "dropped_size", "lost")}
        if any(causes.values()):
            if self.outlet.log is not None:
                try:
                    note_drops(self.outlet.log, self.outlet.seen, self.token, owner, causes)
                except OSError as error:
                    self.outlet.failed(error)
            self.segment.add(L["session.dropped"], sum(causes.values()))
        self._base.pop(index, None)
        self.segment.write(at + 8, bytes(_MEMBER - 8))
        self.segment.swap(at, owner, 0)
        return False

    def _end(self) -> None:
        """The last member is gone: footer, and nothing of the session remains; unless somebody joins at this moment."""
        state = L["session.state"]
        self.segment.store(state, L["STATE_ENDING"])
        _core.fence()  # SYNC POINT end: our state, fence, the slots; joiners: slot, fence, state
        self._find_members()
        if self._members or not self.outlet.end():
            self.segment.store(state, L["STATE_OPEN"])
            return
        self.tree.remove_session(self.serial)
        segments.unlink(session_name(self.tree.token, self.serial))
        self.segment.store(state, L["STATE_ENDED"])
        self.ended = True

    def abandon(self, dead: set[int]) -> bool:
        """Give up a session that fails in every turn, once nobody is left in it: finish its file as far as it goes, remove its memory."""
        table = self.segment.read(_MEMBERS, L["SESSION_MEMBERS"] * _MEMBER)
        members = [(index, *struct.unpack_from("<QIIII", table, index * _MEMBER)) for index in range(L["SESSION_MEMBERS"])]
        if any(owner and not left and owner not in dead for _, owner, _, _, _, left in members):
            return False
        with contextlib.suppress(Exception):
            rows = sum(rows for _, rows, _ in self.hopper.pending())
            self.segment.add(L["session.dropped"], rows)
            sys.stderr.write(f"gave up session {self.serial} with {rows} rows in its lanes\n")
            self.outlet.end()
        for index, owner, oldest, newest, intent, _ in members:
            for generation in range(oldest, max(newest, intent)) if owner else ():
                segments.unlink(lane_name(self.tree.token, self.serial, index, generation))
        self.tree.remove_session(self.serial)
        segments.unlink(session_name(self.tree.token, self.serial))
        self.segment.store(L["session.state"], L["STATE_ENDED"])
        return True

    # ---- words to the owner

    def say(self, text: str) -> None:
        """Leave a message that the session's owner prints at its next call."""
        raw = text.encode("utf-8")[:1016]
        turn = self.segment.load32(L["session.message_turn"]) | 1
        self.segment.store32(L["session.message_turn"], turn)
        self.segment.write(L["session.message"], raw)
        self.segment.store32(L["session.message_size"], len(raw))
        self.segment.store32(L["session.message_turn"], turn + 1)

    def sink_entry(self, slot: int) -> Sink:
        """One entry of the sink table as it is now."""
        return read_sink(self.segment, slot)

    def set_sink_word(self, slot: int, field: str, value: int) -> None:
        """Store one word of an entry; ``state`` last."""
        self.segment.store(_SINKS + slot * _SINK + L[f"sink.{field}"], value)

    def ids(self) -> tuple[str, str]:
        """Application and recording id."""
        return read_text(self.segment, "application"), read_text(self.segment, "recording")
