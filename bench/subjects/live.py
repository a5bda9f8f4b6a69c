"""Rows from 4 processes until a real server has them all: ``cd bench; python -m subjects.live shmrerun scalar``.

The server is ``rerun --serve-grpc`` of rerun-sdk, a fresh one for each
run, and the same for both. rerun-sdk's processes have a connection each; they are started, connected and have logged a row before the
clock runs, and so are ours.
"""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

from peers.rerun_api import logger, server
from sizes import scaled
from subject import library, main

PROCESSES = 4
ROWS = {"scalar": 10_000, "image": 60}  # of each process


def work(subject: str, case: str, rows: int, number: int, url: str, ready: Any, go: Any) -> None:
    """Log one process's rows; with rerun-sdk, by a connection of its own."""
    rr = library(subject)
    if subject != "shmrerun":
        rr.init("shmrerun_bench", recording_id="one")
        rr.connect_grpc(url)
    log, path = logger(rr, case), f"bench/{number}"
    rr.log("warm", rr.Scalars(0.0))
    rr.get_global_data_recording().flush()
    ready.release()
    go.wait()
    for step in range(rows):
        log(path, step)
    if subject != "shmrerun":
        rr.get_global_data_recording().flush()
        rr.disconnect()


def measure(subject: str, case: str, directory: str) -> dict[str, Any]:
    """Time from the first row until the server has taken the last."""
    rows = scaled(ROWS[case])
    context = multiprocessing.get_context("spawn")
    with server("--serve-grpc") as url:
        if subject == "shmrerun":
            import shmrerun as rr

            rr.init("shmrerun_bench", recording_id="one")
            rr.connect_grpc(url, flush_timeout_sec=None)
        ready, go = context.Semaphore(0), context.Event()
        workers = [context.Process(target=work, args=(subject, case, rows, number, url, ready, go)) for number in range(PROCESSES)]
        for worker in workers:
            worker.start()
        for _ in workers:
            ready.acquire()
        began = time.perf_counter()
        go.set()
        for worker in workers:
            worker.join()
        if subject == "shmrerun":
            rr.get_global_data_recording().flush()
        seconds = time.perf_counter() - began
        if subject == "shmrerun":
            rr.disconnect()
    total = rows * PROCESSES
    return {"unit": "s/row", "n": total, "p50": seconds / total, "rows_per_s": total / seconds}


if __name__ == "__main__":
    main(measure)
