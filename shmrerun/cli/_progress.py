"""A bar on a terminal's stderr for work that takes more than a second, where ``rich`` is installed (``pip install 'shmrerun[cli]'``)."""

from __future__ import annotations

import sys
import time
from typing import Any

_PATIENCE_SECONDS = 1.0


class Progress:
    """Work of a known size; a ``with`` block."""

    def __init__(self, text: str, total: int) -> None:
        self._text = text
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._bar: Any = None
        self._is_shown = sys.stderr is not None and sys.stderr.isatty()

    def advance(self, count: int) -> None:
        """Some of it is done."""
        self._done += count
        if not self._is_shown or (self._bar is None and time.monotonic() - self._began < _PATIENCE_SECONDS):
            return
        if self._bar is None:
            try:
                from rich.console import Console
                from rich.progress import Progress as Bar
            except ImportError:
                self._is_shown = False
                return
            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._bar.add_task(self._text, total=self._total)
        self._bar.update(self._bar.task_ids[0], completed=self._done)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
