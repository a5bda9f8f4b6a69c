"""Where a session's rows go now: its log, and the transitions of its sink table.

The log is the truth; further files of ``set_sinks`` are copies that are kept equal to it.

WANTED: what pends is written to the present log, which is finished; then the new one is opened and becomes ACTIVE. A spool that only
buffered is copied into the new log, byte for byte. CLOSING: footer, then FREE (CLOSED for a piece that somebody will read). Each
step can be done again by a successor that finds the table as it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from shmrerun import _core
from shmrerun.aggregator.commit_log import Log
from shmrerun.shm import places, segments
from shmrerun.shm.session import Sink, sinks

if TYPE_CHECKING:
    from shmrerun.aggregator.host import Host

L = _core.LAYOUT
SPOOL_BYTES = 1 << 30
_SPOOL, _FILE = L["SINK_SPOOL"], L["SINK_FILE"]


class Outlet:
    """The log of one hosted session, None while rows are buffered in their lanes."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.log: Log | None = None
        self.sink: Sink | None = None
        self.copies: list[tuple[Sink, Log]] = []
        self._limit = 1 << 62  # of a spool that only buffers; set when there is one
        self.seen: set[bytes] = set()  # row ids in the log behind scan_from, as found at the start
        self._scan_from = -1
        self._size = -1

    # ---- after a death

    def resume(self) -> None:
        """Go on where a predecessor stopped: the newest sink that was active. Sets what the hopper must skip."""
        found = [s for s in sinks(self.host.segment) if s.state in (L["SINK_ACTIVE"], L["SINK_CLOSING"], L["SINK_COMPLETING"])]
        if not found:
            return
        copies = [sink for sink in found if sink.flags & L["SINK_COPY"]]
        found = sorted((sink for sink in found if sink not in copies), key=lambda sink: sink.number)
        if not found:
            return
        for older in found[:-1]:
            self._forget(older)
        sink = found[-1]
        try:
            self.log = self._open_again(sink)
        except OSError as error:
            self.host.say(f"cannot go on with {sink.path}: {error.strerror}")
            self.host.set_sink_word(sink.slot, "error", error.errno or 1)
            return
        self.sink = sink
        self._limit = _spool_limit(self.host.tree.token)
        ids = self.log.resume(sink.scan_from)
        self.host.hopper.seen = ids
        self.seen = {ids[at : at + 16] for at in range(0, len(ids), 16)} if len(ids) < 1 << 24 else set()
        for copy in copies:
            self._resume_copy(copy, self.log)

    def _resume_copy(self, sink: Sink, log: Log) -> None:
        try:
            copy = self._open_again(sink)
            copy.resume(0, want_ids=False)
        except OSError as error:
            self.host.say(f"cannot go on with {sink.path}: {error.strerror}")
            self._forget(sink)
            return
        if copy.size > log.size:  # the log was moved away meanwhile, and another one begun
            self.host.say(f"{sink.path} ends here: it is the copy of a file that was moved")
            copy.close()
            self._forget(sink)
            return
        self.copies.append((sink, copy))

    def _open_again(self, sink: Sink) -> Log:
        """By path, if it is still the same file; else a new one beside it, for the user's other file is not ours to cut."""
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            fd = os.open(sink.path, flags)
        except FileNotFoundError:
            fd = -1
        if fd >= 0:
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) == (sink.device, sink.inode):
                log = self._log(fd, sink)
                log.lock()
                return log
            os.close(fd)
        base = sink.path.removesuffix(".rrd")
        for number in range(1, 1000):
            path = f"{base}.recovered-{number}.rrd"
            try:
                fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                continue
            self.host.say(f"{sink.path} was moved or replaced while the aggregator was away; the recording goes on in {path}")
            return self._log(fd, sink._replace(path=path))
        raise FileExistsError(17, "too many recovered files", sink.path)

    def _log(self, fd: int, sink: Sink) -> Log:
        regular = stat.S_ISREG(os.fstat(fd).st_mode)
        return Log(fd, sink.path, *self.host.ids(), write_footer=not sink.flags & L["SINK_NO_FOOTER"], regular=regular)

    # ---- the sink table

    def obey(self, sink: Sink, *, clean: bool) -> None:
        """Carry out one request. ``clean``: what pended is in the present log; else it waits for a log that can be written."""
        if sink.state == L["SINK_COMPLETING"]:
            if clean and self.complete():
                self.host.set_sink_word(sink.slot, "state", L["SINK_ACTIVE"])
            return
        if sink.state == L["SINK_CLOSING"]:
            if self.sink is not None and self.sink.slot == sink.slot:
                if clean:
                    self._close()
            else:
                self._forget(sink)
            return
        if sink.flags & L["SINK_COPY"]:
            self._add_copy(sink)
            return
        buffered = self.sink if self.sink is not None and self._only_buffers(self.sink) else None
        if self.sink is not None and buffered is None and not self._close(by_switch=True):
            return
        try:
            log = self._open(sink)
            if buffered is not None and self.log is not None:
                log.follow(self.log)
        except OSError as error:
            self.host.set_sink_word(sink.slot, "error", error.errno or 1)
            self.host.set_sink_word(sink.slot, "state", L["SINK_FAILED"])
            return
        old, old_log = self.sink, self.log
        self.log, self.sink = log, sink
        self.host.set_sink_word(sink.slot, "scan_from", old.scan_from if old is not None and buffered is not None else 0)
        self.host.set_sink_word(sink.slot, "size", log.size)
        self.host.set_sink_word(sink.slot, "state", L["SINK_ACTIVE"])
        self._scan_from = self._size = -1
        if buffered is not None and old is not None:
            if old_log is not None:
                old_log.close()
            self._forget(old)

    def _add_copy(self, sink: Sink) -> None:
        try:
            if self.log is None:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            copy = self._open(sink)
        except OSError as error:
            self.host.set_sink_word(sink.slot, "error", error.errno or 1)
            self.host.set_sink_word(sink.slot, "state", L["SINK_FAILED"])
            return
        self.copies.append((sink, copy))
        self.host.set_sink_word(sink.slot, "state", L["SINK_ACTIVE"])
        self.follow()  # without room for what there is it stays behind, as later

    @staticmethod
    def _only_buffers(sink: Sink) -> bool:
        return sink.kind == _SPOOL and not sink.flags & L["SINK_PIECES"]

    def _open(self, sink: Sink) -> Log:
        """Open what a request names: the very file that the caller opened."""
        if sink.kind == _SPOOL:
            return self._new_spool(sink)
        flags = os.O_RDWR | os.O_CLOEXEC
        fd = -1
        for path in (f"/proc/{sink.caller_pid}/fd/{sink.caller_fd}", sink.path):
            try:
                fd = os.open(path, flags | (os.O_NONBLOCK if sink.flags & L["SINK_ODD_FILE"] else 0))
            except OSError as error:
                if path == sink.path:
                    raise
                del error
                continue
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) == (sink.device, sink.inode):
                break
            os.close(fd)
            fd = -1
        if fd < 0:
            raise FileNotFoundError(2, "the file was replaced while it was being opened", sink.path)
        os.set_blocking(fd, True)
        log = self._log(fd, sink)
        if not log.lock():
            log.close()
            raise BlockingIOError(11, "another recording writes this file", sink.path)
        if sink.flags & L["SINK_CONTINUE"]:
            log.resume(0, want_ids=False)
        else:
            log.clear()
        return log

    def _new_spool(self, sink: Sink) -> Log:
        self._limit = _spool_limit(self.host.tree.token)
        fd, path = segments.open_spilled(f"shmrerun-{self.host.tree.token}.{self.host.serial}.spool{sink.number}", os.O_TRUNC)
        found = os.fstat(fd)
        at = L["session.sink"] + sink.slot * L["sizeof.sink"]
        raw = os.fsencode(path)
        self.host.segment.write(at + L["sink.path"], raw)
        self.host.segment.store32(at + L["sink.path_size"], len(raw))
        self.host.set_sink_word(sink.slot, "device", found.st_dev)
        self.host.set_sink_word(sink.slot, "inode", found.st_ino)
        return self._log(fd, sink._replace(path=path))

    def _make_spool(self) -> tuple[Sink, Log] | None:
        """A new spool in one of the aggregator's own entries, not active yet. None: both are taken."""
        segment = self.host.segment
        for slot in range(L["SESSION_OWN_SINKS"], L["SESSION_SINKS"]):
            at = L["session.sink"] + slot * L["sizeof.sink"]
            if segment.load(at) in (L["SINK_FREE"], L["SINK_MAKING"]):
                segment.store(at, L["SINK_MAKING"])
                segment.write(at + 8, bytes(L["sink.path"] - 8))
                segment.store32(at + L["sink.kind"], _SPOOL)
                segment.store(at + L["sink.number"], segment.add(L["session.sink_turn"], 1) + 1)
                log = self._new_spool(self.host.sink_entry(slot))
                return self.host.sink_entry(slot), log
        return None

    def _go_on_with(self, sink: Sink, log: Log) -> None:
        self.host.set_sink_word(sink.slot, "size", log.size)
        self.host.set_sink_word(sink.slot, "state", L["SINK_ACTIVE"])
        self.sink, self.log = self.host.sink_entry(sink.slot), log
        self._scan_from = self._size = -1

    def open_spool(self) -> None:
        """Nobody set a sink and a lane is half full: buffer in a file from now on."""
        made = self._make_spool()
        if made is not None:
            self._go_on_with(*made)

    def trim(self) -> int:
        """Keep a spool that only buffers under its limit: the oldest temporal chunks go. Returns how many rows went."""
        old, old_log = self.sink, self.log
        if old is None or old_log is None or not self._only_buffers(old) or old_log.size <= self._limit:
            return 0
        limit, made = self._limit, self._make_spool()
        if made is None:
            return 0
        try:
            dropped = made[1].keep_newest(old_log, limit // 2)
        except OSError:  # no room for the copy: the old one stays, and grows
            made[1].close()
            self._forget(made[0])
            self._limit = 2 * limit
            return 0
        self._go_on_with(*made)  # only now: a successor takes the newest that is active
        old_log.close()
        self._forget(old)
        return dropped

    def _close(self, *, by_switch: bool = False) -> bool:
        """Finish the present log. False: there is no room for its footer; try again later."""
        assert self.sink is not None
        if self.log is not None:
            try:
                self.log.finish()
            except OSError as error:
                self.failed(error)
                if not by_switch:
                    return False
            self.host.commit()
            self.follow(finish=True)
            self.log.close()
        for sink, copy in self.copies:
            copy.close()
            self._forget(sink)
        self.copies = []
        slot, pieces = self.sink.slot, self.sink.flags & L["SINK_PIECES"]
        if self.log is not None:
            self.host.set_sink_word(slot, "size", self.log.size if self.log.chunks else 0)
        self.log = self.sink = None
        self.host.set_sink_word(slot, "state", L["SINK_CLOSED"] if pieces else L["SINK_FREE"])
        return True

    def _forget(self, sink: Sink) -> None:
        """Drop an entry that no log belongs to any more."""
        if sink.kind == _SPOOL and sink.path:
            with contextlib.suppress(OSError):
                os.unlink(sink.path)
        self.host.set_sink_word(sink.slot, "error", 0)
        self.host.set_sink_word(sink.slot, "state", L["SINK_FREE"])

    # ---- while rows flow

    def size(self) -> int:
        """Bytes of complete messages; 0 while there is no log."""
        return self.log.size if self.log is not None else 0

    def failed(self, error: OSError) -> None:
        """The log could not be written: say why, in the table and once to the owner."""
        if self.sink is None:
            return
        if not self.failing():
            self.host.say(
                f"cannot write {self.sink.path}: {error.strerror}. The rows wait in shared memory; it is tried again twice a second"
            )
        self.host.set_sink_word(self.sink.slot, "error", error.errno or 1)

    def failing(self) -> bool:
        """Whether the last write failed."""
        return self.sink is not None and self.host.sink_entry(self.sink.slot).error != 0

    def worked(self) -> None:
        """The log was written."""
        if self.sink is not None and self.failing():
            self.host.set_sink_word(self.sink.slot, "error", 0)

    def scanned(self, oldest: int | None) -> None:
        """After the heads: where a successor has to look for row ids, and how much of the file is complete."""
        if self.log is None or self.sink is None:
            return
        scan_from = self.log.size if oldest is None else min(oldest, self.log.size)
        if scan_from != self._scan_from:
            self._scan_from = scan_from
            self.host.set_sink_word(self.sink.slot, "scan_from", scan_from)
        if self.log.size != self._size:
            self._size = self.log.size
            self.host.set_sink_word(self.sink.slot, "size", self.log.size)

    def follow(self, *, finish: bool = False) -> None:
        """Bring the copies up to the log. One that cannot be written is tried again when there is more; the log goes on."""
        for sink, copy in self.copies:
            assert self.log is not None
            if copy.size == self.log.size and not finish:
                continue
            try:
                copy.follow(self.log)
                if finish:
                    copy.finish()
            except OSError as error:
                if not self.host.sink_entry(sink.slot).error:
                    self.host.say(f"cannot write {sink.path}: {error.strerror}. Nothing is lost: it is a copy of {self.log.path}")
                self.host.set_sink_word(sink.slot, "error", error.errno or 1)
                continue
            self.host.set_sink_word(sink.slot, "error", 0)
            self.host.set_sink_word(sink.slot, "size", copy.size)

    def complete(self) -> bool:
        """Make the file whole now; rows that follow cut the footer off again. False: there is no room for it."""
        if self.log is not None and self.sink is not None and self.sink.kind == _FILE:
            try:
                self.host.commit()
                self.log.finish()
            except OSError as error:
                self.failed(error)
                return False
            self.follow(finish=True)
        return True

    def end(self) -> bool:
        """The session ends. False: its file cannot be finished yet."""
        if self.sink is not None and self.sink.kind == _FILE and not self._close():
            return False
        if self.log is not None:
            self.log.close()
            self.log = self.sink = None
        for sink in sinks(self.host.segment):
            self._forget(sink)
        return True


def _spool_limit(token: str) -> int:
    """Bytes that a buffering spool may have: a quarter of what is free there at most."""
    found = os.statvfs(places.spill_directory(token))
    return min(SPOOL_BYTES, found.f_bavail * found.f_frsize // 4)
