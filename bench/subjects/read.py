"""A recording of 1 GB read back: ``cd bench; python -m subjects.read shmrerun column``.

The file is made by shmrerun, once, in the temporary directory: images of
noise, points, and a million scalars of four entities, logged in steps.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from typing import Any

import numpy as np

from sizes import SCALE, scaled
from subject import main

PATH = os.path.join(tempfile.gettempdir(), f"shmrerun-bench-read-{os.getuid()}{'' if SCALE == 1 else f'-{SCALE}'}.rrd")
IMAGES, CLOUDS, SCALARS = scaled(700), scaled(2_500), scaled(250_000)
COLUMN = "/values/1:Scalars:scalars"
CASES = ("open", "chunks", "column", "entity", "table", "whole_table")


def make(path: str) -> None:
    """Write the recording."""
    import shmrerun as rr

    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (480, 640, 3), np.uint8)
    points = random.normal(size=(10_000, 3)).astype(np.float32)
    recording = rr.RecordingStream("shmrerun_bench", recording_id="read")
    recording.save(path + ".part")
    for step in range(SCALARS):
        recording.set_time("step", sequence=step)
        for entity in range(4):
            recording.log(f"values/{entity}", rr.Scalars(step * 0.5 + entity))
        if step % (SCALARS // IMAGES) == 0:
            recording.log("camera", rr.Image(pixels))
        if step % (SCALARS // CLOUDS) == 0:
            recording.log("cloud", rr.Points3D(points))
    recording.disconnect()
    os.rename(path + ".part", path)


def ours(case: str) -> tuple[int, int]:
    """Rows and bytes that were read."""
    import shmrerun as rr

    recording = rr.read(PATH)
    if case == "open":
        return sum(timeline.num_rows for timeline in recording.timelines.values()), len(recording.entities)
    if case == "chunks":
        return _count(recording.chunks())
    if case == "entity":
        return _count(recording["/cloud"].batches())
    view = {
        "column": lambda: recording.columns(COLUMN, index="step"),
        "table": lambda: recording.view("step", "/values/**"),
        "whole_table": lambda: recording.view("step"),
    }[case]()
    if case == "whole_table":
        return _count(view.batches())
    table = view.to_arrow_table()  # pa.table(view) imports pandas where it is installed
    return len(table), table.nbytes


def theirs(case: str) -> tuple[int, int]:
    """The same by rerun-sdk: its reader for chunks and entities, its tables by DataFusion."""
    from rerun.chunk import RrdReader

    reader = RrdReader(PATH)
    if case == "open":
        return len(reader.store()), len(reader.store().schema().entity_paths())
    if case == "chunks":
        return _count(chunk.to_record_batch() for chunk in reader.stream())
    if case == "entity":
        stream = reader.store().stream().filter(content="/cloud")
        return _count(chunk.to_record_batch() for chunk in stream)
    contents = {"column": "/values/1", "table": "/values/**", "whole_table": "/**"}[case]
    stream = reader.store().stream()
    store = (stream if case == "whole_table" else stream.filter(content=contents)).collect()
    frame = store.reader(index="step", contents=contents)
    if case == "whole_table":
        return _count(batch.to_pyarrow() for batch in frame.execute_stream())
    table = (frame.select("step", COLUMN) if case == "column" else frame).to_arrow_table()
    return len(table), table.nbytes


def _count(batches: Any) -> tuple[int, int]:
    rows = size = 0
    for batch in batches:
        rows += batch.num_rows
        size += batch.nbytes
    return rows, size


def measure(library: str, case: str, directory: str) -> dict[str, Any]:
    """Time until everything is in Arrow's memory, opening the file included."""
    if not os.path.exists(PATH):
        maker = multiprocessing.get_context("spawn").Process(target=make, args=(PATH,))
        maker.start()
        maker.join()
    import pyarrow as pa

    if library == "shmrerun":
        import shmrerun.rrd.reader  # noqa: F401
    else:
        import datafusion  # noqa: F401
        import rerun.chunk  # noqa: F401
    before = os.times()
    began = time.perf_counter()
    rows, size = (ours if library == "shmrerun" else theirs)(case)
    seconds = time.perf_counter() - began
    after = os.times()
    return {
        "unit": "s",
        "n": rows,
        "p50": seconds,
        "cpu_secs": after.user + after.system - before.user - before.system,
        "bytes": size,
        "bytes_per_s": size / seconds,
        "file_bytes": os.path.getsize(PATH),
        "max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "arrow_peak_bytes": pa.default_memory_pool().max_memory(),
    }


if __name__ == "__main__":
    main(measure)
