"""Values of time: points, durations and ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.model.convert.arguments import video_nanos
from shmrerun.model.convert.buffers import as_numpy
from shmrerun.model.values.base import Value

if TYPE_CHECKING:
    from typing import Any, Literal

    from numpy.typing import ArrayLike


class TimeInt(Value):
    """A point in time or a duration as an int64.

    Parameters
    ----------
    seq : int, optional
        A plain index.
    seconds : float, optional
        Seconds; cut to nanoseconds.
    nanos : int, optional
        Nanoseconds.

    Raises
    ------
    ValueError
        Not exactly one is given.
    """

    __slots__ = ("value",)
    _fields = ("value",)
    _converter = "time"

    def __init__(self, *, seq: int | None = None, seconds: float | None = None, nanos: int | None = None) -> None:
        if (seq is not None) + (seconds is not None) + (nanos is not None) != 1:
            raise ValueError("Exactly one of 'seq', 'seconds', or 'nanos' must be provided.")
        self.value = int(seq) if seq is not None else int(seconds * 1e9) if seconds is not None else int(nanos or 0)

    def __int__(self) -> int:
        return self.value


class TimeRangeBoundary(Value):
    """One end of a time range; made by :meth:`cursor_relative`, :meth:`absolute` or :meth:`infinite`.

    Parameters
    ----------
    inner : TimeInt or None
        The time or the distance.
    kind : str, optional
        ``cursor_relative``, ``absolute`` or ``infinite``.
    """

    __slots__ = ("inner", "kind")
    _fields = ("inner", "kind")
    _converter = "boundary"

    def __init__(self, inner: TimeInt | None, kind: Literal["cursor_relative", "absolute", "infinite"] = "cursor_relative") -> None:
        self.inner = inner
        self.kind = kind

    @staticmethod
    def cursor_relative(
        offset: Any = None, *, seq: int | None = None, seconds: float | None = None, nanos: int | None = None
    ) -> TimeRangeBoundary:
        """Return a boundary at this distance from the time cursor: a duration, negative for the past; without one the cursor itself."""
        if (offset, seq, seconds, nanos) == (None, None, None, None):
            seq = 0
        return TimeRangeBoundary(_time(offset, seq, seconds, nanos), "cursor_relative")

    @staticmethod
    def absolute(time: Any = None, *, seq: int | None = None, seconds: float | None = None, nanos: int | None = None) -> TimeRangeBoundary:
        """Return a boundary at this time."""
        return TimeRangeBoundary(_time(time, seq, seconds, nanos), "absolute")

    @staticmethod
    def infinite() -> TimeRangeBoundary:
        """Return a boundary that is none."""
        return TimeRangeBoundary(None, "infinite")


def _time(time: Any, seq: int | None, seconds: float | None, nanos: int | None) -> TimeInt:
    if time is None:
        return TimeInt(seq=seq, seconds=seconds, nanos=nanos)
    if (seq, seconds, nanos) != (None, None, None):
        raise ValueError("Exactly one of 'time', 'seq', 'seconds', or 'nanos' must be provided.")
    return time if isinstance(time, TimeInt) else TimeInt(seq=time)


class TimeRange(Value):
    """A range of times, both ends included.

    Parameters
    ----------
    start, end : TimeRangeBoundary
        The ends.
    """

    __slots__ = ("end", "start")
    _fields = ("start", "end")
    _converter = "time_range"

    def __init__(self, start: TimeRangeBoundary, end: TimeRangeBoundary) -> None:
        self.start = _boundary(start)
        self.end = _boundary(end)


def _boundary(value: Any) -> Any:
    """Return a boundary: what has a kind is one, also that of rerun-sdk; a time is a distance from the cursor."""
    return value if hasattr(value, "kind") else TimeRangeBoundary(value)


class VisibleTimeRange(Value):
    """The range of a timeline that is shown.

    Parameters
    ----------
    timeline : str
        Its name.
    range : TimeRange, optional
        The range as a whole.
    start, end : TimeRangeBoundary, optional
        Its ends instead, both of them.

    Raises
    ------
    ValueError
        Neither or both are given, or one end alone.
    """

    __slots__ = ("range", "timeline")
    _fields = ("timeline", "range")
    _converter = "visible_time_range"

    def __init__(
        self,
        timeline: str,
        range: TimeRange | None = None,  # noqa: A002  Rerun's name
        *,
        start: TimeRangeBoundary | None = None,
        end: TimeRangeBoundary | None = None,
    ) -> None:
        if range is not None and (start is not None or end is not None):
            raise ValueError("`start` and `end` can't be combined with `range`.")
        if range is None and (start is None or end is None):
            raise ValueError("A timeline's range is given as `range`, or as both `start` and `end`.")
        self.timeline = str(timeline)
        self.range = TimeRange(start, end) if range is None else range  # type: ignore[arg-type]


class AbsoluteTimeRange(Value):
    """A range of times without a cursor.

    Parameters
    ----------
    min, max : int or TimeInt, int64
        Nanoseconds or sequence numbers, both included.
    """

    __slots__ = ("max", "min")
    _fields = ("min", "max")
    _converter = "time_bounds"

    def __init__(self, min: Any, max: Any) -> None:  # noqa: A002  Rerun's names
        self.min = min if isinstance(min, TimeInt) else TimeInt(seq=min)
        self.max = max if isinstance(max, TimeInt) else TimeInt(seq=max)


class VideoTimestamp:
    """A time within a video, from its start.

    Parameters
    ----------
    nanoseconds : int, int64, optional
        The time in nanoseconds.
    seconds : float, optional
        The time in seconds, rounded to nanoseconds.

    Raises
    ------
    ValueError
        Not exactly one is given.
    """

    __slots__ = ()

    def __init__(self, *, nanoseconds: int | None = None, seconds: float | None = None) -> None:
        super().__init__(video_nanos(seconds, nanoseconds))  # type: ignore[call-arg]

    @classmethod
    def seconds(cls: Any, seconds: ArrayLike) -> Any:
        """Return a batch of times given in seconds, cut to nanoseconds."""
        return _several(cls, seconds, 1e9)

    @classmethod
    def milliseconds(cls: Any, milliseconds: ArrayLike) -> Any:
        """Return a batch of times given in milliseconds, cut to nanoseconds."""
        return _several(cls, milliseconds, 1e6)

    @classmethod
    def nanoseconds(cls: Any, nanoseconds: ArrayLike) -> Any:
        """Return a batch of times given in nanoseconds, fractions cut off."""
        return _several(cls, nanoseconds, 1)


def _several(cls: Any, times: Any, nanos: float) -> Any:
    """Return a batch of video times, one for each number; a single number is one time."""
    import numpy as np

    return cls._BATCH_TYPE((as_numpy(times) * nanos).reshape(-1).astype(np.int64))
