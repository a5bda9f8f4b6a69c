"""What follows a log and is served by another process than the aggregator: how both sides wait for it, and when they stop waiting.

The caller's options travel as JSON in the entry's path, behind its label (a URL). What went wrong is a number in the entry, and words in a
file of the tree's directory, so that a caller's error says what the server said.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shmrerun.shm.session import Sink
    from shmrerun.shm.words import SinkView

LIVE_BYTE = 4  # of the tree's lock file: held by the live worker
PATIENCE = 2.0  # seconds without progress, where the caller did not say
START_SECONDS = 30.0  # the live worker has so long to look at an entry for the first time
_ASKED_SECONDS = 1.0  # nobody has waited for so long: who comes now begins anew
NEVER = (errno.EPROTO, errno.EACCES, errno.EADDRINUSE)  # errors that waiting does not cure


class Patience:
    """Whether something is still worth waiting for: it moved, or the time that its caller gave it is not over."""

    def __init__(self, entry: SinkView, seconds: float | None) -> None:
        self._entry = entry
        self._seconds = seconds
        self._seen: tuple[int, ...] = ()
        self._since = self._asked = time.monotonic()

    def is_over(self, most: float = float("inf")) -> bool:
        """Whether nothing moved for too long, ``most`` seconds at most. To be asked again and again while waiting."""
        entry, now = self._entry, time.monotonic()
        seen = entry.log, entry.size, entry.done, entry.value, bool(entry.error)
        if seen != self._seen or now - self._asked > _ASKED_SECONDS:
            self._seen, self._since = seen, now
        self._asked = now
        seconds = float("inf") if self._seconds is None else self._seconds
        if not entry.value and not entry.error:
            seconds = max(seconds, START_SECONDS)
        return now - self._since > min(seconds, max(most, START_SECONDS if not entry.value and not entry.error else 0.0))


def patience_of(sink: Sink, entry: SinkView) -> Patience:
    """Patience as the caller of ``connect_grpc`` asked for it."""
    return Patience(entry, sink.options.get("flush_timeout", PATIENCE))


def why_path(directory: str, serial: int, number: int) -> str:
    """The file that says what went wrong with a sink."""
    return f"{directory}/why-{serial}-{number}"


def note_why(directory: str, serial: int, number: int, text: str) -> None:
    """Say what went wrong. By whoever serves the sink. Never raises."""
    path = why_path(directory, serial, number)
    with contextlib.suppress(OSError):
        fd = os.open(f"{path}~", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(text[:2000])
        os.replace(f"{path}~", path)


def read_why(directory: str, serial: int, sink: Any) -> str:
    """What went wrong with a sink, in words where somebody said them."""
    try:
        with open(why_path(directory, serial, sink.number), encoding="utf-8") as file:
            return file.read().strip() or os.strerror(sink.error)
    except OSError:
        return os.strerror(sink.error)
