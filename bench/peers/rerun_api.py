"""Rows by Rerun's API, which shmrerun and rerun-sdk share; and the program ``rerun``."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

from values import CLOUDS, PIXELS, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def logger(rr: Any, case: str) -> Callable[[str, int], None]:
    """Return the function that logs a row, as a program would in its loop."""
    set_time, log = rr.set_time, rr.log
    make = {
        "scalar": lambda step: rr.Scalars(step * 0.5),
        "text": lambda step: rr.TextLog(TEXT, level="INFO"),
        "points": lambda step: rr.Points3D(CLOUDS[step % len(CLOUDS)]),
        "image": lambda step: rr.Image(PIXELS),
    }[case]

    def call(path: str, step: int) -> None:
        set_time("step", sequence=step)
        log(path, make(step))

    return call


def program() -> str:
    """Return the path of the program itself, not of the script in Python that starts it."""
    found = importlib.util.find_spec("rerun_cli")
    if found is None or found.origin is None:
        raise RuntimeError("the program `rerun` is not here: pip install 'shmrerun[bench]'")
    return os.path.join(os.path.dirname(found.origin), "rerun")


def rrd(*arguments: str) -> None:
    """Run ``rerun rrd``."""
    done = subprocess.run([program(), "rrd", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"rerun rrd {arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}")


@contextlib.contextmanager
def server(*arguments: str) -> Iterator[str]:
    """Run ``rerun`` as a server of its own; yields its URL when it listens, and kills it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program(), *arguments, "--port", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"`{' '.join(command)}` does not listen (exit status {process.returncode})")
            time.sleep(0.02)
        yield f"rerun+http://127.0.0.1:{port}/proxy"
    finally:
        process.kill()
        process.wait()
