"""Parquet tables: columns whose names begin alike, up to the first underscore, are one entity.

Source: what rerun-sdk 0.41 records of such a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

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


class Layout(NamedTuple):
    """Which columns are what."""

    delimiter: str | None = "_"  # ends what columns of an entity have in common; None: each is an entity
    prefixes: tuple[str, ...] | None = None  # instead: what columns of an entity begin with
    has_structs: bool = True  # several columns of an entity are one component
    without: frozenset[str] = frozenset()  # that are not logged
    static: tuple[str, ...] = ()  # that have one value in all rows, and are logged once

    def split(self, name: str) -> tuple[str, str]:
        """A column's entity, and its name there."""
        head, rest = name, ""
        if self.prefixes is not None:
            head = next((one for one in sorted(self.prefixes, key=len, reverse=True) if name.startswith(one)), name)
            rest = name[len(head) :].removeprefix("_") or name[len(head) :]
        elif self.delimiter:
            head, _, rest = name.partition(self.delimiter)
        return (head, rest) if rest else (name, name)


def parquet(task: Task, layout: Layout = Layout(), indexes: Indexes = _row_index) -> None:  # noqa: B008  # it does not change
    """Log the rows of a table.

    Raises
    ------
    ImportFailedError
        It is no such file, or is damaged, or a static column is not there, or has several values.

    """
    import pyarrow as pa
    import pyarrow.parquet

    with task.open() as source:
        try:
            file = pyarrow.parquet.ParquetFile(source)
            _metadata(task, {**(file.schema_arrow.metadata or {}), **(file.metadata.metadata or {})})
            groups = _groups(task.prefix, file.schema_arrow.names, layout)
            static: dict[str, Any] = {}
            start = 0
            wide = _wide_dictionaries(file.metadata.metadata or {})
            for batch in file.iter_batches(_ROWS):
                batch = _widened(batch, wide)
                _keep_static(static, batch, layout.static)
                times = indexes(batch, start)
                for entity_path, columns in groups:
                    task.send_columns(entity_path, times, _columns(batch, columns, has_structs=layout.has_structs))
                start += batch.num_rows
            if static:
                task.send_columns(task.prefix or "/", [], [Column(name, lists_of_one(value)) for name, value in static.items()])
        except (pa.ArrowException, OSError) as error:
            raise ImportFailedError(f"cannot read the Parquet file: {error}: {task.path}") from None


def _wide_dictionaries(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    """Types of columns that the file's writer had as dictionaries of large texts or bytes: pyarrow reads small ones."""
    import base64
    import binascii

    import pyarrow as pa

    try:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(metadata.get(b"ARROW:schema", b""), validate=True)))
    except (pa.ArrowException, binascii.Error, OSError, EOFError):
        return {}
    large = (pa.large_string(), pa.large_binary())
    return {field.name: field.type for field in schema if pa.types.is_dictionary(field.type) and field.type.value_type in large}


def _widened(batch: Any, wide: dict[str, Any]) -> Any:
    import pyarrow as pa

    for name, kind in wide.items():
        at = batch.schema.get_field_index(name)
        if at < 0 or not pa.types.is_dictionary(batch.schema.field(at).type):
            continue
        column = batch.column(at)
        large = pa.DictionaryArray.from_arrays(column.indices, column.dictionary.cast(kind.value_type), ordered=kind.ordered)
        batch = batch.set_column(at, batch.schema.field(at).with_type(large.type), large)
    return batch


def _metadata(task: Task, found: dict[bytes, bytes]) -> None:
    import pyarrow as pa

    if not found:
        return
    pairs = [{"first": name.decode("utf-8", "replace"), "second": value.decode("utf-8", "replace")} for name, value in found.items()]
    text = pa.struct([pa.field("first", pa.string(), nullable=False), pa.field("second", pa.string(), nullable=False)])
    whole = pa.list_(pa.list_(pa.field("item", text, nullable=False)))
    column = Column("file_metadata", pa.array([[pairs]], whole), "ParquetMetadata", "rerun.components.KeyValuePairs")
    task.send_columns(_PROPERTIES, [], [column])


def _keep_static(found: dict[str, Any], batch: Any, names: tuple[str, ...]) -> None:
    """Keep the one value of each static column. ImportFailedError: there is another one, or no such column."""
    for name in names:
        at = batch.schema.get_field_index(name)
        if at < 0:
            raise ImportFailedError(f"the column {name!r}, which is to be static, is not there")
        value = found.setdefault(name, batch.column(at).slice(0, 1))
        if len(batch.column(at).unique()) > 1 or not batch.column(at).slice(0, 1).equals(value):
            raise ImportFailedError(f"the column {name!r}, which is to be static, has several values")


def _groups(prefix: str, names: list[str], layout: Layout) -> list[tuple[str, list[tuple[int, str]]]]:
    """Entity paths, each with numbers and short names of columns that go together."""
    found: dict[tuple[str, bool], list[tuple[int, str]]] = {}
    for number, name in enumerate(names):
        if name in layout.without or name in layout.static:
            continue
        head, rest = layout.split(name)
        is_alone = layout.prefixes is not None and head == name
        found.setdefault((head, is_alone), []).append((number, rest))
    return [(f"{prefix}{entity_paths.canonical(head)}", columns) for (head, _), columns in sorted(found.items())]


def _columns(batch: Any, columns: list[tuple[int, str]], *, has_structs: bool) -> list[Column]:
    """The component of one column, or of each; or one struct of several."""
    import pyarrow as pa

    if len(columns) == 1 or not has_structs:
        return [
            Column(name, lists_of_one(batch.column(number), is_nullable=batch.schema.field(number).nullable)) for number, name in columns
        ]
    fields = [pa.field(name, batch.schema.field(number).type, batch.schema.field(number).nullable) for number, name in columns]
    table = pa.StructArray.from_arrays([batch.column(number) for number, _ in columns], fields=fields)
    return [Column("data", lists_of_one(table))]
