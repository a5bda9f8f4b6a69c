"""Parquet tables: columns whose names begin alike, up to the first underscore, are one entity.

Source: what rerun-sdk 0.41 records of such a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shmrerun.importers.task import Column, ImportFailedError, lists_of_one
from shmrerun.model import entity_paths
from shmrerun.model.time_columns import TimeColumn

if TYPE_CHECKING:
    from shmrerun.importers.task import Task

_ROWS = 65_536  # of a batch
_PROPERTIES = "/__properties"


Indexes = Callable[[Any, int], list[TimeColumn]]  # timelines of a batch, and of the number of its first row


def _row_index(batch: Any, start: int) -> list[TimeColumn]:
    import numpy as np

    return [TimeColumn("row_index", sequence=np.arange(start, start + batch.num_rows))]


def parquet(task: Task, delimiter: str | None = "_", without: frozenset[str] = frozenset(), indexes: Indexes = _row_index) -> None:
    """Log the rows of a table. ImportFailedError: it is no such file, or is damaged.

    ``delimiter`` ends what columns of an entity have in common (None: each is an entity); ``without`` are columns that are not logged.
    """
    import pyarrow as pa
    import pyarrow.parquet

    with task.open() as source:
        try:
            file = pyarrow.parquet.ParquetFile(source)
            _metadata(task, {**(file.schema_arrow.metadata or {}), **(file.metadata.metadata or {})})
            groups = _groups(task.prefix, file.schema_arrow.names, delimiter, without)
            start = 0
            for batch in file.iter_batches(_ROWS):
                times = indexes(batch, start)
                for entity_path, columns in groups.items():
                    task.send_columns(entity_path, times, _columns(batch, columns))
                start += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise ImportFailedError(f"cannot read the Parquet file: {error}: {task.path}") from None


def _metadata(task: Task, found: dict[bytes, bytes]) -> None:
    import pyarrow as pa

    if not found:
        return
    pairs = [{"first": name.decode("utf-8", "replace"), "second": value.decode("utf-8", "replace")} for name, value in found.items()]
    text = pa.struct([pa.field("first", pa.string(), nullable=False), pa.field("second", pa.string(), nullable=False)])
    whole = pa.list_(pa.list_(pa.field("item", text, nullable=False)))
    column = Column("file_metadata", pa.array([[pairs]], whole), "ParquetMetadata", "rerun.components.KeyValuePairs")
    task.send_columns(_PROPERTIES, [], [column])


def _groups(prefix: str, names: list[str], delimiter: str | None, without: frozenset[str]) -> dict[str, list[tuple[int, str]]]:
    """Entity path: numbers and short names of its columns."""
    found: dict[str, list[tuple[int, str]]] = {}
    for number, name in enumerate(names):
        if name in without:
            continue
        head, _, rest = name.partition(delimiter) if delimiter else (name, "", "")
        head, rest = (head, rest) if rest else (name, name)
        found.setdefault(head, []).append((number, rest))
    return {f"{prefix}{entity_paths.canonical(head)}": columns for head, columns in sorted(found.items())}


def _columns(batch: Any, columns: list[tuple[int, str]]) -> list[Column]:
    """The component of one column, or one struct of several."""
    import pyarrow as pa

    if len(columns) == 1:
        number, name = columns[0]
        return [Column(name, lists_of_one(batch.column(number), is_nullable=batch.schema.field(number).nullable))]
    fields = [pa.field(name, batch.schema.field(number).type, batch.schema.field(number).nullable) for number, name in columns]
    table = pa.StructArray.from_arrays([batch.column(number) for number, _ in columns], fields=fields)
    return [Column("data", lists_of_one(table))]
