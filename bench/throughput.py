"""A subject of run.py: rows from 1, 2, 4 processes until all are durable in one file.

``python bench/throughput.py shmrerun scalar_2`` prints one JSON object. Processes of rerun-sdk cannot share a file, so each writes
its own; that is less work than one file.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from importlib import import_module
from typing import Any

import numpy as np

ROWS = {"scalar": 200_000, "image": 300}  # of each process
PIXELS = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


def work(library: str, case: str, number: int, directory: str) -> None:
    """Log one process's rows; with rerun-sdk, into a file of its own."""
    rr = import_module({"shmrerun": "shmrerun", "rerun-sdk": "rerun"}[library])
    if library != "shmrerun":
        rr.init("shmrerun_bench", recording_id=f"process {number}")
        rr.save(os.path.join(directory, f"{number}.rrd"))
    path = f"bench/{number}"
    for step in range(ROWS[case]):
        rr.set_time("step", sequence=step)
        rr.log(path, rr.Scalars(step * 0.5) if case == "scalar" else rr.Image(PIXELS))
    if library != "shmrerun":
        rr.disconnect()


def measure(library: str, name: str, directory: str) -> dict[str, Any]:
    """Time from the first process's start until the file is complete."""
    case, processes = name.split("_")
    context = multiprocessing.get_context("spawn" if library != "shmrerun" else "fork")
    if library == "shmrerun":
        import shmrerun as rr

        rr.init("shmrerun_bench")
        rr.save(os.path.join(directory, "all.rrd"))
        rr.log("warm", rr.Scalars(0.0))
        rr.get_global_data_recording().flush()
    workers = [context.Process(target=work, args=(library, case, number, directory)) for number in range(int(processes))]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if library == "shmrerun":
        rr.disconnect()
    seconds = time.perf_counter() - began
    rows = ROWS[case] * int(processes)
    size = rows * (PIXELS.nbytes if case == "image" else 8)
    return {"unit": "s", "n": rows, "p50": seconds, "rows_per_s": rows / seconds, "payload_bytes_per_s": size / seconds}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(sys.argv[1], sys.argv[2], scratch)))
