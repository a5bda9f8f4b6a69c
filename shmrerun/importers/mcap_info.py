"""What an MCAP file says of itself, without its messages: :meth:`shmrerun.chunk.McapReader.info`.

Source: ``rerun.chunk.McapInfo`` and its parts of rerun-sdk 0.41.
"""

from __future__ import annotations

import dataclasses
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclasses.dataclass(frozen=True)
class McapSchemaInfo:
    """What the messages of a channel are."""

    id: int
    name: str
    encoding: str
    data_size_bytes: int


@dataclasses.dataclass(frozen=True)
class McapChannelInfo:
    """A channel. Counts are None where the file does not say; frequencies too, of one message or of no time between them.

    ``frequency_hz`` is the number of messages, once less one and once whole, over the time of the file from its first message to its last.
    """

    id: int
    topic: str
    message_encoding: str
    metadata: Mapping[str, str]
    schema: McapSchemaInfo | None
    message_count: int | None
    frequency_hz: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class McapChunkInfo:
    """The file's chunks, together. Sizes are None where there are none."""

    count: int
    max_uncompressed_size_bytes: int | None
    max_compressed_size_bytes: int | None
    has_overlapping_time_ranges: bool


@dataclasses.dataclass(frozen=True)
class McapCompressionInfo:
    """The chunks that are compressed in one way; ``codec`` is empty for none."""

    codec: str
    chunk_count: int
    compressed_size_bytes: int
    uncompressed_size_bytes: int

    @property
    def savings_ratio(self) -> float | None:
        """Which part of the bytes compression saves; below zero: it costs. None: there are no bytes."""
        if not self.uncompressed_size_bytes:
            return None
        return 1 - self.compressed_size_bytes / self.uncompressed_size_bytes


@dataclasses.dataclass(frozen=True)
class McapInfo:
    """What an MCAP file says of itself; times are log times in nanoseconds. What it does not say is None.

    ``summary_source`` is ``"embedded"``, or ``"reconstructed"`` where the file has no summary and was read as far as it goes.
    """

    profile: str
    library: str
    message_count: int | None
    message_start_time_ns: int | None
    message_end_time_ns: int | None
    duration_ns: int | None
    schema_count: int
    channel_count: int
    attachment_count: int
    metadata_count: int
    statistics_present: bool
    summary_source: Literal["embedded", "reconstructed"]
    chunks: McapChunkInfo
    compression: tuple[McapCompressionInfo, ...]
    channels: tuple[McapChannelInfo, ...]


@dataclasses.dataclass
class _Found:
    """What is known of a file before it is put together."""

    header: Any
    schemas: dict[int, Any] = dataclasses.field(default_factory=dict)
    channels: dict[int, Any] = dataclasses.field(default_factory=dict)
    counts: dict[int, int] | None = None
    start: int | None = None
    end: int | None = None
    chunks: list[tuple[int, int, str, int, int]] = dataclasses.field(default_factory=list)  # start, end, codec, compressed, uncompressed
    attachments: int = 0
    metadata: int = 0


def read_info(path: Path, *, recover: bool) -> McapInfo:
    """Read what a file says of itself. ValueError: it is none, is damaged, or has no summary and is not to be recovered."""
    from mcap.exceptions import McapError
    from mcap.reader import make_reader

    with open(path, "rb") as file:
        try:
            summary = None
            try:
                reader: Any = make_reader(file)
                header = reader.get_header()
                summary = reader.get_summary()
            except (McapError, EOFError, OSError, struct.error) as error:
                if not recover:
                    raise ValueError(
                        f"cannot read the MCAP file's summary; try recover=True: {type(error).__name__} {error}: {path}"
                    ) from None
            if summary is not None:
                return _embedded(file, header, summary)
            if not recover:
                raise ValueError(f"the MCAP file has no summary; try recover=True: {path}")
            file.seek(0)
            return _together(_scanned(file, path), None, "reconstructed")
        except (McapError, EOFError, struct.error) as error:
            raise ValueError(f"cannot read the MCAP file: {type(error).__name__} {error}: {path}") from None


def _embedded(file: Any, header: Any, summary: Any) -> McapInfo:
    stats = summary.statistics
    found = _Found(header, summary.schemas, summary.channels)
    found.attachments, found.metadata = len(summary.attachment_indexes), len(summary.metadata_indexes)
    for one in summary.chunk_indexes:
        found.chunks.append((one.message_start_time, one.message_end_time, one.compression, one.compressed_size, one.uncompressed_size))
    if stats is not None:
        found.counts = dict(stats.channel_message_counts)
        if stats.message_count:
            found.start, found.end = stats.message_start_time, stats.message_end_time
    else:
        found.counts = _counted(file, summary)
        if found.chunks:
            found.start, found.end = min(one[0] for one in found.chunks), max(one[1] for one in found.chunks)
    return _together(found, stats, "embedded")


def _counted(file: Any, summary: Any) -> dict[int, int] | None:
    """Messages of each channel, by the indexes of the chunks; None: there are none."""
    from mcap.data_stream import ReadDataStream
    from mcap.records import MessageIndex

    counts: dict[int, int] = {}
    for chunk in summary.chunk_indexes:
        if not chunk.message_index_offsets:
            return None
        for at in chunk.message_index_offsets.values():
            file.seek(at)
            stream = ReadDataStream(file)
            stream.read1()
            stream.read8()
            index = MessageIndex.read(stream)
            counts[index.channel_id] = counts.get(index.channel_id, 0) + len(index.records)
    return counts if summary.chunk_indexes and summary.channels else None


def _scanned(file: Any, path: Path) -> _Found:
    """Read a file from its beginning to where it ends: the channels that have messages there, and their schemas."""
    from mcap import records
    from mcap.exceptions import McapError
    from mcap.stream_reader import StreamReader, breakup_chunk

    found = _Found(None, counts={})
    try:
        for record in StreamReader(file, emit_chunks=True).records:
            if isinstance(record, records.Chunk):
                parts = breakup_chunk(record)
                sizes = len(record.data), record.uncompressed_size
                found.chunks.append((record.message_start_time, record.message_end_time, record.compression, *sizes))
                for part in parts:
                    _scan(found, part)
            else:
                _scan(found, record)
    except (McapError, EOFError, struct.error, OSError, ValueError, RuntimeError) as error:
        if found.header is None:
            raise ValueError(f"no MCAP file: {type(error).__name__} {error}: {path}") from None
    found.channels = {number: one for number, one in found.channels.items() if number in (found.counts or {})}
    used = {one.schema_id for one in found.channels.values()}
    found.schemas = {number: one for number, one in found.schemas.items() if number in used}
    return found


def _scan(found: _Found, record: Any) -> None:
    from mcap import records

    match record:
        case records.Header():
            found.header = record
        case records.Schema():
            found.schemas[record.id] = record
        case records.Channel():
            found.channels[record.id] = record
        case records.Attachment():
            found.attachments += 1
        case records.Metadata():
            found.metadata += 1
        case records.Message():
            counts = found.counts or {}
            counts[record.channel_id] = counts.get(record.channel_id, 0) + 1
            found.counts = counts
            found.start = record.log_time if found.start is None else min(found.start, record.log_time)
            found.end = record.log_time if found.end is None else max(found.end, record.log_time)


def _together(found: _Found, stats: Any, source: Literal["embedded", "reconstructed"]) -> McapInfo:
    counts = found.counts
    is_timed = found.start is not None and found.end is not None
    duration = found.end - found.start if found.start is not None and found.end is not None else None
    codecs: dict[str, list[int]] = {}
    for _, _, codec, compressed, uncompressed in found.chunks:
        sums = codecs.setdefault(codec, [0, 0, 0])
        sums[:] = sums[0] + 1, sums[1] + compressed, sums[2] + uncompressed
    channels = []
    for number, channel in sorted(found.channels.items()):
        schema = found.schemas.get(channel.schema_id)
        about = None if schema is None else McapSchemaInfo(schema.id, schema.name, schema.encoding, len(schema.data))
        count = None if counts is None else counts.get(number, 0)
        frequency = ((count - 1) / (duration / 1e9), count / (duration / 1e9)) if count and count > 1 and duration else None
        metadata = MappingProxyType(dict(channel.metadata))
        channels.append(McapChannelInfo(number, channel.topic, channel.message_encoding, metadata, about, count, frequency))
    return McapInfo(
        profile=found.header.profile,
        library=found.header.library,
        message_count=stats.message_count if stats is not None else None if counts is None else sum(counts.values()),
        message_start_time_ns=found.start if is_timed else None,
        message_end_time_ns=found.end if is_timed else None,
        duration_ns=duration,
        schema_count=stats.schema_count if stats is not None else len(found.schemas),
        channel_count=stats.channel_count if stats is not None else len(found.channels),
        attachment_count=found.attachments,
        metadata_count=found.metadata,
        statistics_present=stats is not None,
        summary_source=source,
        chunks=McapChunkInfo(
            count=len(found.chunks),
            max_uncompressed_size_bytes=max((one[4] for one in found.chunks), default=None),
            max_compressed_size_bytes=max((one[3] for one in found.chunks), default=None),
            has_overlapping_time_ranges=_overlap((one[0], one[1]) for one in found.chunks),
        ),
        compression=tuple(McapCompressionInfo(codec, *sums) for codec, sums in sorted(codecs.items())),
        channels=tuple(channels),
    )


def _overlap(ranges: Iterable[tuple[int, int]]) -> bool:
    last = -1
    for start, end in sorted(ranges):
        if start < last:
            return True
        last = max(last, end)
    return False
