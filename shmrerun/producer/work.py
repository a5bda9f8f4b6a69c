"""Work that other processes do for this one, and that logs into its recordings: a flush and the end of the process wait for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shmrerun.errors import FlushTimeoutError
from shmrerun.producer.process import this_process

if TYPE_CHECKING:
    from shmrerun.producer.process import Work


def finish_work(key: int | None = None, timeout: float = float("inf")) -> None:
    """Wait for the work of this process.

    Parameters
    ----------
    key
        Of the stream that it logs into; None: all work, which is asked to come to its end.
    timeout
        Seconds.

    Raises
    ------
    FlushTimeoutError
        Not done in time; it goes on.
    """
    me = this_process()
    deadline = time.monotonic() + timeout
    for work in [work for work in me.work if key is None or work.key == key]:
        if key is None:
            work.end()
        if not work.wait(max(0.0, deadline - time.monotonic())):
            raise FlushTimeoutError(f"Flush timed out after {timeout:g} s: {work.name} goes on")
        drop_work(work)


def drop_work(work: Work) -> None:
    """Forget what is done."""
    me = this_process()
    with me.lock:
        if work in me.work:
            me.work.remove(work)
