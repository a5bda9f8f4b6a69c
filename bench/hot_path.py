"""A subject of run.py: what logging costs the caller, in one process, with one library.

``python bench/hot_path.py shmrerun scalar`` prints one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from importlib import import_module
from typing import Any

import numpy as np

# Calls that are timed, calls before them, pause between calls in seconds.
CASES = {
    "scalar": (50_000, 1_000, 0.0),
    "text": (50_000, 1_000, 0.0),
    "image": (1_000, 50, 0.01),
    "image_30hz": (300, 50, 0.033),
    "boxes3d": (20_000, 500, 0.0),
    "transform3d": (20_000, 500, 0.0),
    "linestrips3d": (10_000, 500, 0.0),
    "points3d_1000": (3_000, 300, 0.0005),
    "tensor": (3_000, 300, 0.0005),
    "barchart": (5_000, 300, 0.0),
}


POINTS = np.random.default_rng(0).random((1000, 3), np.float32)
MAKERS: dict[str, Any] = {  # case -> from the library to a function that makes an archetype, as a program would in its loop
    "boxes3d": lambda rr: lambda: rr.Boxes3D(half_sizes=[[1, 2, 3]], centers=[[0, 0, 0]]),
    "transform3d": lambda rr: lambda: rr.Transform3D(translation=[1, 2, 3]),
    "linestrips3d": lambda rr: lambda: rr.LineStrips3D([POINTS[:20]]),
    "points3d_1000": lambda rr: lambda: rr.Points3D(POINTS),
    "tensor": lambda rr: lambda: rr.Tensor(POINTS),
    "barchart": lambda rr: lambda: rr.BarChart([1.0, 2.0, 3.0]),
}


def call_of(rr: Any, case: str) -> Any:
    """Make the function that is timed: set_time, the archetype, log."""
    set_time, log = rr.set_time, rr.log
    if case == "scalar":
        scalars = rr.Scalars

        def call(step: int) -> None:
            set_time("step", sequence=step)
            log("bench/scalar", scalars(step * 0.5))
    elif case == "text":
        text_log = rr.TextLog

        def call(step: int) -> None:
            set_time("step", sequence=step)
            log("bench/text", text_log("the quick brown fox jumps over the lazy dog", level="INFO"))
    elif case in MAKERS:
        make, path = MAKERS[case](rr), f"bench/{case}"

        def call(step: int) -> None:
            set_time("step", sequence=step)
            log(path, make())
    else:
        image = rr.Image
        pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)

        def call(step: int) -> None:
            set_time("step", sequence=step)
            log(f"bench/{case}", image(pixels))

    return call


def measure(library: str, case: str, directory: str) -> dict[str, Any]:
    """Run one case; times in nanoseconds."""
    rr = import_module({"shmrerun": "shmrerun", "rerun-sdk": "rerun"}[library])
    count, before, pause = CASES[case]
    path = os.path.join(directory, f"{library}-{case}.rrd")
    rr.init("shmrerun_bench")
    rr.save(path)
    call, clock = call_of(rr, case), time.perf_counter_ns
    began = clock()
    call(0)
    first = clock() - began
    for step in range(1, before):
        call(step)
        if pause:
            time.sleep(pause)
    nanos = np.empty(count, np.int64)
    began_all = clock()
    for step in range(count):
        began = clock()
        call(before + step)
        nanos[step] = clock() - began
        if pause:
            time.sleep(pause)
    logged_all = clock()
    rr.disconnect()
    complete = clock()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    p50, p90, p99, p99_9 = np.percentile(nanos, [50, 90, 99, 99.9])
    return {
        "unit": "ns",
        "n": count,
        "pause_secs": pause,
        "first": first,
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "p99_9": p99_9,
        "mean": float(nanos.mean()),
        "logging_secs": (logged_all - began_all) / 1e9,
        "until_complete_secs": (complete - began_all) / 1e9,
        "cpu_secs_caller": usage.ru_utime + usage.ru_stime,
        "cpu_secs_aggregator": _aggregator_cpu_secs() if library == "shmrerun" else 0.0,
        "peak_rss_bytes": usage.ru_maxrss * 1024,
        "dropped": count + before - _rows(path, f"/bench/{case}"),
        "file_bytes": os.path.getsize(path),
    }


def _aggregator_cpu_secs() -> float:
    from shmrerun import _core
    from shmrerun.producer import process

    [tree] = process.this_process().trees.values()
    with open(f"/proc/{tree.segment.load(_core.LAYOUT['tree.aggregator_pid'])}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rows(path: str, entity_path: str) -> int:
    from shmrerun.rrd.decoder import batches

    key = b"rerun:entity_path"
    return sum(batch.num_rows for _, _, batch in batches(path) if batch.schema.metadata[key] == entity_path.encode())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(sys.argv[1], sys.argv[2], scratch)))
