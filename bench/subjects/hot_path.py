"""What logging costs the caller, in one process, with one library: ``cd bench; python -m subjects.hot_path shmrerun scalar``.

After each call of a case with much data, as many bytes are copied in the same process, and timed as well.
"""

from __future__ import annotations

import os
import resource
import time
from typing import Any

import numpy as np

import costs
from sizes import scaled
from subject import library, main, rrd_rows
from values import PIXELS, POINTS

# Calls that are timed, calls before them, pause between calls in seconds.
CASES = {
    "scalar": (50_000, 1_000, 0.0),
    "text": (50_000, 1_000, 0.0),
    "image": (1_000, 50, 0.01),
    "image_30hz": (300, 50, 0.033),
    "image_1080p": (300, 50, 0.033),
    "boxes3d": (20_000, 500, 0.0),
    "transform3d": (20_000, 500, 0.0),
    "linestrips3d": (10_000, 500, 0.0),
    "points3d_1000": (3_000, 300, 0.0005),
    "tensor": (3_000, 300, 0.0005),
    "barchart": (5_000, 300, 0.0),
}

COPIED = {  # case -> the data of a call
    "points3d_1000": POINTS.nbytes,
    "tensor": POINTS.nbytes,
    "image": PIXELS.nbytes,
    "image_30hz": PIXELS.nbytes,
    "image_1080p": 1920 * 1080 * 3,
}
COPIES_BYTES = 64 << 20  # where copies go, in turn: more than caches hold
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
        pixels = PIXELS if case != "image_1080p" else np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)

        def call(step: int) -> None:
            set_time("step", sequence=step)
            log(f"bench/{case}", image(pixels))

    return call


def measure(subject: str, case: str, directory: str) -> dict[str, Any]:
    """Run one case; times in nanoseconds."""
    rr = library(subject)
    count, before, pause = CASES[case]
    count, before = scaled(count), scaled(before)
    path = os.path.join(directory, f"{subject}-{case}.rrd")
    rr.init("shmrerun_bench")
    rr.save(path)
    call, clock = call_of(rr, case), time.perf_counter_ns
    copy = copying(COPIED[case]) if case in COPIED else None
    began = clock()
    call(0)
    first = clock() - began
    for step in range(1, before):
        call(step)
        if pause:
            time.sleep(pause)
    nanos, copied = np.empty(count, np.int64), np.empty(count, np.int64)
    began_all = clock()
    for step in range(count):
        began = clock()
        call(before + step)
        nanos[step] = clock() - began
        if copy:
            copied[step] = copy()
        if pause:
            time.sleep(pause)
    logged_all = clock()
    rr.disconnect()
    complete = clock()
    aggregator = costs.cpu_secs(costs.aggregator_pid()) if subject == "shmrerun" else 0.0
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
        **(against(nanos, copied) if copy else {}),
        "logging_secs": (logged_all - began_all) / 1e9,
        "until_complete_secs": (complete - began_all) / 1e9,
        "cpu_secs_caller": usage.ru_utime + usage.ru_stime,
        "cpu_secs_aggregator": aggregator,
        "peak_rss_bytes": usage.ru_maxrss * 1024,
        "dropped": count + before - rrd_rows(path),
        "file_bytes": os.path.getsize(path),
    }


def copying(size: int) -> Any:
    """Make the function that copies so many bytes and returns the nanoseconds that it took."""
    source, target, at = np.ones(size, np.uint8), np.ones(COPIES_BYTES, np.uint8), 0  # ones: the pages are there
    clock = time.perf_counter_ns

    def copy() -> int:
        nonlocal at
        if at + size > COPIES_BYTES:
            at = 0
        part = target[at : at + size]
        began = clock()
        part[:] = source
        nanos = clock() - began
        at += size
        return nanos

    return copy


def against(nanos: Any, copied: Any) -> dict[str, float]:
    """Return what copies took, and how many times as long the calls did."""
    found = {}
    for name, percent in (("p50", 50), ("p99", 99)):
        found[f"memcpy_{name}"] = float(np.percentile(copied, percent))
        found[f"times_memcpy_{name}"] = float(np.percentile(nanos, percent)) / found[f"memcpy_{name}"]
    return found


if __name__ == "__main__":
    main(measure)
