"""Writing a whole ``.rrd`` file of chunks that exist already, with its footer.

It is written beside its place and takes it when it is whole: a file is never half there, and may be made of itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shmrerun.framing import ARROW_MSG, MESSAGE_HEADER_BYTES, frame
from shmrerun.rrd.chunk import chunk_from_batch, encode
from shmrerun.rrd.encoder import arrow_msg, end_message, stream_header
from shmrerun.rrd.footer import Manifest, footer_payload

if TYPE_CHECKING:
    import pyarrow as pa

    from shmrerun.rrd.chunk import Chunk


class FileWriter:
    """A file that is being written; a ``with`` block that ends without an error puts it in its place.

    Parameters
    ----------
    path
        Of the file; what is there is replaced at the end.

    Attributes
    ----------
    chunks, rows : int
        Written so far.

    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.chunks = self.rows = 0
        self._part = f"{self.path}.{os.getpid()}.part"
        self._file = open(self._part, "xb")  # noqa: SIM115  closed by the block
        self._size = 0
        self._manifests: dict[bytes, Manifest] = {}
        self._write(stream_header())

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._size += len(data)

    def message(self, data: bytes) -> None:
        """Add a framed message that is no chunk."""
        self._write(data)

    def batch(self, store_id: bytes, batch: pa.RecordBatch) -> None:
        """Add a chunk to a store. ValueError: it is none."""
        chunk = chunk_from_batch(batch)
        encoded = encode(chunk)
        buffers, size = arrow_msg(store_id, encoded)
        self._note(store_id, chunk, size - MESSAGE_HEADER_BYTES, encoded.uncompressed_size)
        for buffer in buffers:
            self._write(buffer)

    def encoded(self, store_id: bytes, chunk: Chunk, payload: bytes, uncompressed_size: int) -> None:
        """Add a chunk's message as it is: its payload, which names that store."""
        self._note(store_id, chunk, len(payload), uncompressed_size)
        self._write(frame(ARROW_MSG, payload))

    def _note(self, store_id: bytes, chunk: Chunk, size: int, uncompressed_size: int) -> None:
        offset = self._size + MESSAGE_HEADER_BYTES
        self._manifests.setdefault(store_id, Manifest()).add(chunk, offset, size, uncompressed_size)
        self.chunks += 1
        self.rows += chunk.num_rows

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._write(end_message(footer_payload(self._manifests.items()), self._size + MESSAGE_HEADER_BYTES))
                self._file.close()
                os.replace(self._part, self.path)
        finally:
            self._file.close()
            if os.path.exists(self._part):
                os.unlink(self._part)
