"""Rows of one store in memory: the stream that a blueprint logs itself into, ours or one of rerun-sdk.

A row is a chunk; a blueprint has some dozens. Source: rerun-sdk 0.41, blueprint stores.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from shmrerun import _core, errors
from shmrerun.framing import BLUEPRINT_ACTIVATION, frame
from shmrerun.model.arrow_types import parts_to_array
from shmrerun.model.batches import cells_of
from shmrerun.model.entity_paths import canonical
from shmrerun.model.parts import SEQUENCE, TIMESTAMP
from shmrerun.rrd import proto
from shmrerun.rrd.chunk import ChunkSchema, encode
from shmrerun.rrd.encoder import BLUEPRINT, arrow_msg, set_store_info, store_id, stream_header
from shmrerun.rrd.piece import with_footer

if TYPE_CHECKING:
    from shmrerun.rrd.chunk import Chunk


class Recorder:
    """The rows of a blueprint store for an application, in the order in which they are logged.

    Parameters
    ----------
    application_id
        Of the recordings that the blueprint is for.

    Raises
    ------
    TypeError, ValueError
        The application id is no str, or empty.

    """

    def __init__(self, application_id: str) -> None:
        if not isinstance(application_id, str):
            raise TypeError(f"application_id must be a str, got {type(application_id).__name__}")
        if not application_id:
            raise ValueError("Application ID must not be empty")
        self.store_id = store_id(application_id, f"rec_{os.urandom(16).hex()}", BLUEPRINT)
        self._times: dict[str, int] = {}
        self._chunks: list[Chunk] = []

    def set_time(self, timeline: str, *, sequence: int) -> None:
        """Set the time of the rows that follow."""
        self._times[timeline] = sequence

    def log(self, entity_path: Any, entity: Any, *extra: Any, static: bool = False, strict: bool | None = None) -> None:
        """Keep a row: anything that can be logged, under any path that :func:`shmrerun.log` takes. Errors warn unless strict."""
        try:
            cells = cells_of((entity, *extra))
            if not cells:
                return
            path = canonical(entity_path)
            timelines = () if static else (*((name, SEQUENCE) for name in self._times), ("log_time", TIMESTAMP))
            times = [] if static else [*self._times.values(), time.time_ns()]
            schema = ChunkSchema(path, timelines, tuple(column for column, _ in cells), static)
            values = [parts_to_array(column.arrow, parts) for column, parts in cells]
            columns = [(array, pa.array([0, len(array)], pa.int32()).buffers()[1]) for array in values]
            stamps = [value.to_bytes(8, "little", signed=True) for value in times]
            self._chunks.append(schema.build(_core.row_id(), _core.row_id(), stamps, columns))
        except Exception as error:
            errors.report("log", error, strict)

    def messages(self, *, make_active: bool, make_default: bool) -> bytes:
        """Return the framed messages: store info, chunks, activation."""
        parts = [set_store_info(self.store_id, _core.row_id())]
        for chunk in self._chunks:
            parts += arrow_msg(self.store_id, encode(chunk))[0]
        return b"".join([*parts, self._activation(make_active=make_active, make_default=make_default)])

    def file(self) -> bytes:
        """Return a whole ``.rbl`` file, which makes the blueprint active and the default."""
        return with_footer(stream_header() + self.messages(make_active=True, make_default=True))

    def _activation(self, *, make_active: bool, make_default: bool) -> bytes:
        command = proto.BlueprintActivationCommand(
            blueprint_id=proto.StoreId.FromString(self.store_id), make_active=make_active, make_default=make_default
        )
        return frame(BLUEPRINT_ACTIVATION, command.SerializeToString())


def record(blueprint: Any, application_id: str) -> Recorder:
    """Return the rows of anything with ``to_blueprint()``, or that logs itself: our objects and those of ``rerun.blueprint``."""
    recorder = Recorder(application_id)
    recorder.set_time("blueprint", sequence=0)
    made = blueprint.to_blueprint() if hasattr(blueprint, "to_blueprint") else blueprint
    made._log_to_stream(recorder)
    return recorder
