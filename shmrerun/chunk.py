"""Chunks: rows of one entity in hand, to be made, looked at, read from files, written and sent.

Source: names of ``rerun.chunk`` of rerun-sdk 0.41.
"""

from __future__ import annotations

from shmrerun.rrd.chunk_object import Chunk
from shmrerun.rrd.chunk_stream import ChunkStore, LazyChunkStream, LazyStore, RrdReader
from shmrerun.rrd.stored import StoreEntry

__all__ = ["Chunk", "ChunkStore", "LazyChunkStream", "LazyStore", "RrdReader", "StoreEntry"]
