"""Arguments that readers of files have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

_DURATIONS, _TIMESTAMPS = ("duration_ns", "duration"), ("timestamp_ns", "timestamp")


def there(path: str | os.PathLike[str], what: str) -> Path:
    """The path of a file or directory. FileNotFoundError: there is none."""
    found = Path(path)
    if not found.exists():
        raise FileNotFoundError(f"{what} not found: {found}")
    return found


def is_duration(timeline_type: str) -> bool:
    """Whether times are durations, and not timestamps. ValueError: the text says neither."""
    if timeline_type not in (*_DURATIONS, *_TIMESTAMPS):
        raise ValueError(f"timeline_type is one of {(*_TIMESTAMPS, *_DURATIONS)}, not {timeline_type!r}")
    return timeline_type in _DURATIONS
