"""``shmrerun wait``: until a recording is complete, for scripts that copy or open it.

Complete means that no recording of this user's programs has the file as its sink, and that it ends in a footer.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

from shmrerun.cli import _look

if TYPE_CHECKING:
    import argparse

COMPLETE, INCOMPLETE, MISSING = 0, 1, 2
ORPHAN_SECONDS = 1.0  # for a file without footer that nobody writes: `save` makes it a moment before it is a sink


def run(arguments: argparse.Namespace) -> int:
    """Wait for one file or for all; status 0 complete, 1 not complete (in time), 2 no such file."""
    deadline = None if arguments.timeout is None else time.monotonic() + arguments.timeout
    if arguments.all:
        paths = sorted({sink.path for sink, _ in _look.files_being_written()})
    else:
        paths = [os.path.abspath(arguments.path)]
    results = [(path, *_wait(path, deadline)) for path in paths]
    if arguments.all:  # a file that was removed while it was written is nobody's mistake in the arguments
        results = [(path, min(code, INCOMPLETE), why) for path, code, why in results]
    status = max((code for _, code, _ in results), default=COMPLETE)
    if arguments.json:
        files = [{"path": path, "complete": code == COMPLETE, "reason": why or None} for path, code, why in results]
        print(json.dumps({"status": status, "files": files}))
    else:
        for path, code, why in results:
            if code != COMPLETE:
                print(f"shmrerun: {why}: {path}", file=sys.stderr)
    return status


def _wait(path: str, deadline: float | None) -> tuple[int, str]:
    pause, orphan_since = 0.005, None
    while True:
        try:
            found = os.stat(path)
        except OSError as error:
            return MISSING, error.strerror or str(error)
        live = _writers(path, (found.st_dev, found.st_ino))
        if any(live):
            orphan_since, why = None, "still being written"
        elif not live and _has_footer(path):
            return COMPLETE, ""
        else:
            why = (
                "the program that wrote it and its aggregator are gone; run shmrerun recover"
                if live
                else "it has no footer and nobody writes it"
            )
            orphan_since = orphan_since or time.monotonic()
            if time.monotonic() - orphan_since >= ORPHAN_SECONDS:
                return INCOMPLETE, why
        if deadline is not None and time.monotonic() >= deadline:
            return INCOMPLETE, why
        time.sleep(pause if deadline is None else max(0.0, min(pause, deadline - time.monotonic())))
        pause = min(pause * 1.5, 0.2)


def _writers(path: str, identity: tuple[int, int]) -> list[bool]:
    """For each recording that writes the file, whether somebody is left to complete it."""
    real = os.path.realpath(path)
    return [
        live for sink, live in _look.files_being_written() if (sink.device, sink.inode) == identity or os.path.realpath(sink.path) == real
    ]


def _has_footer(path: str) -> bool:
    from shmrerun.rrd.decoder import complete_length

    try:
        return complete_length(path).has_footer
    except OSError:
        return False
