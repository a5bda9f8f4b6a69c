"""Texts of LeRobot datasets: what annotations say of the frames of an episode.

Source: the language columns of LeRobot v3; where rerun-sdk 0.41 puts them.
"""

from __future__ import annotations

import math
from typing import Any

_PARTS = ("style", "role", "camera")
_MOST_FRAME = 2**62
Texts = dict[str, list[tuple[int, str]]]  # by entity: number of the frame, text


def language(key: str, column: Any, fps: float) -> Texts:
    """Annotations of a column of lists: each on the frame where it stands, or, of the persistent ones, on that of its time.

    ``fps`` are the frames of a second, or whatever else times are counted in.

    ValueError: the column has something else.
    """
    import pyarrow as pa

    if not (pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type)):
        raise ValueError(f"{key!r} is no column of annotations but of {column.type}")
    frames = column.to_pylist()
    found: Texts = {}
    if key != "language_persistent":
        for number, rows in enumerate(frames):
            for row in rows or ():
                _put(found, key, row, number)
    else:
        for row in next((rows for rows in frames if rows), ()):  # all frames have the same
            _put(found, key, row, _frame(row.get("timestamp"), fps))
    for texts in found.values():
        texts.sort(key=lambda text: text[0])
    return found


def _frame(seconds: float | None, fps: float) -> int:
    """The frame that is nearest to a time, be it there or not; the first one where no time is said."""
    if seconds is None or not math.isfinite(seconds):
        return 0
    return min(math.floor(abs(seconds) * fps + 0.5), _MOST_FRAME) * (-1 if seconds < 0 else 1)


def _put(found: Texts, key: str, row: dict[str, Any] | None, number: int) -> None:
    if row is None:
        return
    entity = "/".join([key, *(row[part] for part in _PARTS if isinstance(row.get(part), str))])
    calls = row.get("tool_calls")
    if isinstance(calls, list) and (text := "\n".join(_shown(call) for call in calls)):
        found.setdefault(f"{entity}/tool_calls", []).append((number, text))
    if isinstance(row.get("content"), str):
        found.setdefault(entity, []).append((number, row["content"]))


def _shown(value: Any) -> str:
    """A value as Arrow shows it."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_shown(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
