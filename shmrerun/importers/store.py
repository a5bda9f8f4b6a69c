"""Rows for another recording than the one that imports: made into chunks here, and sent as ready-made messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from shmrerun import _core
from shmrerun.importers.task import columns_of_row
from shmrerun.model import entity_paths
from shmrerun.model.arrow_types import type_text
from shmrerun.model.parts import DURATION, SEQUENCE, TIMESTAMP, Column
from shmrerun.rrd.chunk import ChunkSchema, encode
from shmrerun.rrd.encoder import arrow_msg, set_store_info, store_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shmrerun.importers.task import Task


class Store:
    """A recording of the importing one's application, with an id of its own."""

    def __init__(self, task: Task, recording_id: str) -> None:
        self._task = task
        self._id = store_id(task.stream.application_id, recording_id)
        task.send_messages(set_store_info(self._id, _core.row_id()))

    def send_columns(self, entity_path: str, indexes: Iterable[Any], columns: Iterable[Any]) -> None:
        """Log rows, as ``send_columns`` does; without indexes they are static."""
        times = []
        timelines = []
        for index in indexes:
            array = index.as_arrow_array()
            kind = DURATION if pa.types.is_duration(array.type) else TIMESTAMP if pa.types.is_timestamp(array.type) else SEQUENCE
            timelines.append((str(index.timeline_name()), kind))
            times.append(array.cast(pa.int64()).to_numpy())
        known, cells, rows = [], [], 0
        for column in columns:
            descriptor, array = column.component_descriptor(), column.as_arrow_array()
            array = array.storage if isinstance(array, pa.ExtensionArray) else array
            kind_text = type_text(array.values.type)
            known.append(Column(descriptor.component, descriptor.archetype, descriptor.component_type, kind_text))
            cells.append((array.values, array.offsets.to_numpy()))
            rows = len(array)
        schema = ChunkSchema(entity_paths.canonical(entity_path), tuple(timelines), tuple(known), is_static=not timelines)
        chunk = schema.build(_core.row_id(), b"".join(_core.row_id() for _ in range(rows)), times, cells)
        self._task.send_messages(b"".join(arrow_msg(self._id, encode(chunk))[0]))

    def log(self, entity_path: str, archetype: Any) -> None:
        """Log one static row."""
        self.send_columns(entity_path, [], columns_of_row(archetype))
