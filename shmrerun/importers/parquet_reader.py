"""Parquet files as streams of chunks: :class:`shmrerun.experimental.ParquetReader`.

Source: names and behaviour of rerun-sdk 0.41; what importers make of each file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.importers.as_chunks import ChunkTask, chunks_of
from shmrerun.importers.parquet import Layout, parquet
from shmrerun.importers.reader_arguments import there
from shmrerun.rrd.chunk_stream import LazyChunkStream

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from shmrerun.importers.index_column import IndexColumn


class ParquetReader:
    """Chunks of a Parquet file. FileNotFoundError: there is none.

    Parameters
    ----------
    path
        Of the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = there(path, "Parquet file")

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._path

    def stream(
        self,
        *,
        entity_path_prefix: str | None = None,
        column_grouping: str = "prefix",
        delimiter: str = "_",
        prefixes: list[str] | None = None,
        use_structs: bool = True,
        static_columns: list[str] | None = None,
        index_columns: list[IndexColumn] | None = None,
    ) -> LazyChunkStream:
        """Chunks of the file, a batch of rows after the other.

        Parameters
        ----------
        entity_path_prefix
            What is before all entities.
        column_grouping
            ``"prefix"``: columns whose names are equal up to the delimiter are one entity. ``"explicit_prefixes"``: columns that begin
            with one of ``prefixes`` are. ``"individual"``: each column is one.
        delimiter
            Ends what such names have in common: one character.
        prefixes
            Of names; the longest one counts.
        use_structs
            Whether several columns of an entity are one component, a struct; else each is one.
        static_columns
            Columns with one value in all rows, which are static components of the root, or of the prefix.
        index_columns
            The timelines. Without: ``row_index``, the number of the row.

        Raises
        ------
        ValueError
            An argument is of no use. While the stream is read: the file is damaged, a timeline's column is none, or a static column has
            several values.

        """
        if column_grouping not in ("prefix", "explicit_prefixes", "individual"):
            raise ValueError(f"column_grouping is 'prefix', 'explicit_prefixes' or 'individual', not {column_grouping!r}")
        if bool(prefixes) != (column_grouping == "explicit_prefixes"):
            raise ValueError("prefixes are for column_grouping='explicit_prefixes', and needed there")
        if len(delimiter) != 1:
            raise ValueError(f"the delimiter is one character, not {delimiter!r}")
        layout = Layout(
            delimiter if column_grouping == "prefix" else None,
            None if prefixes is None else tuple(prefixes),
            use_structs,
            frozenset(one.path for one in index_columns or ()),
            tuple(dict.fromkeys(static_columns or ())),
        )

        def load(task: ChunkTask) -> None:
            if index_columns is None:
                parquet(task, layout)
            else:
                parquet(task, layout, lambda batch, _: [one._of(batch) for one in index_columns])

        return LazyChunkStream(lambda: chunks_of(str(self._path), entity_path_prefix, load))

    def __repr__(self) -> str:
        return f"ParquetReader({self._path})"
