"""Footers that are filled in instead of made: of small recordings and pieces, of which a program makes many alike."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from shmrerun.rrd.fields import Fields

    Words = npt.NDArray[np.uint64]


class Form:
    """Schema and table of manifests that differ in some words only, and where those are in the table.

    A program that makes one small recording after another, or reads its rows in pieces, has the same few again and again.
    """

    _MARK = np.uint64(0x5AE7_9C3B_0000_0000)  # a manifest of such numbers tells where each of them goes

    def __init__(self) -> None:
        self.is_repeated = False  # one manifest of it was made already: it pays
        self._schema = b""

    def fill(self, words: Words, make: Callable[[Words], tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
        """Return schema and table of a manifest with these words; ``make`` makes such a one, once."""
        if not self._schema:
            self._schema = self._learn(len(words), make)
        table = self._table.copy()
        table[self._places] = words[self._numbers]
        return self._schema, table.tobytes()

    def _learn(self, count: int, make: Callable[[Words], tuple[bytes, bytes]]) -> bytes:
        schema, table = make(self._MARK + np.arange(count, dtype=np.uint64))
        self._table = np.frombuffer(table, np.uint64)
        numbers = self._table - self._MARK
        self._places = np.flatnonzero(numbers < count)
        self._numbers = numbers[self._places]
        return schema


@lru_cache(maxsize=64)
def form_of(paths: tuple[str, ...], fields: tuple[Fields, ...], owners: tuple[int, ...], filled: tuple[int, ...]) -> Form:
    """Return the one form of manifests with these owners' paths, columns and filled components, and these owners of their chunks."""
    return Form()


def ipc_stream(content: pa.RecordBatch | pa.Schema) -> bytes:
    """Return an Arrow IPC stream of a batch, or of a schema alone."""
    sink = pa.BufferOutputStream()
    is_schema = isinstance(content, pa.Schema)
    with pa.ipc.new_stream(sink, content if is_schema else content.schema) as writer:
        if not is_schema:
            writer.write_batch(content)
    data: bytes = sink.getvalue().to_pybytes()
    return data
