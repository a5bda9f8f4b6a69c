"""What is logged: the same values for every peer."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

TEXT = "the quick brown fox jumps over the lazy dog"
_RANDOM = np.random.default_rng(0)
CLOUDS = _RANDOM.random((16, 1000, 3), np.float32)  # in turn: LZ4 looks back 64 kB, and would find one that is always the same
POINTS = CLOUDS[0]
PIXELS = _RANDOM.integers(0, 256, (480, 640, 3), np.uint8)  # noise: nothing compresses it
CASES = ("scalar", "text", "points", "image")
_STEP_AND_VALUE = struct.Struct("<qd")


def value(case: str, step: int) -> Any:
    """Return the value of one row: a float, a text, an array of float32 [1000, 3] or of uint8 [480, 640, 3]."""
    return {"scalar": step * 0.5, "text": TEXT, "points": CLOUDS[step % len(CLOUDS)], "image": PIXELS}[case]


def payload_bytes(case: str) -> int:
    """Return the bytes of a row's values: 8 for the step, and the data."""
    return 8 + {"scalar": 8, "text": len(TEXT), "points": POINTS.nbytes, "image": PIXELS.nbytes}[case]


def scalar_bytes(step: int, number: float) -> bytes:
    """Return a scalar as bytes, for formats that have no message of their own for it."""
    return _STEP_AND_VALUE.pack(step, number)
