"""Reading our own ``.rrd`` files back, after a crash for example.

A file that was being written may end inside a message. Nothing here trusts a length that it read: each is checked
against the file's size, and memory is bounded by the size of one message of the file.

Source: rerun-sdk 0.41, RRD stream ``RRF2``.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from google.protobuf.message import DecodeError

from shmrerun.framing import ARROW_MSG, BLUEPRINT_ACTIVATION, END, FRAME, HOLE, MAGIC, MESSAGE_HEADER_BYTES, STREAM_HEADER_BYTES
from shmrerun.rrd import proto
from shmrerun.rrd.chunk import Chunk, chunk_from_batch, decode
from shmrerun.rrd.encoder import BLUEPRINT, STREAM_FOOTER_BYTES, is_stream_footer
from shmrerun.rrd.footer import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    Source = int | str | os.PathLike[str]

_ROW_ID_TYPE = pa.binary(16)
_MAX_READ = 1 << 30  # Linux reads at most 2 GiB in one call


class Message(NamedTuple):
    """A complete message of a stream; offsets count from the start of the file."""

    offset: int
    kind: int
    payload_offset: int
    payload_size: int

    @property
    def end(self) -> int:
        """Offset of what follows the message."""
        return self.payload_offset + self.payload_size


class Tail(NamedTuple):
    """How a file ends: see :func:`complete_length`."""

    length: int
    has_footer: bool
    torn_bytes: int


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[int]:
    if isinstance(source, int):
        yield source
        return
    fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _read(fd: int, offset: int, size: int) -> bytes:
    """Read ``size`` bytes, fewer only where the file ends; the caller has checked ``size`` against the file."""
    data = os.pread(fd, min(size, _MAX_READ), offset)
    if len(data) == size or not data:
        return data
    parts = [data]
    done = len(data)
    while done < size:
        data = os.pread(fd, min(size - done, _MAX_READ), offset + done)
        if not data:
            break
        parts.append(data)
        done += len(data)
    return b"".join(parts)


def read_payload(fd: int, message: Message) -> bytes:
    """Return a message's payload; shorter than announced only if the file was cut since the scan."""
    return _read(fd, message.payload_offset, message.payload_size)


def scan(source: Source, start: int = 0) -> Iterator[Message]:
    """Iterate over the complete messages of a file, up to and including End.

    Parameters
    ----------
    source
        Path, or descriptor of a regular file (its position is neither used nor changed).
    start
        0, or the offset of a message.

    Yields
    ------
    Message
        Stops without an error where the file is torn, where a kind is unknown, and at once if the file is not an
        ``.rrd`` file. What the file grows by during the scan is not seen.

    """
    with _opened(source) as fd:
        size = os.fstat(fd).st_size
        offset = start
        if not start:
            offset = STREAM_HEADER_BYTES
            if os.pread(fd, STREAM_HEADER_BYTES, 0)[:4] != MAGIC:
                return
        while offset + MESSAGE_HEADER_BYTES <= size:
            header = _read(fd, offset, MESSAGE_HEADER_BYTES)
            if len(header) != MESSAGE_HEADER_BYTES:
                return
            kind, length = FRAME.unpack(header)
            payload_offset = offset + MESSAGE_HEADER_BYTES
            if (kind > BLUEPRINT_ACTIVATION and kind != HOLE) or length > size - payload_offset:
                return
            if kind == HOLE:
                offset = payload_offset + length
                continue
            yield Message(offset, kind, payload_offset, length)
            if kind == END:
                return
            offset = payload_offset + length


def _behind_holes(fd: int, offset: int, size: int) -> int:
    """Offset behind the holes that follow the last message of a spool."""
    while offset + MESSAGE_HEADER_BYTES <= size:
        header = _read(fd, offset, MESSAGE_HEADER_BYTES)
        kind, length = FRAME.unpack(header) if len(header) == MESSAGE_HEADER_BYTES else (0, 0)
        if kind != HOLE or length > size - offset - MESSAGE_HEADER_BYTES:
            break
        offset += MESSAGE_HEADER_BYTES + length
    return offset


def complete_length(source: Source, start: int = 0) -> Tail:
    """Find where a file is to be cut so that more messages can be appended.

    Parameters
    ----------
    source
        Path or descriptor.
    start
        Offset of a message known to be complete, to spare the scan of what is before it.

    Returns
    -------
    Tail
        ``length``: bytes of header and complete messages without End; 0 if the file is not an ``.rrd`` file or its
        header is torn. ``has_footer``: End and a valid StreamFooter follow and nothing else. ``torn_bytes``: bytes
        behind ``length`` that are neither, to be dropped.

    """
    with _opened(source) as fd:
        size = os.fstat(fd).st_size
        header = os.pread(fd, STREAM_HEADER_BYTES, 0)
        if len(header) < STREAM_HEADER_BYTES or header[:4] != MAGIC:
            return Tail(0, has_footer=False, torn_bytes=size)
        length = start or STREAM_HEADER_BYTES
        for message in scan(fd, start):
            if message.kind == END:
                whole = message.end + STREAM_FOOTER_BYTES == size and is_stream_footer(
                    _read(fd, message.end, STREAM_FOOTER_BYTES), message.offset, read_payload(fd, message)
                )
                return Tail(length, whole, 0 if whole else size - length)
            length = message.end
        length = _behind_holes(fd, length, size)
        return Tail(length, has_footer=False, torn_bytes=size - length)


def batches(source: Source, start: int = 0) -> Iterator[tuple[Message, Any, pa.RecordBatch]]:
    """Iterate over the chunks of a file from the message at ``start`` on.

    Yields
    ------
    message : Message
    arrow_msg : proto.ArrowMsg
    batch : pyarrow.RecordBatch
        Messages that do not decode are passed over: one damaged chunk must not cost the others.

    """
    with _opened(source) as fd:
        for message in scan(fd, start):
            if message.kind != ARROW_MSG:
                continue
            try:
                arrow_msg = proto.ArrowMsg.FromString(read_payload(fd, message))
                batch = decode(arrow_msg)
            except (DecodeError, ValueError):
                continue
            yield message, arrow_msg, batch


def read_chunk(payload: bytes | memoryview) -> tuple[Any, Chunk] | None:
    """Return the ``ArrowMsg`` of a payload with its chunk; None: it does not decode, or is no chunk. MemoryError."""
    try:
        arrow_msg = proto.ArrowMsg.FromString(bytes(payload))
        return arrow_msg, chunk_from_batch(decode(arrow_msg))
    except MemoryError:
        raise
    except Exception:  # of any type: others made it
        return None


def chunks(source: Source, start: int = 0) -> Iterator[tuple[Message, Any, Chunk]]:
    """Iterate over the messages of a file that :func:`read_chunk` makes chunks of, from the message at ``start`` on."""
    with _opened(source) as fd:
        for message in scan(fd, start):
            found = read_chunk(read_payload(fd, message)) if message.kind == ARROW_MSG else None
            if found is not None:
                yield message, *found


def is_temporal_row(arrow_msg: Any, chunk: Chunk) -> bool:
    """Tell whether a chunk holds rows of a recording at some time: neither static ones, nor a blueprint's."""
    return not (chunk.is_static or arrow_msg.is_static or arrow_msg.store_id.kind == BLUEPRINT)


def row_ids(source: Source, start: int = 0) -> set[bytes]:
    """Return the row ids (16 bytes, big-endian) of all chunks from the message at ``start`` on, of all stores."""
    found: set[bytes] = set()
    for _, _, batch in batches(source, start):
        if batch.num_columns and batch.column(0).type.equals(_ROW_ID_TYPE):
            found.update(batch.column(0).to_pylist())
    return found


def rebuild_manifests(source: Source) -> dict[bytes, Manifest]:
    """Make the manifests of a file without a footer from its chunks.

    Returns
    -------
    dict
        For each serialized ``StoreId``, in the order of the stores' first chunks, its manifest. Chunks that do not
        decode are left out.

    Notes
    -----
    Reads and decompresses the whole file.

    """
    manifests: dict[bytes, Manifest] = {}
    for message, arrow_msg, chunk in chunks(source):
        add_chunk(manifests, arrow_msg, chunk, message.payload_offset, message.payload_size)
    return manifests


def add_chunk(manifests: dict[bytes, Manifest], arrow_msg: Any, chunk: Chunk, offset: int, size: int) -> None:
    """Enter a chunk that was written into the manifest of its store; ``offset`` and ``size`` are those of the payload."""
    manifest = manifests.setdefault(arrow_msg.store_id.SerializeToString(), Manifest())
    manifest.add(chunk, offset, size, arrow_msg.uncompressed_size)


def rebuild_manifest(source: Source, store_id: bytes | None = None) -> Manifest:
    """Make the manifest of one store of a file without a footer; empty if the store has no chunk.

    Parameters
    ----------
    source
        Path or descriptor.
    store_id
        Serialized ``StoreId``; None for the file's only store.

    Raises
    ------
    ValueError
        The file has several stores and ``store_id`` is None.

    """
    manifests = rebuild_manifests(source)
    if store_id is None:
        if len(manifests) > 1:
            raise ValueError(f"The file has chunks of {len(manifests)} stores; name the one wanted")
        store_id = next(iter(manifests), b"")
    return manifests.get(store_id, Manifest())
