"""What lies in an ``.rrd`` file: its stores, and where each of their chunks is.

A file that was finished says so itself, in its footer; then nothing else is read. Of any other file (being written, killed, cut off,
joined from several) all messages are walked and their chunks decoded once. Nothing that was read is trusted: offsets and sizes are
checked against the file, Arrow data in full.

The file is read by ``pread``, not mapped: whoever writes it may cut its footer off to go on, and a mapping would then kill its reader.

Source: rerun-sdk 0.41, RRD stream ``RRF2``.
"""

from __future__ import annotations

import os
import stat
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import xxhash
from google.protobuf.message import DecodeError

from shmrerun.framing import (
    ARROW_MSG,
    BLUEPRINT_ACTIVATION,
    END,
    FRAME,
    HOLE,
    MAGIC,
    MESSAGE_HEADER_BYTES,
    SET_STORE_INFO,
    STREAM_HEADER_BYTES,
)
from shmrerun.rrd import proto
from shmrerun.rrd.chunk import chunk_from_batch, decode, decode_stream
from shmrerun.rrd.decoder import add_chunk
from shmrerun.rrd.encoder import BLUEPRINT, CHECKSUM_SEED, FOOTER_MAGIC, STREAM_FOOTER, STREAM_FOOTER_BYTES
from shmrerun.rrd.footer import Manifest
from shmrerun.rrd.wire import arrow_view

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIXED = {
    "chunk_entity_path": pa.string(),
    "chunk_id": pa.binary(16),
    "chunk_is_static": pa.bool_(),
    "chunk_num_rows": pa.uint64(),
    "chunk_byte_offset": pa.uint64(),
    "chunk_byte_size": pa.uint64(),
    "chunk_byte_size_uncompressed": pa.uint64(),
}


_thread = threading.local()  # has a buffer that messages are read into
_KEPT_BYTES = 16 << 20
_MAX_READ = 1 << 30  # Linux reads at most 2 GiB in one call


class StoreEntry(NamedTuple):
    """A store of a file.

    Attributes
    ----------
    kind : str
        ``"recording"`` or ``"blueprint"``.
    application_id, recording_id : str

    """

    kind: str
    application_id: str
    recording_id: str


class Stored(NamedTuple):
    """The chunks of a store: a row of the table for each, as the file's footer has it, and one field for each column of the store."""

    entry: StoreEntry
    table: pa.RecordBatch
    schema: pa.Schema


class RrdFile:
    """An open ``.rrd`` file, as it was when it was opened.

    Parameters
    ----------
    path
        Of a regular file.

    Attributes
    ----------
    stores : list of Stored
        In the order of their first messages, those without chunks too.
    is_complete : bool
        Whether the file ends as a finished one does, with a footer that fits it.
    problems : list of str
        What could not be read, in words.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is no ``.rrd`` file, or of a version before 0.23.

    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.problems: list[str] = []
        self.is_complete = False
        self._fd = fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self.close = weakref.finalize(self, os.close, fd)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"Only regular files can be read back ({self.path})")
            self.size = status.st_size
            header = os.pread(fd, STREAM_HEADER_BYTES, 0)
            if len(header) < STREAM_HEADER_BYTES or header[:4] != MAGIC:
                begins = f"it begins with {header[:4]!r}, not {MAGIC!r}" if header else "it is empty"
                raise ValueError(f"Not an .rrd file: {begins} ({self.path})")
            found = self._from_footer()
            self.is_complete = found is not None
            self.stores = self._from_messages() if found is None else found
        except BaseException:
            self.close()
            raise

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file. ValueError: it has been cut since it was opened, or is closed."""
        data = bytearray(size)
        self._read_into(offset, memoryview(data))
        return bytes(data)

    def _read_into(self, offset: int, view: memoryview) -> None:
        if not self.close.alive:
            raise ValueError(f"The reader is closed ({self.path})")
        while view:
            count = os.preadv(self._fd, [view[:_MAX_READ]], offset)
            if not count:
                raise ValueError(f"The file was cut while it was read: {len(view)} bytes more were at byte {offset} ({self.path})")
            view, offset = view[count:], offset + count

    def batch(self, offset: int, size: int) -> pa.RecordBatch:
        """The record batch of the chunk whose message's payload is there. ValueError: it does not decode."""
        buffer = getattr(_thread, "buffer", None)
        if buffer is None or len(buffer) < size:
            buffer = bytearray(max(size, 1 << 16))
            if size <= _KEPT_BYTES:
                _thread.buffer = buffer
        view = memoryview(buffer)[:size]
        self._read_into(offset, view)
        try:
            message = arrow_view(view)
            if message.encoding != 1:
                raise ValueError(f"ArrowMsg of encoding {message.encoding}")
            payload = message.payload if message.compression == 2 else bytes(message.payload)
            return checked(decode_stream(payload, message.compression, message.uncompressed_size))
        except ValueError as error:
            raise ValueError(f"The chunk at byte {offset} does not decode: {error} ({self.path})") from None

    def messages(self) -> Iterator[tuple[int, int, int]]:
        """Kind, offset of the payload and its size, for each whole message; what is none becomes one of the problems."""
        at, size = STREAM_HEADER_BYTES, self.size
        while at < size:
            payload = at + MESSAGE_HEADER_BYTES
            header = self.read(at, min(MESSAGE_HEADER_BYTES, size - at))
            if header[:4] == MAGIC and len(header) >= STREAM_HEADER_BYTES:  # another stream behind the first
                at += STREAM_HEADER_BYTES
                continue
            if len(header) < MESSAGE_HEADER_BYTES:
                self.problems.append(f"the last {size - at} bytes are no whole message")
                return
            kind, length = FRAME.unpack(header)
            if kind > BLUEPRINT_ACTIVATION and kind != HOLE:
                self.problems.append(f"damaged at byte {at}: the {size - at} bytes behind it were not read")
                return
            if length > size - payload:
                self.problems.append(f"the last {size - at} bytes are no whole message")
                return
            if kind != HOLE:
                yield kind, payload, length
            at = payload + length
            if kind == END and size - at >= STREAM_FOOTER_BYTES and self.read(at, STREAM_FOOTER_BYTES)[20:28] == MAGIC + FOOTER_MAGIC:
                at += STREAM_FOOTER_BYTES

    def _from_footer(self) -> list[Stored] | None:
        """The stores as the footer has them; None where there is no footer, or one that does not fit the file."""
        at = self.size - STREAM_FOOTER_BYTES
        if at < STREAM_HEADER_BYTES + MESSAGE_HEADER_BYTES:
            return None
        offset, length, checksum, magic, kind, entries = STREAM_FOOTER.unpack(self.read(at, STREAM_FOOTER_BYTES))
        if (
            (magic, kind, entries) != (MAGIC, FOOTER_MAGIC, 1)
            or offset + length != at
            or offset < STREAM_HEADER_BYTES + MESSAGE_HEADER_BYTES
        ):
            return None
        if FRAME.unpack(self.read(offset - MESSAGE_HEADER_BYTES, MESSAGE_HEADER_BYTES)) != (END, length):
            return None
        payload = self.read(offset, length)
        if xxhash.xxh32_intdigest(payload, seed=CHECKSUM_SEED) != checksum:
            self.problems.append("the footer is damaged; all messages were read instead")
            return None
        try:
            manifests = [_manifest(manifest, offset) for manifest in proto.RrdFooter.FromString(payload).manifests]
        except (DecodeError, ValueError, pa.ArrowException, OSError) as error:
            self.problems.append(f"the footer is damaged ({error}); all messages were read instead")
            return None
        if len({stored.entry for stored in manifests}) < len(manifests):
            return None
        return self._with_empty(manifests)

    def _with_empty(self, found: list[Stored]) -> list[Stored]:
        """Add the stores that are announced before the first chunk, or anywhere if there is none, and have no chunks."""
        known = {stored.entry for stored in found}
        for kind, offset, size in self.messages():
            if kind == SET_STORE_INFO:
                entry = self._announced(offset, size)
                if entry is not None and entry not in known:
                    known.add(entry)
                    found.append(_stored(entry, Manifest()))
            elif found:
                break
        return found

    def _announced(self, offset: int, size: int) -> StoreEntry | None:
        try:
            return _entry(proto.SetStoreInfo.FromString(self.read(offset, size)).info.store_id)
        except (DecodeError, ValueError) as error:
            self.problems.append(f"the store's info at byte {offset} does not decode: {error}")
            return None

    def _from_messages(self) -> list[Stored]:
        """The stores as their messages have them; decodes every chunk."""
        order: dict[StoreEntry, Manifest] = {}
        for kind, offset, size in self.messages():
            if kind == SET_STORE_INFO:
                entry = self._announced(offset, size)
                if entry is not None:
                    order.setdefault(entry, Manifest())
            if kind != ARROW_MSG:
                continue
            try:
                arrow_msg = proto.ArrowMsg.FromString(self.read(offset, size))
                chunk = chunk_from_batch(checked(decode(arrow_msg)))
                entry = _entry(arrow_msg.store_id)
                manifest = order.setdefault(entry, Manifest())
                add_chunk({arrow_msg.store_id.SerializeToString(): manifest}, arrow_msg, chunk, offset, size)
            except (DecodeError, ValueError) as error:
                self.problems.append(f"the chunk at byte {offset} does not decode: {error}")
        return [_stored(entry, manifest) for entry, manifest in order.items()]


def checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, all of whose offsets and texts have been looked at. ValueError: some are wrong."""
    try:
        batch.validate(full=True)
    except pa.ArrowException as error:
        raise ValueError(f"its Arrow data are damaged: {error}") from None
    return batch


def _entry(store_id: Any) -> StoreEntry:
    kind = "blueprint" if store_id.kind == BLUEPRINT else "recording"
    return StoreEntry(kind, store_id.application_id.id, store_id.recording_id)


def _stored(entry: StoreEntry, manifest: Manifest) -> Stored:
    return Stored(entry, manifest.table(), pa.schema(manifest.fields()))


def _manifest(message: Any, end: int) -> Stored:
    """A store of the footer. ValueError: it is not what a footer has, or names places outside of the file."""
    data = message.data
    if data.encoder_version != 1:
        raise ValueError(f"a manifest of encoder version {data.encoder_version}")
    table = decode_stream(data.payload, data.compression, data.uncompressed_size)
    table.validate(full=True)
    with pa.ipc.open_stream(pa.py_buffer(message.sorbet_schema.arrow_schema)) as reader:
        schema = reader.schema
    for name, kind in _FIXED.items():
        if name not in table.schema.names or table.schema.field(name).type != kind or table.column(name).null_count:
            raise ValueError(f"a manifest without a whole column {name!r}")
    for offset, size in zip(table.column("chunk_byte_offset").to_pylist(), table.column("chunk_byte_size").to_pylist(), strict=True):
        if offset < STREAM_HEADER_BYTES or offset + size > end:
            raise ValueError(f"a chunk at byte {offset} of {size} bytes")
    return Stored(_entry(message.store_id), table, schema)
