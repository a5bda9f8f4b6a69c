"""Rows of blueprints, and of recordings, as rerun-sdk reads them back, for comparison."""

from __future__ import annotations

import re
import uuid

import pyarrow as pa

DROPPED = (b"rerun:id", b"rerun:heap_size_bytes", b"rerun:is_sorted", b"sorbet:version")  # of one file alone
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def rows_of(path):
    """Rows of the blueprint in a file, in the order in which they were logged.

    Of each its path, whether it is static, and type, metadata and value of each column.
    """
    (store,) = stores_of(path, "blueprint")
    return store[1]


def stores_of(path, kind):
    """Pairs of the kind, ``blueprint`` or ``recording``, and the rows, of each store of a file."""
    from rerun.chunk import RrdReader

    reader = RrdReader(str(path))
    return [(kind, _rows(reader.stream(store=store))) for store in getattr(reader, f"{kind}s")()]


def _rows(chunks):
    found = []
    for chunk in chunks:
        batch = chunk.to_record_batch()
        entity = batch.schema.metadata[b"rerun:entity_path"].decode()
        fields = []
        for field, column in zip(batch.schema, batch.columns, strict=True):
            if field.name not in ("rerun.controls.RowId", "log_time"):
                metadata = {key: text for key, text in (field.metadata or {}).items() if key not in DROPPED}
                values = column.cast(pa.int64()) if pa.types.is_temporal(column.type) else column  # Python's round
                fields.append((field.name, str(field.type), metadata, values))
        for number, row_id in enumerate(batch.column("rerun.controls.RowId").cast(pa.binary(16)).to_pylist()):
            cells = {name: (of, metadata, values[number].as_py()) for name, of, metadata, values in fields if values[number].is_valid}
            found.append((row_id, entity, chunk.is_static, cells))
    return [row[1:] for row in sorted(found, key=lambda row: row[0])]


class Names:
    """Ids become numbers, in the order in which they are seen."""

    def __init__(self):
        self.known = {}

    def plain(self, value):
        if isinstance(value, dict):
            return {key: self.plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            if len(value) == 16 and all(isinstance(item, int) for item in value):
                return self.plain(str(uuid.UUID(bytes=bytes(value))))
            return [self.plain(item) for item in value]
        if isinstance(value, str):
            return UUID.sub(lambda match: f"#{self.known.setdefault(match[0], len(self.known))}", value)
        return value


def normalised(path):
    """Rows with numbers for ids, so that those of two runs can be compared."""
    names = Names()
    return [(names.plain(entity), is_static, names.plain(cells)) for entity, is_static, cells in rows_of(path)]
