"""Where a session's rows go now: its log, and how a log becomes another one.

A wish of the sink table is carried out between turns of the drain; each step can be done again by a successor that finds the table as it
was:

- OPEN a file: what pends is written to the present log, which is finished; then the new one is opened. A spool that only buffered is
  taken over by the new log. OPEN anything else: a follower of a spool, or with SINK_BESIDE of the present log.
- COMPLETE: footer now; rows of others that come late are still added. CLOSE: footer, then the entry is GONE.

The log alone frees lanes. One that cannot be written is tried again; one that somebody removed or truncated goes on beside its place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import weakref
from typing import TYPE_CHECKING

from shmrerun.aggregator.commit_log import CommitLog
from shmrerun.aggregator.followers import Followers
from shmrerun.aggregator.log_files import SPOOL_BYTES, open_again, open_beside, open_callers, open_spool, spool_limit
from shmrerun.aggregator.sink_table import SinkTable
from shmrerun.shm.words import (
    SINK_ACTIVE,
    SINK_BESIDE,
    SINK_CONTINUE,
    SINK_FILE,
    SINK_NO_FOOTER,
    SINK_SPOOL,
    WISH_CLOSE,
    WISH_COMPLETE,
    WISH_OPEN,
    SessionView,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.aggregator.sink_table import Control
    from shmrerun.shm.session import Sink

GIVE_BACK_BYTES = 4 << 20  # so much of a spool has been read by all who ever will before its room is given back
HARM_SECONDS = 1.0  # how often the log's file is looked at


class Feed:
    """The log of one hosted session, None while rows are buffered in their lanes, and its followers.

    Parameters
    ----------
    control
        The session.
    commit
        Moves the heads: called when a log is complete, before it is left.
    """

    def __init__(self, control: Control, commit: Callable[[], None]) -> None:
        self.log: CommitLog | None = None
        self.seen: set[bytes] = set()  # row ids in the log behind scan_from, as found at the start
        self._control = control
        self._commit = commit
        self._sink: Sink | None = None  # the entry of the log
        self._logs: weakref.WeakSet[CommitLog] = weakref.WeakSet()  # all that were made here: the open ones are held by the pool
        self.table = SinkTable(control)
        self.followers = Followers(control, self.table)
        self._limit = 1 << 62  # of a spool; set when there is one
        self._scan_from = -1
        self._size = -1
        self._given_back = 0  # the spool's offset
        self._looked = 0.0

    # ---- after a death

    def resume(self) -> None:
        """Go on where a predecessor stopped: the newest log that was active, and what followed it."""
        found = self.table.active()
        logs = [sink for sink in found if not sink.is_follower]
        for older in logs[:-1]:
            self.table.forget(older)
        if not logs:
            return
        sink = logs[-1]
        try:
            self.log = self._open_again(sink)
        except OSError as error:
            self._control.say(f"cannot go on with {sink.path}: {error.strerror}")
            self.table.entry(sink.slot).error = error.errno or errno.EIO
            return
        self._sink = sink = self.table.read(sink.slot)
        self._limit = spool_limit(self._control.token) if sink.kind == SINK_SPOOL else 1 << 62
        ids = self.log.resume(sink.scan_from)
        self._control.tried(ids, sink.scan_from)
        self.seen = {ids[at : at + 16] for at in range(0, len(ids), 16)} if len(ids) < 1 << 24 else set()
        for follower in (entry for entry in found if entry.is_follower):
            try:
                self.followers.resume(follower, self.log, sink.number)
            except OSError as error:
                self._control.say(f"cannot go on with {follower.path}: {error.strerror}")
                self.table.forget(follower)
            else:
                self._keep(follower)

    def _open_again(self, sink: Sink) -> CommitLog:
        """By path, if it is still the same file; else a new one beside it, for the user's other file is not ours to cut."""
        fd = open_again(sink)
        if fd is None:
            fd, path = open_beside(sink.path)
            self._control.say(f"{sink.path} was moved or replaced while the aggregator was away; the recording goes on in {path}")
            self.table.moved(sink.slot, fd, path)
            sink = self.table.read(sink.slot)
        log = self._log(fd, sink)
        log.lock()
        return log

    def _log(self, fd: int, sink: Sink) -> CommitLog:
        words = self._control.words
        ids = (words.text("application"), words.text("recording"))
        log = CommitLog(
            fd, sink.path, ids, self._control.pool, write_footer=not sink.flags & SINK_NO_FOOTER, is_spool=sink.kind == SINK_SPOOL
        )
        self._logs.add(log)
        return log

    # ---- wishes

    def obey(self, sink: Sink, *, clean: bool) -> None:
        """Carry out one wish, or leave it for a later turn. ``clean``: what pended is in the present log; else it waits for a log."""
        if sink.verb == WISH_COMPLETE:
            if clean and self.complete():
                self.table.answer(sink, SINK_ACTIVE)
        elif sink.verb == WISH_CLOSE:
            if sink.is_follower:
                self._close_follower(sink, clean=clean)
            elif self._sink is None or self._sink.slot != sink.slot:
                self.table.forget(sink)
            elif clean:
                self._close()
        elif sink.verb == WISH_OPEN:
            if sink.flags & SINK_BESIDE:
                self._open_follower(sink)
            elif sink.is_follower:
                self._open_alone(sink)
            else:
                self._open_log(sink)

    def _open_log(self, sink: Sink) -> None:
        """A file becomes the log, in place of the present one."""
        buffered = self._only_buffer()
        if self._sink is not None and buffered is None:
            if not self._close(by_switch=True):
                return
            buffered = self._only_buffer()
        try:
            log = self._open_file(sink, self.log if buffered is not None else None)
        except OSError as error:
            self.table.fail(sink, error)
            return
        old, old_log = self._sink, self.log
        same_offsets = buffered is not None and old_log is not None and old_log.held == old_log.size
        self._use(sink, log, old.scan_from if old is not None and same_offsets else 0)
        if buffered is not None and old_log is not None:
            old_log.close()
            self.table.forget(buffered)

    def _use(self, sink: Sink, log: CommitLog, scan_from: int) -> None:
        entry = self.table.entry(sink.slot)
        entry.scan_from = scan_from
        entry.size = log.size
        self.table.answer(sink, SINK_ACTIVE)
        self._sink, self.log = self.table.read(sink.slot), log
        self._scan_from = self._size = -1
        self._given_back = 0
        if scan_from == 0:
            self._control.tried(b"", 0)

    def _open_file(self, sink: Sink, buffered: CommitLog | None) -> CommitLog:
        """Open what a wish names, the very file that the caller opened, and begin it with what was buffered."""
        log = self._log(open_callers(sink), sink)
        if not log.lock():
            log.close()
            raise BlockingIOError(errno.EAGAIN, "another recording writes this file", sink.path)
        try:
            if sink.flags & SINK_CONTINUE:
                log.resume(0, want_ids=False)
            else:
                log.clear()
            if buffered is not None:
                log.take_over(buffered)
        except BaseException:  # of any type: the wish is looked at again, and the file is to be free then
            log.close()
            raise
        return log

    # ---- spools

    def open_spool(self, other: CommitLog | None = None, start: int = 0) -> bool:
        """Buffer in a file from now on, in one of the aggregator's own entries. False: both are taken, or there is no room.

        It begins with what another log has from an offset on.
        """
        sink = self.table.own()
        if sink is None:
            return False
        try:
            self._limit = spool_limit(self._control.token)
            fd, path = open_spool(self._control.token, self._control.serial, sink.number)
        except (OSError, RuntimeError):
            return False
        self.table.moved(sink.slot, fd, path)
        log = self._log(fd, sink._replace(path=path))
        try:
            if other is not None:
                log.take_over(other, start)
        except BaseException as error:
            log.close()
            os.unlink(path)
            if isinstance(error, OSError):
                return False
            raise
        self._use(self.table.begin(sink), log, 0)
        return True

    def _keep(self, sink: Sink) -> None:
        """A spool keeps as much as what follows it asks for."""
        if self._sink is not None and self._sink.kind == SINK_SPOOL and (most := sink.options.get("keep", 0)):
            self._limit = spool_limit(self._control.token, max(SPOOL_BYTES, most))

    def trim(self) -> int:
        """Keep a spool under its limit: what all followers have goes first, then the oldest temporal chunks. Returns rows dropped."""
        log, sink = self.log, self._sink
        if log is None or sink is None or not sink.is_buffer:
            return 0
        delivered = self.followers.delivered
        if delivered >= self._given_back + GIVE_BACK_BYTES and self.followers.are_pieces:
            self._given_back = delivered
            log.trim(0, delivered, until=delivered)
        return log.trim(self._limit // 2, delivered) if log.held > self._limit else 0

    # ---- followers

    def _open_follower(self, sink: Sink) -> None:
        try:
            if self.log is None or self._sink is None:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            self.followers.open(sink, self.log, self._sink.number)
        except OSError as error:
            self.table.fail(sink, error)
            return
        self._keep(sink)
        self.table.answer(sink, SINK_ACTIVE)
        if sink.is_served:
            self._control.ring()  # the worker looks for active ones

    def _open_alone(self, sink: Sink) -> None:
        """A viewer, a FIFO, a device: the log is a spool that it follows, from the first row that was buffered on."""
        if self._sink is not None and self._only_buffer() is None and not self._close(by_switch=True):
            return
        if self.log is None and not self.open_spool():
            self.table.fail(sink, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return
        self._open_follower(sink)

    def _close_follower(self, sink: Sink, *, clean: bool) -> None:
        follower = self.followers.get(sink.slot)
        if follower is None:
            self.table.forget(sink)
        elif clean and sink.flags & SINK_BESIDE and follower.has_finished(ending=True):
            self.followers.drop([sink.slot], log=self.log)
        elif clean and not sink.flags & SINK_BESIDE and self.followers.have_finished(ending=True):
            if self._only_buffer() is None and self._sink is not None and self._sink.is_buffer:
                self._commit()  # what was delivered is not to be written again by the next sink
                self._leave_log()
        elif clean:
            self._control.ring()

    def _only_buffer(self) -> Sink | None:
        """The entry of a spool that nobody has got anything of yet, so that the next sink begins with all of it. Drops those that wait."""
        sink = self._sink
        if sink is None or not sink.is_buffer or not self.followers.got_nothing:
            return None
        self.followers.drop(log=self.log)
        return sink

    # ---- the end of a log

    def complete(self) -> bool:
        """Make the file whole now; rows that follow cut the footer off again. False: no room for it, or a follower is not there yet."""
        if self.log is None or self._sink is None or self._sink.kind != SINK_FILE:
            return True
        try:
            self._commit()
            self.log.finish()
        except OSError as error:
            self.failed(error)
            return False
        return self.followers.have_finished(ending=False)

    def _close(self, *, by_switch: bool = False) -> bool:
        """Finish the present log. False: there is no room for its footer, or a follower is not there yet; try again later."""
        assert self._sink is not None
        if self.log is not None:
            try:
                self.log.finish()
            except OSError as error:
                self.failed(error)
                if not by_switch:
                    return False
            self._commit()
            if not self.followers.have_finished(ending=True) and not self.failing():
                return False
        self._leave_log()
        return True

    def _leave_log(self) -> None:
        """Rows of a spool that others logged when all that follows it had been closed are buffered in another one, for the next sink."""
        sink, log = self._sink, self.log
        assert sink is not None
        self.log = self._sink = None
        if log is not None and sink.is_buffer and (end := self.followers.end(log)) < log.size and not self.open_spool(log, end):
            self._control.words.add(SessionView.dropped_limit, log.rows_from(end))
        self.followers.drop(log=log, is_last=True)
        if log is not None:
            log.close()
        self.table.forget(self.table.read(sink.slot))

    def end(self) -> bool:
        """The session ends. False: its file, or what follows it, cannot be finished yet."""
        if self._sink is not None and self._sink.kind == SINK_FILE and not self._close():
            return False
        while self._sink is not None:
            if not self.followers.have_finished(ending=True):
                self.followers.hurry()
                return False
            if self.log is not None and self._sink.is_buffer and not len(self.followers):
                self._control.words.add(SessionView.dropped_limit, self.log.rows_from(0))  # no sink came
            self._leave_log()
        for sink in self.table.all():
            self.table.forget(sink)
        return True

    def give_up(self) -> None:
        """The session is given up: finish the log as far as it goes, and close what is open."""
        with contextlib.suppress(Exception):
            if self.log is not None:
                self.log.finish()
        self.leave()

    def leave(self) -> None:
        """Close what is open, as it is, which frees the files' locks. Never raises."""
        self.followers.leave()
        for log in list(self._logs):
            with contextlib.suppress(Exception):
                log.close()

    # ---- while rows flow

    def size(self) -> int:
        """Bytes of complete messages; 0 while there is no log."""
        return self.log.size if self.log is not None else 0

    def failed(self, error: OSError) -> None:
        """The log could not be written: say why, in the table and once to the owner."""
        if self._sink is None:
            return
        if not self.failing():
            self._control.say(
                f"cannot write {self._sink.path}: {error.strerror}. The rows wait in shared memory; it is tried again twice a second"
            )
        self.table.entry(self._sink.slot).error = error.errno or errno.EIO

    def failing(self) -> bool:
        """Whether the last write failed."""
        return self._sink is not None and self.table.entry(self._sink.slot).error != 0

    def worked(self) -> None:
        """The log was written."""
        if self._sink is not None and self.failing():
            self.table.entry(self._sink.slot).error = 0

    def scanned(self, oldest: int | None) -> None:
        """After the heads: where a successor has to look for row ids, and how much of the file is complete."""
        if self.log is None or self._sink is None:
            return
        entry = self.table.entry(self._sink.slot)
        scan_from = self.log.size if oldest is None else min(oldest, self.log.size)
        if scan_from != self._scan_from:
            self._scan_from = scan_from
            entry.scan_from = scan_from
            self.log.scanned(scan_from)
        if self.log.size != self._size:
            self._size = self.log.size
            entry.size = self.log.size
            self.followers.news()
        self.followers.tell_failed()

    def look_at_file(self, *, now: bool) -> None:
        """Notice that somebody removed or truncated the log's file, at each flush and once a second; go on beside it."""
        if self.log is None or self._sink is None or self._sink.kind != SINK_FILE:
            return
        moment = time.monotonic()
        if not now and moment < self._looked + HARM_SECONDS:
            return
        self._looked = moment
        harm = self.log.harm()
        if harm is None:
            return
        old, slot = self.log, self._sink.slot
        fd, path = open_beside(self._sink.path)
        self.table.moved(slot, fd, path)
        log = self._log(fd, self.table.read(slot))
        log.lock()
        before = old.rows_known
        try:
            log.take_over(old)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        self.log, self._sink = log, self.table.read(slot)
        self._scan_from = self._size = -1
        self.followers.moved(log)
        lost = ""
        if harm == "truncated" and before >= 0:
            from shmrerun.rrd.decoder import batches

            gone = before - sum(batch.num_rows for _, _, batch in batches(log.fd))
            self._control.words.add(SessionView.dropped, gone)
            lost = f"; {gone:,} rows went with what was cut off"
        self._control.say(f"{old.path} was {harm} by somebody while it was written; the recording goes on, whole, in {path}{lost}")
        old.close()
