"""Importers that are programs of their own: ``rerun-importer-*`` on the PATH, each offered what no built-in importer takes.

A program gets the file and where its rows belong as arguments, and writes an RRD stream to its standard output; or it ends with status
66, since the file is none of its own. Source: behaviour of rerun-sdk 0.41.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from shmrerun.constants import EXTERNAL_IMPORTER_INCOMPATIBLE_EXIT_CODE as DECLINED
from shmrerun.errors import say_once
from shmrerun.importers.task import ImportFailedError
from shmrerun.model import entity_paths
from shmrerun.model.parts import DURATION, SEQUENCE

if TYPE_CHECKING:
    from shmrerun.importers.task import Request, Task

PREFIX, OLD_PREFIX = "rerun-importer-", "rerun-loader-"
_ERROR_BYTES = 64 << 10  # of a program's errors that are kept, its last
_TOLD_LINES = 20
END_SECONDS = 2.0  # between SIGTERM and SIGKILL

PATIENCE_SECONDS = 10.0  # that a program may be silent when ours has ended
ending = threading.Event()  # set when it has


def programs(path: str) -> list[str]:
    """Executables of such names in the directories of a PATH; of equal names the first."""
    found: dict[str, str] = {}
    for folder in path.split(os.pathsep):
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for name in names:
            whole = os.path.join(folder, name)
            if name.startswith((PREFIX, OLD_PREFIX)) and name not in found and os.path.isfile(whole) and os.access(whole, os.X_OK):
                found[name] = whole
                if name.startswith(OLD_PREFIX):
                    say_once(("old loader", name), f"importers are named {PREFIX}*: {name} has the old prefix, which will go ({whole})")
    return list(found.values())


def arguments(request: Request) -> list[str]:
    """The command line that a program gets, less its own name."""
    stream = request.stream
    found = [request.path]
    for word in ("", "opened-"):
        found += [f"--{word}application-id", stream.application_id, f"--{word}recording-id", stream.recording_id]
    if request.prefix is not None:
        found += ["--entity-path-prefix", entity_paths.canonical(request.prefix)]
    for name, kind, value in sorted(request.times or ()):
        told = "--time_sequence" if kind == SEQUENCE else "--time_duration_nanos"
        old = "--time" if kind == DURATION else "--sequence"
        found += [told, f"{name}={value}", old, f"{name}={value}"]
    return found


class Offers:
    """A file offered to all external importers at once; each is read by a thread."""

    def __init__(self, task: Task) -> None:
        self._running = [_Program(path, task) for path in programs(os.environ.get("PATH", ""))]
        for program in self._running:
            program.start()

    def wait(self) -> bool:
        """Wait for the end of all; tells whether one took the file."""
        for program in self._running:
            program.join()
        return any(program.is_taken for program in self._running)


class _Program(threading.Thread):
    """One of them, run over one file."""

    def __init__(self, path: str, task: Task) -> None:
        super().__init__(name=path, daemon=True)
        self.path, self._task = path, task
        self.is_taken = False
        self._errors = b""
        self._heard = time.monotonic()
        self._is_given_up = False

    def run(self) -> None:
        try:
            self._run()
        except Exception as error:  # of any type: the others go on
            self._task.warn(f"{self.path}: {type(error).__name__}: {error}")

    def _run(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "RERUN_APP_ONLY"}
        command = [self.path, *arguments(self._task.request)]
        try:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        except OSError as error:
            self._task.warn(f"cannot run {self.path}: {error.strerror}")
            return
        listener = threading.Thread(target=self._listen, args=(child,), daemon=True)
        watcher = threading.Thread(target=self._watch, args=(child,), daemon=True)
        listener.start()
        watcher.start()
        count, trouble = 0, ""
        try:
            count = self._forward(child)
        except ImportFailedError as error:
            trouble = str(error)
            child.terminate()  # nothing it says would be understood
        finally:
            assert child.stdout is not None
            child.stdout.close()
            status = child.wait()
            listener.join(1.0)  # a child of its own may hold on to the pipe
        self._judge(status, count, trouble)

    def _forward(self, child: subprocess.Popen[bytes]) -> int:
        from shmrerun.importers.rrd import forward

        assert child.stdout is not None
        descriptor = child.stdout.fileno()
        first = True

        def read(most: int) -> bytes:
            nonlocal first
            data = os.read(descriptor, most)
            self._heard = time.monotonic()
            first = first and not data
            return data

        try:
            return forward(self._task, read)
        except ImportFailedError:
            if first:  # it wrote nothing at all: its status says why
                return 0
            raise

    def _judge(self, status: int, count: int, trouble: str) -> None:
        """Say what went wrong, if anything did."""
        self.is_taken = bool(count) or (status == 0 and not trouble)
        if self.is_taken:
            self._task.begun()
        name = os.path.basename(self.path)
        if self._is_given_up:
            self._task.warn(f"{name} was ended, as it was silent for {PATIENCE_SECONDS:g} s after the end of the program")
        elif trouble:
            self._task.warn(f"what {name} wrote cannot be used any further, {count:,} messages were read: {trouble}")
        elif status not in (0, DECLINED):
            how = f"was killed by signal {-status}" if status < 0 else f"failed with status {status}"
            self._task.warn(f"{name} {how} after {count:,} messages; it said: {self._said()}")

    def _said(self) -> str:
        lines = [line.strip() for line in self._errors.decode("utf-8", "replace").splitlines() if line.strip()]
        return " | ".join(lines[-_TOLD_LINES:])[-4096:] or "nothing"

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        """Keep the end of what it says on standard error, so that it never waits to be heard."""
        assert child.stderr is not None
        with child.stderr as pipe:
            while data := os.read(pipe.fileno(), 65_536):
                self._errors = (self._errors + data)[-_ERROR_BYTES:]

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        """End a program that is silent although ours has ended."""
        ending.wait()
        while child.poll() is None:
            if time.monotonic() - self._heard > PATIENCE_SECONDS:
                self._is_given_up = True
                child.terminate()
                time.sleep(END_SECONDS)
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                return
            time.sleep(0.05)
