"""What readers of MCAP files tell of them, and what each decoder makes of them, are what rerun-sdk's tell and make."""

import dataclasses

import helpers_foxglove
import pytest
import rerun.chunk as theirs
from helpers_ros import headed, header, write_all
from test_mcap import plain
from test_readers import chunks

import shmrerun.chunk as ours

writer = pytest.importorskip("mcap.writer")
ros2 = pytest.importorskip("mcap_ros2.writer")
NUMBERS = ("voltage", "temperature", "current", "charge", "capacity", "design_capacity", "percentage")
KINDS = ("power_supply_status", "power_supply_health", "power_supply_technology")
BATTERY = headed(
    "".join(f"float32 {name}\n" for name in NUMBERS)
    + "".join(f"uint8 {name}\n" for name in KINDS)
    + "bool present\nfloat32[] cell_voltage\nfloat32[] cell_temperature\nstring location\nstring serial_number"
)
ROBOT = "<robot name='a'><link name='a'><visual><geometry><box size='1 1 1'/></geometry></visual></link></robot>"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    plain(folder / "plain.mcap")
    with open(folder / "ros.mcap", "wb") as file:
        out = ros2.Writer(file)
        write_all(out, 2)
        schema = out.register_msgdef("sensor_msgs/msg/BatteryState", BATTERY)
        state = {name: n + 0.5 for n, name in enumerate(NUMBERS)} | dict.fromkeys(KINDS, 1) | {"header": header(3), "present": True}
        state |= {"cell_voltage": [1.5], "cell_temperature": [], "location": "a", "serial_number": "b"}
        out.write_message("/battery", schema, state, log_time=5)
        schema = out.register_msgdef("std_msgs/msg/String", "string data")
        out.write_message("/robot_description", schema, {"data": ROBOT}, log_time=5)
        out.finish()
    helpers_foxglove.write(folder / "foxglove.mcap", *list(helpers_foxglove.MESSAGES)[:3])
    return folder


CHOICES = (
    *(None, [], *([one] for one in theirs.McapReader.available_decoders())),
    *(["raw", "schema"], ["raw", "ros2msg"], ["ros2msg", "ros2_reflection"], ["foxglove", "protobuf"], ["raw", "protobuf"]),
    *(["raw", "protobuf", "foxglove"], ["raw", "ros2_reflection", "ros2msg"], ["ros2msg", "ros2msg"], ["raw", "urdf"]),
)


@pytest.mark.parametrize("decoders", CHOICES, ids=str)
@pytest.mark.parametrize("name", ["plain", "ros", "foxglove"])
def test_decoders(files, name, decoders):
    """All decoders, none, each by itself, and some together."""
    path = files / f"{name}.mcap"
    ours_found, theirs_found = (chunks(package.McapReader(path, decoders=decoders).stream()) for package in (ours, theirs))
    assert ours_found.keys() == theirs_found.keys()
    for key, columns in theirs_found.items():
        assert ours_found[key].keys() == columns.keys()
        for column, (meta, values) in columns.items():
            assert ours_found[key][column][0] == meta
            assert repr(ours_found[key][column][1]) == repr(values), (key, column)  # where nan is equal to itself
    assert ours.McapReader.available_decoders() == theirs.McapReader.available_decoders()


def three(out):
    schema = out.register_schema("n", "e", b"abc")
    out.register_schema("unused", "e", b"abc")
    channels = [
        out.register_channel(topic, "j", schema if topic == "/z" else 0, {"b": "1", "a": "2"}) for topic in ("/z", "/a", "/z", "/no")
    ]
    for i in range(10):
        out.add_message(channels[0], i * 10**9, b"x" * 30, 0)
    for i in range(3):
        out.add_message(channels[1], 5 * 10**9 + i * 10**8, b"x" * 30, 0)
    out.add_message(channels[2], 5 * 10**9, b"", 0)
    out.add_metadata("m", {"a": "b"})


def several(out):
    three(out)
    out.add_attachment(1, 1, "at", "text/plain", b"x")


def at_one_time(out):
    channel = out.register_channel("/z", "j", 0)
    for _ in range(2):
        out.add_message(channel, 7, b"", 0)


def touching(out):
    channel = out.register_channel("/z", "j", 0)
    for i in (10, 20, 20, 30, 40, 5, 6):
        out.add_message(channel, i, b"x" * 80, 0)


def latest(out):
    channel = out.register_channel("/z", "j", 0)
    for i in (2**64 - 1, 0):
        out.add_message(channel, i, b"", 0)


CONTENTS = [lambda _: None, several, at_one_time, touching, latest]
OPTIONS = [
    *({"compression": one, "chunk_size": 150} for one in writer.CompressionType),
    {"use_statistics": False},
    {"use_chunking": False},
    {"use_chunking": False, "use_statistics": False},
    {"repeat_channels": False, "repeat_schemas": False, "use_statistics": False},
    *({"index_types": one, "use_statistics": is_there} for one in writer.IndexType for is_there in (True, False)),
]


def write(path, content, **options):
    with open(path, "wb") as file:
        out = writer.Writer(file, **options)
        out.start("profile", "a library")
        content(out)
        out.finish()


def plain_info(info):
    """All that is told, as plain values."""
    channels = [(*(getattr(one, field.name) for field in dataclasses.fields(one)),) for one in info.channels]
    channels = [tuple(dict(v) if k == 3 else v and dataclasses.astuple(v) if k == 4 else v for k, v in enumerate(one)) for one in channels]
    rest = {field.name: getattr(info, field.name) for field in dataclasses.fields(info) if field.name != "channels"}
    rest["chunks"] = dataclasses.astuple(info.chunks)
    rest["compression"] = [(*dataclasses.astuple(one), one.savings_ratio) for one in info.compression]
    return channels, rest


def info_of(package, path, **options):
    try:
        return plain_info(package.McapReader(path, **options).info())
    except ValueError:
        return None


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_info(tmp_path, options):
    """Counts, times, sizes and channels, of files that tell all of it, or less."""
    for content in CONTENTS:
        write(tmp_path / "a.mcap", content, **options)
        for recover in (False, True):
            found = [info_of(package, tmp_path / "a.mcap", recover=recover) for package in (ours, theirs)]
            assert found[0] == found[1]
            assert found[0] is not None


def test_info_of_damaged_files(tmp_path):
    """A file without its end is an error; to be recovered, what is there is counted. One that is none is an error."""
    write(tmp_path / "whole.mcap", three, chunk_size=100)
    whole = (tmp_path / "whole.mcap").read_bytes()
    for size in (len(whole) - 1, len(whole) * 2 // 3, len(whole) // 2):
        (tmp_path / "a.mcap").write_bytes(whole[:size])
        assert info_of(ours, tmp_path / "a.mcap") is None
        found = [info_of(package, tmp_path / "a.mcap", recover=True) for package in (ours, theirs)]
        assert found[0] == found[1]
        assert found[0][1]["summary_source"] == "reconstructed"
    with pytest.raises(ValueError, match=r"try recover=True: .*a\.mcap"):
        ours.McapReader(tmp_path / "a.mcap").info()
    write(tmp_path / "flat.mcap", several, use_chunking=False)
    (tmp_path / "a.mcap").write_bytes((tmp_path / "flat.mcap").read_bytes()[:-50])
    info = ours.McapReader(tmp_path / "a.mcap", recover=True).info()  # rerun-sdk recovers chunks alone, and no attachments
    assert (info.message_count, info.attachment_count, info.metadata_count, info.channel_count) == (14, 1, 1, 3)
    for content in (b"", b"x", b"x" * 1000, whole[:8], whole[:20], whole[:8] + b"\xff" * 50):
        (tmp_path / "a.mcap").write_bytes(content)
        for recover in (False, True):
            with pytest.raises(ValueError, match=r"a\.mcap"):
                ours.McapReader(tmp_path / "a.mcap", recover=recover).info()
