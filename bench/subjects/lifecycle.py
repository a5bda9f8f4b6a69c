"""Short recordings, with one library: ``cd bench; python -m subjects.lifecycle shmrerun save``.

Cases: ``program`` is an interpreter that imports the library, saves ten rows and ends. In a warm process, ``save`` is ``RecordingStream``,
``save``, ten rows, ``disconnect``; ``binary_stream`` is one ``read()`` of ten rows; ``memory`` one ``drain_as_bytes()`` of ten.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from sizes import scaled
from subject import library, main

CASES = ("program", "save", "binary_stream", "memory")
ROWS = 10
PROGRAM = """
import {library} as rr
rr.init("shmrerun_bench")
rr.save({path!r})
for row in range({rows}):
    rr.set_time("step", sequence=row)
    rr.log("bench/scalar", rr.Scalars(row * 0.5))
"""


def log_rows(rr: Any, recording: Any, start: int) -> None:
    """Log ten scalars."""
    for row in range(ROWS):
        recording.set_time("step", sequence=start + row)
        recording.log("bench/scalar", rr.Scalars(row * 0.5))


def once_of(rr: Any, case: str, directory: str) -> Any:
    """Make the function that does the case once and returns the nanoseconds of the part that is timed."""
    clock = time.perf_counter_ns
    if case == "program":

        def once(number: int) -> int:
            path = os.path.join(directory, f"{number}.rrd")
            text = PROGRAM.format(library=rr.__name__, path=path, rows=ROWS)
            began = clock()
            subprocess.run([sys.executable, "-c", text], check=True)
            nanos = clock() - began
            if not os.path.getsize(path):
                raise RuntimeError("the file is empty")
            return nanos

        return once

    if case == "save":

        def once(number: int) -> int:
            path = os.path.join(directory, f"{number}.rrd")
            began = clock()
            recording = rr.RecordingStream("shmrerun_bench", recording_id=f"bench-{number}")
            recording.save(path)
            log_rows(rr, recording, 0)
            recording.disconnect()
            nanos = clock() - began
            if not os.path.getsize(path):
                raise RuntimeError("the file is empty")
            return nanos

        return once

    recording = rr.RecordingStream("shmrerun_bench")
    read = recording.binary_stream().read if case == "binary_stream" else recording.memory_recording().drain_as_bytes

    def once(number: int) -> int:
        log_rows(rr, recording, number * ROWS)
        began = clock()
        data = read()
        nanos = clock() - began
        if not data or len(data) < 500:
            raise RuntimeError("rows are missing")
        return nanos

    return once


def measure(subject: str, case: str, directory: str) -> dict[str, Any]:
    """Run one case; times in nanoseconds."""
    rr = library(subject)
    count, before = (scaled(20), scaled(2)) if case == "program" else (scaled(200), scaled(20))
    kept = rr.RecordingStream("shmrerun_bench_kept")  # a program that has a recording already: warm
    once = once_of(rr, case, directory)
    first = once(0)
    for number in range(1, before):
        once(number)
    nanos = np.array([once(before + number) for number in range(count)])
    del kept
    p50, p95 = np.percentile(nanos, [50, 95])
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "unit": "ns",
        "n": count,
        "rows": ROWS,
        "first": first,
        "p50": p50,
        "p95": p95,
        "mean": float(nanos.mean()),
        "cpu_secs_caller": usage.ru_utime + usage.ru_stime,
        "peak_rss_bytes": usage.ru_maxrss * 1024,
    }


if __name__ == "__main__":
    main(measure)
