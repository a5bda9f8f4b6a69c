"""Rows of blueprints as rerun-sdk reads them back, for comparison."""

from __future__ import annotations

import re
import uuid

import pyarrow as pa

DROPPED = (b"rerun:id", b"rerun:heap_size_bytes", b"rerun:is_sorted", b"sorbet:version")  # of one file alone
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def rows_of(path, *, several=False):
    """Rows of the blueprint in a file, or of all of them, in the order in which they were logged.

    Of each its path, whether it is static, and type, metadata and value of each column.
    """
    from rerun.chunk import RrdReader

    found = []
    reader = RrdReader(str(path))
    stores = reader.blueprints()
    assert several or len(stores) == 1
    for chunk in (chunk for store in stores for chunk in reader.stream(store=store)):
        batch = chunk.to_record_batch()
        entity = batch.schema.metadata[b"rerun:entity_path"].decode()
        for number, row_id in enumerate(batch.column("rerun.controls.RowId").cast(pa.binary(16)).to_pylist()):
            cells = {}
            for field, column in zip(batch.schema, batch.columns, strict=True):
                value = column[number]
                if field.name in ("rerun.controls.RowId", "log_time") or not value.is_valid:
                    continue
                metadata = {key: text for key, text in (field.metadata or {}).items() if key not in DROPPED}
                cells[field.name] = (str(field.type), metadata, value.as_py())
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


def normalised(path, *, several=False):
    """Rows with numbers for ids, so that those of two runs can be compared."""
    names = Names()
    return [(names.plain(entity), is_static, names.plain(cells)) for entity, is_static, cells in rows_of(path, several=several)]
