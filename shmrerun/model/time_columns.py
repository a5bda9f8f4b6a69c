"""Columns of times for ``send_columns``, one time a row.

Source: rules observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

import contextlib
from array import array
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from shmrerun.loaded import loaded
from shmrerun.model.parts import DURATION, SEQUENCE, TIMESTAMP
from shmrerun.model.times import duration_nanos, timestamp_nanos

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_KINDS = {"int64": SEQUENCE, "duration[ns]": DURATION, "timestamp[ns]": TIMESTAMP}
_COARSE = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us")  # NumPy's units that nanoseconds may not hold
_NO_TIME = -(2**63)  # NaT
_SECONDS = 9_223_372_036  # the last second whose nanoseconds 64 bits hold


class TimeColumn:
    """The times of the rows of a ``send_columns`` call, on one timeline.

    Parameters
    ----------
    timeline : str
        Name of the timeline.
    sequence : iterable of int, optional
        Indices.
    duration : iterable, optional
        Numbers of seconds, timedeltas or numpy.timedelta64.
    timestamp : iterable, optional
        Numbers of seconds since the epoch, datetimes (without zone: UTC) or numpy.datetime64.

    Raises
    ------
    ValueError
        Not exactly one of the three is given.
    TypeError
        An item or an array of another type.
    OverflowError
        A time that 64 bits of nanoseconds cannot hold.

    Notes
    -----
    Arrays of numbers are taken whole: seconds times 1e9, cut; integers exactly. Other items follow the rules of
    ``set_time``.
    """

    __slots__ = ("_kind", "_timeline", "_values")

    def __init__(
        self,
        timeline: str,
        *,
        sequence: Iterable[int] | None = None,
        duration: Iterable[Any] | None = None,
        timestamp: Iterable[Any] | None = None,
    ) -> None:
        if (sequence is not None) + (duration is not None) + (timestamp is not None) != 1:
            raise ValueError(f"TimeColumn: Exactly one of `sequence`, `duration`, and `timestamp` must be set (timeline='{timeline}')")
        self._timeline = timeline
        self._values: Any
        if sequence is not None:
            self._kind = "int64"
            self._values = _int64(sequence)
        elif duration is not None:
            self._kind = "duration[ns]"
            self._values = _nanos(duration, "m")
        else:
            assert timestamp is not None
            self._kind = "timestamp[ns]"
            self._values = _nanos(timestamp, "M")

    def timeline_name(self) -> str:
        """Return the timeline's name."""
        return self._timeline

    def as_arrow_array(self) -> pa.Array:
        """Return the times: int64, duration[ns] or timestamp[ns]; NaT is null."""
        import numpy as np
        import pyarrow as pa

        if isinstance(self._values, pa.Array):
            return self._values
        from shmrerun.model.arrow_types import parse_type

        values = np.asarray(self._values, np.int64)
        missing = values == _NO_TIME if self._kind != "int64" else None
        return pa.array(values, pa.int64(), mask=missing if missing is not None and missing.any() else None).view(parse_type(self._kind))

    def _numbers(self) -> tuple[int, npt.NDArray[np.int64] | None, int]:
        """Kind of the timeline, the times as int64, and how many of them are missing; without times: they are a pyarrow array."""
        import numpy as np

        if not isinstance(self._values, array | np.ndarray):
            return _KINDS[self._kind], None, 0
        values = np.asarray(self._values, np.int64)
        return _KINDS[self._kind], values, 0 if self._kind == "int64" else int(np.count_nonzero(values == _NO_TIME))


def _int64(values: Any) -> Any:
    """Integers without pyarrow, where that goes: an array of numpy as it is, or one of Python's; else what pyarrow makes of them."""
    np = loaded("numpy")
    if np is not None and type(values) is np.ndarray and values.dtype == np.int64 and values.ndim == 1:
        return values
    if type(values) in (range, list, tuple):
        with contextlib.suppress(TypeError, OverflowError):
            return array("q", values)
    import pyarrow as pa

    return pa.array(values, pa.int64())


def _nanos(values: Iterable[Any], letter: str) -> Any:
    """Return nanoseconds of times: a numpy or array array of int64."""
    import numpy as np

    if isinstance(values, np.ndarray):
        kind = values.dtype.kind
        if kind == letter or (kind == "m" and letter == "M"):
            made = values.astype(f"{kind}8[ns]")
            if np.datetime_data(values.dtype)[0] in _COARSE and not np.array_equal(made.astype(values.dtype), values, equal_nan=True):
                raise OverflowError("a time does not fit into 64 bits of nanoseconds")
            return made.astype(np.int64)
        if kind in "iuf":
            if values.size and not np.all(np.abs(values) < _SECONDS):  # NaN as well
                raise OverflowError(f"a number of seconds does not fit into 64 bits of nanoseconds: {values.max()}")
            return values.astype(np.int64) * 10**9 if kind in "iu" else (values * 1e9).astype(np.int64)
        raise TypeError(f"Unsupported numpy array dtype: {values.dtype}")
    one = duration_nanos if letter == "m" else timestamp_nanos
    return array("q", [one(value) for value in values])


@runtime_checkable
class TimeColumnLike(Protocol):
    """Anything that has a timeline's name and times of its rows."""

    def timeline_name(self) -> str:
        """Return the timeline's name."""

    def as_arrow_array(self) -> pa.Array:
        """Return the times: int64, duration[ns] or timestamp[ns]."""


class TimeSequenceColumn(TimeColumn):
    """Indices; the older form of ``TimeColumn(timeline, sequence=times)``."""

    __slots__ = ()

    def __init__(self, timeline: str, times: Iterable[int]) -> None:
        super().__init__(timeline, sequence=times)


class TimeNanosColumn(TimeColumn):
    """Nanoseconds since the epoch; an older form of ``TimeColumn(timeline, timestamp=...)``."""

    __slots__ = ()

    def __init__(self, timeline: str, times: Iterable[int]) -> None:
        super().__init__(timeline, timestamp=())
        self._values = array("q", [int(time) for time in times])


class TimeSecondsColumn(TimeColumn):
    """Seconds since the epoch, cut to nanoseconds; an older form of ``TimeColumn(timeline, timestamp=...)``."""

    __slots__ = ()

    def __init__(self, timeline: str, times: Iterable[float]) -> None:
        super().__init__(timeline, timestamp=())
        self._values = array("q", [int(time * 1e9) for time in times])
