"""A file that another process reads for this one, as the calling process sees it."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import select
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from shmrerun.errors import AggregatorError, ShmrerunError, say
from shmrerun.importers.task import ImportFailedError
from shmrerun.producer.process import this_process
from shmrerun.producer.work import drop_work
from shmrerun.shm.launch import command

if TYPE_CHECKING:
    from shmrerun.importers.task import Request

MOST_AT_ONCE = 8  # processes that read for one


class Job:
    """One of them. Threads may share it; a forked child has no part in it."""

    def __init__(self, request: Request) -> None:
        self.key = request.stream.key
        self.name = f"reading {request.path}"
        self._lock = threading.Lock()
        self._text = b""
        self._answer: dict[str, Any] = {}
        self._has_begun = False
        self._is_over = False
        me = this_process()
        _wait_for_place()
        asked, self._ask = os.pipe()
        self._answers, answers = os.pipe()
        try:
            _start(asked, answers, request)
            body = pickle.dumps(request)
            _write(self._ask, len(body).to_bytes(8, "little") + body)
        except BaseException:
            self._close()
            raise
        finally:
            os.close(asked)
            os.close(answers)
        with me.lock:
            me.work.append(self)

    def begin(self) -> bool:
        """Wait until rows have been logged, or it is clear that none will be. False: nobody loads the file.

        The error that the file met before that is raised.
        """
        while not self._answer and not self._is_over:
            self._hear(1.0)
        if self._has_begun:
            return True
        drop_work(self)
        if self._answer.get("kind") == "failed":
            raise _ERRORS.get(self._answer["type"], ShmrerunError)(self._answer["text"])
        if not self._answer:
            raise ShmrerunError(f"the process that was {self.name} ended before it had read anything")
        return bool(self._answer["kind"] == "done")

    def wait(self, timeout: float) -> bool:
        """Wait until the whole file is read, or cannot be."""
        deadline = time.monotonic() + timeout
        while not self._is_over:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._hear(min(left, 0.2))
        return True

    def end(self) -> None:
        """Ask it to come to its end: programs that are silent are not waited for."""
        with contextlib.suppress(OSError):
            os.write(self._ask, b"e")

    def poll(self) -> bool:
        """Whether it is over."""
        self._hear(0.0)
        return self._is_over

    def _hear(self, timeout: float) -> None:
        """Take in what it answers, for so long at most."""
        with self._lock:
            if self._is_over or not select.select([self._answers], [], [], timeout)[0]:
                return
            data = os.read(self._answers, 65_536)
            self._text += data
            *lines, self._text = self._text.split(b"\n")
            for line in lines:
                self._answer = json.loads(line)
                self._has_begun |= self._answer["kind"] == "begun"
            if not data or self._answer.get("kind") in ("done", "failed", "nobody"):
                self._is_over = True
                if self._answer.get("kind") == "begun":
                    say(f"the process that was {self.name} ended early; what it had read is logged")
                self._close()

    def _close(self) -> None:
        for name in ("_ask", "_answers"):
            descriptor = getattr(self, name)
            setattr(self, name, -1)
            if descriptor >= 0:
                os.close(descriptor)


_ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (ImportFailedError, ValueError, TypeError, OSError, MemoryError, ImportError, ModuleNotFoundError)
}


def _start(asked: int, answers: int, request: Request) -> None:
    """Start the process, whose parent ends at once. AggregatorError: it cannot be started."""
    descriptors = [asked, answers] + ([request.source] if isinstance(request.source, int) else [])
    argv = command("importer", f"{asked},{answers}", [path for path in sys.path if path])
    try:
        started = subprocess.Popen(argv, pass_fds=descriptors, stdin=None)
    except OSError as error:
        raise AggregatorError(f"cannot start a process to read {request.path}: {error.strerror} (tried {argv[0]})") from error
    if started.wait():
        raise AggregatorError(f"the process to read {request.path} cannot start: status {started.returncode} (tried {argv[0]})")


def _wait_for_place() -> None:
    """Wait until this process has few enough of them."""
    pause = 0.002
    while True:
        running = [work for work in this_process().work if isinstance(work, Job) and not work.poll()]
        for work in [work for work in this_process().work if isinstance(work, Job) and work not in running]:
            drop_work(work)
        if len(running) < MOST_AT_ONCE:
            return
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
