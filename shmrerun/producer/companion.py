"""A program that runs beside ours: a viewer, a page server. Started through a keeper, which holds nothing of ours.

None of the caller's descriptors reaches it: standard input is empty, and its output goes to a file without a name, whose last lines
explain its end. So ``python program.py | tail`` ends with the program.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import tempfile
from typing import TYPE_CHECKING

from shmrerun.errors import SinkError
from shmrerun.shm.launch import _python

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEEPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keeper.py")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_START_SECONDS = 30.0  # for an interpreter to start on a busy machine
_TOLD_BYTES = 4096  # of a program's output, at its end


class Companion:
    """A program beside ours, while this process watches it.

    Parameters
    ----------
    command
        Absolute path of the program, and its arguments.
    own_group
        Whether it gets a session of its own, so that the terminal's Ctrl-C does not reach it.
    variables
        Added to this process's environment.

    Raises
    ------
    SinkError
        Neither the program nor its keeper can be started.

    Notes
    -----
    It ends with the last process of this program, killed or not, unless :meth:`leave` was called. About 30 ms: the keeper is a bare
    interpreter, of 8 MB while it lives.
    """

    def __init__(self, command: Sequence[str], *, own_group: bool = True, variables: dict[str, str] | None = None) -> None:
        self._output, name = tempfile.mkstemp(prefix="shmrerun-output-")
        os.unlink(name)
        listen, self._lifeline = os.pipe()
        self._report, tell = os.pipe()
        self._told = b""
        try:
            done = subprocess.run(
                [_python(), "-I", "-S", _KEEPER, *map(str, (listen, tell, self._output)), "own" if own_group else "same", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(listen, tell, self._output),
                start_new_session=own_group,
                env={**os.environ, **(variables or {})},
                check=False,
            )
            os.close(tell)
            tell = -1
            pid = self._next(_START_SECONDS)  # of the program, or of the script around it
        except OSError as error:
            self.forget()
            raise SinkError(f"cannot start {command[0]}: {error.strerror}") from error
        except BaseException:
            self.forget()
            raise
        finally:
            os.close(listen)
            if tell >= 0:
                os.close(tell)
        if pid is None:
            self.forget()
            raise SinkError(f"cannot start {command[0]}: its keeper does not answer (status {done.returncode})")
        self.pid = pid

    def _next(self, seconds: float) -> int | None:
        """The next number that the keeper tells; None: it tells nothing in that time. SinkError: somebody killed it."""
        while b"\n" not in self._told:
            poll = select.poll()
            poll.register(self._report, select.POLLIN)
            if not poll.poll(seconds * 1e3):
                return None
            data = os.read(self._report, 64)
            if not data:
                raise SinkError("the process that watches a viewer was killed")
            self._told += data
        line, _, self._told = self._told.partition(b"\n")
        return int(line)

    def ended(self, seconds: float = 0.0) -> int | None:
        """Exit code (negative: the signal) if the program ends within that time; None while it runs."""
        return self._next(seconds)

    def output(self) -> str:
        """The end of what the program has written, without colours."""
        size = os.fstat(self._output).st_size
        raw = os.pread(self._output, _TOLD_BYTES, max(0, size - _TOLD_BYTES))
        return _COLOURS.sub("", raw.decode("utf-8", "replace")).strip()

    def last_lines(self, count: int = 4) -> str:
        """The last lines of its output as one line, for an error."""
        return " | ".join(line.strip() for line in self.output().splitlines()[-count:] if line.strip()) or "it said nothing"

    def leave(self) -> None:
        """Let it live on when this program ends; it is nobody's child from now on."""
        self._say(b"l")

    def end(self, seconds: float = 5.0) -> None:
        """End it now, and wait for that, a bounded time."""
        self._say(b"e", seconds)

    def _say(self, byte: bytes, seconds: float = 0.0) -> None:
        with contextlib.suppress(OSError, SinkError):  # the keeper has ended, and with it the program
            os.write(self._lifeline, byte)
            if seconds:
                self._next(seconds)
        self.forget()

    def keep(self) -> None:
        """Watch it no longer; it ends with the last process of this program."""
        for name in ("_report", "_output"):
            self._close(name)

    def forget(self) -> None:
        """Close all descriptors. Without :meth:`leave` before, the program ends, unless a forked child holds on to it."""
        for name in ("_report", "_output", "_lifeline"):
            self._close(name)

    def _close(self, name: str) -> None:
        descriptor = getattr(self, name, -1)
        if descriptor >= 0:
            setattr(self, name, -1)
            os.close(descriptor)
