"""A subject of run.py: rows from 4 processes until a real server has them all.

``python bench/live.py shmrerun scalar`` prints one JSON object. The server is ``rerun --serve-grpc`` of rerun-sdk, a fresh one for each
run, and the same for both. rerun-sdk's processes have a connection each; they are started, connected and have logged a row before the
clock runs, and so are ours.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

PROCESSES = 4
ROWS = {"scalar": (20_000, 2_000), "image": (60, 60)}  # of each process: ours, rerun-sdk's


def work(library: str, case: str, rows: int, number: int, url: str, ready: Any, go: Any) -> None:
    """Log one process's rows; with rerun-sdk, by a connection of its own."""
    rr = import_module({"shmrerun": "shmrerun", "rerun-sdk": "rerun"}[library])
    if library != "shmrerun":
        rr.init("shmrerun_bench", recording_id="one")
        rr.connect_grpc(url)
    image = np.random.default_rng(number).integers(0, 256, (480, 640, 3), np.uint8)
    rr.log("warm", rr.Scalars(0.0))
    rr.get_global_data_recording().flush()
    ready.release()
    go.wait()
    for step in range(rows):
        rr.set_time("step", sequence=step)
        rr.log(f"bench/{number}", rr.Scalars(step * 0.5) if case == "scalar" else rr.Image(image))
    if library != "shmrerun":
        rr.get_global_data_recording().flush()
        rr.disconnect()


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A real server; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = importlib.util.find_spec("rerun_cli")
    assert found is not None, "pip install rerun-sdk"
    program = os.path.join(os.path.dirname(str(found.origin)), "rerun")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([program, "--serve-grpc", "--port", str(port), "--bind", "127.0.0.1"], **quiet)  # type: ignore[call-overload]
    try:
        for _ in range(500):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            time.sleep(0.02)
        yield f"rerun+http://127.0.0.1:{port}/proxy"
    finally:
        process.kill()
        process.wait()


def measure(library: str, case: str) -> dict[str, Any]:
    """Time from the first row until the server has taken the last."""
    rows = ROWS[case][library != "shmrerun"]
    context = multiprocessing.get_context("spawn")
    with server() as url:
        if library == "shmrerun":
            import shmrerun as rr

            rr.init("shmrerun_bench", recording_id="one")
            rr.connect_grpc(url, flush_timeout_sec=None)
        ready, go = context.Semaphore(0), context.Event()
        workers = [context.Process(target=work, args=(library, case, rows, number, url, ready, go)) for number in range(PROCESSES)]
        for worker in workers:
            worker.start()
        for _ in workers:
            ready.acquire()
        began = time.perf_counter()
        go.set()
        for worker in workers:
            worker.join()
        if library == "shmrerun":
            rr.get_global_data_recording().flush()
        seconds = time.perf_counter() - began
        if library == "shmrerun":
            rr.disconnect()
    total = rows * PROCESSES
    return {"unit": "s/row", "n": total, "p50": seconds / total, "rows_per_s": total / seconds}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2])))
