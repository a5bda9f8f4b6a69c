"""``send_chunks`` and what is built on it: rows that are chunks already go into the recording as they are.

They travel as ready-made messages; the recording's own ids take the place of those they came from. Source: behaviour of rerun-sdk 0.41.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun.producer.messages import RECORD_BYTES, send_messages
from shmrerun.producer.process import is_inheriting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from shmrerun.producer.stream import Stream


def send_chunks(stream: Stream | None, chunks: Any) -> None:
    """See :func:`shmrerun.send_chunks`."""
    found = _batches(chunks)
    if is_inheriting() or stream is None:
        return
    if not stream.enabled():
        for _ in found:  # as if they were sent: what is no chunk is told
            pass
        return
    from shmrerun.rrd.chunk import chunk_from_batch, encode
    from shmrerun.rrd.encoder import arrow_msg, store_id

    store = store_id(stream.application_id, stream.recording_id)
    waiting: list[bytes] = []
    size = 0
    try:
        for batch in found:
            buffers, length = arrow_msg(store, encode(chunk_from_batch(batch)))
            if waiting and size + length > RECORD_BYTES:
                send_messages(stream, b"".join(waiting))
                waiting, size = [], 0
            waiting += buffers
            size += length
    finally:  # what came before something that is no chunk was sent
        if waiting:
            send_messages(stream, b"".join(waiting))


def _batches(chunks: Any) -> Iterator[pa.RecordBatch]:
    """The record batches of what is given: a chunk, a store or stream or recording of them, or any iterable of chunks."""
    if hasattr(chunks, "to_record_batch"):
        return iter((chunks.to_record_batch(),))
    if hasattr(chunks, "stream"):  # a store
        chunks = chunks.stream()
    elif hasattr(chunks, "chunks"):  # a recording
        return iter(chunks.chunks())
    return map(_batch, iter(chunks))


def _batch(chunk: Any) -> pa.RecordBatch:
    import pyarrow as pa

    if isinstance(chunk, pa.RecordBatch):
        return chunk
    if not hasattr(chunk, "to_record_batch"):
        raise TypeError(f"send_chunks expects Chunk objects in the iterable, got {type(chunk).__name__!r}")
    return chunk.to_record_batch()


def send_record_batch(stream: Stream | None, batch: pa.RecordBatch, index: Any, entity_path: str | None) -> None:
    """See :func:`shmrerun.send_record_batch`."""
    from shmrerun.rrd.from_arrow import chunks_of

    send_chunks(stream, chunks_of(batch, index, entity_path))


def send_dataframe(stream: Stream | None, df: Any, index: Any, entity_path: str | None) -> None:
    """See :func:`shmrerun.send_dataframe`."""
    from shmrerun.rrd.chunk_object import Chunk

    chunks: Iterable[Chunk] = Chunk.from_dataframe(df, index=index, entity_path=entity_path)
    send_chunks(stream, chunks)
