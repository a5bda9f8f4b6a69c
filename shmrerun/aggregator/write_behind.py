"""The user's file on its way to the device while it is still written: what is left to do at its end, or by an ``fsync``, is little.

The system alone begins to write after some seconds, or gigabytes. Spools are left to it, since most are gone before.
"""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue

from shmrerun import _core

STEP_BYTES = 8 << 20
_MOST_WAITING = 32  # steps; a device that is further behind than that is not told more


class WriteBehind:
    """Has the system write parts of files in the order in which they come, in a thread, for a busy device makes whoever asks wait."""

    def __init__(self) -> None:
        self._steps: SimpleQueue[tuple[int, int, int]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, fd: int, start: int, end: int) -> None:
        """Have these bytes of a file written. Never waits; never raises."""
        if self._steps.qsize() >= _MOST_WAITING:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="write behind", daemon=True)
            self._thread.start()
        try:
            own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)  # the log may close its own, and its lock is to fall then
        except OSError:
            return
        self._steps.put((own, start, end - start))

    def _run(self) -> None:
        while True:
            fd, start, size = self._steps.get()
            _core.write_behind(fd, start, size)
            os.close(fd)


write_behind = WriteBehind()
