"""From rows that wait in the hopper to chunks in the log: groups by shape, families that share chunks, and what happens when one fails.

Whatever goes wrong while a chunk is made or written, the rows are pending again before anything else happens. A file that cannot be written
is tried again later; rows that cannot be encoded are tried again, then one by one, and those that fail alone are lost and counted.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from shmrerun.aggregator import faults
from shmrerun.aggregator.merge import Family, Group, Shape, Taken
from shmrerun.shm.words import SessionView

if TYPE_CHECKING:
    from shmrerun import _core
    from shmrerun.aggregator.batcher import Batcher
    from shmrerun.aggregator.commit_log import CommitLog
    from shmrerun.aggregator.feed import Feed
    from shmrerun.aggregator.lanes import Lanes

CHUNK_BYTES = 4 << 20  # rows that pile up are cut into chunks of this size, small enough for caches, large enough for readers
MOST_BYTES = 512 << 20  # and never over this, whatever the batcher's limit
RETRY_NANOS = 500_000_000  # a file that could not be written is tried again this often
ENCODE_TRIES = 3  # so often a chunk is tried before its rows are tried one by one


class Host(Protocol):
    """The session that is written."""

    words: SessionView
    failures: int  # turns that failed in a row before this one

    def say(self, text: str) -> None:
        """Leave a message for the owner."""


class Writer:
    """Groups of one session and their way into its log. One thread."""

    def __init__(self, host: Host, hopper: _core.Hopper, batcher: Batcher, feed: Feed, unsorted_rows: int) -> None:
        self._host, self._hopper, self._batcher, self._feed = host, hopper, batcher, feed
        self._unsorted_rows = unsorted_rows
        self._most_bytes = min(max(CHUNK_BYTES, batcher.num_bytes), MOST_BYTES)
        self._groups: dict[int, Group] = {}
        self._shapes: dict[tuple[int, bytes, bytes], Shape] = {}
        self._group_of: dict[Shape, dict[str, int]] = {}  # by path
        self._families: dict[int, Family] = {}  # of the groups that are not alone in theirs
        self._first_of: dict[tuple[Any, ...], dict[str, int]] = {}  # what a family has in common, and path -> its first group
        self._failures: dict[int, int] = {}  # group -> chunks of it that could not be made in a row
        self._under_way: list[tuple[int, list[Taken], int]] = []  # chunks that the log has not got yet: their end in it, rows, bytes
        self.rows, self.chunks, self.written_bytes = host.words.rows, host.words.chunks, host.words.written_bytes  # in the log
        self.retry = 0  # CLOCK_MONOTONIC ns: not before, unless somebody asks

    # ---- in

    def drain(self, lanes: Lanes) -> None:
        """Index every row published so far."""
        for reader, shape, flags, path, times, columns in self._hopper.scan():
            group = self._group_number(path, (flags, times, columns))
            if group:
                self._hopper.define(reader, shape, group)
            else:
                lanes.put_aside(reader)
        tick = self._hopper.next_tick
        self._hopper.collect(self._feed.size())
        if self._hopper.next_tick != tick:
            self._host.words.next_tick = self._hopper.next_tick  # before any of them is written
        lanes.refuse_broken()

    def _group_number(self, raw_path: bytes, definition: tuple[int, bytes, bytes]) -> int:
        """The group of a shape and an entity; 0: it makes no sense.

        What does not parse is told by a ValueError. Anything else may pass (no memory, an import that failed), so it is tried again.
        """
        try:
            path = raw_path.decode("utf-8")
            shape = self._shapes.get(definition)
            if shape is None:
                shape = self._shapes[definition] = Shape(*definition)
        except Exception as error:
            if isinstance(error, MemoryError) or (not isinstance(error, ValueError) and self._host.failures < ENCODE_TRIES):
                raise
            self._host.say(f"a lane defines a shape that makes no sense: {error}")
            return 0
        known = self._group_of.setdefault(shape, {})
        group = known.get(path)
        if group is None:
            group = self._hopper.add_group(shape.nodes, shape.times_in_records)
            self._groups[group] = Group(path, shape)
            self._find_family(group, path, shape)
            known[path] = group
        return group

    def _find_family(self, group: int, path: str, shape: Shape) -> None:
        """Most entities are logged in one way, so a family is made when its second group comes."""
        if shape.is_alone:
            return
        first = self._first_of.setdefault(shape.family, {}).setdefault(path, group)
        if first == group:
            return
        family = self._families.get(first) or Family(first, self._groups[first].shape)
        if family.admit(group, shape):
            self._families[first] = self._families[group] = family

    # ---- out

    def flush(self, now: int, *, everything: bool, asked: bool) -> bool:
        """Write the groups that are due. False: not all of it; the rows stay in their lanes.

        A file that cannot be written ends the round. A group that cannot be made into a chunk holds up nobody but itself. What was
        written is in the log when this returns.
        """
        pending = self._hopper.pending()
        if not pending:
            return True
        pressed = self._hopper.pressed()
        if self._feed.log is None:
            if not pressed or not self._feed.open_spool():
                return True  # buffered: the rows are as safe in their lanes as in a spool
        elif now < self.retry and not asked:
            return False
        due = [group for group, _, _ in pending] if everything else self._batcher.due(pending, now)
        messages = [group for group, _, _ in pending if self._groups[group].shape.is_message]  # due at once, and before what waits
        waiting = {group: (rows, size) for group, rows, size in pending}
        clean, before = True, self.chunks
        for group in [*messages, *due, *pressed]:
            groups = self._together(group, waiting)
            if groups and not self._write(groups):
                clean = False
                if self._feed.failing():
                    break
            for tried in groups:
                del waiting[tried]
        clean = self._settle() and clean
        if not clean:
            self.retry = now + RETRY_NANOS
        elif self.chunks != before:
            self._feed.worked()
        return clean

    def _together(self, group: int, waiting: dict[int, tuple[int, int]]) -> list[int]:
        """The groups to write with this one into a chunk, itself included; none if it has been written."""
        if group not in waiting:
            return []
        if group in self._failures:
            return [group]
        kin = self._families.get(group)
        if kin is None:
            return [group]
        family = [number for number in kin.numbers if number in waiting and number not in self._failures]
        rows, size = (sum(column) for column in zip(*(waiting[number] for number in family), strict=True))
        if rows <= min(self._batcher.num_rows, self._unsorted_rows) and size <= self._most_bytes:
            return family
        return [group]

    def _write(self, groups: list[int]) -> bool:
        """Write all pending rows of a group, or of several of one family. False: not now; what was not written is pending."""
        log = self._feed.log
        assert log is not None
        while taken := self._take_all(groups):
            before = log.end
            try:
                size = self._append(log, taken)
            except BaseException as error:
                self._commit(log)
                is_message = taken[0].group.shape.is_message
                may_be_there = log.end != before or (is_message and not isinstance(error, ValueError))
                if may_be_there and not isinstance(error, OSError):
                    raise  # who hosts the session next looks for them in the log
                for part in taken:
                    self._hopper.restore(part.token)
                if isinstance(error, OSError):
                    self._failed(log, error)
                    return False
                if not isinstance(error, Exception):
                    raise
                if not self._lose_one(groups, taken, error):
                    return False
                continue
            self._under_way.append((log.end, taken, size))
            self._commit(log)
        for group in groups:
            self._batcher.flushed(group)
            self._failures.pop(group, None)
        return True

    def _append(self, log: CommitLog, taken: list[Taken]) -> int:
        if taken[0].group.shape.is_message:
            return log.append_messages(taken[0].columns[0][1][-1])
        if len(taken) > 1:
            chunk = Family.chunk(taken)
        else:
            chunk = taken[0].group.chunk(*taken[0].cells)
        return log.append(chunk, wait=False)

    def _commit(self, log: CommitLog) -> None:
        """The rows of the chunks that are in the log."""
        while self._under_way and self._under_way[0][0] <= log.size:
            _, taken, size = self._under_way.pop(0)
            for part in taken:
                self._hopper.commit(part.token)
                self.rows += part.rows
            self.chunks += 1
            self.written_bytes += size

    def _settle(self) -> bool:
        """Wait for the chunks that are under way. False: they are not in the log, and their rows are pending again."""
        log = self._feed.log
        if log is None or not self._under_way:
            return True
        try:
            log.settle()
        except OSError as error:
            self._failed(log, error)
            return False
        self._commit(log)
        return True

    def _failed(self, log: CommitLog, error: OSError) -> None:
        """The log could not be written: what was under way, and is not in it now, is pending again."""
        with contextlib.suppress(OSError):
            log.settle()  # the error may be another one's, and the rest be there in a moment
        self._commit(log)
        for _, taken, _ in self._under_way:
            for part in taken:
                self._hopper.restore(part.token)
        self._under_way.clear()
        self._feed.failed(error)

    def _lose_one(self, groups: list[int], taken: list[Taken], error: Exception) -> bool:
        """Rows that were restored do not become a chunk. False: try again later, as it may pass, or want of memory; True: go on at once.

        After some tries rows are taken one by one, and one that fails alone, in a fresh process as well, is lost.
        """
        if isinstance(error, MemoryError):
            return False
        for group in groups:
            self._failures[group] = self._failures.get(group, 0) + 1
        alone = len(groups) == 1 and self._failures[groups[0]] > ENCODE_TRIES
        if alone and sum(part.rows for part in taken) == 1 and faults.may_begin_anew():
            raise faults.UnsureError(f"a row of {taken[0].group.path}") from error
        if alone and sum(part.rows for part in taken) == 1 and (part := self._take(groups[0])) is not None:
            self._host.say(f"a row of {part.group.path} cannot be encoded and is lost: {error!r}")
            self._host.words.add(SessionView.dropped, part.rows)
            self._host.words.failures += part.rows
            self._hopper.commit(part.token)
        return alone

    def _take_all(self, groups: list[int]) -> list[Taken]:
        taken: list[Taken] = []
        try:
            for group in groups:
                rows = self._take(group)
                if rows is not None:
                    taken.append(rows)
        except BaseException:
            for part in taken:
                self._hopper.restore(part.token)
            raise
        return taken

    def _take(self, number: int) -> Taken | None:
        """The next rows of a group that make one chunk."""
        group = self._groups[number]
        most = 1 if group.shape.is_alone or self._failures.get(number, 0) > ENCODE_TRIES else max(1, self._batcher.num_rows)
        while True:
            token, rows, lost, ids, times, ticks, columns = self._hopper.take(number, self._unsorted_rows, most, self._most_bytes)
            if lost:
                self._host.say(f"{lost} rows of {group.path} could not be read and are lost: their lane is damaged")
            if rows or not lost:
                return Taken(group, number, token, rows, ids, times, ticks, columns) if rows else None

    def drop_rest(self) -> int:
        """Everybody left and there is no sink: the rows can go nowhere. Returns how many."""
        dropped = 0
        for group, rows, _ in self._hopper.pending():
            while rows > 0:
                token, taken, lost, *_ = self._hopper.take(group, self._unsorted_rows, (1 << 64) - 1, MOST_BYTES)
                self._hopper.commit(token)
                dropped += taken
                rows -= taken + lost
        return dropped
