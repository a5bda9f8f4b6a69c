"""Files logged by rerun-sdk and by shmrerun, each in a process of its own, and compared by `rerun rrd compare`."""

from __future__ import annotations

import os
import stat
import sys

import pyarrow as pa
from helpers import run
from helpers_rrd import rerun
from rerun.chunk import RrdReader

LOG = """
import importlib, sys
rr = importlib.import_module(sys.argv[1])
recording = rr.RecordingStream("app", recording_id="rec", send_properties=False)
recording.save(sys.argv[2])
for path in sys.argv[3:]:
    recording.log_file_from_path(path, entity_path_prefix="pre")
recording.flush()
recording.disconnect()
"""


def log(package, out, files, tmp_path, **options):
    """Log files with a package into a file of its own; returns how the program ended."""
    return run(LOG, tmp_path, arguments=(package, out, *files), strict=False, **options)


def compare(tmp_path, *files, **options):
    """Log files with both packages, and demand that the recordings are equal; returns how our program ended."""
    ended = log("shmrerun", "ours.rrd", files, tmp_path, **options)
    log("rerun", "theirs.rrd", files, tmp_path, **options)
    for name in ("ours", "theirs"):
        done = rerun("rrd", "optimize", tmp_path / f"{name}.rrd", "-o", tmp_path / f"{name}.opt.rrd")
        assert done.returncode == 0, done.stderr
    done = rerun("rrd", "compare", "--unordered", "--ignore-timeline", "log_tick", tmp_path / "ours.opt.rrd", tmp_path / "theirs.opt.rrd")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"[:20_000]
    return ended


def columns_of(path):
    """Type, metadata and values of each column by entity and name: `rerun rrd compare` finds differences where cells are null."""
    found = {}
    for chunk in RrdReader(str(path)).stream():
        batch = chunk.to_record_batch()
        entity = batch.schema.metadata[b"rerun:entity_path"].decode()
        for field, column in zip(batch.schema, batch.columns, strict=True):
            if field.name not in ("rerun.controls.RowId", "log_tick", "log_time"):
                is_time = pa.types.is_temporal(column.type)
                values = (column.cast(pa.int64()) if is_time else column).to_pylist()
                found.setdefault((entity, field.name), []).append((str(field.type), sorted(field.metadata.items()), values))
    return found


def program(folder, name, text):
    """Make an executable Python script."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!{sys.executable}\n{text}")
    os.chmod(path, stat.S_IRWXU)
    return path
