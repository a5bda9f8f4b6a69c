"""Times of the frames of an MP4 video, read from its index."""

import struct

import numpy as np
import pytest

import shmrerun as rr


def box(kind, *contents):
    """One box of the file."""
    body = b"".join(contents)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind, *contents, version=0, flags=0):
    """One box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *contents)


def words(*values):
    return b"".join(struct.pack(">I", value & 0xFFFF_FFFF) for value in values)


def table(kind, pairs, version=0):
    return full(kind, words(len(pairs), *(value for pair in pairs for value in pair)), version=version)


def video(lengths, shifts=(), *, timescale=1000, codec=b"vp09", version=0, handler=b"vide", edit=None, defaults=b"", after=b"", wide=False):
    """A file with the index of a video of 16 x 16 pixels; its frames are a byte each."""
    count = sum(number for number, _ in lengths)
    matrix = words(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    described = words(0, 1) + bytes(16) + struct.pack(">HH", 16, 16) + words(0x480000, 0x480000, 0) + struct.pack(">H", 1)
    described += bytes(32) + struct.pack(">Hh", 24, -1) + full(b"vpcC", bytes((0, 10, 0x82, 1, 1, 1, 0, 0)), version=1)
    entry = box(codec, described)
    tables = [table(b"stts", lengths)]
    if shifts:
        tables.append(table(b"ctts", shifts, version))
    tables += [
        full(b"stsc", words(1, 1, count, 1) if count else words(0)),
        full(b"stsz", words(1, count)),
        full(b"stco", words(1, 32) if count else words(0)),
    ]
    times = struct.pack(">QQIQ", 0, 0, timescale, 0) if wide else words(0, 0, timescale, 0)
    trak = box(
        b"trak",
        full(b"tkhd", words(0, 0, 1, 0, 0, 0, 0, 0, 0), matrix, words(16 << 16, 16 << 16), flags=3),
        box(b"edts", full(b"elst", words(1, 1000, edit, 0x10000))) if edit is not None else b"",
        box(
            b"mdia",
            full(b"mdhd", times, words(0x55C40000), version=int(wide)),
            full(b"hdlr", words(0), handler, bytes(12), b"\0"),
            box(
                b"minf",
                full(b"vmhd", bytes(8), flags=1),
                box(b"dinf", full(b"dref", words(1), full(b"url ", flags=1))),
                box(b"stbl", full(b"stsd", words(1), entry), *tables),
            ),
        ),
    )
    mvhd = full(b"mvhd", words(0, 0, 1000, 0, 0x10000, 0x01000000, 0, 0), matrix, bytes(24), words(2))
    mdat = box(b"mdat", bytes(count))
    return box(b"ftyp", b"isom", words(512), b"isomiso2") + mdat + box(b"moov", mvhd, trak, defaults) + after


def fragment(start, frames, *, track=1, lengths=True, shifts=False, default=None):
    """A fragment of frames (length, shift), the first of which begins at ``start``."""
    flags = (0x100 if lengths else 0) | (0x800 if shifts else 0) | 0x200
    rows = [words(*([length] if lengths else []), 1, *([shift] if shifts else [])) for length, shift in frames]
    head = full(b"tfhd", words(track, *([] if default is None else [default])), flags=0x20000 | (0 if default is None else 8))
    time = full(b"tfdt", struct.pack(">Q", start), version=1) if start is not None else b""
    traf = box(b"traf", head, time, full(b"trun", words(len(frames)), *rows, flags=flags))
    return box(b"moof", full(b"mfhd", words(1)), traf) + box(b"mdat", bytes(len(frames)))


TREX = box(b"mvex", full(b"trex", words(1, 1, 40, 1, 0)))
GOOD = {
    "even": video([(5, 40)]),
    "uneven": video([(2, 40), (1, 100), (3, 33)]),
    "b-frames": video([(6, 512)], [(1, 1024), (1, 2560), (1, 1024), (1, 0), (2, 512)], timescale=15360),
    "negative shifts": video([(4, 10)], [(1, 0), (1, 20), (2, -10)], version=1),
    "negative shifts of version 0": video([(4, 10)], [(1, 0), (1, 20), (2, -10)]),
    "edit list": video([(4, 10)], [(4, 20)], edit=20),
    "fewer shifts than frames": video([(4, 10)], [(4, 5)]),
    "thirds": video([(9, 1001)], timescale=30000),
    "large clock": video([(3, 1_000_000_000)], timescale=4_000_000_000),
    "clock of 64 bits": video([(5, 40)], wide=True),
    "other codec": video([(5, 40)], codec=b"vp08"),
    "fragments": video([], defaults=TREX, after=fragment(0, [(40, 0), (60, 0)]) + fragment(100, [(10, 0)] * 3)),
    "fragments that begin late": video([], defaults=TREX, after=fragment(500, [(40, 80), (40, 0), (40, 40)], shifts=True)),
    "fragments with the default length": video([], defaults=TREX, after=fragment(0, [(0, 0)] * 3, lengths=False)),
    "fragments with a length of their own": video([], defaults=TREX, after=fragment(0, [(0, 0)] * 3, lengths=False, default=7)),
    "table and fragments": video([(3, 40)], [(3, 40)], defaults=TREX, after=fragment(120, [(40, 40)] * 2, shifts=True)),
}


def times(module, raw, media_type="video/mp4"):
    return module.AssetVideo(contents=raw, media_type=media_type).read_frame_timestamps_nanos()


@pytest.mark.parametrize("name", GOOD)
def test_times_equal_rerun(name):
    """Times of table and fragments, shifts, edit lists and clocks of all kinds are those that rerun-sdk reads."""
    oracle = pytest.importorskip("rerun")
    ours, theirs = times(rr, GOOD[name]), times(oracle, GOOD[name])
    assert ours.dtype == theirs.dtype
    assert ours.tolist() == theirs.tolist()


def test_times_ascend_from_zero():
    """Frames that are stored in another order than they are shown in come in the order in which they are shown, from 0."""
    assert times(rr, video([(4, 10)], [(1, 20), (1, 40), (1, 20), (1, 0)])).tolist() == [0, 10_000_000, 20_000_000, 30_000_000]
    assert times(rr, GOOD["even"], None).tolist() == list(range(0, 200_000_000, 40_000_000))


def test_negative_shifts_in_fragments():
    """Shifts of frames in fragments are signed (rerun-sdk 0.41 takes them for large positive ones)."""
    raw = video([], defaults=TREX, after=fragment(0, [(40, 0), (40, 40), (40, -40)], shifts=True))
    assert times(rr, raw).tolist() == [0, 40_000_000, 80_000_000]


def test_large_times_are_exact():
    """Times are rounded to the nearest nanosecond also where floats are too coarse (rerun-sdk 0.41 computes in floats)."""
    raw = video([], timescale=90_000, defaults=TREX, after=fragment(90_000 * 40_000_000 + 1, [(3003, 0)]))
    assert times(rr, raw).tolist() == [40_000_000 * 10**9 + 11_111]


BAD = {
    "nothing": (b"", "'ftyp'"),
    "text": (b"no video at all", "'ftyp'"),
    "webm": (b"\x1aE\xdf\xa3" + bytes(60), "'ftyp'"),
    "cut off": (GOOD["even"][:-9], "box 'moov'"),
    "no index": (GOOD["even"][: GOOD["even"].index(b"moov") - 4], "was the recording cut off"),
    "sound only": (video([(3, 1)], handler=b"soun"), "no video track"),
    "other codec": (video([(3, 1)], codec=b"mp4v"), "mp4v"),
    "no clock": (video([(3, 1)], timescale=0), "0 units"),
    "too many frames": (GOOD["even"].replace(words(1, 5, 40), words(1, 0x7FFF_FFFF, 40)), "2147483647 frames"),
    "table too long": (GOOD["even"].replace(words(1, 5, 40), words(9, 5, 40)), "9 entries"),
    "fragment too long": (GOOD["fragments"].replace(words(0x300, 3), words(0x300, 300)), "300 frames"),
    "box too small": (GOOD["even"].replace(b"\0\0\0\x10stsz", b"\0\0\0\4stsz").replace(b"\0\0\0\x14stsz", b"\0\0\0\4stsz"), "4 bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_an_error(name):
    """Anything that is no video of a known codec, or is damaged, is a RuntimeError that says what is wrong; no crash, no hang."""
    raw, said = BAD[name]
    with pytest.raises(RuntimeError, match=said):
        times(rr, raw)


def test_other_media_types_are_an_error():
    """Only MP4 is read: another media type is a RuntimeError that names it, as in rerun-sdk."""
    with pytest.raises(RuntimeError, match="video/webm"):
        times(rr, GOOD["even"], "video/webm")
    with pytest.raises(RuntimeError, match="has none"):
        rr.AssetVideo.from_fields(media_type="video/mp4").read_frame_timestamps_nanos()


def test_every_cut_is_an_error_or_complete():
    """A file that is cut off at any byte gives an error or the times of whole frames, never another exception."""
    raw = GOOD["table and fragments"]
    for size in range(1, len(raw)):
        try:
            found = times(rr, raw[:size])
        except RuntimeError:
            continue
        assert len(found) in (3, 5)
        assert np.all(np.diff(found) >= 0)
