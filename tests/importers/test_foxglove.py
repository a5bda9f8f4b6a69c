"""Foxglove's Protobuf messages in MCAP files are recorded as rerun-sdk 0.41 records them, and where that records less, with more."""

import time

import helpers_foxglove as foxglove
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from helpers import read_rows
from helpers_importers import columns_of, log

from shmrerun.importers import mcap_foxglove


def rows_of(path, entity):
    """Rows of an entity's messages, without ids and what belongs to one process."""
    drop = {"row_id", "chunk", "log_tick", "log_time"}
    return [
        {name: value for name, value in row.items() if name not in drop} for row in read_rows(path)[entity] if "message_log_time" in row
    ]


def test_messages(tmp_path):
    """Every type, whole and with parts missing."""
    foxglove.write(tmp_path / "in.mcap", *(topic for topic in foxglove.MESSAGES if topic not in foxglove.DIFFERENT))
    ended = log("shmrerun", "ours.rrd", ["in.mcap"], tmp_path)
    log("rerun", "theirs.rrd", ["in.mcap"], tmp_path)
    assert "left out" not in ended.stderr
    ours, theirs = columns_of(tmp_path / "ours.rrd"), columns_of(tmp_path / "theirs.rrd")
    assert ours.keys() == theirs.keys()
    assert {name: (column, theirs[name]) for name, column in ours.items() if column != theirs[name]} == {}


def test_where_rerun_sdk_records_less(tmp_path):
    """Empty lists are no rows; some colours are kept; a message of which nothing can be made is left out, alone, and counted."""
    foxglove.write(tmp_path / "in.mcap", *foxglove.DIFFERENT)
    ended = log("shmrerun", "ours.rrd", ["in.mcap"], tmp_path)
    rows = {topic: rows_of(tmp_path / "ours.rrd", f"/{topic}") for topic in foxglove.DIFFERENT - {"bare/raw"}}
    assert [row["Transform3D:child_frame"] for row in rows["transforms"]] == [[f"arm{n}"] for n in (1, 2, 3, 3, 4, 5)]
    assert [row["message_log_time"] for row in rows["transforms"]] == [1005, 2005, 2005, 3005, 3005, 3005]
    assert len(rows["fixes"]) == 6
    colours = ["GeoPoints:colors" in row for row in rows["fixes/some"]]
    assert colours == [False, False, True, False, True, False, False, True, False, True]
    assert ["Pinhole:image_from_camera" in row for row in rows["calibration/some"]] == [False, True, False, True]
    assert {topic: len(rows[topic]) for topic in ("video/odd", "points/odd", "calibration/wrong")} == {
        "video/odd": 3, "points/odd": 2, "calibration/wrong": 2,
    }  # fmt: skip
    for text in (
        "4 messages of channel 'bare/raw' do not decode and are left out: images have the encoding ''",
        "1 messages of channel 'video/odd' do not decode and are left out: a video has the format 'x', not one of",
        "2 messages of channel 'points/odd' do not decode and are left out: the field 'y' of PointCloud has the type 0",
        "2 messages of channel 'calibration/wrong' do not decode and are left out: K of a camera has 8 numbers, not 9",
    ):
        assert text in ended.stderr
    foxglove.write(tmp_path / "some.mcap", "voxels/some")
    for package in ("shmrerun", "rerun"):
        log(package, f"{package}.rrd", ["some.mcap"], tmp_path)
    assert rows_of(tmp_path / "shmrerun.rrd", "/voxels/some") == rows_of(tmp_path / "rerun.rrd", "/voxels/some")


def lying(name, **types):
    """A class of a name of Foxglove's, whose fields have other types: numbers of descriptor_pb2."""
    fields = [
        descriptor_pb2.FieldDescriptorProto(name=field, number=n, type=kind, label=1) for n, (field, kind) in enumerate(types.items(), 1)
    ]
    file = descriptor_pb2.FileDescriptorProto(
        name="a.proto", package="foxglove", syntax="proto3", message_type=[descriptor_pb2.DescriptorProto(name=name, field=fields)]
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"foxglove.{name}"))


def test_types_that_only_have_the_name(tmp_path):
    """Messages of a type that only is called so are structs, which is said; torn messages are counted."""
    kind = lying("Log", message=12, level=5)
    foxglove.write(
        tmp_path / "in.mcap", "lie", "good", messages={"lie": lambda n: kind(message=b"ab", level=n), "good": foxglove.MESSAGES["log"]}
    )
    whole = (tmp_path / "in.mcap").read_bytes()
    assert whole
    ended = log("shmrerun", "ours.rrd", ["in.mcap"], tmp_path)
    assert (
        "messages of channel 'lie' stay structs, since their schema 'foxglove.Log' is no use: it has no field 'timestamp.seconds'"
        in ended.stderr
    )
    assert len([row for row in rows_of(tmp_path / "ours.rrd", "/lie") if "foxglove.Log:message" in row]) == 4
    assert len([row for row in rows_of(tmp_path / "ours.rrd", "/good") if "TextLog:text" in row]) == 4


@pytest.mark.parametrize(
    ("topic", "options", "error"),
    [
        ("raw", {"step": 2**32 - 1}, "an image of rgb8, 3x2, 4294967295 bytes a row, has 18 bytes"),
        ("raw", {"height": 2**32 - 1, "step": 100}, "an image of rgb8"),
        ("raw", {"encoding": "jpeg"}, "images have the encoding 'jpeg'"),
        (
            "voxels",
            {"row_count": 2**32 - 1, "column_count": 2**32 - 1, "slice_stride": 1, "row_stride": 1, "cell_stride": 1},
            "overlaps itself",
        ),
        ("voxels", {"row_count": 2**32 - 1, "column_count": 2**32 - 1, "data": bytes(999)}, "overlaps itself"),
        ("calibration", {"K": [1.0]}, "K of a camera has 10 numbers"),
    ],
)
def test_numbers_that_lie(topic, options, error):
    """Sizes that the data cannot have cost neither time nor memory, but the message."""
    message = foxglove.MESSAGES[topic](1)
    message.MergeFrom(type(message)(**options))
    decoder = mcap_foxglove.foxglove_decoder(type(message))
    began = time.process_time()
    with pytest.raises(ValueError, match=error):
        decoder.decode(message.SerializeToString())
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("topic", "options"),
    [
        ("raw", {"width": 2**32 - 1, "height": 2**32 - 1, "step": 1}),
        ("voxels", {"slice_stride": 2**32 - 1, "row_stride": 2**32 - 1, "cell_stride": 2**32 - 1}),
        ("points/coloured", {"point_stride": 2**32 - 1}),
        ("points/coloured", {"point_stride": 1}),
        ("points/far", {}),
        ("log", {"timestamp": {"seconds": 2**63 - 1}}),
    ],
)
def test_numbers_that_lie_without_harm(topic, options):
    """Other sizes are taken as far as there are data."""
    message = foxglove.MESSAGES[topic](2)
    message.MergeFrom(type(message)(**options))
    decoder = mcap_foxglove.foxglove_decoder(type(message))
    rows = decoder.decode(message.SerializeToString())
    (((_, columns)),) = decoder.columns([value for _, value in rows])
    assert sum(column.as_arrow_array().get_total_buffer_size() for column in columns) < 4_000


@pytest.mark.parametrize("topic", sorted(foxglove.MESSAGES))
def test_torn_messages(topic):
    """Wherever a message is cut off, or a byte of it is another one, it is decoded or refused."""
    message = foxglove.MESSAGES[topic](3)
    decoder = mcap_foxglove.foxglove_decoder(type(message))
    if decoder is None:
        assert topic in ("scan", "scene")
        return
    whole = message.SerializeToString()
    torn = [whole[:at] for at in range(len(whole))] + [whole[:at] + bytes([whole[at] ^ 0xA5]) + whole[at + 1 :] for at in range(len(whole))]
    for data in torn[:: max(len(torn) // 200, 1)]:
        try:
            rows = decoder.decode(data)
        except ValueError:
            continue
        if rows:
            decoder.columns([value for _, value in rows])
