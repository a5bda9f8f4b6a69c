"""Videos encoded anew, as streams of frames want them: in order, of another codec, or with other key frames. Needs the package ``av``.

Source: names, encoders and their settings of rerun-sdk 0.41, which runs the program ``ffmpeg``; here its libraries are those of ``av``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from shmrerun.importers.task import ImportFailedError
from shmrerun.importers.video_samples import CODECS, Frame, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

_Encoders = list[tuple[str, dict[str, str]]]
_GPU: dict[str, _Encoders] = {
    "H264": [("h264_nvenc", {"rc": "vbr", "cq": "23"})],
    "H265": [("hevc_nvenc", {"rc": "vbr", "cq": "23"})],
    "AV1": [("av1_nvenc", {"rc": "vbr", "cq": "30"})],
}
_CPU: dict[str, _Encoders] = {
    "H264": [("libx264", {"crf": "18"})],
    "H265": [("libx265", {"crf": "20", "x265-params": "log-level=none"})],
    "AV1": [("libsvtav1", {"crf": "30"}), ("libaom-av1", {"crf": "30", "b": "0"})],
    "VP9": [("libvpx-vp9", {"crf": "31", "b": "0"})],
    "VP8": [("libvpx", {"crf": "10", "b": "2000000"})],
}
_TURNS = {90: ["transpose=cclock"], -90: ["transpose=clock"], 180: ["hflip", "vflip"], -180: ["hflip", "vflip"]}
_MOST_GOP = (1 << 31) - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mp4TranscodeOptions:
    """How the frames of a video are encoded anew.

    Parameters
    ----------
    output_codec
        A ``shmrerun.components.VideoCodec``, or rerun's. None: that of the file.
    gop_size
        Frames from one key frame to the next; where scenes change there may be more of them. 0: each frame is one. None: as the encoder
        decides.
    try_gpu
        Whether an NVIDIA GPU encodes, if there is one that can.
    ffmpeg_override
        Taken for rerun's sake, and of no effect: no program is started.

    Raises
    ------
    TypeError
        The codec is none.
    ValueError
        The number of frames is negative, or more than 31 bits.

    """

    output_codec: Any = None
    gop_size: int | None = None
    try_gpu: bool = False
    ffmpeg_override: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.output_codec is not None and getattr(self.output_codec, "name", None) not in _CPU:
            raise TypeError(f"output_codec is a shmrerun.components.VideoCodec, got {type(self.output_codec).__name__}")
        if self.gop_size is not None and not 0 <= self.gop_size <= _MOST_GOP:
            raise ValueError(f"gop_size is a number of frames from 0 to {_MOST_GOP:,}, not {self.gop_size!r}")


def must_be_encoded(path: str, options: Mp4TranscodeOptions) -> bool:
    """Whether the options want what the file has not, or its frames are out of order. Reads all of it, but decodes nothing.

    ImportFailedError: it has no video of a known codec; OSError, ValueError: it cannot be read.
    """
    with opened(path) as (container, stream, codec):
        if options.gop_size is not None or (options.output_codec is not None and options.output_codec.name != CODECS[codec]):
            return True
        last = None
        for packet in container.demux(stream):
            if packet.pts is not None:
                if last is not None and packet.pts < last:
                    return True
                last = packet.pts
    return False


@contextlib.contextmanager
def encoded(
    path: str, options: Mp4TranscodeOptions, start: float = -math.inf, end: float = math.inf
) -> Iterator[tuple[str, Iterator[tuple[int, Frame]]]]:
    """Codec, and the frames that are shown from ``start`` to before ``end`` (seconds), with nanoseconds from the beginning of the file.

    ImportFailedError: nothing here encodes that codec, or the file is damaged; OSError, ValueError: it cannot be read.
    """
    import av

    with opened(path) as (container, stream, codec):
        stream.thread_type = "AUTO"
        target = options.output_codec.name if options.output_codec is not None else CODECS[codec]
        zero = Fraction(container.start_time or 0, 1_000_000)
        if start > 0 and math.isfinite(start):
            container.seek(int(start / stream.time_base), stream=stream)

        def shown() -> Iterator[Any]:
            for frame in container.decode(stream):
                seconds = float(frame.pts * frame.time_base) if frame.pts is not None else start
                if start <= seconds < end:
                    yield frame
                elif seconds >= end:
                    return

        def found() -> Iterator[tuple[int, Frame]]:
            try:
                for packet in _packets(path, shown(), stream, target, options):
                    if packet.pts is not None:
                        nanos = max(0, round((packet.pts * packet.time_base - zero) * 1_000_000_000))
                        data = bytes(packet)
                        if target == "AV1":  # as files of MP4 have them: without a mark of the beginning
                            data = data.removeprefix(b"\x12\x00")
                        yield nanos, Frame(float(packet.pts * packet.time_base), data, packet.is_keyframe)
            except av.error.FFmpegError as error:
                raise ImportFailedError(f"the video cannot be encoded anew any further: {error}: {path}") from None

        yield target, found()


def _packets(path: str, frames: Iterator[Any], stream: Any, target: str, options: Mp4TranscodeOptions) -> Iterator[Any]:
    import av

    encoder: Any = None
    turned: Any = None
    forced = 0
    for number, frame in enumerate(frames):
        if frame.rotation in _TURNS:
            turned = turned or _graph(frame, stream, _TURNS[frame.rotation])
            turned.push(frame)
            frame = turned.pull()
        if encoder is None:
            encoder = _encoder(path, target, options, frame, stream)
        if frame.format.name != encoder.pix_fmt or (frame.width, frame.height) != (encoder.width, encoder.height):
            frame = frame.reformat(encoder.width, encoder.height, encoder.pix_fmt)
        frame.pict_type = av.video.frame.PictureType.NONE  # the decoder's would be taken for a wish
        if options.gop_size is not None and number >= forced * options.gop_size:
            frame.pict_type = av.video.frame.PictureType.I
            forced += 1
        yield from encoder.encode(frame)
    if encoder is not None:
        yield from encoder.encode(None)


def _graph(frame: Any, stream: Any, filters: list[str]) -> Any:
    """What turns pictures as the file says that they are to be shown."""
    import av.filter

    graph = av.filter.Graph()
    last: Any = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=stream.time_base)
    for one in filters:
        name, _, argument = one.partition("=")
        added = graph.add(name, argument or None)
        last.link_to(added)
        last = added
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _encoder(path: str, target: str, options: Mp4TranscodeOptions, frame: Any, stream: Any) -> Any:
    """The first encoder that opens. ImportFailedError: none does."""
    import av

    if target == "AV1":
        os.environ.setdefault("SVT_LOG", "1")  # else that encoder tells stderr of itself; it asks the environment alone
    problems = []
    for name, settings in (*(_GPU.get(target, []) if options.try_gpu else []), *_CPU[target]):
        try:
            context: Any = av.CodecContext.create(name, "w")
            context.width, context.height = frame.width, frame.height
            context.pix_fmt = _format(context, frame)
            context.time_base, context.framerate = stream.time_base, stream.average_rate or stream.guessed_rate or 30
            if stream.codec_context.sample_aspect_ratio:
                context.sample_aspect_ratio = stream.codec_context.sample_aspect_ratio
            for about in ("color_range", "color_primaries", "color_trc", "colorspace"):
                setattr(context, about, getattr(stream.codec_context, about))
            chosen = dict(settings)
            if target in ("H264", "H265"):
                chosen["bf"] = "0"
            if options.gop_size is not None:
                chosen["g"] = str(options.gop_size)
            context.options = chosen
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            problems.append(f"{name}: {error}")
        else:
            return context
    raise ImportFailedError(f"no encoder of the package av makes {target}: {'; '.join(problems)}: {path}")


def _format(context: Any, frame: Any) -> str:
    """The frame's pixel format, or the nearest one that the encoder takes."""
    own: str = frame.format.name
    known = [str(one.name) for one in context.codec.video_formats or ()]
    deep = max(component.bits for component in frame.format.components) > 8
    wanted = (own, *(("yuv420p10le",) if deep else ()), "yuv420p", *known)
    return next((one for one in wanted if one in known), own)
