"""All that follows one session's log: opened, told of news, asked whether it has all, counted when it ends without.

A follower is a thread of the aggregator (copies of files, FIFOs, devices) or the aggregator's view of what another process serves.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from shmrerun.aggregator.follower import FileCopy, Follower, Pipe
from shmrerun.aggregator.log_files import open_callers
from shmrerun.aggregator.served import LAG_BYTES, Served
from shmrerun.shm.locks import WRITER, lock_file
from shmrerun.shm.served import read_why
from shmrerun.shm.words import SINK_BESIDE, SINK_CUSTOM, SINK_NO_FOOTER, SINK_ODD_FILE, SINK_READER, SessionView

if TYPE_CHECKING:
    from shmrerun.aggregator.commit_log import CommitLog
    from shmrerun.aggregator.sink_table import Control, SinkTable
    from shmrerun.shm.session import Sink


class Followers:
    """The followers of a session's present log. Of the drain's thread."""

    def __init__(self, control: Control, table: SinkTable) -> None:
        self._control = control
        self._table = table
        self._by_slot: dict[int, Follower | Served] = {}

    def __len__(self) -> int:
        return len(self._by_slot)

    def get(self, slot: int) -> Follower | Served | None:
        """The follower of an entry."""
        return self._by_slot.get(slot)

    # ---- begin

    def open(self, sink: Sink, log: CommitLog, number: int) -> None:
        """Have an entry follow a log, which has this number, from its beginning on. OSError: what it names cannot be opened."""
        if sink.is_served:
            self._serve(sink, log, number)
            return
        fd = open_callers(sink)
        if sink.flags & SINK_BESIDE:
            os.ftruncate(fd, 0)
        self._follow(sink, fd, log, number)

    def resume(self, sink: Sink, log: CommitLog, number: int) -> None:
        """Go on where an entry stands that a predecessor served. OSError: it cannot."""
        offset = sink.size if sink.log == number else 0
        if offset > log.size:
            raise OSError(errno.ESTALE, "the recording that it follows was moved")
        if sink.is_served:
            self._serve(sink, log, number, offset)
        else:
            self._follow(sink, open_callers(sink), log, number, offset)

    def _serve(self, sink: Sink, log: CommitLog, number: int, offset: int = 0) -> None:
        """Have something served by another process from an offset of the log on."""
        self._by_slot[sink.slot] = Served(log, number, sink, self._table.entry(sink.slot), offset)

    def _follow(self, sink: Sink, fd: int, log: CommitLog, number: int, offset: int = 0) -> None:
        if sink.flags & SINK_ODD_FILE:
            target: Pipe | FileCopy = Pipe(fd)
        else:
            lock_file(fd, WRITER)
            target = FileCopy(fd, write_footer=not sink.flags & SINK_NO_FOOTER)
        try:
            follower = Follower(log, number, target, self._table.entry(sink.slot), self._control.wake, offset)
        except BaseException:
            target.close()
            raise
        self._by_slot[sink.slot] = follower
        follower.news()

    # ---- while rows flow

    def news(self) -> None:
        """The log has grown: tell all."""
        for follower in self._by_slot.values():
            follower.news()
        self._ring()

    def moved(self, log: CommitLog) -> None:
        """The log goes on in another file."""
        for follower in self._by_slot.values():
            follower.moved(log)

    @property
    def is_served(self) -> bool:
        """Whether the live worker has something to do."""
        return any(isinstance(follower, Served) and follower.kind != SINK_READER for follower in self._by_slot.values())

    @property
    def is_watched(self) -> bool:
        """Whether somebody looks at the rows as they come, and can take more."""
        served = [follower for follower in self._by_slot.values() if isinstance(follower, Served) and not follower.is_pieces]
        return bool(served) and all(follower.lag < LAG_BYTES for follower in served)

    @property
    def got_nothing(self) -> bool:
        """Whether no row was delivered to anything yet."""
        return all(follower.got_nothing for follower in self._by_slot.values())

    @property
    def are_pieces(self) -> bool:
        """Whether all take rows out of the log for good."""
        return all(isinstance(follower, Served) and follower.is_pieces for follower in self._by_slot.values())

    @property
    def delivered(self) -> int:
        """Everything before this offset is with all of them; 0 without any."""
        return min((follower.offset for follower in self._by_slot.values()), default=0)

    def waiting_for(self) -> str:
        """What is furthest behind the log, by its label; empty: nothing follows it."""
        slots = sorted(self._by_slot, key=lambda slot: self._by_slot[slot].offset)
        return self._table.read(slots[0]).label if slots else ""

    def tell_failed(self) -> None:
        """Say once of each what keeps it from taking rows."""
        for slot, follower in self._by_slot.items():
            error = follower.error
            number = 0 if error is None else error.errno or errno.EIO
            if error is None or (follower.told and (follower.told == number or not self._is_custom(slot))):
                follower.told = follower.told if number else 0
                continue
            follower.told = number
            sink = self._table.read(slot)
            why = read_why(self._control.directory, self._control.serial, sink) if sink.is_served else error.strerror
            if sink.kind == SINK_CUSTOM:
                self._control.say(f"{sink.label}: {why}")
            elif sink.is_served:
                self._control.say(f"{sink.label} takes nothing at present: {why}. Rows are kept for it, and it is tried again")
            else:
                self._control.say(f"cannot write {sink.path}: {why}. Nothing is lost: it is tried again")

    def _is_custom(self, slot: int) -> bool:
        """Whether it is an object of the user's: it says two things, what went wrong first, and that it was given up."""
        return self._table.entry(slot).kind == SINK_CUSTOM

    def _ring(self) -> None:
        if self.is_served:
            self._control.ring()

    # ---- the end

    def have_finished(self, *, ending: bool) -> bool:
        """Whether all have all, or were given up for want of progress. ``ending``: they are to end, too."""
        done = True
        for follower in self._by_slot.values():
            done = follower.has_finished(ending=ending) and done
        if not done:
            self._ring()
        return done

    def hurry(self) -> None:
        """Nobody logs any more: none may wait without progress for long."""
        for follower in self._by_slot.values():
            follower.hurry()

    def end(self, log: CommitLog) -> int:
        """Rows behind it came when all of them had been closed."""
        return max((follower.end if isinstance(follower, Served) else log.size for follower in self._by_slot.values()), default=log.size)

    def drop(self, slots: list[int] | None = None, *, log: CommitLog | None, is_last: bool = False) -> None:
        """End some, or all, whether they have everything or not.

        What one lacks is counted, unless it got nothing: then the log's next sink has it all. ``is_last``: there will be none.
        """
        for slot in list(self._by_slot) if slots is None else slots:
            follower = self._by_slot.pop(slot)
            self._count_undelivered(follower, log, is_last=is_last)
            if self._is_custom(slot) and (rows := self._table.entry(slot).dropped):
                self._control.say(f"{self._table.read(slot).label} did not take {rows:,} rows: what it was given them by failed")
            follower.stop()
            self._table.forget(self._table.read(slot))
        self._control.ring()

    def _count_undelivered(self, follower: Follower | Served, log: CommitLog | None, *, is_last: bool) -> None:
        start = follower.undelivered()
        if log is None or start < 0 or (follower.got_nothing and not is_last):
            return
        rows = log.rows_from(start)
        self._control.words.add(SessionView.dropped_limit, rows)
        if rows:
            self._control.say(f"{rows:,} rows were not delivered: what they were to go to did not take them in time")

    def leave(self) -> None:
        """Stop all, and let nothing of theirs go on: another host is about to go on at the places that the table has. Never raises."""
        for follower in self._by_slot.values():
            follower.stop()
        for follower in self._by_slot.values():
            follower.join()
        self._by_slot = {}
