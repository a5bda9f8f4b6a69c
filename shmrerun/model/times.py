"""Values of ``set_time`` as integers: indices, nanoseconds, and nanoseconds since the epoch.

The rules are Rerun's, with three corrections: datetimes keep every microsecond (integers instead of floats), pyarrow
timestamps are read in their own unit, and a NumPy value that nanoseconds cannot hold is an OverflowError instead of a
wrapped number. Errors here are always raised, strict mode or not.

Source: observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

import datetime as dt
import operator
from typing import TYPE_CHECKING

from shmrerun.loaded import loaded
from shmrerun.model.parts import DURATION, SEQUENCE, TIMESTAMP

if TYPE_CHECKING:
    from typing import Any

_MAX = 2**63 - 1
_MIN = -(2**63)
_MILLISECONDS_ABOVE = 1e11  # seconds since the epoch beyond this are taken for milliseconds (year 5138)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNITS = {  # attoseconds, in which every unit of NumPy's exact ones is a whole number
    "W": 604_800 * 10**18,
    "D": 86_400 * 10**18,
    "h": 3_600 * 10**18,
    "m": 60 * 10**18,
    "s": 10**18,
    "ms": 10**15,
    "us": 10**12,
    "ns": 10**9,
    "ps": 10**6,
    "fs": 10**3,
    "as": 1,
    "generic": 10**9,  # a number without unit is taken as nanoseconds
}
_YEAR = 31_556_952 * 10**18  # NumPy's: 365.2425 days
_ARROW_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def convert(timeline: str, sequence: Any = None, duration: Any = None, timestamp: Any = None) -> tuple[int, int]:
    """Convert the value of one ``set_time`` call.

    Parameters
    ----------
    timeline : str
        Name of the timeline; any text but ``""``.
    sequence : int, optional
        Anything with ``__index__``.
    duration : int, float, datetime.timedelta or numpy.timedelta64, optional
        Numbers are seconds; fractions are rounded to nanoseconds, half to even.
    timestamp : int, float, datetime.datetime, numpy.datetime64 or pyarrow.TimestampScalar, optional
        Numbers are seconds since 1970-01-01 UTC; a datetime without zone is taken as UTC. pandas.NaT is NumPy's NaT.

    Returns
    -------
    kind : int
        ``SEQUENCE``, ``DURATION`` or ``TIMESTAMP`` of :mod:`shmrerun.model.parts`.
    value : int
        Index, nanoseconds, or nanoseconds since the epoch; at least -2**63 + 1,
        which also stands for -2**63 and NaT.

    Raises
    ------
    ValueError
        Not exactly one value is given; the name is empty; NaN; a timestamp that looks like milliseconds.
    TypeError
        The name is no str; the value is of a type not listed; a pyarrow scalar is null.
    OverflowError
        The value does not fit in 64 bits.

    Notes
    -----
    About 0.2 us for an int or float; NumPy is not imported.
    """
    if (sequence is not None) + (duration is not None) + (timestamp is not None) != 1:
        raise ValueError(f"set_time: Exactly one of `sequence`, `duration`, and `timestamp` must be set (timeline='{timeline}')")
    if sequence is not None:
        kind = SEQUENCE
        value: int = sequence if type(sequence) is int else _index(sequence)
    elif duration is not None:
        kind = DURATION
        value = duration_nanos(duration)
    else:
        kind = TIMESTAMP
        value = timestamp_nanos(timestamp)
    if type(timeline) is not str:
        check_name(timeline)
    elif not timeline:
        raise ValueError("Invalid `TimelineName`: must not be empty")
    return kind, _fit(value)


def seconds_to_timestamp(timeline: str, seconds: float) -> tuple[int, int]:
    """Convert a value of ``set_time_seconds``: seconds since the epoch, ``int(seconds * 1e9)``, so cut, not rounded.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As :func:`convert` (NaN, infinity and names too), but no value is taken for milliseconds.
    """
    check_name(timeline)
    return TIMESTAMP, _fit(int(seconds * 1e9))


def nanos_to_timestamp(timeline: str, nanos: int) -> tuple[int, int]:
    """Convert a value of ``set_time_nanos``: nanoseconds since the epoch; anything that ``int`` takes.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As :func:`convert`, but no value is taken for milliseconds.
    """
    check_name(timeline)
    return TIMESTAMP, _fit(int(nanos))


def check_name(timeline: Any) -> None:
    """Refuse what is no name of a timeline.

    Raises
    ------
    TypeError
        Not a str.
    ValueError
        Empty.
    """
    if not isinstance(timeline, str):
        shown = "'None'" if timeline is None else f"{type(timeline).__name__!r} object"
        raise TypeError(f"argument 'timeline': {shown} is not an instance of 'str'")
    if not timeline:
        raise ValueError("Invalid `TimelineName`: must not be empty")


def duration_nanos(duration: Any) -> int:
    """Nanoseconds of a duration, unbounded; types and errors as in :func:`convert`."""
    kind = type(duration)
    if kind is float:
        seconds: float = duration
        return round(seconds * 1e9)
    if isinstance(duration, int):
        return int(duration) * 10**9
    if isinstance(duration, dt.timedelta):
        return _timedelta_nanos(duration)
    if isinstance(duration, float):
        return round(float(duration) * 1e9)
    np = loaded("numpy")
    if np is not None:
        if isinstance(duration, np.timedelta64):
            return _numpy_nanos(np, duration)
        if isinstance(duration, np.integer):
            return int(duration) * 10**9
        if isinstance(duration, np.floating):
            return round(float(duration) * 1e9)
    raise TypeError(f"set_time: duration must be an int, float, timedelta, or numpy.timedelta64 object, got {kind}")


def timestamp_nanos(timestamp: Any) -> int:
    """Nanoseconds since the epoch of a point in time, unbounded; types and errors as in :func:`convert`."""
    kind = type(timestamp)
    if isinstance(timestamp, float | int):
        if timestamp > _MILLISECONDS_ABOVE:
            raise ValueError("set_time: Expected seconds since unix epoch, but it looks like this is in milliseconds")
        return int(timestamp) * 10**9 if isinstance(timestamp, int) else round(float(timestamp) * 1e9)
    if isinstance(timestamp, dt.datetime):
        if timestamp != timestamp:  # noqa: PLR0124  pandas.NaT is a datetime, and differs from itself
            return _MIN
        if hasattr(timestamp, "as_unit") and hasattr(timestamp, "value"):
            return _pandas_nanos(timestamp)
        if timestamp.tzinfo is None:
            timestamp = timestamp.replace(tzinfo=dt.UTC)
        return _timedelta_nanos(timestamp - _EPOCH)
    np = loaded("numpy")
    if np is not None:
        if isinstance(timestamp, np.datetime64):
            return _numpy_nanos(np, timestamp)
        if isinstance(timestamp, np.integer) and not isinstance(timestamp, np.timedelta64):
            return timestamp_nanos(int(timestamp))
    pa = loaded("pyarrow")
    if pa is not None and isinstance(timestamp, pa.TimestampScalar):
        if not timestamp.is_valid:
            raise TypeError("set_time: timestamp is a null pyarrow.TimestampScalar")
        return int(timestamp.value) * _ARROW_UNITS[timestamp.type.unit]
    raise TypeError(f"set_time: timestamp must be an int, float, datetime, numpy.datetime64, or pyarrow.TimestampScalar object, got {kind}")


def _fit(value: int) -> int:
    """Check that 64 bits hold the value, and keep the smallest one free: it stands for static rows."""
    if not _MIN <= value <= _MAX:
        raise OverflowError("Python int too large to convert to C long")
    return value if value > _MIN else _MIN + 1


def _index(sequence: Any) -> int:
    try:
        return int(operator.index(sequence))
    except TypeError:
        raise TypeError(f"argument 'sequence': {type(sequence).__name__!r} object cannot be interpreted as an integer") from None


def _timedelta_nanos(value: dt.timedelta) -> int:
    nanos = ((value.days * 86_400 + value.seconds) * 10**6 + value.microseconds) * 1_000
    return nanos + int(getattr(value, "nanoseconds", 0))  # of a pandas Timedelta


def _pandas_nanos(value: Any) -> int:
    """Exact nanoseconds of a pandas Timestamp, which has a unit of its own; without zone it is UTC."""
    return int(value._value) * _ARROW_UNITS[value.unit] if hasattr(value, "_value") else int(value.value)


def _numpy_nanos(np: Any, value: Any) -> int:
    """Nanoseconds of a datetime64 or timedelta64, fractions cut towards minus infinity; NaT is the smallest value."""
    if np.isnat(value):
        return _MIN
    unit: str
    count: int
    unit, count = np.datetime_data(value.dtype)
    if unit in ("Y", "M"):
        if isinstance(value, np.timedelta64):
            return int(value.astype(np.int64)) * count * (_YEAR if unit == "Y" else _YEAR // 12) // 10**9
        value = value.astype("datetime64[D]")
        unit, count = "D", 1
    return int(value.astype(np.int64)) * count * _UNITS[unit] // 10**9
