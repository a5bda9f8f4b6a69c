"""Chunks: rows of one entity in hand, to be made, looked at, read from files, written and sent.

Source: names of ``rerun.chunk`` of rerun-sdk 0.41.
"""

from __future__ import annotations

from shmrerun.importers.index_column import IndexColumn
from shmrerun.importers.mcap_info import McapChannelInfo, McapChunkInfo, McapCompressionInfo, McapInfo, McapSchemaInfo
from shmrerun.importers.mcap_reader import McapReader
from shmrerun.rrd.chunk_object import Chunk
from shmrerun.rrd.chunk_readers import IndexedReader, RrdReader, StreamingReader
from shmrerun.rrd.chunk_stream import ChunkStore, LazyChunkStream, LazyStore
from shmrerun.rrd.lens import DeriveLens, Lens, MutateLens
from shmrerun.rrd.optimize import OptimizationProfile
from shmrerun.rrd.selector import Selector
from shmrerun.rrd.stored import StoreEntry

__all__ = [
    "Chunk",
    "ChunkStore",
    "DeriveLens",
    "IndexColumn",
    "IndexedReader",
    "LazyChunkStream",
    "LazyStore",
    "Lens",
    "McapChannelInfo",
    "McapChunkInfo",
    "McapCompressionInfo",
    "McapInfo",
    "McapReader",
    "McapSchemaInfo",
    "MutateLens",
    "OptimizationProfile",
    "RrdReader",
    "Selector",
    "StoreEntry",
    "StreamingReader",
]
