"""From a ``log`` call to a row in the lane: resolve the session, take the entity apart, append. Errors warn unless strict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun import _core, errors
from shmrerun.model import entity_paths

if TYPE_CHECKING:
    from shmrerun.producer.stream import Stream

_STATIC = _core.LAYOUT["ROW_STATIC"]


def log_row(
    stream: Stream,
    entity_path: Any,
    entity: Any,
    extra: tuple[Any, ...],
    static: bool,
    strict: bool | None,
    flags: int = 0,
) -> None:
    """Append one row of an entity to a stream's session; nothing happens where the session has ended.

    The extension does the common case by itself (``bind_log.c``); here is everything else.
    """
    flags |= _STATIC if static else 0
    try:
        if not extra and _core.log_row(stream, entity_path, entity, flags):
            return
        from shmrerun.model.batches import ReadyRow, row_of

        columns, parts = row_of(entity, extra)
        if not parts:
            errors.say_once("no components", f"a row without components was not logged (entity {entity_path})")
            return
        if not columns.id:
            columns.id = _core.columns(columns.definition)
        if _core.log_row(stream, entity_path, ReadyRow(columns, parts), flags):
            return
        path = _core.path(entity_paths.canonical(entity_path).encode("utf-8", "surrogatepass"))
        if type(entity_path) is str:
            _core.know_path(entity_path, path)
        stream.append(path, columns.id, parts, flags)
        stream._look()
    except Exception as error:
        errors.report("log", error, strict)
