"""Values of set_time."""

from __future__ import annotations

import datetime as dt
import fractions
import subprocess
import sys
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shmrerun import _core
from shmrerun.model import times
from shmrerun.model.parts import DURATION, SEQUENCE, TIMESTAMP

SMALLEST = -(2**63) + 1
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of newer NumPys
    UNITLESS, NOT_A_TIME, NO_DATE = np.timedelta64(5), np.timedelta64("NaT"), np.datetime64("NaT")


class Index:
    def __index__(self):
        return 7


@pytest.mark.parametrize(
    ("values", "result"),
    [
        ({"sequence": 5}, (SEQUENCE, 5)),
        ({"sequence": True}, (SEQUENCE, 1)),
        ({"sequence": np.int8(-3)}, (SEQUENCE, -3)),
        ({"sequence": np.array(3)}, (SEQUENCE, 3)),
        ({"sequence": Index()}, (SEQUENCE, 7)),
        ({"sequence": -(2**63)}, (SEQUENCE, SMALLEST)),
        ({"sequence": 2**63 - 1}, (SEQUENCE, 2**63 - 1)),
        ({"duration": 5}, (DURATION, 5_000_000_000)),
        ({"duration": True}, (DURATION, 1_000_000_000)),
        ({"duration": 0.5e-9}, (DURATION, 0)),
        ({"duration": 1.5e-9}, (DURATION, 2)),
        ({"duration": 2.5e-9}, (DURATION, 2)),
        ({"duration": np.float32(0.1)}, (DURATION, 100_000_001)),
        ({"duration": np.float16(0.1)}, (DURATION, 99_975_586)),
        ({"duration": np.int8(3)}, (DURATION, 3_000_000_000)),
        ({"duration": dt.timedelta(days=-1, microseconds=1)}, (DURATION, -86_399_999_999_000)),
        ({"duration": UNITLESS}, (DURATION, 5)),
        ({"duration": np.timedelta64(5, "Y")}, (DURATION, 157_784_760_000_000_000)),
        ({"duration": np.timedelta64(-1500, "ps")}, (DURATION, -2)),
        ({"duration": NOT_A_TIME}, (DURATION, SMALLEST)),
        ({"timestamp": 1.5}, (TIMESTAMP, 1_500_000_000)),
        ({"timestamp": -5}, (TIMESTAMP, -5_000_000_000)),
        ({"timestamp": True}, (TIMESTAMP, 1_000_000_000)),
        ({"timestamp": np.float64(1700000000.123456789)}, (TIMESTAMP, 1700000000123456768)),
        ({"timestamp": np.uint8(3)}, (TIMESTAMP, 3_000_000_000)),
        ({"timestamp": dt.datetime(2024, 1, 2, 3, 4, 5, 678901)}, (TIMESTAMP, 1704164645678901000)),  # noqa: DTZ001
        ({"timestamp": dt.datetime(1970, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))}, (TIMESTAMP, -7200 * 10**9)),
        ({"timestamp": np.datetime64("2020-02")}, (TIMESTAMP, 1580515200000000000)),
        ({"timestamp": np.datetime64("2020-01-01T00:00:00.000000001")}, (TIMESTAMP, 1577836800000000001)),
        ({"timestamp": NO_DATE}, (TIMESTAMP, SMALLEST)),
        ({"timestamp": pa.scalar(5, pa.timestamp("us"))}, (TIMESTAMP, 5_000)),
        ({"timestamp": pa.scalar(5, pa.timestamp("s", tz="UTC"))}, (TIMESTAMP, 5_000_000_000)),
        ({"timestamp": pa.scalar(5, pa.timestamp("ns"))}, (TIMESTAMP, 5)),
    ],
)
def test_values(values, result):
    """Each accepted type gives the kind of its argument and the exact integer."""
    got = times.convert("t", **values)
    assert got == result
    assert [type(x) for x in got] == [int, int]


ONE = "set_time: Exactly one of `sequence`, `duration`, and `timestamp` must be set \\(timeline='t'\\)"
KINDS = "set_time: duration must be an int, float, timedelta, or numpy.timedelta64 object, got <class"
POINTS = "set_time: timestamp must be an int, float, datetime, numpy.datetime64, or pyarrow.TimestampScalar object, got"
MILLIS = "set_time: Expected seconds since unix epoch, but it looks like this is in milliseconds"


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({}, ValueError, ONE),
        ({"sequence": 1, "duration": 2}, ValueError, ONE),
        ({"sequence": 1.0}, TypeError, "argument 'sequence': 'float' object cannot be interpreted as an integer"),
        ({"sequence": "1"}, TypeError, "argument 'sequence': 'str' object"),
        ({"sequence": 2**63}, OverflowError, "too large"),
        ({"duration": float("nan")}, ValueError, "cannot convert float NaN to integer"),
        ({"duration": float("inf")}, OverflowError, "cannot convert float infinity to integer"),
        ({"duration": 1e20}, OverflowError, "too large"),
        ({"duration": 10**12}, OverflowError, "too large"),
        ({"duration": dt.timedelta.max}, OverflowError, "too large"),
        ({"duration": np.timedelta64(10**18, "s")}, OverflowError, "too large"),
        ({"duration": "1"}, TypeError, KINDS),
        ({"duration": np.True_}, TypeError, KINDS),
        ({"duration": np.array(3.0)}, TypeError, KINDS),
        ({"duration": fractions.Fraction(1, 2)}, TypeError, KINDS),
        ({"timestamp": 1.1e11}, ValueError, MILLIS),
        ({"timestamp": 10**11 + 1}, ValueError, MILLIS),
        ({"timestamp": np.int64(10**12)}, ValueError, MILLIS),
        ({"timestamp": float("inf")}, ValueError, MILLIS),
        ({"timestamp": float("nan")}, ValueError, "cannot convert float NaN to integer"),
        ({"timestamp": -float("inf")}, OverflowError, "cannot convert float infinity to integer"),
        ({"timestamp": 1e11}, OverflowError, "too large"),
        ({"timestamp": -(10**12)}, OverflowError, "too large"),
        ({"timestamp": dt.datetime.max}, OverflowError, "too large"),  # noqa: DTZ901
        ({"timestamp": np.datetime64("9999-01-01")}, OverflowError, "too large"),
        ({"timestamp": np.float32(1)}, TypeError, POINTS),
        ({"timestamp": np.True_}, TypeError, POINTS),
        ({"timestamp": "x"}, TypeError, POINTS),
        ({"timestamp": dt.date(2020, 1, 1)}, TypeError, POINTS),
        ({"timestamp": np.timedelta64(3, "s")}, TypeError, POINTS),
        ({"timestamp": pa.scalar(None, pa.timestamp("us"))}, TypeError, "null"),
    ],
)
def test_errors(values, error, message):
    """What is no value of its kind raises the error that rerun-sdk raises."""
    with pytest.raises(error, match=message):
        times.convert("t", **values)


@pytest.mark.parametrize("call", [times.convert, times.seconds_to_timestamp, times.nanos_to_timestamp])
def test_names(call):
    """A name that is empty is a ValueError, one that is no str a TypeError; any other text is legal."""
    with pytest.raises(ValueError, match="Invalid `TimelineName`: must not be empty"):
        call("", 1)
    for name, shown in ((5, "'int' object"), (None, "'None'")):
        with pytest.raises(TypeError, match=f"argument 'timeline': {shown} is not an instance of 'str'"):
            call(name, 1)
    assert call("a b/c", 1)


def test_number_of_values_is_checked_before_the_name():
    """A call without value complains about the value, whatever the name."""
    with pytest.raises(ValueError, match=r"timeline='5'"):
        times.convert(5)


def test_older_functions():
    """Seconds are cut to nanoseconds, nanoseconds are taken as they are; neither is checked for milliseconds."""
    assert times.seconds_to_timestamp("t", 1.9e-9) == (TIMESTAMP, 1)
    assert times.seconds_to_timestamp("t", 1.5) == (TIMESTAMP, 1_500_000_000)
    assert times.nanos_to_timestamp("t", -(2**63)) == (TIMESTAMP, SMALLEST)
    with pytest.raises(OverflowError):
        times.seconds_to_timestamp("t", 1e11)
    with pytest.raises(ValueError, match="NaN"):
        times.seconds_to_timestamp("t", float("nan"))


@pytest.fixture(scope="module")
def oracle():
    """Return what tells the value that rerun-sdk stores for a set_time call."""
    rerun = pytest.importorskip("rerun")
    chunk = pytest.importorskip("rerun.chunk")

    def convert(kind, value):
        column = rerun.TimeColumn("t", **{kind: [value]})
        batch = chunk.Chunk.from_columns("/a", indexes=[column], columns=rerun.Scalars.columns(scalars=[1.0]))
        return batch.to_record_batch().column("t").cast(pa.int64())[0].as_py()

    return convert


@given(seconds=st.floats(-9.2e9, 9.2e9))
@settings(deadline=None)
@pytest.mark.parametrize("kind", ["duration", "timestamp"])
def test_float_seconds_equal_rerun(oracle, kind, seconds):
    """Float seconds give the nanoseconds that rerun-sdk gives."""
    assert times.convert("t", **{kind: seconds})[1] == oracle(kind, seconds)


@given(when=st.datetimes(dt.datetime(1678, 1, 1), dt.datetime(2262, 1, 1)))  # noqa: DTZ001
def test_datetimes_are_exact(when):
    """A datetime keeps every microsecond."""
    assert times.convert("t", timestamp=when)[1] == int(np.datetime64(when, "ns").astype(np.int64))


@given(count=st.integers(-(10**6), 10**6), unit=st.sampled_from(["W", "D", "h", "m", "s", "ms", "us", "ns", "M", "Y"]))
def test_numpy_units_are_exact(count, unit):
    """A NumPy duration or point in time is the one that NumPy's own exact cast gives, where that fits."""
    wide = unit in ("Y", "M", "W", "D", "h")
    count = count % 200 if wide else count
    for kind, value in (("duration", np.timedelta64(count, unit)), ("timestamp", np.datetime64(count, unit))):
        nanos = value.astype(value.dtype.type(0, "ns").dtype).astype(np.int64)
        assert times.convert("t", **{kind: value})[1] == max(int(nanos), SMALLEST)


def test_plain_numbers_do_not_import_numpy():
    """Ints, floats and datetimes are converted without NumPy."""
    code = (
        "import sys, datetime; from shmrerun.model.times import convert\n"
        "convert('t', 1); convert('t', duration=1.5); convert('t', timestamp=datetime.datetime(2020, 1, 1))\n"
        "assert 'numpy' not in sys.modules and 'pyarrow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class _Missing(dt.datetime):
    """What pandas.NaT is like: a datetime that differs from itself, with a value and without a unit."""

    value = -(2**63)

    def as_unit(self, unit):
        return self

    def __eq__(self, other):
        return False

    def __ne__(self, other):
        return True

    __hash__ = None


def test_a_missing_timestamp_is_nat():
    """pandas.NaT is taken as NumPy's NaT: the smallest time, and a null in a column; where a number is needed it is refused."""
    from shmrerun import archetypes, errors
    from shmrerun.model.time_columns import TimeColumn

    missing = _Missing(2000, 1, 1)
    assert times.convert("t", timestamp=missing) == times.convert("t", timestamp=np.datetime64("NaT", "ns"))
    column = TimeColumn("t", timestamp=[dt.datetime(1970, 1, 1, tzinfo=dt.UTC), missing]).as_arrow_array()
    assert column.is_null().to_pylist() == [False, True]
    assert TimeColumn("t", duration=np.array([1, "NaT"], "m8[s]")).as_arrow_array().null_count == 1
    with pytest.raises(TypeError):
        times.convert("t", duration=missing)
    with pytest.warns(errors.RerunWarning, match="TimestampBatch: TypeError"):
        assert len(archetypes.RecordingInfo(start_time=missing).start_time) == 0


def test_timeline_that_changes_its_type(capfd):
    """A timeline that gets another type is told of on stderr, each time, as Rerun does; the new type holds."""
    key = 4711
    _core.put_time(key, "t", 1, 5)
    _core.put_time(key, "t", 1, 6)
    assert capfd.readouterr().err == ""
    _core.put_time(key, "t", 3, 7)
    assert '"t" changed its type from sequence to timestamp' in capfd.readouterr().err
    assert _core.times(key) == [("t", 3, 7)]
    _core.reset_time(key)
