"""Micro-batching limits as users give them. Source: rerun-sdk 0.41's ``ChunkBatcherConfig``; the defaults are ours (DEFAULT)."""

from __future__ import annotations

from datetime import timedelta
from operator import index

_MOST = (1 << 64) - 1


class ChunkBatcherConfig:
    """When rows become a chunk: the first limit that is reached.

    Parameters
    ----------
    flush_tick
        Seconds (int, float) or ``timedelta`` between flushes. Setting it turns off the patience of up to a second that files get.
    flush_num_bytes, flush_num_rows
        Pending bytes or rows of one entity.
    chunk_max_rows_if_unsorted
        Rows after which a chunk whose times are not sorted is cut.

    What is not given comes from the environment (``RERUN_FLUSH_TICK_SECS``, ``RERUN_FLUSH_NUM_BYTES``, ``RERUN_FLUSH_NUM_ROWS``,
    ``RERUN_CHUNK_MAX_ROWS_IF_UNSORTED``), else the default: 50 ms, 1 MiB, no limit, 8192. Equality by value.

    Raises
    ------
    TypeError, OverflowError
        A count that is no int, or below 0 or above 64 bits.
    """

    __slots__ = ("_bytes", "_rows", "_tick", "_unsorted")

    def __init__(
        self,
        flush_tick: float | timedelta | None = None,
        flush_num_bytes: int | None = None,
        flush_num_rows: int | None = None,
        chunk_max_rows_if_unsorted: int | None = None,
    ) -> None:
        self._tick: timedelta | None = None
        self._bytes: int | None = None
        self._rows: int | None = None
        self._unsorted: int | None = None
        if flush_tick is not None:
            self.flush_tick = flush_tick
        if flush_num_bytes is not None:
            self.flush_num_bytes = flush_num_bytes
        if flush_num_rows is not None:
            self.flush_num_rows = flush_num_rows
        if chunk_max_rows_if_unsorted is not None:
            self.chunk_max_rows_if_unsorted = chunk_max_rows_if_unsorted

    @property
    def flush_tick(self) -> timedelta | None:
        """Time between flushes; None: not given."""
        return self._tick

    @flush_tick.setter
    def flush_tick(self, value: float | timedelta) -> None:
        self._tick = value if isinstance(value, timedelta) else timedelta(seconds=min(float(value), 1e9))

    @property
    def flush_num_bytes(self) -> int | None:
        """Pending bytes of one entity; None: not given."""
        return self._bytes

    @flush_num_bytes.setter
    def flush_num_bytes(self, value: int) -> None:
        self._bytes = _count(value)

    @property
    def flush_num_rows(self) -> int | None:
        """Pending rows of one entity; None: not given."""
        return self._rows

    @flush_num_rows.setter
    def flush_num_rows(self, value: int) -> None:
        self._rows = _count(value)

    @property
    def chunk_max_rows_if_unsorted(self) -> int | None:
        """Rows of a chunk with unsorted times; None: not given."""
        return self._unsorted

    @chunk_max_rows_if_unsorted.setter
    def chunk_max_rows_if_unsorted(self, value: int) -> None:
        self._unsorted = _count(value)

    def _values(self) -> tuple[timedelta | None, int | None, int | None, int | None]:
        return self._tick, self._bytes, self._rows, self._unsorted

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, ChunkBatcherConfig) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "ChunkBatcherConfig(flush_tick={}, flush_num_bytes={}, flush_num_rows={}, chunk_max_rows_if_unsorted={})".format(
            *self._values()
        )

    @staticmethod
    def DEFAULT() -> ChunkBatcherConfig:  # noqa: N802 - Rerun's name
        """50 ms, 1 MiB, any number of rows, 8192 unsorted."""
        return ChunkBatcherConfig(0.05, 1 << 20, _MOST, 8192)

    @staticmethod
    def LOW_LATENCY() -> ChunkBatcherConfig:  # noqa: N802 - Rerun's name
        """8 ms, else as the default."""
        return ChunkBatcherConfig(0.008, 1 << 20, _MOST, 8192)

    @staticmethod
    def ALWAYS_TEST_ONLY() -> ChunkBatcherConfig:  # noqa: N802 - Rerun's name
        """Each row a chunk."""
        return ChunkBatcherConfig(1e9, 0, 0, 256)

    @staticmethod
    def NEVER() -> ChunkBatcherConfig:  # noqa: N802 - Rerun's name
        """Only when flushed, or for want of space."""
        return ChunkBatcherConfig(1e9, _MOST, _MOST, 256)


def _count(value: int) -> int:
    number = index(value)
    if not 0 <= number <= _MOST:
        raise OverflowError(f"a limit must be between 0 and 2**64 - 1, got {number}")
    return number
