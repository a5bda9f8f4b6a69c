"""Threads that wait for devices, so that the drain does not. What one of them is given is done in order."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Work:
    """Something that the thread does, or has done."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call: Callable[[], object] | None = call
        self._done = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        """In the thread. What it raises is kept."""
        call, self._call = self._call, None
        assert call is not None
        try:
            call()
        except BaseException as error:
            self._error = error
        self._done.set()

    def wait(self) -> BaseException | None:
        """Wait until it is done. Returns what it raised."""
        self._done.wait()
        return self._error


class Device:
    """A queue and a thread of that name, which is started when there is something to do."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Work] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How much there is to do yet."""
        return self._queue.qsize()

    def submit(self, call: Callable[[], object]) -> Work:
        """Have it called. RuntimeError: the system has no thread to spare, and nobody will call it."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            thread.start()
            self._thread = thread
        work = Work(call)
        self._queue.put(work)
        return work

    def _run(self) -> None:
        while True:
            self._queue.get().run()
