"""``shmrerun verify``: whether files are whole. Every chunk is decoded, and the footer compared with what is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from google.protobuf.message import DecodeError

from shmrerun.cli._files import BAD, GOOD, MISSING, opened
from shmrerun.cli._progress import Progress
from shmrerun.framing import ARROW_MSG
from shmrerun.rrd import proto
from shmrerun.rrd.chunk import chunk_from_batch, decode
from shmrerun.rrd.stored import checked

if TYPE_CHECKING:
    import argparse

    from shmrerun.rrd.stored import RrdFile


def run(arguments: argparse.Namespace) -> int:
    """Check all files; status 0 all are whole, 1 one is not, 2 one is missing or no .rrd file."""
    results = [_verify(path, needs_footer=not arguments.no_footer) for path in arguments.paths]
    if arguments.json:
        print(json.dumps({"files": [{key: value for key, value in result.items() if key != "status"} for result in results]}))
    else:
        for result in results:
            for problem in result["problems"]:
                print(f"{result['path']}: {problem}")
            if result["ok"]:
                print(f"{result['path']}: whole, {result['rows']:,} rows in {result['chunks']:,} chunks")
    status: int = max(result["status"] for result in results)
    return status


def _verify(path: str, *, needs_footer: bool) -> dict[str, Any]:
    file = opened(path)
    if isinstance(file, str):
        return {"path": path, "ok": False, "rows": 0, "chunks": 0, "problems": [file], "status": MISSING}
    listed = {
        (offset, size, bytes(chunk_id))
        for stored in file.stores
        for offset, size, chunk_id in zip(
            *(stored.table.column(name).to_pylist() for name in ("chunk_byte_offset", "chunk_byte_size", "chunk_id")), strict=True
        )
    }
    rows = chunks = 0
    found: set[tuple[int, int, bytes]] = set()
    problems = [] if file.is_complete or not needs_footer else ["no footer: it was not finished. shmrerun merge makes a finished one of it"]
    with Progress(f"verify {path}", file.size) as progress:
        for kind, offset, size in file.messages():
            progress.advance(size)
            if kind == ARROW_MSG:
                try:
                    chunk_id, count = _check(file, offset, size)
                except (DecodeError, ValueError, pa.ArrowException) as error:
                    problems.append(f"the chunk at byte {offset}: {error}")
                    continue
                found.add((offset, size, chunk_id))
                chunks, rows = chunks + 1, rows + count
    if file.is_complete and listed != found:
        problems.append(f"the footer names {len(listed - found)} chunks that are not there, and misses {len(found - listed)} that are")
    problems = list(dict.fromkeys([*file.problems, *problems]))
    file.close()
    return {"path": path, "ok": not problems, "rows": rows, "chunks": chunks, "problems": problems, "status": BAD if problems else GOOD}


def _check(file: RrdFile, offset: int, size: int) -> tuple[bytes, int]:
    """Id and rows of a chunk. ValueError: something is wrong with it."""
    message = proto.ArrowMsg.FromString(file.read(offset, size))
    chunk = chunk_from_batch(checked(decode(message)))
    batch = chunk.batch
    said = message.chunk_id.time_ns.to_bytes(8, "big") + message.chunk_id.inc.to_bytes(8, "big")
    if said != chunk.chunk_id:
        raise ValueError(f"its message names it {said.hex()}, its data {chunk.chunk_id.hex()}")
    ids = np.array(batch.column(0).to_pylist(), "S16")
    if not (ids[1:] >= ids[:-1]).all():
        raise ValueError("its row ids do not ascend")
    for i in chunk.schema.fields.time_order:
        field, times = batch.schema.field(i), batch.column(i).view(pa.int64()).to_numpy()
        if (field.metadata or {}).get(b"rerun:is_sorted") == b"true" and (times[1:] < times[:-1]).any():
            raise ValueError(f"its times on {field.name!r} are said to be sorted, and are not")
    names = batch.schema.names
    if len(set(names)) < len(names):
        raise ValueError("a column comes twice")
    return chunk.chunk_id, batch.num_rows
