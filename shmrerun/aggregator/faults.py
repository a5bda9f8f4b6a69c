"""What the aggregator writes to its stderr, the tree's file of faults: tracebacks, for whoever looks into what went wrong. Bounded."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback

MOST_BYTES = 64 * 1024
_ANEW = "SHMRERUN_ANEW"  # in the environment of a process that began anew


class UnsureError(Exception):
    """Rows are about to be given up by a process that may itself be what is broken."""


def may_begin_anew() -> bool:
    """Whether this process is the first."""
    return _ANEW not in os.environ


def begin_anew() -> None:
    """Become a fresh process of the same pid, once: an import that failed half way, for one, is not mended in its process."""
    if may_begin_anew():
        note("begins anew")
        os.environ[_ANEW] = "1"
        with contextlib.suppress(OSError):  # it goes on as it is
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the command that began this process


def note(text: str = "") -> None:
    """Write a text, or the present exception's traceback. Never raises; beyond the limit nothing is written."""
    try:
        text = text or traceback.format_exc()
        if os.fstat(2).st_size < MOST_BYTES:
            sys.stderr.write(text.rstrip("\n")[-4096:] + "\n")
            sys.stderr.flush()
    except Exception:
        return


class Backoff:
    """How long to wait after failures in a row, and when to give up."""

    def __init__(self, first: float, most: float, tries: int) -> None:
        self._first, self._most, self._tries = first, most, tries
        self.count = 0
        self.until = 0  # CLOCK_MONOTONIC ns, kept by whoever waits

    def fail(self) -> float:
        """One more; seconds to wait."""
        self.count += 1
        return min(self._most, self._first * float(1 << min(self.count - 1, 20)))

    def worked(self) -> None:
        """It works again."""
        self.count = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether it failed so often that it is given up."""
        return self.count >= self._tries
