"""Names that Rerun 0.40 and before had here: they are in :mod:`shmrerun.chunk` now, and ``send_chunks`` in :mod:`shmrerun`; they warn."""

from __future__ import annotations

from typing import Any

from shmrerun import api, chunk
from shmrerun.errors import _emit


def __getattr__(name: str) -> Any:
    if name != "send_chunks" and name not in chunk.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = "shmrerun" if name == "send_chunks" else "shmrerun.chunk"
    _emit(f"{__name__}.{name} is deprecated; use {place}.{name}", DeprecationWarning)
    return getattr(api if name == "send_chunks" else chunk, name)


def __dir__() -> list[str]:
    return ["send_chunks", *chunk.__all__]
