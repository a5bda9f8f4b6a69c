"""How long a spawned worker takes from its first line to its first row: ``cd bench; python -m subjects.spawned shmrerun first_log``.

NumPy's import stands beside it. A rerun-sdk worker has to open or connect something by itself; here it writes a file.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import time
from typing import Any

from sizes import scaled
from subject import main

WORKERS = scaled(7, 3)


def work(library: str, directory: str, results: Any) -> None:
    """Import, log once, and say how long both took and how many modules there are."""
    before, began = len(sys.modules), time.perf_counter_ns()
    if library == "shmrerun":
        import shmrerun as rr
    else:
        import rerun as rr

        rr.init("shmrerun_bench")
        rr.save(os.path.join(directory, f"{os.getpid()}.rrd"))
    imported = time.perf_counter_ns()
    rr.log("bench/first", rr.Scalars(1.0))
    results.put((time.perf_counter_ns() - began, imported - began, len(sys.modules) - before))


def import_numpy(results: Any) -> None:
    """What a worker's first import of numpy costs."""
    began = time.perf_counter_ns()
    import numpy  # noqa: F401, ICN001

    results.put(time.perf_counter_ns() - began)


def measure(library: str, case: str, directory: str) -> dict[str, Any]:
    """Start workers one after another, a numpy worker after each."""
    context = multiprocessing.get_context("spawn")
    results: Any = context.Queue()
    if library == "shmrerun":
        import shmrerun as rr

        rr.init("shmrerun_bench")
        rr.save(os.path.join(directory, "spawned.rrd"))
    found, numpy_nanos = [], []
    for _ in range(WORKERS):
        for target, arguments, into in ((work, (library, directory, results), found), (import_numpy, (results,), numpy_nanos)):
            process = context.Process(target=target, args=arguments)
            process.start()
            process.join()
            into.append(results.get())
    if library == "shmrerun":
        rr.disconnect()
    until_logged = sorted(total for total, _, _ in found)
    return {
        "unit": "ns",
        "n": WORKERS,
        "p50": statistics.median(until_logged),
        "p95": until_logged[-1],
        "import": statistics.median(imported for _, imported, _ in found),
        "modules": found[0][2],
        "numpy_import": statistics.median(numpy_nanos),
    }


if __name__ == "__main__":
    main(measure)
