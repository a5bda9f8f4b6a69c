"""MCAP files are recorded as rerun-sdk 0.41 records them."""

import json

import pytest
from helpers import read_rows, run
from helpers_importers import compare, log
from helpers_ros import MESSAGES, write_all

writer = pytest.importorskip("mcap.writer")
ros2 = pytest.importorskip("mcap_ros2.writer")
protobuf = pytest.importorskip("mcap_protobuf.writer")


def plain(path, messages=20, **options):
    """A file with channels of JSON, and of nobody knows what."""
    with open(path, "wb") as file:
        out = writer.Writer(file, **options)
        out.start("", "a library")
        schema = out.register_schema("my.Type", "jsonschema", b'{"type":"object"}')
        one = out.register_channel("/topic/a", "json", schema, {"z": "1", "a": "2"})
        two = out.register_channel("raw", "", 0)
        out.register_channel("silent", "json", schema)
        for n in range(messages):
            out.add_message(one, 10**9 * (n + 1) + 5, json.dumps({"n": n}).encode(), 10**9 * (n + 1), sequence=n)
            out.add_message(two, 2 * 10**9 * (n + 1), bytes([n % 256]) * n, 3)
        out.add_attachment(10, 20, "a.txt", "text/plain", b"hello")
        out.add_attachment(11, 21, "b.bin", "application/octet-stream", b"")
        out.add_metadata("mine", {"k": "v", "a": "b"})
        out.add_metadata("other", {})
        out.finish()


@pytest.mark.parametrize("compression", writer.CompressionType, ids=lambda kind: kind.name)
def test_what_is_not_understood(tmp_path, compression):
    """Channels, schemas, statistics, attachments and metadata; messages of unknown encodings are bytes."""
    plain(tmp_path / "in.mcap", compression=compression, chunk_size=300)
    compare(tmp_path, "in.mcap")


def test_an_empty_one(tmp_path):
    """A file without messages has its statistics."""
    with open(tmp_path / "in.mcap", "wb") as file:
        out = writer.Writer(file)
        out.start()
        out.finish()
    compare(tmp_path, "in.mcap")


def test_ros2(tmp_path):
    """ROS 2 messages: those that mean something to viewers, and any other one as a struct."""
    with open(tmp_path / "in.mcap", "wb") as file:
        out = ros2.Writer(file)
        write_all(out, 4)
        out.finish()
    compare(tmp_path, "in.mcap")


def test_robot_descriptions(tmp_path):
    """The last text of a channel that describes robots is recorded as shapes, too; one that describes none is said."""
    robot = "<robot name='{}'><link name='a'><visual><geometry><mesh filename='package://p/b.stl'/></geometry></visual></link></robot>"
    texts = {"/robot_description": [robot.format("one"), robot.format("two")], "/a/robot_description": ["<model/>"],
             "/my_robot_description/x": [robot.format("three")], "/text": [robot.format("four")]}  # fmt: skip
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "b.stl").write_bytes(b"solid")
    with open(tmp_path / "in.mcap", "wb") as file:
        out = ros2.Writer(file)
        schema = out.register_msgdef("std_msgs/msg/String", "string data")
        for topic, found in texts.items():
            for text in found:
                out.write_message(topic, schema, {"data": text}, log_time=5)
        out.finish()
    ended = compare(tmp_path, "in.mcap", env={"ROS_PACKAGE_PATH": str(tmp_path)})
    assert ended.stderr.count("'/a/robot_description' does not describe a robot") == ended.stderr.count("describe a robot") == 1


def test_maps_that_do_not_fit(tmp_path):
    """A map with other than width times height cells is left out and counted; the next one is recorded."""
    text, topics = MESSAGES["nav_msgs/msg/OccupancyGrid"]
    with open(tmp_path / "in.mcap", "wb") as file:
        out = ros2.Writer(file)
        schema = out.register_msgdef("nav_msgs/msg/OccupancyGrid", text)
        for n in range(2):
            out.write_message("map", schema, {**topics["map"](n), "data": [1] * 5 * (1 + n)}, log_time=n)
        out.write_message("map", schema, topics["map"](2), log_time=2)
        out.finish()
    ended = log("shmrerun", "ours.rrd", ["in.mcap"], tmp_path)
    assert "2 messages of channel 'map' do not decode and are left out: a map of 3x2 has 10 cells" in ended.stderr
    (row,) = [row for row in read_rows(tmp_path / "ours.rrd")["/map"] if "GridMap:data" in row]
    assert bytes(row["GridMap:data"][0]) == bytes([100, 7, 2, 255, 0, 50])


def test_protobuf(tmp_path):
    """Protobuf messages: nested ones, enumerations, optional and repeated fields, choices, maps, dynamic values, and circles."""
    from google.protobuf import descriptor_pb2, duration_pb2, struct_pb2, timestamp_pb2, type_pb2, wrappers_pb2

    field = descriptor_pb2.FieldDescriptorProto(name="x", number=3, type=5, options=descriptor_pb2.FieldOptions(packed=True))
    value = struct_pb2.Value(struct_value=struct_pb2.Struct(fields={"a": struct_pb2.Value(number_value=1.5)}))
    messages = {
        "time": timestamp_pb2.Timestamp(seconds=1, nanos=2),
        "duration": duration_pb2.Duration(seconds=-1),
        "double": wrappers_pb2.DoubleValue(),
        "bytes": wrappers_pb2.BytesValue(value=b"ab"),
        "field": field,
        "type": type_pb2.Type(name="n", fields=[type_pb2.Field(kind=5, name="f")], syntax=1),
        "circle": descriptor_pb2.DescriptorProto(name="m", nested_type=[descriptor_pb2.DescriptorProto(name="k")], field=[field]),
        "value": struct_pb2.ListValue(values=[value]),
    }
    with open(tmp_path / "in.mcap", "wb") as file:
        out = protobuf.Writer(file)
        for n in range(3):
            for topic, message in messages.items():
                out.write_message(topic, message, log_time=1000 * n, publish_time=1000 * n + 1)
        out.finish()
    compare(tmp_path, "in.mcap")


def test_what_is_broken(tmp_path):
    """Messages that do not decode, and schemas that are none, cost nothing else, and are said."""
    with open(tmp_path / "in.mcap", "wb") as file:
        out = writer.Writer(file)
        out.start()
        good = out.register_schema("std_msgs/msg/String", "ros2msg", b"string data")
        torn = out.register_schema("a/msg/B", "ros2msg", b"Missing field")
        proto = out.register_schema("a.B", "protobuf", b"\xff\xff")
        channels = [out.register_channel(topic, kind, schema) for topic, kind, schema in
                    (("good", "cdr", good), ("torn", "cdr", torn), ("proto", "protobuf", proto))]  # fmt: skip
        text = b"\0\1\0\0" + (3).to_bytes(4, "little") + b"ab\0"
        for n, data in enumerate((text, text[:9], b"", b"\0\1\0\0\xff\xff\xff\x7f", text)):
            for channel in channels:
                out.add_message(channel, n, data, n)
        out.finish()
    ended = log("shmrerun", "ours.rrd", ["in.mcap"], tmp_path)
    rows = read_rows(tmp_path / "ours.rrd")
    assert [row["TextDocument:text"] for row in rows["/good"] if "TextDocument:text" in row] == [["ab"], ["ab"]]
    assert len([row for row in rows["/torn"] if "McapMessage:data" in row]) == 5
    assert len([row for row in rows["/proto"] if "McapMessage:data" in row]) == 5
    assert "3 messages of channel 'good' do not decode" in ended.stderr
    assert "'torn' are logged as bytes" in ended.stderr
    assert "'proto' are logged as bytes" in ended.stderr


def test_names_that_lie(tmp_path):
    """Messages whose schema has the name of a known type, but not its fields, are structs: all of them, and nothing else is lost."""
    numbers = b"string[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort"
    schemas = {
        "sensor_msgs/msg/JointState": numbers,
        "sensor_msgs/msg/CompressedImage": b"uint8[] data",
        "sensor_msgs/msg/Image": b"int32 header",
        "tf2_msgs/msg/TFMessage": b"int32[] transforms",
    }
    with open(tmp_path / "in.mcap", "wb") as file:
        out = writer.Writer(file)
        out.start()
        for number, (name, text) in enumerate(schemas.items()):
            channel = out.register_channel(str(number), "cdr", out.register_schema(name, "ros2msg", text))
            for n in range(3):
                data = b"\0\1\0\0" + b"".join(count.to_bytes(4, "little") for count in ((1, n) if name.startswith("tf2") else (0,) * 4))
                out.add_message(channel, n, data, n)
        good = out.register_channel("good", "cdr", out.register_schema("my/msg/A", "ros2msg", b"int32 x"))
        out.add_message(good, 5, b"\0\1\0\0\7\0\0\0", 5)
        out.finish()
    ended = log("shmrerun", "ours.rrd", ["in.mcap"], tmp_path)
    rows = read_rows(tmp_path / "ours.rrd")
    for number, name in enumerate(schemas):
        found = [row for row in rows[f"/{number}"] if f"{name.replace('/', '.')}:message" in row]
        assert len(found) == 3, name
        assert f"messages of channel '{number}' are structs, since its schema is not that of the type whose name it has" in ended.stderr
    assert [row["my.msg.A:message"] for row in rows["/good"] if "my.msg.A:message" in row] == [[{"x": 7}]]


@pytest.mark.parametrize("content", [b"", b"no such thing, and longer than its magic"], ids=["empty", "lie"])
def test_no_such_file(tmp_path, content):
    """What is no MCAP file gets an error, and nothing else happens."""
    (tmp_path / "in.mcap").write_bytes(content)
    ended = log("shmrerun", "ours.rrd", ["in.mcap"], tmp_path)
    assert "no MCAP file: it does not begin" in ended.stderr
    assert "in.mcap" in ended.stderr


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_cut_off(tmp_path, part):
    """Of a file that was cut off all whole chunks are there, and it is said."""
    plain(tmp_path / "whole.mcap", 2000, chunk_size=2000)
    whole = (tmp_path / "whole.mcap").read_bytes()
    (tmp_path / "in.mcap").write_bytes(whole[: int(len(whole) * part)])
    ended = log("shmrerun", "ours.rrd", ["in.mcap"], tmp_path)
    assert "cannot read the MCAP file any further" in ended.stderr or "has no summary" in ended.stderr
    rows = read_rows(tmp_path / "ours.rrd")["/topic/a"]
    found = [json.loads(row["McapMessage:data"][0])["n"] for row in rows if "McapMessage:data" in row]
    assert found == [*range(len(found))]
    assert len(found) > 50
    assert any("McapSchema:name" in row for row in rows)


def test_without_the_package(tmp_path):
    """Where the package is not installed, the error says how to get it."""
    plain(tmp_path / "in.mcap")
    (tmp_path / "mcap").mkdir()
    (tmp_path / "mcap" / "__init__.py").write_text("raise ImportError('not here')")
    run(
        """
        import sys, pytest, shmrerun as rr
        from shmrerun.importers import mcap
        from shmrerun.importers.task import ImportFailedError, Request, Task
        sys.modules["mcap"] = sys.modules["mcap.reader"] = sys.modules["mcap.exceptions"] = None
        rr.init("app")
        stream = rr.get_data_recording()._stream
        with pytest.raises(ImportFailedError, match=r"pip install 'shmrerun\\[importers\\]'"):
            mcap.mcap(Task(Request(stream, "in.mcap", "in.mcap", None, None), lambda: None, print, paced=False))
        """,
        tmp_path,
        strict=False,
    )
