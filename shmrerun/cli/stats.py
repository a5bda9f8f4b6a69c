"""``shmrerun stats``: what files hold, by store and entity. Of a finished file only the footer is read."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from shmrerun.cli._files import GOOD, MISSING, recordings
from shmrerun.cli.ps import size

if TYPE_CHECKING:
    import argparse

    from shmrerun.rrd.reader import Recording


def run(arguments: argparse.Namespace) -> int:
    """Print what all files hold; status 2 if one cannot be read."""
    status, files = GOOD, []
    for path in arguments.paths:
        try:
            files.append({"path": path, "stores": [_describe(recording) for recording in recordings(path)]})
        except (OSError, ValueError) as error:
            print(f"{path}: {error.strerror if isinstance(error, OSError) else error}", file=sys.stderr)
            status = MISSING
    if arguments.json:
        print(json.dumps({"files": files}))
    else:
        print("\n\n".join("\n".join(_lines(file)) for file in files))
    return status


def _describe(recording: Recording) -> dict[str, Any]:
    table = recording._contents.stored.table
    names = ("chunk_entity_path", "chunk_byte_size", "chunk_byte_size_uncompressed")
    chunks: dict[str, list[int]] = {}
    for path, packed, unpacked in zip(*(table.column(name).to_pylist() for name in names), strict=True):
        counts = chunks.setdefault(path, [0, 0, 0])
        counts[0] += 1
        counts[1] += packed
        counts[2] += unpacked
    entities = {
        path: {
            "rows": entity.num_rows,
            "static_rows": entity.num_static_rows,
            "chunks": chunks[path][0],
            "bytes": chunks[path][1],
            "uncompressed_bytes": chunks[path][2],
            "timelines": list(entity.timelines),
            "components": {name: str(field.type) for name, field in entity.components.items()},
        }
        for path, entity in recording.entities.items()
    }
    return {
        **recording.store._asdict(),
        "complete": recording.is_complete,
        "problems": list(recording.problems),
        "rows": sum(entity["rows"] for entity in entities.values()),
        "chunks": len(recording),
        "bytes": sum(entity["bytes"] for entity in entities.values()),
        "uncompressed_bytes": sum(entity["uncompressed_bytes"] for entity in entities.values()),
        "timelines": {
            name: {
                "type": str(timeline.type),
                "start": _number(timeline.start),
                "end": _number(timeline.end),
                "rows": timeline.num_rows,
                "range": f"{timeline.start} .. {timeline.end}",
            }
            for name, timeline in recording.timelines.items()
        },
        "entities": entities,
    }


def _number(value: Any) -> int | None:
    """A time as nanoseconds or as the number it is."""
    return None if value is None else int(value.astype("int64")) if hasattr(value, "astype") else int(value)


def _lines(file: dict[str, Any]) -> list[str]:
    lines = []
    for store in file["stores"]:
        state = "" if store["complete"] else ", not finished"
        lines.append(f"{file['path']}: {store['kind']} {store['application_id']} / {store['recording_id']}{state}")
        sizes = f"{size(store['bytes'])}, {size(store['uncompressed_bytes'])} uncompressed"
        lines.append(f"  {store['rows']:,} rows in {store['chunks']:,} chunks, {sizes}")
        for name, timeline in store["timelines"].items():
            lines.append(f"  {name} ({timeline['type']}): {timeline['rows']:,} rows, {timeline['range']}")
        lines.append(f"  {'rows':>12}{'static':>9}{'chunks':>9}{'size':>11}  entity, components")
        for path, entity in store["entities"].items():
            counts = f"{entity['rows']:>12,}{entity['static_rows']:>9,}{entity['chunks']:>9,}{size(entity['bytes']):>11}"
            lines.append(f"  {counts}  {path}  {' '.join(entity['components'])}")
    return lines
