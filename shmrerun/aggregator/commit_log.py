"""The log of a session: the user's ``.rrd`` file, else the session's spool. It is its own commit log.

A row is committed when the ``write`` that completes its message has returned in full. After a death the file is cut behind its
last complete message; the row ids behind ``scan_from`` tell which rows of the lanes are in it already. Nothing complete is ever
taken back. Delivery: exactly once for regular files; for others (FIFO, terminal) once, unless the aggregator dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

from shmrerun import _core

if TYPE_CHECKING:
    from shmrerun.rrd.chunk import Chunk
    from shmrerun.rrd.footer import Manifest

_WRITEV_BUFFERS = 512


class Log:
    """An open ``.rrd`` file that chunks are appended to.

    Parameters
    ----------
    fd
        Open for reading and writing; owned from now on.
    application_id, recording_id
        Of the store.
    write_footer
        Whether :meth:`finish` writes the footer that random access needs.
    regular
        False for FIFOs and the like: no truncation.
    """

    def __init__(
        self,
        fd: int,
        path: str,
        application_id: str,
        recording_id: str,
        *,
        write_footer: bool = True,
        regular: bool = True,
    ) -> None:
        self.fd = fd
        self.path = path
        self.size = 0  # bytes that are complete messages
        self.chunks = 0
        self._ids = (application_id, recording_id)
        self._write_footer = write_footer
        self._regular = regular
        self._tail_bytes = 0  # what lies behind `size`: a footer, or the rest of a failed write
        self._store_id = b""
        self._manifest: Manifest | None = None  # None: not known yet; rebuilt from the file when it is needed

    def lock(self) -> bool:
        """Keep other runs off the file while it is open. False: another aggregator writes it."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
        return True

    def clear(self) -> None:
        """Empty the file: a new recording starts."""
        if self._regular:
            os.ftruncate(self.fd, 0)

    def resume(self, scan_from: int, *, want_ids: bool = True) -> bytes:
        """Cut what is not a complete message; return the ids (16 bytes each, ascending, joined) of rows behind ``scan_from``."""
        from shmrerun.rrd import decoder, encoder

        if not self._regular:
            self.size = 1
            return b""
        start = scan_from if 0 < scan_from <= os.fstat(self.fd).st_size else 0  # the end of a message, by the order of stores
        self.size = decoder.complete_length(self.fd, start).length
        self._tail_bytes = 1
        self._cut()
        if not self.size:
            return b""
        found = [message for message in decoder.scan(self.fd, start) if message.kind == encoder.ARROW_MSG]
        self.chunks = len(found) + (1 if start else 0)  # at least: what matters is whether there are any
        return b"".join(sorted(decoder.row_ids(self.fd, start))) if want_ids else b""

    def append(self, chunk: Chunk) -> int:
        """Write one chunk, completely or not at all. Returns its bytes. OSError: nothing was added, the file is as before."""
        from shmrerun.rrd import encoder
        from shmrerun.rrd.chunk import encode

        if not self.size:
            self._start()
        if not self._store_id:
            self._store_id = encoder.store_id(*self._ids)
        encoded = encode(chunk)
        buffers, total = encoder.arrow_msg(self._store_id, encoded)
        offset = self.size
        self._write(buffers, total)
        self.chunks += 1
        if self._manifest is not None:
            self._manifest.add(chunk, offset + 16, total - 16, encoded.uncompressed_size)
        return total

    def _start(self) -> None:
        from shmrerun.rrd import encoder
        from shmrerun.rrd.footer import Manifest

        self._store_id = encoder.store_id(*self._ids)
        head = encoder.stream_header() + encoder.set_store_info(self._store_id, _core.row_id())
        self._write([head], len(head))
        self._manifest = Manifest()

    def _write(self, buffers: list[bytes], total: int) -> None:
        """Append all buffers. A short or failed write is undone before anything else is appended."""
        self._cut()
        self._tail_bytes = 1  # until all of it is there
        try:
            done = 0
            pending = list(buffers)
            while pending:
                count = (
                    os.writev(self.fd, pending[:_WRITEV_BUFFERS])
                    if not self._regular
                    else os.pwritev(self.fd, pending[:_WRITEV_BUFFERS], self.size + done)
                )
                if count == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                done += count
                while pending and count >= len(pending[0]):
                    count -= len(pending.pop(0))
                if count:
                    pending[0] = memoryview(pending[0])[count:]  # type: ignore[call-overload]
        except OSError:
            self._cut()
            raise
        self._tail_bytes = 0
        self.size += total

    def _cut(self) -> None:
        if self._tail_bytes and self._regular:
            os.ftruncate(self.fd, self.size)
        self._tail_bytes = 0

    def finish(self) -> None:
        """Write the footer; the file is complete. Appending later cuts it off again. OSError: no room, the file is as before."""
        from shmrerun.rrd import encoder
        from shmrerun.rrd.decoder import rebuild_manifest

        if not self.size:
            self._start()
        if not self._write_footer or not self._regular or self._tail_bytes:
            return
        if not self._store_id:
            self._store_id = encoder.store_id(*self._ids)
        if self._manifest is None:
            self._manifest = rebuild_manifest(self.fd, self._store_id)
        end = encoder.end_message(self._manifest.payload(self._store_id), self.size + 16)
        size = self.size
        self._write([end], len(end))
        self.size = size
        self._tail_bytes = len(end)

    def follow(self, other: Log) -> None:
        """Take over what another log has more, byte for byte: offsets, and so manifest and ``scan_from``, stay good."""
        if self.size < other.size:
            self._cut()
        while self.size < other.size:
            data = memoryview(os.pread(other.fd, min(other.size - self.size, 1 << 20), self.size))
            if not data:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            while data:
                count = os.pwrite(self.fd, data, self.size) if self._regular else os.write(self.fd, data)
                data = data[count:]
                self.size += count
        self.chunks, self._manifest, self._store_id = other.chunks, other._manifest, other._store_id

    def keep_newest(self, other: Log, size: int) -> int:
        """Take over the static chunks of a spool, and the newest ``size`` bytes of the others. Returns the rows left behind."""
        from shmrerun.rrd import decoder, encoder

        dropped = 0
        self._start()
        for message, arrow_msg, batch in decoder.batches(other.fd):
            if not arrow_msg.is_static and message.offset < other.size - size:
                dropped += batch.num_rows
                continue
            raw = encoder.frame(message.kind, decoder.read_payload(other.fd, message))
            self._write([raw], len(raw))
            self.chunks += 1
        self._manifest = None  # rebuilt when it is needed
        return dropped

    def close(self) -> None:
        """Close the file, which frees its lock."""
        os.close(self.fd)
        self.fd = -1
