"""The process that reads one file for a program: nobody's child, with a lane of its own, so that what it does costs the program nothing.

It gets its request, and later the news that the program ends, on one pipe, and answers in lines of JSON on another one.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from shmrerun.errors import say

if TYPE_CHECKING:
    from shmrerun.importers.task import Request

LENGTH_BYTES = 8
_BUSY = 0.1  # seconds of work in one second: more than waiting takes


def main() -> None:
    """Read a file; run by :class:`shmrerun.importers.job.Job`."""
    asked, answers = (int(number) for number in sys.argv[3].split(","))
    if os.fork():
        os._exit(0)  # the program waits for this one alone
    os.setsid()  # a Ctrl-C is the program's business; it waits for this process, or not
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (asked, answers):
        os.set_inheritable(number, False)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    answer = _Answers(answers)
    try:
        size = int.from_bytes(_exactly(asked, LENGTH_BYTES), "little")
        request: Request = pickle.loads(_exactly(asked, size))  # noqa: S301 - the program's own
        threading.Thread(target=_wait_for_end, args=(asked, answer, request.path), daemon=True).start()
        _work(request, answer)
    except BaseException as error:
        answer.failed(error)


def _work(request: Request, answer: _Answers) -> None:
    from shmrerun.importers.registry import load
    from shmrerun.importers.task import Task

    task = Task(request, answer.begun, answer.warn, paced=True)
    if load(task, in_memory=isinstance(request.source, int)):
        session = request.stream.session
        if session is not None:
            session.leave()
        answer.done()
    else:
        answer.nobody()


class _Answers:
    """What the program is told; what it does not hear any more is said on standard error."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._has_begun = False
        self.heard = 0  # how often something was logged

    def _write(self, **answer: Any) -> None:
        with self._lock, contextlib.suppress(OSError):  # the program has ended
            os.write(self._descriptor, json.dumps(answer).encode() + b"\n")

    def begun(self) -> None:
        self.heard += 1
        if not self._has_begun:
            self._has_begun = True
            self._write(kind="begun")

    def warn(self, text: str) -> None:
        say(text)

    def done(self) -> None:
        self._write(kind="done")

    def nobody(self) -> None:
        self._write(kind="nobody")

    def failed(self, error: BaseException) -> None:
        """Before rows were logged the caller raises it; later nobody waits for it."""
        text = f"{error}"[:3000]
        if self._has_begun:
            say(f"log_file: {type(error).__name__}: {text}")
        self._write(kind="failed", type=type(error).__name__, text=text)


def _exactly(descriptor: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        data = os.read(descriptor, size - len(found))
        if not data:
            raise EOFError("the program ended before it said what to read")
        found += data
    return found


def _wait_for_end(asked: int, answer: _Answers, path: str) -> None:
    """The program ends, or has: what is silent and does nothing is not waited for much longer."""
    with contextlib.suppress(OSError):
        os.read(asked, 1)
    from shmrerun.importers import external

    external.ending.set()
    patience = external.PATIENCE_SECONDS + external.END_SECONDS + 1.0  # external importers have theirs before
    seen, cpu, since = answer.heard, time.process_time(), time.monotonic()
    while time.monotonic() - since < patience:
        time.sleep(1.0)
        now = time.process_time()
        if answer.heard != seen or now - cpu > _BUSY:
            seen, since = answer.heard, time.monotonic()
        cpu = now
    say(f"reading is given up, as nothing came for {patience:g} s after the end of the program: {path}")
    os._exit(1)
