"""Columns of a file that are timelines, as users name them."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from shmrerun.importers.task import ImportFailedError
from shmrerun.model.time_columns import TimeColumn

_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


@dataclasses.dataclass(frozen=True)
class IndexColumn:
    """A column that is a timeline.

    Parameters
    ----------
    path
        Its name.
    kind
        ``"timestamp"``, ``"duration"`` or ``"sequence"``.
    input_unit
        Of its numbers: ``"ns"``, ``"us"``, ``"ms"`` or ``"s"``; None for a sequence. A column of Arrow times has a unit by itself, which
        is used.
    """

    path: str
    kind: Literal["timestamp", "duration", "sequence"]
    input_unit: Literal["ns", "us", "ms", "s"] | None = None

    @classmethod
    def timestamp(cls, path: str, *, input_unit: Literal["ns", "us", "ms", "s"] = "ns") -> IndexColumn:
        """Times since 1970."""
        return cls(path, "timestamp", input_unit)

    @classmethod
    def duration(cls, path: str, *, input_unit: Literal["ns", "us", "ms", "s"] = "ns") -> IndexColumn:
        """Times since whenever."""
        return cls(path, "duration", input_unit)

    @classmethod
    def sequence(cls, path: str) -> IndexColumn:
        """Numbers in their order."""
        return cls(path, "sequence")

    def _of(self, batch: Any) -> TimeColumn:
        """The timeline of a batch. ImportFailedError: its column is missing, or has nulls or no numbers."""
        import numpy as np
        import pyarrow as pa

        at = batch.schema.get_field_index(self.path)
        array = None if at < 0 else batch.column(at)
        if array is None or array.null_count or not (pa.types.is_temporal(array.type) or pa.types.is_primitive(array.type)):
            what = "is not there" if array is None else f"has {array.null_count:,} nulls, and the type {array.type}"
            raise ImportFailedError(f"the column {self.path!r}, which is to be a timeline, {what}")
        if pa.types.is_temporal(array.type) and self.kind != "sequence":
            kind = pa.timestamp("ns") if pa.types.is_timestamp(array.type) else pa.duration("ns")
            numbers = array.cast(kind).cast(pa.int64()).to_numpy()
        else:
            numbers = array.to_numpy(zero_copy_only=False)
            scale = _UNITS[self.input_unit] if self.input_unit else 1
            if numbers.dtype.kind == "f":
                if not np.isfinite(numbers).all():
                    raise ImportFailedError(f"the column {self.path!r}, which is to be a timeline, has values that are no numbers")
                numbers = np.copysign(np.floor(np.abs(numbers) * scale + 0.5), numbers).astype(np.int64)
            else:
                numbers = numbers.astype(np.int64) * scale
        if self.kind == "sequence":
            return TimeColumn(self.path, sequence=numbers)
        if self.kind == "duration":
            return TimeColumn(self.path, duration=numbers.astype("timedelta64[ns]"))
        return TimeColumn(self.path, timestamp=numbers.astype("datetime64[ns]"))
