"""Videos that are encoded anew: frames, times and key frames are those of rerun-sdk 0.41 with an ffmpeg."""

import subprocess
import sys

import numpy as np
import pytest
import rerun
import rerun.experimental as theirs
from test_readers import encode

import shmrerun.experimental as ours
from shmrerun.components import VideoCodec

av = pytest.importorskip("av")
imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")


def read(module, path, **said):
    """Codec, times of the frames by chunk, times of the key frames, frames."""
    if module is theirs:
        if said.get("output_codec") is not None:
            said["output_codec"] = rerun.components.VideoCodec[said["output_codec"].name]
        said["ffmpeg_override"] = imageio_ffmpeg.get_ffmpeg_exe()
    reader = module.Mp4Reader(path, transcode=module.Mp4TranscodeOptions(**said), entity_path="/v")
    codec, groups, keys, frames = None, [], None, []
    for chunk in reader.stream():
        batch = chunk.to_record_batch()
        found = {name: column.to_pylist() for name, column in zip(batch.schema.names, batch.columns, strict=True) if ":" in name}
        times = batch.column("video").cast("int64").to_pylist() if "video" in batch.schema.names else None
        if "VideoStream:codec" in found:
            codec = found["VideoStream:codec"]
        elif "VideoStream:sample" in found:
            groups.append(times)
            frames += [bytes(row[0]) for row in found["VideoStream:sample"]]
        else:
            keys = times
    return codec, groups, keys, frames


def decoded(frames, codec):
    """The pictures of a stream of frames."""
    context = av.CodecContext.create(codec, "r")
    pictures = [one for data in frames for one in context.decode(av.Packet(data))]
    return [one.to_ndarray(format="rgb24") for one in pictures + context.decode(None)]


OPTIONS = [
    {},
    {"gop_size": 7},
    {"gop_size": 0},
    {"output_codec": VideoCodec.H264},
    {"output_codec": VideoCodec.AV1},
    {"output_codec": VideoCodec.AV1, "gop_size": 15},
    {"output_codec": VideoCodec.VP9, "gop_size": 15},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("bframes", [0, 2])
def test_as_by_ffmpeg(tmp_path, bframes, options):
    """Codec, groups of frames, times and key frames are equal, of files with and without frames out of order."""
    encode(tmp_path / "a.mp4", "libx264", frames=60, group=20, bframes=bframes)
    mine, other = (read(module, tmp_path / "a.mp4", **options) for module in (ours, theirs))
    assert mine[:3] == other[:3]
    assert sum(map(len, mine[1])) == 60
    if bframes == 0 and (not options or options == {"output_codec": VideoCodec.H264}):
        assert mine[3] == other[3]  # as they are in the file


@pytest.mark.parametrize("codec", [VideoCodec.H265, VideoCodec.VP8], ids=str)
def test_other_codecs(tmp_path, codec):
    """Codecs whose key frames depend on the encoder's version, or that rerun-sdk cannot have (VP8): every frame, and enough key frames."""
    encode(tmp_path / "a.mp4", "libx264", frames=40, group=20, bframes=2)
    found, groups, keys, frames = read(ours, tmp_path / "a.mp4", output_codec=codec, gop_size=10)
    assert found == [[codec.value]]
    assert [one for group in groups for one in group] == [round(number * 1e9 / 30) for number in range(40)]
    assert keys == [group[0] for group in groups]
    assert {round(number * 1e9 / 3) for number in range(4)} <= set(keys)
    name = {VideoCodec.H265: "hevc", VideoCodec.VP8: "vp8"}[codec]
    assert len(decoded(frames, name)) == 40
    if codec is VideoCodec.H265:
        other = read(theirs, tmp_path / "a.mp4", output_codec=codec, gop_size=10)
        assert other[0] == found
        assert [one for group in other[1] for one in group] == [one for group in groups for one in group]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_pictures(tmp_path, turn):
    """The pictures look as before, turned as the file says that they are to be shown."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 255, 40, 40
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-display_rotation", str(turn)]
    subprocess.run([*ffmpeg, "-i", tmp_path / "a.mp4", "-c", "copy", tmp_path / "b.mp4"], check=True, timeout=60)
    mine, other = (read(module, tmp_path / "b.mp4") for module in (ours, theirs))
    assert mine[:3] == other[:3]
    mine, other = (decoded(one[3], "h264") for one in (mine, other))
    assert len(mine) == 12
    assert mine[0].shape == ((48, 64, 3) if turn % 180 == 0 else (64, 48, 3))
    for one, two in zip(mine, other, strict=True):
        assert one.shape == two.shape
        assert np.abs(one.astype(int) - two.astype(int)).mean() < 2


def test_deep_pictures(tmp_path):
    """Pictures of 10 bits keep them, and odd sizes are encoded."""
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 66, 50, "yuv444p10le"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((50, 66, 3), number * 20, np.uint8), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv444p10le")))
        container.mux(stream.encode())
    for options in ({}, {"output_codec": VideoCodec.AV1, "gop_size": 5}):
        mine, other = (read(module, tmp_path / "a.mp4", **options) for module in (ours, theirs))
        assert mine[:3] == other[:3]
    context = av.CodecContext.create("h264", "r")
    frames = read(ours, tmp_path / "a.mp4")[3]
    first = next(one for data in frames for one in context.decode(av.Packet(data)))
    assert (first.format.name, first.width, first.height) == ("yuv444p10le", 66, 50)


def test_options(tmp_path):
    """Options are rerun's; what cannot be is refused; without a GPU the processor encodes."""
    for said in ({}, {"gop_size": 3}, {"try_gpu": True, "ffmpeg_override": "/x"}):
        assert repr(ours.Mp4TranscodeOptions(**said)) == repr(theirs.Mp4TranscodeOptions(**said))
    assert ours.Mp4TranscodeOptions(output_codec=rerun.components.VideoCodec.AV1).output_codec.name == "AV1"
    for module in (ours, theirs):
        with pytest.raises(TypeError, match="output_codec"):
            module.Mp4TranscodeOptions(output_codec="h264")
    for gop in (-1, 2**31):
        with pytest.raises(ValueError, match="gop_size is a number of frames from 0 to 2,147,483,647"):
            ours.Mp4TranscodeOptions(gop_size=gop)
    encode(tmp_path / "a.mp4", "libx264", frames=12, group=6)
    for module in (ours, theirs):
        for said in ({"transcode": module.Mp4TranscodeOptions()}, {"chunk_by_gop": False}):
            with pytest.raises(ValueError, match="mode="):
                module.Mp4Reader(tmp_path / "a.mp4", mode="asset", **said)
    assert len(read(ours, tmp_path / "a.mp4", try_gpu=True, gop_size=4)[3]) == 12


def test_damaged_videos(tmp_path):
    """What cannot be read or decoded is an error that names the file; the program goes on."""
    encode(tmp_path / "a.mp4", "libx264", frames=30, group=10, bframes=2)
    whole = (tmp_path / "a.mp4").read_bytes()
    for cut in (whole[:-100], whole[: len(whole) // 2], whole[:40]):
        (tmp_path / "cut.mp4").write_bytes(cut)
        with pytest.raises((ValueError, OSError), match=r"cut\.mp4"):
            ours.Mp4Reader(tmp_path / "cut.mp4").stream().to_chunks()
    program = """if True:
        import random, sys
        import shmrerun.experimental as ours
        whole = open(sys.argv[1], "rb").read()
        for seed in range(40):
            bad, chance = bytearray(whole), random.Random(seed)
            for _ in range(chance.choice((1, 10, 100))):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
            open(sys.argv[2], "wb").write(bad)
            try:
                ours.Mp4Reader(sys.argv[2]).stream().to_chunks()
            except (ValueError, OSError) as error:
                assert "bad.mp4" in str(error), error
        print("done")
    """
    arguments = [sys.executable, "-c", program, tmp_path / "a.mp4", tmp_path / "bad.mp4"]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=100)
    assert ended.stdout == "done\n", ended.stderr[-2000:]
