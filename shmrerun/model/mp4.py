"""When the frames of an MP4 video are shown, read from its index; the pictures themselves are not looked at.

Source: ISO/IEC 14496-12 (boxes moov, trak, mdhd, hdlr, stsd, stts, ctts, mvex, moof, tfhd, tfdt, trun); which codecs and in which
order the times come: results observed on rerun-sdk 0.41.0.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import NDArray

_u16 = Struct(">H").unpack_from
_u32 = Struct(">I").unpack_from
_u64 = Struct(">Q").unpack_from
_head = Struct(">I4s").unpack_from
_two = Struct(">II").unpack_from

_CODECS = (b"av01", b"avc1", b"hev1", b"hvc1", b"vp08", b"vp09")
_NANOS = 1_000_000_000


class _Box(NamedTuple):
    kind: bytes
    start: int  # of the content
    end: int


class _Track(NamedTuple):
    number: int
    timescale: int
    table: _Box  # of its samples


def frame_times(raw: bytes, media_type: str | None) -> NDArray[Any]:
    """Return the presentation times of all frames in nanoseconds, int64, ascending.

    Parameters
    ----------
    raw : bytes
        The file.
    media_type : str, optional
        What it is said to be; MP4 files are recognised without.

    Raises
    ------
    RuntimeError
        It is no MP4 file, is cut off, or has no video track of a known codec.
    """
    if media_type not in (None, "video/mp4"):
        raise RuntimeError(f"Cannot read the frames of a video of type {media_type!r}: only video/mp4 can be read")
    if raw[4:8] != b"ftyp":
        raise RuntimeError("Cannot read the frames of this video: it is no MP4 file, which has 'ftyp' at byte 4")
    try:
        return _read(raw)
    except (struct_error, IndexError) as error:
        raise RuntimeError(f"Cannot read the frames of this video: its index is cut off or damaged ({error})") from None


def read_frame_timestamps_nanos(self: Any) -> NDArray[Any]:
    """Return when the frames of the video are shown: nanoseconds from its start, int64, ascending.

    Raises
    ------
    RuntimeError
        There is no video, it is no MP4 file, is cut off, or has no video track of a known codec.

    Notes
    -----
    Reads the index of the file, not the pictures: about a millisecond for 10,000 frames.
    """
    if self.blob is None or not len(self.blob):
        raise RuntimeError("Cannot read the frames of this video: the archetype has none")
    named = None if self.media_type is None else self.media_type.as_arrow_array().to_pylist()
    return frame_times(self.blob.as_arrow_array()[0].values.to_numpy().tobytes(), named[0] if named else None)


def _read(raw: bytes) -> NDArray[Any]:
    import numpy as np

    top = list(_boxes(raw, 0, len(raw)))
    moov = next((box for box in top if box.kind == b"moov"), None)
    if moov is None:
        raise RuntimeError("Cannot read the frames of this video: it has no index (box 'moov'); was the recording cut off?")
    track = _video_track(raw, moov)
    times = [_table_times(raw, track.table)]
    defaults = _defaults(raw, moov, track.number)
    end = 0
    if times[0].size:
        end = _duration(raw, track.table)
    for box in top:
        if box.kind == b"moof":
            for traf in _all(raw, box, b"traf"):
                found, end = _fragment_times(raw, traf, track.number, defaults, end)
                times.append(found)
                if sum(map(len, times)) > len(raw):  # no frame has less than a byte
                    raise RuntimeError(f"Cannot read the frames of this video: more frames than its {len(raw)} bytes can hold")
    return _nanos(np.concatenate(times), track.timescale)


def _boxes(raw: bytes, start: int, end: int) -> Iterator[_Box]:
    """Boxes that lie one after the other; what does not fit is an error, trailing bytes that are no box are not."""
    at = start
    while at + 8 <= end:
        size, kind = _head(raw, at)
        content = at + 8
        if size == 1:
            size = _u64(raw, content)[0]
            content += 8
        elif size == 0:
            size = end - at
        if size < content - at or at + size > end:
            name = kind.decode("latin-1")
            raise RuntimeError(f"Cannot read the frames of this video: box {name!r} at byte {at} has {size} bytes, {end - at} are there")
        yield _Box(kind, content, at + size)
        at += size


def _all(raw: bytes, parent: _Box, kind: bytes) -> list[_Box]:
    return [box for box in _boxes(raw, parent.start, parent.end) if box.kind == kind]


def _find(raw: bytes, parent: _Box, *kinds: bytes) -> _Box | None:
    """Return the first box at the end of a path, or None."""
    found: _Box | None = parent
    for kind in kinds:
        if found is None:
            return None
        found = next(iter(_all(raw, found, kind)), None)
    return found


def _need(raw: bytes, parent: _Box, *kinds: bytes) -> _Box:
    found = _find(raw, parent, *kinds)
    if found is None:
        path = "/".join(kind.decode() for kind in kinds)
        raise RuntimeError(f"Cannot read the frames of this video: box {path!r} is missing")
    return found


def _video_track(raw: bytes, moov: _Box) -> _Track:
    for trak in _all(raw, moov, b"trak"):
        handler = _need(raw, trak, b"mdia", b"hdlr")
        if raw[handler.start + 8 : handler.start + 12] != b"vide":
            continue
        media = _need(raw, trak, b"mdia")
        table = _need(raw, media, b"minf", b"stbl")
        described = _need(raw, table, b"stsd")
        codec = raw[described.start + 12 : described.start + 16]
        if codec not in _CODECS:
            known = ", ".join(name.decode() for name in _CODECS)
            raise RuntimeError(f"Video track uses unsupported codec {codec.decode('latin-1')!r}; known are {known}")
        head = _need(raw, trak, b"tkhd")
        clock = _need(raw, media, b"mdhd")
        timescale = _u32(raw, clock.start + (20 if raw[clock.start] == 1 else 12))[0]
        if timescale == 0:
            raise RuntimeError("Cannot read the frames of this video: its clock has 0 units a second")
        return _Track(_u32(raw, head.start + (20 if raw[head.start] == 1 else 12))[0], timescale, table)
    raise RuntimeError("Cannot read the frames of this video: it has no video track")


def _pairs(raw: bytes, box: _Box | None) -> NDArray[Any]:
    """Entries of a table of pairs of 32 bits: stts and ctts."""
    import numpy as np

    if box is None:
        return np.empty((0, 2), np.int64)
    count = _u32(raw, box.start + 4)[0]
    if box.start + 8 + count * 8 > box.end:
        raise RuntimeError(f"Cannot read the frames of this video: {count} entries do not fit into a table of {box.end - box.start} bytes")
    return np.frombuffer(raw, ">u4", count * 2, box.start + 8).reshape(count, 2).astype(np.int64)


def _repeated(pairs: NDArray[Any], most: int) -> NDArray[Any]:
    """Values of a table, each as often as it says."""
    import numpy as np

    total = int(pairs[:, 0].sum())
    if total > most:
        raise RuntimeError(f"Cannot read the frames of this video: {total} frames in a file of {most} bytes")
    return np.repeat(pairs[:, 1], pairs[:, 0])


def _duration(raw: bytes, table: _Box) -> int:
    pairs = _pairs(raw, _find(raw, table, b"stts"))
    return int((pairs[:, 0] * pairs[:, 1]).sum())


def _table_times(raw: bytes, table: _Box) -> NDArray[Any]:
    """Times of the frames in the sample table, in units of the track's clock, from 0; none in a file of fragments.

    The earliest one counts as 0, whatever an edit list says, as viewers have it; times of fragments stay as they are.
    """
    import numpy as np

    lengths = _repeated(_pairs(raw, _find(raw, table, b"stts")), len(raw))
    times: NDArray[Any] = np.cumsum(lengths) - lengths
    shifts = _repeated(_pairs(raw, _find(raw, table, b"ctts")), len(raw))
    # 32 bits; version 1 means them signed, and writers of version 0 do too
    shifts = shifts.astype(np.uint32).astype(np.int32).astype(np.int64)
    count = min(len(shifts), len(times))
    times[:count] += shifts[:count]
    if times.size:
        times -= times.min()
    return times


def _defaults(raw: bytes, moov: _Box, number: int) -> int:
    """Length of a frame in fragments that do not say it."""
    mvex = _find(raw, moov, b"mvex")
    for trex in _all(raw, mvex, b"trex") if mvex is not None else ():
        if _u32(raw, trex.start + 4)[0] == number:
            return int(_u32(raw, trex.start + 12)[0])
    return 0


def _fragment_times(raw: bytes, traf: _Box, number: int, length: int, end: int) -> tuple[NDArray[Any], int]:
    """Times of the frames of one fragment, and where the next one begins unless it says so."""
    import numpy as np

    head = _need(raw, traf, b"tfhd")
    flags, track = _two(raw, head.start)
    if track != number:
        return np.empty(0, np.int64), end
    at = head.start + 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    if flags & 8:
        length = _u32(raw, at)[0]
    base = _find(raw, traf, b"tfdt")
    if base is not None:
        end = (_u64 if raw[base.start] == 1 else _u32)(raw, base.start + 4)[0]
    times = []
    for run in _all(raw, traf, b"trun"):
        flags, count = _two(raw, run.start)
        words = sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
        at = run.start + 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
        if at + count * words * 4 > run.end or count > len(raw):
            raise RuntimeError(f"Cannot read the frames of this video: {count} frames do not fit into a box of {run.end - run.start} bytes")
        table = np.frombuffer(raw, ">i4", count * words, at).reshape(count, words).astype(np.int64)
        lengths = table[:, 0] & 0xFFFF_FFFF if flags & 0x100 else np.full(count, length, np.int64)
        starts = end + np.cumsum(lengths) - lengths
        end += int(lengths.sum())
        times.append(starts + table[:, -1] if flags & 0x800 else starts)
    return np.concatenate(times) if times else np.empty(0, np.int64), end


def _nanos(times: NDArray[Any], timescale: int) -> NDArray[Any]:
    """Nanoseconds, rounded to the nearest, without the loss that floats have after hours."""
    import numpy as np

    whole, rest = np.divmod(np.sort(times), timescale)
    found: NDArray[Any] = whole * _NANOS + (rest * _NANOS + timescale // 2) // timescale
    return found
