"""What the environment says about new recordings. Variables and their words are those of rerun-sdk, old and new."""

from __future__ import annotations

import os
from typing import Any

from shmrerun import errors
from shmrerun.shm.session import BatchLimits


def environment_enabled(default: bool) -> bool:
    """Whether recordings take rows: ``RERUN`` if it is set and makes sense, else ``default``."""
    value = os.environ.get("RERUN")
    if value is None:
        return default
    word = value.lower()
    if word in ("on", "1", "true"):
        return True
    if word in ("off", "0", "false"):
        return False
    errors.say_once(("RERUN", value), f"RERUN={value!r} is neither on nor off; ignored")
    return default


def flag(name: str, *, default: bool) -> bool:
    """Read a switch such as ``RERUN_LOG_TIME``."""
    word = os.environ.get(name, "").lower()
    return word in ("1", "true", "yes", "on") if word in ("1", "true", "yes", "on", "0", "false", "no", "off") else default


def batch_limits(config: Any) -> BatchLimits:
    """Limits from a config's given fields, else the environment, else the defaults."""
    standard = BatchLimits()
    tick, size, rows, unsorted = (
        getattr(config, name, None) for name in ("flush_tick", "flush_num_bytes", "flush_num_rows", "chunk_max_rows_if_unsorted")
    )
    seconds: Any = tick.total_seconds() if tick is not None and hasattr(tick, "total_seconds") else tick
    if seconds is None:
        seconds = _number("RERUN_FLUSH_TICK_SECS", float)
    nanos = standard.tick_nanos if seconds is None else min(int(seconds * 1e9), 1 << 62)

    def pick(given: Any, variable: str, default: int) -> int:
        value = given if given is not None else _number(variable, int)
        return default if value is None else min(int(value), (1 << 64) - 1)

    alias = "RERUN_CHUNK_MAX_ROWS_IF_UNSORTED"
    if alias not in os.environ:
        alias = "RERUN_MAX_CHUNK_ROWS_IF_UNSORTED"
    return BatchLimits(
        nanos,
        pick(size, "RERUN_FLUSH_NUM_BYTES", standard.num_bytes),
        pick(rows, "RERUN_FLUSH_NUM_ROWS", standard.num_rows),
        pick(unsorted, alias, standard.unsorted_rows),
        seconds is not None,
    )


def _number(variable: str, kind: type) -> Any:
    text = os.environ.get(variable)
    if text is None:
        return None
    try:
        value = kind(text)
        if value < 0 or value != value:  # noqa: PLR0124 - nan
            raise ValueError
    except ValueError:
        errors.say_once((variable, text), f"{variable}={text!r} is not a number of at least 0; the default is used")
        return None
    return value
