"""``shmrerun convert``: a recording as Parquet files, one for each entity, or one for all over a timeline."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from shmrerun.cli._files import BAD, GOOD, MISSING, recordings
from shmrerun.cli._progress import Progress
from shmrerun.rrd.filters import EntityFilter

if TYPE_CHECKING:
    import argparse

    from shmrerun.rrd.view import RecordingView


def run(arguments: argparse.Namespace) -> int:
    """Convert the first recording of a file; status 0, 1 if Parquet cannot hold an entity (the others are there), 2 if nothing was read."""
    try:
        recording = next(iter(recordings(arguments.path)))
        is_one = arguments.out.endswith(".parquet")
        if is_one and arguments.timeline is None:
            raise ValueError("one file for all needs a timeline: give --timeline, or a directory as --out")
        if is_one:
            views = {arguments.out: ("all entities", recording.view(arguments.timeline, arguments.entity))}
        else:
            views = {}
            is_meant = EntityFilter(arguments.entity)
            for path in filter(is_meant, recording.entities):
                view = recording[path] if arguments.timeline is None else recording.view(arguments.timeline, path)
                if arguments.timeline is None or arguments.timeline in recording.entities[path].timelines:
                    views[os.path.join(arguments.out, _file_of(path))] = path, view
    except (OSError, ValueError, KeyError) as error:
        text = error.args[0] if isinstance(error, KeyError) else error.strerror if isinstance(error, OSError) else error
        print(f"{arguments.path}: {text}", file=sys.stderr)
        return MISSING
    written: list[dict[str, Any]] = []
    problems: list[str] = []
    with Progress("convert", len(views)) as progress:
        for file, (path, view) in views.items():
            try:
                os.makedirs(os.path.dirname(file) or ".", exist_ok=True)
                written.append({"entity": path, "path": file, "rows": _write(file, view)})
            except (pa.ArrowException, ValueError) as error:
                problems.append(f"{path}: {str(error).splitlines()[0]}")
            except OSError as error:
                print(f"{file}: {error.strerror}", file=sys.stderr)
                return MISSING
            progress.advance(1)
    if arguments.json:
        print(json.dumps({"files": written, "problems": problems}))
    else:
        for one in written:
            print(f"{one['path']}: {one['rows']:,} rows of {one['entity']}")
        for problem in problems:
            print(f"left out: {problem}", file=sys.stderr)
    return BAD if problems else GOOD


def _write(file: str, view: RecordingView) -> int:
    """Write a table, batch by batch; a file that cannot be finished is removed."""
    from pyarrow import parquet

    rows = 0
    part = f"{file}.{os.getpid()}.part"
    try:
        with parquet.ParquetWriter(part, view.schema) as writer:
            for batch in view.batches():
                writer.write_batch(batch)
                rows += batch.num_rows
        os.replace(part, file)
    finally:
        if os.path.exists(part):
            os.unlink(part)
    return rows


def _file_of(path: str) -> str:
    """A file's name for an entity: a directory for each part but the last; what a file system may not like is written as %XX."""
    parts = [part for part in re.split(r"(?<!\\)/", path) if part] or ["root"]
    parts = [re.sub(r"\\(.)", r"\1", part) for part in parts]  # the path's own escapes
    names = [re.sub(rb"[^A-Za-z0-9_.-]|^\.+", _percent, part.encode()).decode() for part in parts]
    return os.path.join(*names) + ".parquet"


def _percent(match: re.Match[bytes]) -> bytes:
    return b"".join(b"%%%02X" % byte for byte in match[0])
