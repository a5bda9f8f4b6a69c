"""``shmrerun merge``: several files in one, with a footer. Stores stay what they are; chunks are copied as they are."""

from __future__ import annotations

import json
import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from shmrerun.cli._files import BAD, GOOD, MISSING, opened
from shmrerun.cli._progress import Progress
from shmrerun.framing import ARROW_MSG, BLUEPRINT_ACTIVATION, SET_STORE_INFO, frame
from shmrerun.rrd import proto
from shmrerun.rrd.decoder import read_chunk
from shmrerun.rrd.file_writer import FileWriter

if TYPE_CHECKING:
    import argparse

    from shmrerun.rrd.stored import RrdFile


def run(arguments: argparse.Namespace) -> int:
    """Merge files; status 0, 1 if something could not be read (the rest is there), 2 if a file cannot be opened: nothing is written."""
    files: list[RrdFile] = []
    for path in arguments.paths:
        file = opened(path)
        if isinstance(file, str):
            print(f"{path}: {file}", file=sys.stderr)
            return MISSING
        files.append(file)
    seen: set[tuple[bytes, bytes]] = set()  # stores and chunks
    stores: set[bytes] = set()
    activations: dict[bytes, bytes] = {}
    problems: list[str] = []
    twice = 0
    try:
        with FileWriter(arguments.out) as writer, Progress("merge", sum(file.size for file in files)) as progress:
            for file in files:
                for kind, offset, size in file.messages():
                    progress.advance(size)
                    payload = file.read(offset, size)
                    if kind == SET_STORE_INFO:
                        store = _store(proto.SetStoreInfo, payload, "info.store_id")
                        if store is None:
                            problems.append(f"{file.path}: the store's info at byte {offset} does not decode")
                        elif store not in stores:
                            stores.add(store)
                            writer.message(frame(kind, payload))
                    elif kind == BLUEPRINT_ACTIVATION:  # comes after all chunks of its blueprint
                        store = _store(proto.BlueprintActivationCommand, payload, "blueprint_id")
                        if store is not None:
                            activations.pop(store, None)
                            activations[store] = payload
                    elif kind == ARROW_MSG:
                        found = read_chunk(payload)
                        if found is None:
                            problems.append(f"{file.path}: the chunk at byte {offset} does not decode")
                            continue
                        message, chunk = found
                        store = message.store_id.SerializeToString()
                        if (store, chunk.chunk_id) in seen:
                            twice += 1
                            continue
                        seen.add((store, chunk.chunk_id))
                        writer.encoded(store, chunk, payload, message.uncompressed_size)
                problems += [f"{file.path}: {problem}" for problem in file.problems]
            for payload in activations.values():
                writer.message(frame(BLUEPRINT_ACTIVATION, payload))
    except OSError as error:
        print(f"{arguments.out}: {error.strerror}", file=sys.stderr)
        return MISSING
    problems = list(dict.fromkeys(problems))
    if arguments.json:
        result = {"path": arguments.out, "rows": writer.rows, "chunks": writer.chunks, "twice": twice, "problems": problems}
        print(json.dumps(result))
    else:
        for problem in problems:
            print(problem, file=sys.stderr)
        same = f"; {twice:,} chunks came twice and are there once" if twice else ""
        print(f"{arguments.out}: {writer.rows:,} rows in {writer.chunks:,} chunks of {len(files)} files{same}")
    return BAD if problems else GOOD


def _store(kind: Any, payload: bytes, place: str) -> bytes | None:
    """The store that a message is about, serialized; None: it does not decode."""
    try:
        store: bytes = attrgetter(place)(kind.FromString(payload)).SerializeToString()
    except DecodeError:
        return None
    return store
