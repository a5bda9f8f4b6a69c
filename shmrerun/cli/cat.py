"""``shmrerun cat``: rows of a file as text, one a line; with ``--follow`` those that are still to come."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from shmrerun.cli._files import BAD, GOOD, MISSING, recordings
from shmrerun.framing import ARROW_MSG, BLUEPRINT_ACTIVATION, END, FRAME, HOLE, MAGIC, MESSAGE_HEADER_BYTES, STREAM_HEADER_BYTES
from shmrerun.rrd.chunk import decode_stream
from shmrerun.rrd.filters import EntityFilter
from shmrerun.rrd.stored import checked
from shmrerun.rrd.wire import arrow_view

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_SHOWN = 16  # values of a cell
_LOOK_SECONDS = 0.1


def run(arguments: argparse.Namespace) -> int:
    """Print rows; status 0, 1 if the file went away while it was followed, 2 if it cannot be read."""
    try:
        is_meant = EntityFilter(arguments.entity or ["/**", "/__properties/**"])
        rows: Iterator[str]
        if arguments.follow:
            batches = (batch for batch in _following(arguments.path) if is_meant(_path(batch)))
            rows = (row for batch in batches for row in _rows(batch, arguments.timeline, as_json=arguments.json))
        elif arguments.timeline is not None:
            rows = _sorted(arguments)
        else:
            batches = (batch for recording in recordings(arguments.path) for batch in recording.chunks() if is_meant(_path(batch)))
            rows = (row for batch in batches for row in _rows(batch, None, as_json=arguments.json))
        for row in itertools.islice(rows, arguments.n):
            print(row, flush=arguments.follow)
    except FileNotFoundError as error:
        print(f"{arguments.path}: {error.strerror}", file=sys.stderr)
        return MISSING
    except _Gone as error:
        print(f"{arguments.path}: {error}", file=sys.stderr)
        return BAD
    except BrokenPipeError:
        raise
    except (OSError, ValueError, KeyError) as error:
        print(f"{arguments.path}: {error.args[0] if isinstance(error, KeyError) else error}", file=sys.stderr)
        return MISSING
    return GOOD


def _path(batch: pa.RecordBatch) -> str:
    path: str = (batch.schema.metadata or {}).get(b"rerun:entity_path", b"/").decode("utf-8", "replace")
    return path


def _sorted(arguments: argparse.Namespace) -> Iterator[str]:
    """Rows of all recordings that have the timeline, by their times on it."""
    for recording in recordings(arguments.path):
        if recording.store.kind == "recording":
            for batch in recording.view(arguments.timeline, arguments.entity).select(*_components(recording, arguments)).batches():
                yield from _rows(batch, arguments.timeline, as_json=arguments.json)


def _components(recording: Any, arguments: argparse.Namespace) -> list[str]:
    timelines = recording.timelines
    return [name for name in recording.view(arguments.timeline, arguments.entity).schema.names if name not in timelines]


def _rows(batch: pa.RecordBatch, timeline: str | None, *, as_json: bool) -> Iterator[str]:
    """Each row of a chunk, or of a table, as a line."""
    kinds = [(field.metadata or {}).get(b"rerun:kind", b"data") for field in batch.schema]
    times = [i for i, kind in enumerate(kinds) if kind == b"index" and timeline in (None, batch.schema.field(i).name)]
    cells = [i for i, kind in enumerate(kinds) if kind == b"data"]
    if timeline is not None and not times:
        return
    entity = _path(batch) if batch.schema.metadata else None
    names = batch.schema.names
    for row in range(batch.num_rows):
        there = [i for i in cells if batch.column(i)[row].is_valid]
        if as_json:
            found: dict[str, Any] = {} if entity is None else {"entity": entity}
            found["times"] = {names[i]: batch.column(i).view(pa.int64())[row].as_py() for i in times}
            found["components"] = {names[i]: batch.column(i)[row].as_py() for i in there}
            yield json.dumps(found, default=_plain)
        else:
            words = [] if entity is None else [entity]
            words += [f"{names[i]}={_time(batch.column(i), row)}" for i in times]
            words += [f"{names[i]}={_cell(batch.column(i)[row])}" for i in there]
            yield "  ".join(words)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, bytes) else str(value)


def _time(column: pa.Array, row: int) -> Any:
    value = column.view(pa.int64())[row].as_py()
    if pa.types.is_timestamp(column.type):
        return np.datetime64(value, "ns")
    return f"{value / 1e9:.9g}s" if pa.types.is_duration(column.type) else value


def _cell(cell: Any) -> str:
    """A cell, or of a long one its size."""
    leaves = cell.values if hasattr(cell, "values") else None
    while leaves is not None and (pa.types.is_list(leaves.type) or pa.types.is_fixed_size_list(leaves.type)):
        leaves = leaves.flatten()
    if leaves is not None and len(leaves) > _SHOWN:
        return f"[{len(leaves):,} values of {leaves.type}]"
    return str(cell.as_py())


class _Gone(Exception):  # noqa: N818  it is how the following ends
    """The file is not there any more, or was cut before where we are."""


def _following(path: str) -> Iterator[pa.RecordBatch]:
    """Chunks of a file as they are written, until its End message."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        header = _wait(fd, path, 0, STREAM_HEADER_BYTES)
        if header[:4] != MAGIC:
            raise ValueError(f"Not an .rrd file: it begins with {header[:4]!r}")
        at = STREAM_HEADER_BYTES
        while True:
            kind, size = FRAME.unpack(_wait(fd, path, at, MESSAGE_HEADER_BYTES))
            if kind == END:
                return
            if kind > BLUEPRINT_ACTIVATION and kind != HOLE:
                raise ValueError(f"damaged at byte {at}")
            if kind == ARROW_MSG:
                message = arrow_view(memoryview(_wait(fd, path, at + MESSAGE_HEADER_BYTES, size)))
                yield checked(decode_stream(bytes(message.payload), message.compression, message.uncompressed_size))
            at += MESSAGE_HEADER_BYTES + size
    finally:
        os.close(fd)


def _wait(fd: int, path: str, at: int, size: int) -> bytes:
    """Bytes of the file, once they are all there. A length that is damaged is waited for, never allocated."""
    while True:
        status = os.fstat(fd)
        if status.st_size >= at + size:
            data = os.pread(fd, size, at)
            if len(data) == size:
                return data
        if status.st_size < at:
            raise _Gone("it was cut while it was followed")
        try:
            there = os.stat(path)
        except FileNotFoundError:
            raise _Gone("it was removed while it was followed") from None
        if (there.st_dev, there.st_ino) != (status.st_dev, status.st_ino):
            raise _Gone("it was replaced while it was followed")
        time.sleep(_LOOK_SECONDS)
