"""MCAP recordings: what the file says of itself, and the messages of each channel as far as their encoding is known, else as bytes.

Source: what rerun-sdk 0.41 records of such a file.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from shmrerun.importers.task import Column, ImportFailedError, bytes_lists, lists_of_one
from shmrerun.model import entity_paths
from shmrerun.model.archetype import archetype_class
from shmrerun.model.time_columns import TimeColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.importers.task import Decoder, Entities, Task

_PROPERTIES, _ATTACHMENTS, _METADATA = "/__mcap_properties", "/__mcap_attachments", "/__mcap_metadata"
_BATCH_BYTES, _BATCH_ROWS = 4 << 20, 8192  # of a channel, before they are logged
_MOST_TIME = 2**63 - 1
_MAGIC = b"\x89MCAP0\r\n"
DECODERS = (
    *("attachments", "foxglove", "metadata", "protobuf", "raw", "recording_info", "ros2_reflection", "ros2msg", "schema", "stats"),
    "urdf",
)
_OF_ROS_ALONE = frozenset(  # ROS 2 messages that the decoder "ros2msg" knows without "ros2_reflection"
    f"sensor_msgs/msg/{name}" for name in ("BatteryState", "Imu", "JointState", "Joy", "PointCloud2", "Range")
) | {"std_msgs/msg/Float64Array", "std_msgs/msg/Float64MultiArray"}


class Selection(NamedTuple):
    """Which messages are meant, and what their times become."""

    is_meant: Callable[[str], bool] | None = None  # by topic; None: all
    start: int | None = None  # of the messages' log times, in nanoseconds
    end: int | None = None  # the first one that is not meant
    is_duration: bool = False
    offset: int = 0  # that is added to timestamps, in nanoseconds
    decoders: frozenset[str] | None = None  # of DECODERS; None: all

    def uses(self, decoder: str) -> bool:
        """Whether a decoder is meant."""
        return self.decoders is None or decoder in self.decoders

    def takes(self, topic: str) -> bool:
        """Whether messages of a topic are meant."""
        return self.is_meant is None or self.is_meant(topic)

    def has(self, nanos: int) -> bool:
        """Whether messages of a log time are meant."""
        return (self.start is None or nanos >= self.start) and (self.end is None or nanos < self.end)

    def time_column(self, name: str, nanos: Any) -> TimeColumn:
        """A timeline of some messages."""
        import numpy as np

        found = np.array(nanos, np.int64)
        if self.is_duration:
            return TimeColumn(name, duration=found.astype("timedelta64[ns]"))
        return TimeColumn(name, timestamp=(found + self.offset).astype("datetime64[ns]"))


_ALL = Selection()


def mcap(task: Task, selection: Selection = _ALL) -> None:
    """Log a recording. ImportFailedError: it is none, or is cut off or damaged: what comes before that is logged."""
    try:
        from mcap.exceptions import McapError
        from mcap.reader import NonSeekingReader, make_reader
    except ImportError:
        raise ImportFailedError(f"MCAP files need a package: pip install 'shmrerun[importers]': {task.path}") from None
    with task.open() as file:
        try:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ImportFailedError(f"no MCAP file: it does not begin with {_MAGIC!r}: {task.path}")
            file.seek(0)
            reader: Any = make_reader(file)
            try:
                summary = reader.get_summary()
            except (McapError, EOFError, OSError, struct.error):
                summary = None
            if summary is not None:
                _about(task, reader, summary, selection)
                _messages(task, reader, selection, is_whole=True)
                return
            file.seek(0)
            _messages(task, NonSeekingReader(file), selection, is_whole=False)  # from its beginning to where it ends
        except (McapError, EOFError, OSError, ValueError, struct.error) as error:
            raise ImportFailedError(f"cannot read the MCAP file any further: {type(error).__name__} {error}: {task.path}") from None
        raise ImportFailedError(f"the MCAP file has no summary; its messages are logged: {task.path}")


def _messages(task: Task, reader: Any, selection: Selection, *, is_whole: bool) -> None:
    """Log all messages; and, of a file without a summary, the channels as they come."""
    channels: dict[int, _Channel | None] = {}
    try:
        for schema, channel, message in reader.iter_messages(log_time_order=False):
            if not selection.has(message.log_time):
                continue
            if channel.id not in channels:
                takes = selection.takes(channel.topic)
                if takes and not is_whole and selection.uses("schema"):
                    _channel(task, channel, schema)
                found = _Channel(task, schema, channel, selection) if takes else None
                channels[channel.id] = found if found is not None and found.is_used else None
            if (meant := channels[channel.id]) is not None:
                meant.add(message)
    finally:
        for one in channels.values():
            if one is not None:
                one.finish()


# ---- what it says of itself


def _pairs(found: dict[str, str]) -> list[dict[str, str]]:
    return [{"first": name, "second": value} for name, value in found.items()]


def _pairs_array(values: list[dict[str, str]]) -> Any:
    """A row of texts by name, for each value."""
    import pyarrow as pa

    pair = pa.struct([pa.field("first", pa.string(), nullable=False), pa.field("second", pa.string(), nullable=False)])
    return pa.array([[_pairs(value) for value in values]], pa.list_(pa.list_(pa.field("item", pair, nullable=False))))


def _about(task: Task, reader: Any, summary: Any, selection: Selection) -> None:
    make: Callable[[str], Any] = archetype_class
    stats = summary.statistics
    if stats is not None and selection.uses("recording_info"):
        task.log(_PROPERTIES, make("RecordingInfo").from_fields(start_time=min(stats.message_start_time, _MOST_TIME)))
    if selection.uses("attachments"):
        _attachments(task, reader, summary)
    metadata: dict[str, dict[str, str]] = {}
    if summary.metadata_indexes and selection.uses("metadata"):
        for record in reader.iter_metadata():
            metadata.setdefault(record.name, {}).update(record.metadata)
    columns = [
        Column(name, _pairs_array([dict(sorted(found.items()))]), "McapMetadata", "rerun.components.KeyValuePairs")
        for name, found in sorted(metadata.items())
    ]
    if columns:
        task.send_columns(_METADATA, [], columns)
    counts = stats.channel_message_counts if stats is not None else dict.fromkeys(summary.channels, 1)
    for channel in summary.channels.values():
        if counts.get(channel.id) and selection.takes(channel.topic) and selection.uses("schema"):
            _channel(task, channel, summary.schemas.get(channel.schema_id))
    if stats is None:
        task.warn("the MCAP file has no statistics")
        return
    if not selection.uses("stats"):
        return
    task.log(
        _PROPERTIES,
        make("McapStatistics")(
            message_count=stats.message_count,
            schema_count=stats.schema_count,
            channel_count=stats.channel_count,
            attachment_count=stats.attachment_count,
            metadata_count=stats.metadata_count,
            chunk_count=stats.chunk_count,
            message_start_time=min(stats.message_start_time, _MOST_TIME),
            message_end_time=min(stats.message_end_time, _MOST_TIME),
            channel_message_counts=sorted(counts.items()),
        ),
    )


def _attachments(task: Task, reader: Any, summary: Any) -> None:
    import pyarrow as pa

    found = list(reader.iter_attachments()) if summary.attachment_indexes else []
    if not found:
        return
    blobs = pa.ListArray.from_arrays(pa.array([0, len(found)], pa.int32()), bytes_lists([one.data for one in found]))
    about = [
        {
            "name": one.name,
            "media_type": one.media_type,
            "log_time": str(one.log_time),
            "create_time": str(one.create_time),
            "data_size": str(len(one.data)),
            "offset": str(index.offset),
        }
        for one, index in zip(found, summary.attachment_indexes, strict=False)
    ]
    columns = [
        Column("data", blobs, "McapAttachment", "rerun.components.Blob"),
        Column("media_type", pa.array([[one.media_type for one in found]]), "McapAttachment", "rerun.components.MediaType"),
        Column("metadata", _pairs_array(about), "McapAttachment", "rerun.components.KeyValuePairs"),
    ]
    task.send_columns(_ATTACHMENTS, [], columns)


def _channel(task: Task, channel: Any, schema: Any) -> None:
    make: Callable[[str], Any] = archetype_class
    extra = []
    if schema is not None:
        extra.append(make("McapSchema")(id=schema.id, name=schema.name, encoding=schema.encoding, data=schema.data))
    about = make("McapChannel")(
        id=channel.id, topic=channel.topic, message_encoding=channel.message_encoding, metadata=dict(sorted(channel.metadata.items()))
    )
    task.log(entity_paths.canonical(channel.topic), about, *extra)


# ---- messages


class _Channel:
    """Messages of a channel that are to be logged together."""

    def __init__(self, task: Task, schema: Any, channel: Any, selection: Selection) -> None:
        self._task, self._topic, self._selection = task, channel.topic, selection
        self._path = entity_paths.canonical(channel.topic)
        self._decoder = _decoder(task, schema, channel, selection)
        for constant in () if self._decoder is None else self._decoder.constants():
            task.log(self._path, constant)
        self._robot: str | None = None  # the last one that was described
        has_robots = schema is not None and schema.name == "std_msgs/msg/String" and "robot_description" in self._topic
        self._robots = _any_ros(schema, channel) if has_robots and selection.uses("urdf") else None
        is_known = not isinstance(self._decoder, _Raw) and self._decoder is not None and selection.uses("ros2_reflection")
        self._plain = _any_ros(schema, channel) if is_known else None  # for a schema that has the name of a known type, not its fields
        self._bad = 0
        self._why: Exception | None = None
        self._begin()

    def _begin(self) -> None:
        self._values: list[Any] = []
        self._times: list[tuple[int, int, int | None]] = []
        self._messages: list[Any] = []
        self._bytes = 0

    @property
    def is_used(self) -> bool:
        """Whether anything is made of its messages."""
        return self._decoder is not None or self._robots is not None

    def add(self, message: Any) -> None:
        try:
            rows = [] if self._decoder is None else self._decoder.decode(message.data)
            if self._robots is not None:
                self._robot = self._robots.decode(message.data)[0][1]["data"]
        except (ValueError, IndexError, KeyError, OverflowError) as error:
            if isinstance(error, KeyError) and self._plain is not None:
                self._become_structs(error, [*self._messages, message])
                return
            self._bad += 1
            self._why = error
            return
        for stamp, value in rows:
            self._values.append(value)
            self._times.append((min(message.log_time, _MOST_TIME), min(message.publish_time, _MOST_TIME), stamp))
        self._messages.append(message)
        self._bytes += len(message.data)
        if self._bytes >= _BATCH_BYTES or len(self._values) >= _BATCH_ROWS:
            self._send()

    def _become_structs(self, error: Exception, messages: list[Any]) -> None:
        """Take these messages, and all that come, as structs."""
        why = f"its schema is not that of the type whose name it has: {type(error).__name__} {error}"
        self._task.warn(f"messages of channel {self._topic!r} are structs, since {why}")
        self._decoder, self._plain = self._plain, None
        self._begin()
        for message in messages:
            self.add(message)

    def _log_robot(self, text: str) -> None:
        """Log the shapes of a robot, whose transforms are messages of other channels."""
        from shmrerun.importers.urdf import RobotRows
        from shmrerun.importers.urdf_robot import read_robot

        try:
            rows = RobotRows(read_robot(text.encode(), os.path.dirname(self._task.path)), "", "")
            for path, entity in rows.geometries(self._task.warn):
                self._task.log(path, entity)
        except ValueError as error:
            self._task.warn(f"channel {self._topic!r} does not describe a robot: {error}")

    def _send(self) -> None:
        if not self._values or self._decoder is None:
            return
        values, times, messages = self._values, self._times, self._messages
        self._begin()
        try:
            found = self._decoder.columns(values)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if self._plain is not None:
                self._become_structs(error, messages)
                self._send()
                return
            self._bad += len(messages)
            self._why = error
            return
        named = ("message_log_time", "message_publish_time", self._decoder.timeline)
        indexes: list[Any] = []
        for name, column in zip(named, zip(*times, strict=True), strict=True):
            if None not in column:
                indexes.append(self._selection.time_column(name, column))
        for below, columns in found:
            self._task.send_columns(self._path + below, indexes, columns)

    def finish(self) -> None:
        self._send()
        if self._robot is not None:
            self._log_robot(self._robot)
        if self._bad:
            self._task.warn(f"{self._bad:,} messages of channel {self._topic!r} do not decode and are left out: {self._why}")


class _Raw:
    """Messages as they are."""

    timeline = ""

    def decode(self, data: bytes) -> list[tuple[int | None, Any]]:
        return [(None, data)]

    def columns(self, values: list[Any]) -> Entities:
        array = lists_of_one(bytes_lists(values))
        return [("", [Column("McapMessage:data", array, "rerun.archetypes.McapMessage", "rerun.components.Blob")])]

    def constants(self) -> list[Any]:
        return []


def _is_ros(schema: Any, channel: Any) -> bool:
    return schema is not None and schema.encoding == "ros2msg" and channel.message_encoding.lower() == "cdr"


def _any_ros(schema: Any, channel: Any) -> Decoder | None:
    """The decoder of ROS 2 messages as structs; None: they are none, or their schema is no use."""
    from shmrerun.importers.mcap_ros2 import AnyMessage, parse

    if not _is_ros(schema, channel):
        return None
    try:
        return AnyMessage(schema.name, *parse(schema.name, schema.data.decode("utf-8", "replace")))
    except ValueError:
        return None


def _decoder(task: Task, schema: Any, channel: Any, selection: Selection) -> Decoder | None:
    """The decoder of a channel's messages, the raw one where nothing better is known, which is said; None: that is not meant either."""
    raw = _Raw() if selection.uses("raw") else None
    try:
        if _is_ros(schema, channel):
            from shmrerun.importers.mcap_ros2 import AnyMessage, parse
            from shmrerun.importers.mcap_ros2_known import KNOWN
            from shmrerun.importers.mcap_ros2_maps import MAPS

            has_any = selection.uses("ros2_reflection")
            root, messages = parse(schema.name, schema.data.decode("utf-8", "replace"))
            is_known = selection.uses("ros2msg") and (has_any or schema.name in _OF_ROS_ALONE)
            make = (KNOWN.get(schema.name) or MAPS.get(schema.name)) if is_known else None
            found: Decoder | None = make(root, messages) if make else AnyMessage(schema.name, root, messages) if has_any else raw
            return found
        if schema is not None and schema.encoding == "protobuf" and selection.uses("protobuf"):
            from shmrerun.importers.mcap_foxglove import foxglove_decoder
            from shmrerun.importers.mcap_protobuf import ProtobufDecoder, message_class

            kind = message_class(schema.name, schema.data)
            try:
                return (foxglove_decoder(kind) if selection.uses("foxglove") else None) or ProtobufDecoder(kind)
            except ValueError as error:
                task.warn(f"messages of channel {channel.topic!r} stay structs, since their schema {schema.name!r} is no use: {error}")
            return ProtobufDecoder(kind)
    except (ValueError, KeyError, TypeError) as error:
        instead = "logged as bytes" if raw else "left out"
        task.warn(f"messages of channel {channel.topic!r} are {instead}, since their schema {schema.name!r} is no use: {error}")
    return raw
