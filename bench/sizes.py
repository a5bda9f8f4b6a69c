"""How much each bench does: options of the command, which every process of a run sees in its environment."""

from __future__ import annotations

import os

SCALE = float(os.environ.get("SHMRERUN_BENCH_SCALE", "1"))


def scaled(count: int, least: int = 10) -> int:
    """Return a number of rows, calls or entities; a scale below 1 is for trying the programs, and gives no figures."""
    return max(min(least, count), round(count * SCALE))


def seconds(default: float) -> float:
    """Return how long a bench lasts that has a length: what was asked for, or the default to scale."""
    asked = os.environ.get("SHMRERUN_BENCH_SECONDS")
    return float(asked) if asked else max(0.5, default * SCALE)


def processes(default: int) -> int:
    """Return how many processes log, where the name of the bench does not say it."""
    return int(os.environ.get("SHMRERUN_BENCH_PROCESSES") or default)
