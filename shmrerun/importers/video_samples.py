"""The compressed frames of an MP4 video, or of a part of it, as streams of them want these. Needs the package ``av``.

Source: ISO/IEC 14496-15 (avcC, hvcC); rerun-sdk 0.41 takes parts that begin with a key frame and have no frames out of order.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun.importers.task import ImportFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

CODECS = {"h264": "H264", "hevc": "H265", "av1": "AV1", "vp8": "VP8", "vp9": "VP9"}
_START = b"\0\0\0\1"
_HEVC_SETS = (32, 33, 34)  # units that are parameter sets: VPS, SPS, PPS


class NoStreamError(ImportFailedError):
    """The frames are in another order than they are shown in, or do not begin with a key frame."""


class Frame(NamedTuple):
    """A compressed frame."""

    seconds: float
    data: bytes
    is_key: bool


@contextlib.contextmanager
def opened(path: str) -> Iterator[tuple[Any, Any, str]]:
    """The file, its video, and what the video's codec is called there: a key of ``CODECS``.

    ImportFailedError: the package is missing, or there is no video of a known codec; OSError, ValueError: the file cannot be read.
    """
    try:
        import av
    except ImportError:
        raise ImportFailedError(f"the frames of videos need a package: pip install 'shmrerun[importers]': {path}") from None
    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise ImportFailedError(f"there is no video in the file: {path}")
            stream: Any = container.streams.video[0]
            decoder = "none" if stream.codec_context is None else stream.codec_context.name
            name = {"libdav1d": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}.get(decoder, decoder)
            if name not in CODECS:
                raise ImportFailedError(f"the video has the codec {name!r}, not one of {sorted(CODECS)}: {path}")
            yield container, stream, name
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise ImportFailedError(f"cannot read the video any further: {type(error).__name__} {error}: {path}") from None


@contextlib.contextmanager
def frames(path: str, start: float = -math.inf, end: float = math.inf) -> Iterator[tuple[str, Iterator[Frame]]]:
    """Codec, and the frames that are shown from ``start`` to before ``end`` (seconds), in order.

    ImportFailedError: see :func:`opened`; NoStreamError: the frames are no stream; OSError, ValueError: the file cannot be read.
    """
    with opened(path) as (container, stream, name):

        def found() -> Iterator[Frame]:
            extra = bytes(stream.codec_context.extradata or b"")
            last = None
            for packet in container.demux(stream):
                if packet.pts is None or not start <= float(packet.pts * stream.time_base) < end:
                    continue
                if last is not None and packet.pts < last:
                    raise NoStreamError(f"the video's frames are out of order (B-frames), which streams cannot have: {path}")
                if last is None and not packet.is_keyframe:
                    raise NoStreamError(f"the video has no key frame at {max(start, 0):g} s, where it is to begin: {path}")
                last = packet.pts
                data = _stream_format(name, extra, bytes(packet), is_key=packet.is_keyframe)
                yield Frame(float(packet.pts * stream.time_base), data, packet.is_keyframe)

        yield CODECS[name], found()


def _stream_format(codec: str, extra: bytes, data: bytes, *, is_key: bool) -> bytes:
    """A frame with start codes in place of lengths; key frames with the parameter sets before them."""
    if codec not in ("h264", "hevc"):
        return data
    size, sets = (_avc if codec == "h264" else _hevc)(extra)
    out, at = [*sets] if is_key else [], 0
    while at + size <= len(data):
        length = int.from_bytes(data[at : at + size], "big")
        out.append(data[at + size : at + size + length])
        at += size + length
    return b"".join(_START + unit for unit in out)


def _avc(extra: bytes) -> tuple[int, list[bytes]]:
    """Bytes of a length, and the parameter sets of H.264."""
    first = list(_units(extra, 6, extra[5] & 31))
    after = 6 + sum(2 + len(unit) for unit in first)
    return (extra[4] & 3) + 1, [*first, *_units(extra, after + 1, extra[after])]


def _hevc(extra: bytes) -> tuple[int, list[bytes]]:
    """The same of H.265."""
    at, sets = 23, []
    for _ in range(extra[22]):
        found = list(_units(extra, at + 3, int.from_bytes(extra[at + 1 : at + 3], "big")))
        sets += found if extra[at] & 63 in _HEVC_SETS else []  # not what an encoder says of itself (SEI)
        at += 3 + sum(2 + len(unit) for unit in found)
    return (extra[21] & 3) + 1, sets


def _units(extra: bytes, at: int, count: int) -> Iterator[bytes]:
    for _ in range(count):
        length = int.from_bytes(extra[at : at + 2], "big")
        yield extra[at + 2 : at + 2 + length]
        at += 2 + length
