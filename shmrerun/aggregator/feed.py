"""Where a session's rows go now: its log, what follows it, and the transitions of its sink table.

A wish is carried out between turns of the drain; each step can be done again by a successor that finds the table as it was:

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
from typing import TYPE_CHECKING, Protocol

from shmrerun.aggregator.commit_log import CommitLog
from shmrerun.aggregator.descriptors import same_file
from shmrerun.aggregator.follower import FileCopy, Follower, Pipe
from shmrerun.aggregator.served import LAG_BYTES, Served
from shmrerun.shm import places, segments
from shmrerun.shm.locks import WRITER, lock_file
from shmrerun.shm.served import read_why, why_path
from shmrerun.shm.session import Sink, is_free, read_sink, sinks, wish_word
from shmrerun.shm.words import (
    SESSION_OWN_SINKS,
    SESSION_SINKS,
    SINK_ACTIVE,
    SINK_BESIDE,
    SINK_CONTINUE,
    SINK_CUSTOM,
    SINK_FAILED,
    SINK_FILE,
    SINK_GONE,
    SINK_NO_FOOTER,
    SINK_ODD_FILE,
    SINK_READER,
    SINK_SPOOL,
    SINK_STDOUT,
    WISH_CLOSE,
    WISH_COMPLETE,
    WISH_OPEN,
    SessionView,
    SinkView,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.aggregator.descriptors import Descriptors

SPOOL_BYTES = 1 << 30
GIVE_BACK_BYTES = 4 << 20  # so much of a spool has been read by all who ever will before its room is given back
HARM_SECONDS = 1.0  # how often the log's file is looked at
_OPEN = os.O_RDWR | os.O_CLOEXEC


class Control(Protocol):
    """What a feed needs of the session that it is part of."""

    words: SessionView
    token: str
    directory: str
    serial: int
    pool: Descriptors

    def say(self, text: str) -> None:
        """Leave a message for the owner."""

    def wake(self) -> None:
        """Ring the aggregator's bell."""

    def ring(self) -> None:
        """Ring the live worker's bell."""

    def tried(self, ids: bytes, scanned_from: int) -> None:
        """The log has rows with these ids behind that offset: they are to be skipped."""


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
        self._followers: dict[int, Follower | Served] = {}  # by slot
        self._is_leaving = False  # the log ends, and with it what was not delivered
        self._limit = 1 << 62  # of a spool; set when there is one
        self._scan_from = -1
        self._size = -1
        self._given_back = 0  # the spool's offset
        self._looked = 0.0

    # ---- the table

    def _entry(self, slot: int) -> SinkView:
        return self._control.words.sink(slot)

    def _read(self, slot: int) -> Sink:
        return read_sink(self._control.words, slot)

    def _answer(self, sink: Sink, state: int) -> None:
        """Answer the wish of an entry as it was read: one that came meanwhile is not answered by it."""
        self._entry(sink.slot).state = wish_word(sink.turn, state)

    def _fail(self, sink: Sink, error: OSError) -> None:
        self._entry(sink.slot).error = error.errno or errno.EIO
        self._answer(sink, SINK_FAILED)

    def _forget(self, sink: Sink) -> None:
        """Drop an entry that no log belongs to any more."""
        if sink.kind == SINK_SPOOL and sink.path:
            with contextlib.suppress(OSError):
                os.unlink(sink.path)
        if sink.is_served:
            with contextlib.suppress(OSError):
                os.unlink(why_path(self._control.directory, self._control.serial, sink.number))
            if sink.kind == SINK_CUSTOM and (name := sink.options.get("file", "")):
                with contextlib.suppress(OSError):
                    os.unlink(f"{self._control.directory}/{os.path.basename(name)}")
        self._entry(sink.slot).error = 0
        self._answer(self._read(sink.slot), SINK_GONE)

    def requests(self) -> list[Sink]:
        """Entries whose wish has no answer yet, in the order of their making."""
        return sorted((sink for sink in sinks(self._control.words) if sink.is_asked), key=lambda sink: sink.number)

    # ---- after a death

    def resume(self) -> None:
        """Go on where a predecessor stopped: the newest log that was active, and what followed it."""
        found = sorted((sink for sink in sinks(self._control.words) if sink.is_active), key=lambda sink: sink.number)
        logs = [sink for sink in found if not sink.is_follower]
        for older in logs[:-1]:
            self._forget(older)
        if not logs:
            return
        sink = logs[-1]
        try:
            self.log = self._open_again(sink)
        except OSError as error:
            self._control.say(f"cannot go on with {sink.path}: {error.strerror}")
            self._entry(sink.slot).error = error.errno or errno.EIO
            return
        self._sink = sink = self._read(sink.slot)
        self._limit = _spool_limit(self._control.token) if sink.kind == SINK_SPOOL else 1 << 62
        ids = self.log.resume(sink.scan_from)
        self._control.tried(ids, sink.scan_from)
        self.seen = {ids[at : at + 16] for at in range(0, len(ids), 16)} if len(ids) < 1 << 24 else set()
        for follower in (entry for entry in found if entry.is_follower):
            self._resume_follower(follower, self.log)

    def _resume_follower(self, sink: Sink, log: CommitLog) -> None:
        offset = sink.size if self._sink is not None and sink.log == self._sink.number else 0
        try:
            if offset > log.size:
                raise OSError(errno.ESTALE, "the recording that it follows was moved")
            if sink.is_served:
                self._serve(sink, offset)
                return
            self._follow(sink, self._open_callers(sink), offset)
        except OSError as error:
            self._control.say(f"cannot go on with {sink.path}: {error.strerror}")
            self._forget(sink)

    def _open_again(self, sink: Sink) -> CommitLog:
        """By path, if it is still the same file; else a new one beside it, for the user's other file is not ours to cut."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            fd = os.open(sink.path, _OPEN)
            if same_file(fd, sink.device, sink.inode):
                log = self._log(fd, sink)
                log.lock()
                return log
            os.close(fd)
        fd, path = _beside(sink.path)
        self._control.say(f"{sink.path} was moved or replaced while the aggregator was away; the recording goes on in {path}")
        self._moved(sink.slot, fd, path)
        log = self._log(fd, self._read(sink.slot))
        log.lock()
        return log

    def _log(self, fd: int, sink: Sink) -> CommitLog:
        words = self._control.words
        ids = (words.text("application"), words.text("recording"))
        return CommitLog(
            fd, sink.path, ids, self._control.pool, write_footer=not sink.flags & SINK_NO_FOOTER, is_spool=sink.kind == SINK_SPOOL
        )

    def _moved(self, slot: int, fd: int, path: str) -> None:
        """The file of an entry is another one now."""
        entry, found = self._entry(slot), os.fstat(fd)
        entry.scan_from = 0
        entry.device, entry.inode = found.st_dev, found.st_ino
        entry.path = os.fsencode(path)

    # ---- wishes

    def obey(self, sink: Sink, *, clean: bool) -> None:
        """Carry out one wish, or leave it for a later turn. ``clean``: what pended is in the present log; else it waits for a log."""
        if sink.verb == WISH_COMPLETE:
            if clean and self.complete():
                self._answer(sink, SINK_ACTIVE)
        elif sink.verb == WISH_CLOSE:
            if sink.is_follower:
                self._close_follower(sink, clean=clean)
            elif self._sink is None or self._sink.slot != sink.slot:
                self._forget(sink)
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
        if self._sink is not None and buffered is None and not self._close(by_switch=True):
            return
        try:
            log = self._open_file(sink)
            if buffered is not None and self.log is not None:
                log.take_over(self.log)
        except OSError as error:
            self._fail(sink, error)
            return
        old, old_log = self._sink, self.log
        same_offsets = buffered is not None and old_log is not None and old_log.held == old_log.size
        self._use(sink, log, old.scan_from if old is not None and same_offsets else 0)
        if buffered is not None and old_log is not None:
            old_log.close()
            self._forget(buffered)

    def _use(self, sink: Sink, log: CommitLog, scan_from: int) -> None:
        entry = self._entry(sink.slot)
        entry.scan_from = scan_from
        entry.size = log.size
        self._answer(sink, SINK_ACTIVE)
        self._sink, self.log = self._read(sink.slot), log
        self._scan_from = self._size = -1
        self._given_back = 0
        if scan_from == 0:
            self._control.tried(b"", 0)

    def _open_file(self, sink: Sink) -> CommitLog:
        """Open what a wish names: the very file that the caller opened."""
        log = self._log(self._open_callers(sink), sink)
        if not log.lock():
            log.close()
            raise BlockingIOError(errno.EAGAIN, "another recording writes this file", sink.path)
        try:
            if sink.flags & SINK_CONTINUE:
                log.resume(0, want_ids=False)
            else:
                log.clear()
        except BaseException:
            log.close()
            raise
        return log

    @staticmethod
    def _open_callers(sink: Sink) -> int:
        flags = _OPEN | (os.O_NONBLOCK if sink.flags & SINK_ODD_FILE else 0)
        if sink.flags & SINK_STDOUT:  # for writing alone, so that it is noticed when nobody reads any more
            flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
        for path in (f"/proc/{sink.caller_pid}/fd/{sink.caller_fd}", sink.path):
            try:
                fd = os.open(path, flags)
            except OSError:
                if path == sink.path:
                    raise
                continue
            if same_file(fd, sink.device, sink.inode):
                return fd
            os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "the file was replaced while it was being opened", sink.path)

    # ---- spools

    def _new_spool(self, sink: Sink) -> CommitLog:
        self._limit = _spool_limit(self._control.token)
        fd, path = segments.open_spilled(f"shmrerun-{self._control.token}.{self._control.serial}.spool{sink.number}", os.O_TRUNC)
        self._moved(sink.slot, fd, path)
        return self._log(fd, self._read(sink.slot)._replace(path=path, kind=SINK_SPOOL))

    def open_spool(self) -> bool:
        """Buffer in a file from now on, in one of the aggregator's own entries. False: both are taken, or there is no room."""
        for slot in range(SESSION_OWN_SINKS, SESSION_SINKS):
            entry = self._entry(slot)
            if not is_free(entry):
                continue
            turn = self._read(slot).turn + 1
            entry.kind, entry.flags, entry.owner = SINK_SPOOL, 0, 0
            entry.number = self._control.words.add(SessionView.sink_turn, 1) + 1
            entry.scan_from = entry.size = entry.log = entry.error = entry.until = entry.done = entry.value = entry.dropped = 0
            try:
                log = self._new_spool(self._read(slot))
            except (OSError, RuntimeError):
                return False
            entry.wish = wish_word(turn, WISH_OPEN)
            self._use(self._read(slot), log, 0)
            return True
        return False

    def trim(self) -> int:
        """Keep a spool under its limit: what all followers have goes first, then the oldest temporal chunks. Returns rows dropped."""
        log, sink = self.log, self._sink
        if log is None or sink is None or not sink.is_buffer:
            return 0
        delivered = min((follower.offset for follower in self._followers.values()), default=0)
        if delivered >= self._given_back + GIVE_BACK_BYTES and all(isinstance(f, Served) and f.is_pieces for f in self._followers.values()):
            self._given_back = delivered
            log.trim(0, delivered, until=delivered)
        return log.trim(self._limit // 2, delivered) if log.held > self._limit else 0

    # ---- followers

    def _follow(self, sink: Sink, fd: int, offset: int = 0) -> None:
        assert self.log is not None
        assert self._sink is not None
        if sink.flags & SINK_ODD_FILE:
            target: Pipe | FileCopy = Pipe(fd)
        else:
            lock_file(fd, WRITER)
            target = FileCopy(fd, write_footer=not sink.flags & SINK_NO_FOOTER)
        try:
            follower = Follower(self.log, self._sink.number, target, self._entry(sink.slot), self._control.wake, offset)
        except BaseException:
            target.close()
            raise
        self._followers[sink.slot] = follower
        follower.news()

    def _serve(self, sink: Sink, offset: int = 0) -> None:
        """Have something served by another process from an offset of the log on."""
        assert self.log is not None
        assert self._sink is not None
        self._followers[sink.slot] = Served(self.log, self._sink.number, sink, self._entry(sink.slot), offset)
        if self._sink.kind == SINK_SPOOL and (most := sink.options.get("keep", 0)):
            self._limit = _spool_limit(self._control.token, max(SPOOL_BYTES, most))

    def _open_follower(self, sink: Sink) -> None:
        try:
            if self.log is None:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            if sink.is_served:
                self._serve(sink)
                self._answer(sink, SINK_ACTIVE)
                self._control.ring()
                return
            fd = self._open_callers(sink)
            if sink.flags & SINK_BESIDE:
                os.ftruncate(fd, 0)
            self._follow(sink, fd)
        except OSError as error:
            self._fail(sink, error)
            return
        self._answer(sink, SINK_ACTIVE)

    def _open_alone(self, sink: Sink) -> None:
        """A viewer, a FIFO, a device: the log is a spool that it follows, from the first row that was buffered on."""
        if self._sink is not None and self._only_buffer() is None and not self._close(by_switch=True):
            return
        if self.log is None and not self.open_spool():
            self._fail(sink, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return
        self._open_follower(sink)

    def _close_follower(self, sink: Sink, *, clean: bool) -> None:
        follower = self._followers.get(sink.slot)
        if follower is None:
            self._forget(sink)
        elif clean and sink.flags & SINK_BESIDE and follower.has_finished(ending=True):
            self._drop([sink.slot])
        elif clean and not sink.flags & SINK_BESIDE and self._followers_finished(ending=True):
            if self._only_buffer() is None and self._sink is not None and self._sink.is_buffer:
                self._commit()  # what was delivered is not to be written again by the next sink
                self._leave_log()
        elif clean:
            self._control.ring()

    def _only_buffer(self) -> Sink | None:
        """The entry of a spool that nobody has got anything of yet, so that the next sink begins with all of it. Drops those that wait."""
        sink = self._sink
        if sink is None or not sink.is_buffer or not all(follower.got_nothing for follower in self._followers.values()):
            return None
        self._drop(list(self._followers))
        return sink

    def _drop(self, slots: list[int]) -> None:
        """Followers end, whether they have all or not."""
        for slot in slots:
            follower = self._followers.pop(slot)
            self._count_undelivered(follower)
            if self._is_custom(slot) and (rows := self._entry(slot).dropped):
                self._control.say(f"{self._read(slot).label} did not take {rows:,} rows: what it was given them by failed")
            follower.stop()
            self._forget(self._read(slot))
        self._control.ring()

    def _count_undelivered(self, follower: Follower | Served) -> None:
        """A sink ends that did not get everything: count what it lacks, unless it got nothing, so that the next sink has it all."""
        start = follower.undelivered()
        if self.log is None or start < 0 or (follower.got_nothing and not self._is_leaving):
            return
        rows = self.log.rows_from(start)
        self._control.words.add(SessionView.dropped_limit, rows)
        if rows:
            self._control.say(f"{rows:,} rows were not delivered: what they were to go to did not take them in time")

    def news(self) -> None:
        """The log has grown: tell those who follow it."""
        for follower in self._followers.values():
            follower.news()
        if self.is_served:
            self._control.ring()

    @property
    def is_served(self) -> bool:
        """Whether the live worker has something to do for it."""
        return any(isinstance(follower, Served) and follower.kind != SINK_READER for follower in self._followers.values())

    def waiting_for(self) -> str:
        """What is furthest behind the log, by its label; empty: nothing follows it."""
        slots = sorted(self._followers, key=lambda slot: self._followers[slot].offset)
        return self._read(slots[0]).label if slots else ""

    @property
    def is_watched(self) -> bool:
        """Whether somebody looks at the rows as they come, and can take more."""
        served = [follower for follower in self._followers.values() if isinstance(follower, Served) and not follower.is_pieces]
        return bool(served) and all(follower.lag < LAG_BYTES for follower in served)

    def _tell_failed(self) -> None:
        for slot, follower in self._followers.items():
            error = follower.error
            number = 0 if error is None else error.errno or errno.EIO
            if error is None or (follower.told and (follower.told == number or not self._is_custom(slot))):
                follower.told = follower.told if number else 0
                continue
            follower.told = number
            sink = self._read(slot)
            why = read_why(self._control.directory, self._control.serial, sink) if sink.is_served else error.strerror
            if sink.kind == SINK_CUSTOM:
                self._control.say(f"{sink.label}: {why}")
            elif sink.is_served:
                self._control.say(f"{sink.label} takes nothing at present: {why}. Rows are kept for it, and it is tried again")
            else:
                self._control.say(f"cannot write {sink.path}: {why}. Nothing is lost: it is tried again")

    def _is_custom(self, slot: int) -> bool:
        """Whether it is an object of the user's: it says two things, what went wrong first, and that it was given up."""
        return self._entry(slot).kind == SINK_CUSTOM

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
        return self._followers_finished(ending=False)

    def _followers_finished(self, *, ending: bool) -> bool:
        done = True
        for follower in self._followers.values():
            done = follower.has_finished(ending=ending) and done
        if not done and self.is_served:
            self._control.ring()
        return done

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
            if not self._followers_finished(ending=True) and not self.failing():
                return False
        self._leave_log()
        return True

    def _leave_log(self) -> None:
        assert self._sink is not None
        self._is_leaving = True
        self._drop(list(self._followers))
        self._is_leaving = False
        sink, log = self._sink, self.log
        if log is not None:
            log.close()
        self.log = self._sink = None
        self._forget(self._read(sink.slot))

    def end(self) -> bool:
        """The session ends. False: its file, or what follows it, cannot be finished yet."""
        if self._sink is not None and self._sink.kind == SINK_FILE and not self._close():
            return False
        if self._sink is not None:
            if not self._followers_finished(ending=True):
                for follower in self._followers.values():
                    follower.hurry()
                return False
            if self.log is not None and self._sink.is_buffer and not self._followers:
                self._control.words.add(SessionView.dropped_limit, self.log.rows_from(0))  # no sink came
            self._leave_log()
        for sink in sinks(self._control.words):
            self._forget(sink)
        return True

    def give_up(self) -> None:
        """The session is given up: close what is open, as it is."""
        for follower in self._followers.values():
            follower.stop()
        if self.log is not None:
            with contextlib.suppress(Exception):
                self.log.finish()
            with contextlib.suppress(Exception):
                self.log.close()

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
        self._entry(self._sink.slot).error = error.errno or errno.EIO

    def failing(self) -> bool:
        """Whether the last write failed."""
        return self._sink is not None and self._entry(self._sink.slot).error != 0

    def worked(self) -> None:
        """The log was written."""
        if self._sink is not None and self.failing():
            self._entry(self._sink.slot).error = 0

    def scanned(self, oldest: int | None) -> None:
        """After the heads: where a successor has to look for row ids, and how much of the file is complete."""
        if self.log is None or self._sink is None:
            return
        entry = self._entry(self._sink.slot)
        scan_from = self.log.size if oldest is None else min(oldest, self.log.size)
        if scan_from != self._scan_from:
            self._scan_from = scan_from
            entry.scan_from = scan_from
            self.log.scanned(scan_from)
        if self.log.size != self._size:
            self._size = self.log.size
            entry.size = self.log.size
            self.news()
        self._tell_failed()

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
        fd, path = _beside(self._sink.path)
        self._moved(slot, fd, path)
        log = self._log(fd, self._read(slot))
        log.lock()
        before = old.rows_known
        try:
            log.take_over(old)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        self.log, self._sink = log, self._read(slot)
        self._scan_from = self._size = -1
        for follower in self._followers.values():
            follower.moved(log)
        lost = ""
        if harm == "truncated" and before >= 0:
            from shmrerun.rrd.decoder import batches

            gone = before - sum(batch.num_rows for _, _, batch in batches(log.fd))
            self._control.words.add(SessionView.dropped, gone)
            lost = f"; {gone:,} rows went with what was cut off"
        self._control.say(f"{old.path} was {harm} by somebody while it was written; the recording goes on, whole, in {path}{lost}")
        old.close()


def _beside(path: str) -> tuple[int, str]:
    """A new file beside a path that is not there any more, or in the nearest directory above that is."""
    directory, name = os.path.split(path.removesuffix(".rrd"))
    while not os.path.isdir(directory) and directory != os.path.dirname(directory):
        directory = os.path.dirname(directory)
    for number in range(1, 1000):
        found = f"{directory}/{name}.recovered-{number}.rrd"
        try:
            return os.open(found, _OPEN | os.O_CREAT | os.O_EXCL, 0o666), found
        except FileExistsError:
            continue
    raise FileExistsError(errno.EEXIST, "too many recovered files", path)


def _spool_limit(token: str, most: int = SPOOL_BYTES) -> int:
    """Bytes that a buffering spool may have: a quarter of what is free there at most."""
    found = os.statvfs(places.spill_directory(token))
    return min(most, found.f_bavail * found.f_frsize // 4)
