"""The log of a session: the user's ``.rrd`` file, else the session's spool. It is its own commit log.

A row is committed when the ``write`` that completes its message has returned in full. After a death the file is cut behind its
last complete message; the row ids behind ``scan_from`` tell which rows of the lanes are in it already. Nothing complete is ever
taken back. It is a regular file always: what is not (FIFO, terminal) follows a spool. One thread; others read it through descriptors of
their own.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun import _core
from shmrerun.aggregator import write_behind
from shmrerun.aggregator.descriptors import same_file
from shmrerun.aggregator.replay import Replay
from shmrerun.aggregator.writes import Writes
from shmrerun.framing import (
    ARROW_MSG,
    BLUEPRINT_ACTIVATION,
    END,
    FRAME,
    HOLE,
    MESSAGE_HEADER_BYTES,
    SET_STORE_INFO,
    STREAM_HEADER_BYTES,
    split_messages,
)
from shmrerun.shm.locks import WRITER, lock_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shmrerun.aggregator.descriptors import Descriptors
    from shmrerun.rrd.chunk import Chunk
    from shmrerun.rrd.footer import Manifest

_COPY_BYTES = 1 << 20


class _Piece(NamedTuple):
    """A message of a spool, for trimming it."""

    offset: int
    size: int
    rows: int


class CommitLog:
    """An open ``.rrd`` file that messages are appended to.

    Parameters
    ----------
    fd
        Open for reading and writing; owned from now on.
    path
        By which it is opened again after it was closed for want of descriptors.
    ids
        Application and recording id of the store.
    write_footer
        Whether :meth:`finish` writes the footer that random access needs.
    is_spool
        Whether it may be trimmed.
    """

    def __init__(
        self, fd: int, path: str, ids: tuple[str, str], pool: Descriptors, *, write_footer: bool = True, is_spool: bool = False
    ) -> None:
        found = os.fstat(fd)
        self.path = path
        self.device, self.inode = found.st_dev, found.st_ino
        self.size = 0  # bytes that are complete messages
        self.is_finished = False  # a footer follows
        self.is_followed = False  # others read it as it grows
        self._fd = fd
        self._pool = pool
        self._ids = ids
        self._write_footer = write_footer
        self._is_spool = is_spool
        self._is_locked = False
        self._writes = Writes()
        self._under_way: list[int] = []  # ends of the messages behind `size`
        self._tail_bytes = 0  # what lies behind `size` else: a footer, or the rest of a failed write
        self._store_id = b""
        self._lacks_info = False  # of the recording: a write that began the log was torn before it
        self._manifests: dict[bytes, Manifest] | None = None  # by store; None: not known yet, rebuilt from the file when needed
        self._replay: Replay | None = None  # of what a predecessor may have written before it died
        self._pieces: list[_Piece] = []  # temporal chunks of a spool, the oldest first
        self._trimmed = 0  # bytes that were given back
        self._behind = 0  # what is before it is on its way to the device
        pool.use(self)

    # ---- the descriptor

    @property
    def fd(self) -> int:
        """The descriptor; opened again, and locked, if it was closed meanwhile. OSError: the file is not there any more, or not ours."""
        if self._fd < 0:
            fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            if not same_file(fd, self.device, self.inode) or (self._is_locked and not lock_file(fd, WRITER)):
                os.close(fd)
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
            self._fd = fd
        self._pool.use(self)
        return self._fd

    def rest(self) -> None:
        """Close the descriptor until it is needed again; the file is then not locked."""
        if self._fd >= 0:
            with contextlib.suppress(Exception):  # whatever it is, the lock is to fall
                self.settle()
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Close the file for good, which frees its lock."""
        self._pool.forget(self)
        self.rest()

    def lock(self) -> bool:
        """Keep other programs off the file while it is open. False: another aggregator writes it."""
        self._is_locked = lock_file(self.fd, WRITER)
        return self._is_locked

    def harm(self) -> str | None:
        """What somebody else did to the file: it was removed, or truncated; None: nothing."""
        try:
            found = os.fstat(self.fd)
        except FileNotFoundError:
            return "removed or replaced"
        if found.st_nlink == 0:
            return "removed or replaced"
        if found.st_size < self.size:
            return "truncated"
        return None

    # ---- its beginning

    def clear(self) -> None:
        """Empty the file: a new recording starts."""
        os.ftruncate(self.fd, 0)

    def resume(self, scan_from: int, *, want_ids: bool = True) -> bytes:
        """Cut what is not a complete message; return the ids (16 bytes each, ascending, joined) of rows behind ``scan_from``."""
        from shmrerun.rrd import decoder

        fd = self.fd
        start = scan_from if 0 < scan_from <= os.fstat(fd).st_size else 0  # the end of a message, by the order of stores
        self.size = decoder.complete_length(fd, start).length
        self._tail_bytes = 1
        self._cut()
        if not self.size:
            return b""
        self._lacks_info = not self._has_info()
        if self._is_spool:
            self._pieces = [
                _Piece(message.offset, message.end - message.offset, chunk.num_rows)
                for message, arrow_msg, chunk in decoder.chunks(fd)
                if decoder.is_temporal_row(arrow_msg, chunk)
            ]
            self._trimmed = self.size - STREAM_HEADER_BYTES - sum(m.end - m.offset for m in decoder.scan(fd))
        if not want_ids:
            return b""
        if start < self.size:
            self._replay = Replay(start, self.size)
        return b"".join(sorted(decoder.row_ids(fd, start)))

    def _has_info(self) -> bool:
        """Whether the recording's store info is in the log: its first message, or what follows a default blueprint."""
        from shmrerun.rrd import decoder, encoder

        own = encoder.store_id(*self._ids)
        infos = (message for message in decoder.scan(self.fd) if message.kind == SET_STORE_INFO and message.end <= self.size)
        return any(own in decoder.read_payload(self.fd, message) for message in infos)

    def scanned(self, offset: int) -> None:
        """No row that is not committed may lie before an offset: messages of what a predecessor wrote are looked for no more."""
        if self._replay is not None and offset >= self._replay.end:
            self._replay = None

    def take_over(self, other: CommitLog, start: int = 0) -> None:
        """Begin with all messages of another log: of a spool that only buffered, or of a file that somebody removed or truncated.

        ``start``: only those from this offset on.
        """
        from shmrerun.rrd import decoder

        if start:
            self._start()
            for piece in (piece for piece in other._pieces if piece.offset >= start):
                self._pieces.append(piece._replace(offset=self.size + piece.offset - start))
            self._copy(other.fd, start, other.size)
            self._manifests = None
            return
        if not other._trimmed and other.harm() != "truncated":
            self._copy(other.fd, 0, other.size)
            self._manifests = other._manifests
        else:
            self._copy(other.fd, 0, min(STREAM_HEADER_BYTES, other.size))
            for message in decoder.scan(other.fd):
                if message.kind != END and message.end <= other.size:
                    self._copy(other.fd, message.offset, message.end)
        self._store_id, self._lacks_info = other._store_id, other._lacks_info
        if other._replay is not None:
            other._replay.load(other.fd)
            self._replay = other._replay
            self._replay.end = self.size

    def _copy(self, source: int, start: int, end: int) -> None:
        self._cut()
        while start < end:
            data = memoryview(os.pread(source, min(end - start, _COPY_BYTES), start))
            if not data:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            start += len(data)
            while data:
                count = os.pwrite(self.fd, data, self.size)
                data = data[count:]
                self.size += count

    # ---- messages

    @property
    def end(self) -> int:
        """Where the next message goes: behind what is under way."""
        return self._under_way[-1] if self._under_way else self.size

    def append(self, chunk: Chunk, *, wait: bool = True) -> int:
        """Write one chunk, completely or not at all. Returns its bytes. OSError: nothing was added, the file is as before.

        Without ``wait`` it may be under way until :meth:`settle`; the error may then be that of an earlier one, and all behind
        :attr:`size` is gone.
        """
        from shmrerun.rrd.chunk import encode
        from shmrerun.rrd.encoder import arrow_msg, store_id

        encoded = encode(chunk)
        if not self.size or self._lacks_info:
            self._start()
        if not self._store_id:
            self._store_id = store_id(*self._ids)
        buffers, total = arrow_msg(self._store_id, encoded)
        offset = self.end
        self._write(buffers, total, wait=wait)
        if self._is_spool and not chunk.schema.is_static:
            self._pieces.append(_Piece(offset, total, chunk.num_rows))
        if self._manifests is not None:
            manifest = self._manifests.get(self._store_id)
            if manifest is None:
                from shmrerun.rrd.footer import Manifest

                manifest = self._manifests[self._store_id] = Manifest()
            manifest.add(chunk, offset + MESSAGE_HEADER_BYTES, total - MESSAGE_HEADER_BYTES, encoded.uncompressed_size)
        return total

    def append_messages(self, data: bytes) -> int:
        """Write ready-made messages, framed and one behind the other, completely or not at all, less those that the log has already.

        Returns the bytes written. ValueError: they are no messages; OSError: nothing was added, the file is as before. Of chunks that
        do not decode the footer says nothing; all others are decompressed, once. A blueprint that is the first of all comes before the
        recording's store info: a viewer that knows the recording already has a layout for it, and leaves a default one aside.
        """
        self.settle()
        view = memoryview(data)
        messages = [(kind, view[start:end]) for kind, start, end in split_messages(data)]
        texts = [message for _, message in messages]
        leads = not self.size and bool(messages) and (messages[0][0], messages[-1][0]) == (SET_STORE_INFO, BLUEPRINT_ACTIVATION)
        if (not self.size and not leads) or self._lacks_info:
            self._start()
        header, info = self._head() if leads else (b"", b"")
        found = self._replay.find(self.fd, texts) if self._replay is not None else []
        rest = texts[len(found) :]
        chunks = [self._chunk(kind, message) for kind, message in messages[len(found) :]]
        offset, total = self.size + len(header), sum(map(len, rest))
        if total:
            self._write([header, *rest, info] if leads else rest, len(header) + total + len(info))
        if self._replay is not None:
            self._replay.answered(texts, found)
        for message, chunk in zip(rest, chunks, strict=True):
            if chunk is not None:
                self._note(*chunk, offset, len(message))
            offset += len(message)
        return total

    def _chunk(self, kind: int, message: memoryview) -> tuple[Any, Chunk] | None:
        """What must be known of a message before it is written; None: nothing."""
        from shmrerun.rrd import decoder

        if kind != ARROW_MSG or (self._manifests is None and not self._is_spool):
            return None
        return decoder.read_chunk(message[MESSAGE_HEADER_BYTES:])

    def _note(self, arrow_msg: Any, chunk: Chunk, offset: int, size: int) -> None:
        """Enter a chunk that others made into the footer of its store, and into what a spool may give back."""
        from shmrerun.rrd import decoder

        if self._is_spool and decoder.is_temporal_row(arrow_msg, chunk):
            self._pieces.append(_Piece(offset, size, chunk.num_rows))
        if self._manifests is not None:
            head = MESSAGE_HEADER_BYTES
            decoder.add_chunk(self._manifests, arrow_msg, chunk, offset + head, size - head)

    def _start(self) -> None:
        """Write what the log lacks at its beginning."""
        head = b"".join(self._head())
        self._write([head], len(head))
        self._lacks_info = False

    def _head(self) -> tuple[bytes, bytes]:
        """What a log begins with: the stream's header, empty if it is there, and the recording's store info."""
        from shmrerun.rrd import encoder

        self._store_id = encoder.store_id(*self._ids)
        if not self.size:
            self._manifests = {}
        return b"" if self.size else encoder.stream_header(), encoder.set_store_info(self._store_id, _core.row_id())

    def _write(self, buffers: Sequence[bytes | memoryview], total: int, *, wait: bool = True) -> None:
        """Append all buffers. A short or failed write is undone before anything else is appended."""
        fd = self.fd
        if not self._under_way:
            self._cut()
        self._tail_bytes = 1  # until all of it is there
        try:
            self._writes.write(fd, buffers, total, self.end, directly=not (self._is_spool or self.is_followed))
            self._under_way.append(self.end + total)
        except BaseException:
            self._undo()
            raise
        self._arrived()
        if wait:
            self.settle()

    def settle(self) -> None:
        """Wait until all that was appended is there. OSError: what lies behind :attr:`size` is not, and the file is as if it never was."""
        if self._under_way:
            try:
                self._writes.settle()
            except BaseException:
                self._undo()
                raise
            self._arrived()

    def _arrived(self) -> None:
        while self._under_way and self._under_way[0] <= self._writes.end:
            self.size = self._under_way.pop(0)
        self._tail_bytes = 1 if self._under_way else 0
        if self.size >= self._behind + write_behind.STEP_BYTES and not self._is_spool:
            write_behind.begin(self._fd, self._behind, self.size)
            self._behind = self.size

    def _undo(self) -> None:
        with contextlib.suppress(Exception):
            self._writes.settle()
        self._arrived()
        if self._under_way:
            self._under_way, self._manifests = [], None  # which has them already
        self._tail_bytes = 1
        self._cut()

    def _cut(self) -> None:
        self.is_finished = False
        if self._tail_bytes:
            os.ftruncate(self.fd, self.size)
        self._tail_bytes = 0

    def finish(self) -> None:
        """Write the footer; the file is complete. Appending later cuts it off again. OSError: no room, the file is as before."""
        from shmrerun.rrd import encoder
        from shmrerun.rrd.decoder import rebuild_manifests
        from shmrerun.rrd.footer import footer_payload

        if self.is_finished:
            return
        self.settle()
        if not self.size:
            self._start()
        if not self._write_footer or self._tail_bytes:
            return
        if self._manifests is None:
            self._manifests = rebuild_manifests(self.fd)
        end = encoder.end_message(footer_payload(self._manifests.items()), self.size + MESSAGE_HEADER_BYTES)
        size = self.size
        self._write([end], len(end))
        self.size = size
        self._tail_bytes = len(end)
        self.is_finished = True

    @property
    def may_trim(self) -> bool:
        """Whether its oldest messages may become holes."""
        return self._is_spool

    @property
    def footer_bytes(self) -> int:
        """Bytes of the footer behind :attr:`size`, 0 without one."""
        return self._tail_bytes if self.is_finished else 0

    # ---- a spool's limit

    def trim(self, limit: int, delivered: int = 0, *, until: int = 1 << 62) -> int:
        """Give the oldest temporal chunks of a spool back until it holds ``limit`` bytes. Returns their rows.

        Offsets stay: a chunk becomes a hole, whose pages the file system takes back. Static rows stay. Rows before ``delivered`` are
        not counted: whoever follows the spool has them. What lies at ``until`` or behind it stays.
        """
        rows, at = 0, 0
        while at < len(self._pieces) and self.held > limit and self._pieces[at].offset < until:
            first = last = self._pieces[at]
            rows += first.rows if first.offset >= delivered else 0
            at += 1
            while (
                at < len(self._pieces)
                and self._pieces[at].offset == last.offset + last.size
                and self._pieces[at].offset < until
                and (self.held - (last.offset + last.size - first.offset) > limit)
            ):  # neighbours make one hole
                last = self._pieces[at]
                rows += last.rows if last.offset >= delivered else 0
                at += 1
            size = last.offset + last.size - first.offset
            os.pwrite(self.fd, FRAME.pack(HOLE, size - MESSAGE_HEADER_BYTES), first.offset)
            _core.punch(self.fd, first.offset + MESSAGE_HEADER_BYTES, size - MESSAGE_HEADER_BYTES)
            self._trimmed += size
        if at:
            del self._pieces[:at]
            self._manifests = None
        return rows

    def rows_from(self, offset: int) -> int:
        """Rows of a spool's temporal chunks from an offset on."""
        return sum(piece.rows for piece in self._pieces if piece.offset >= offset)

    @property
    def held(self) -> int:
        """Bytes that are complete messages and were not given back."""
        return self.size - self._trimmed

    @property
    def rows_known(self) -> int:
        """Rows of the chunks that are known without reading the file; -1: not known."""
        return sum(m.rows for m in self._manifests.values()) if self._manifests is not None else -1
