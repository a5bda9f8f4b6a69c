"""Readers of Parquet, HDF5, MP4 and LeRobot files as chunks.

Names that Rerun 0.40 and before had here are in :mod:`shmrerun.chunk` now, and ``send_chunks`` in :mod:`shmrerun`; they warn.
"""

from __future__ import annotations

from typing import Any

from shmrerun import api, chunk
from shmrerun.errors import _emit
from shmrerun.importers.hdf5_reader import DatasetInfo, Hdf5Reader
from shmrerun.importers.lerobot_reader import LeRobotReader
from shmrerun.importers.mp4_reader import Mp4Reader
from shmrerun.importers.parquet_reader import ParquetReader
from shmrerun.importers.transcode import Mp4TranscodeOptions

__all__ = ["DatasetInfo", "Hdf5Reader", "LeRobotReader", "Mp4Reader", "Mp4TranscodeOptions", "ParquetReader"]


_ABSENT = (
    *("BearerTokenObjectStoreAuth", "MetricsCollector", "ObjectStoreAuth", "QueryMetrics"),
    *("ViewerClient", "dataloader", "query_metrics", "video"),
)


def __getattr__(name: str) -> Any:
    if name != "send_chunks" and name not in chunk.__all__:
        instead = ": rerun-sdk has it; use rerun-sdk itself, on files or viewers of this package" if name in _ABSENT else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{instead}")
    place = "shmrerun" if name == "send_chunks" else "shmrerun.chunk"
    _emit(f"{__name__}.{name} is deprecated; use {place}.{name}", DeprecationWarning)
    return getattr(api if name == "send_chunks" else chunk, name)


def __dir__() -> list[str]:
    return [*__all__, "send_chunks", *chunk.__all__]
