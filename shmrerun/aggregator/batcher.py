"""Micro-batching: when the pending rows of a group become a chunk.

A group is due when its interval has passed since its first pending row, or it has ``num_bytes`` or ``num_rows``. With only files
attached, and unless the user set the tick, the interval doubles at each flush from the tick up to PATIENCE_NANOS: the rows are
safe in their lanes meanwhile, and a file nobody watches is not shredded. While somebody looks the interval is the tick; when a viewer
lags, it grows as well, so that it gets larger chunks instead of more of them.
"""

from __future__ import annotations

PATIENCE_NANOS = 1_000_000_000


class Batcher:
    """Decides for all groups of one session; times are CLOCK_MONOTONIC nanoseconds."""

    def __init__(self, tick_nanos: int, num_bytes: int, num_rows: int, *, patient: bool) -> None:
        self.tick_nanos = tick_nanos
        self.num_bytes = num_bytes
        self.num_rows = num_rows
        self.patient = patient
        self.is_watched = False  # somebody looks at the rows as they come
        self._doublings = bytearray()  # of the interval, by group
        self._due: dict[int, int] = {}

    def due(self, pending: list[tuple[int, int, int]], now: int) -> list[int]:
        """Which groups to flush now, given (group, rows, bytes) of those that have rows."""
        found = []
        for group, rows, size in pending:
            due = self._due.get(group)
            if due is None:
                due = self._due[group] = now + self._interval(group)
            if now >= due or size >= self.num_bytes or rows >= self.num_rows:
                found.append(group)
        return found

    def flushed(self, group: int) -> None:
        """A group's rows were written."""
        self._due.pop(group, None)
        if not self._due:
            self._due.clear()  # gives its memory back, which many entities took
        if self.is_watched:
            if group < len(self._doublings):
                self._doublings[group] = 0
        elif self.patient and self._interval(group) < PATIENCE_NANOS:
            if group >= len(self._doublings):
                self._doublings.extend(bytes(group + 1))
            self._doublings[group] = min(self._doublings[group] + 1, 63)

    def _interval(self, group: int) -> int:
        """How long rows of a group wait."""
        doublings = self._doublings[group] if group < len(self._doublings) else 0
        return max(self.tick_nanos, min(self.tick_nanos << doublings, PATIENCE_NANOS))

    def next_due(self) -> int | None:
        """When the next group is due; None if nothing pends."""
        return min(self._due.values(), default=None)
