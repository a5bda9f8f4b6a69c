"""What every program in ``subjects/`` shares: its command line, the library that it measures, rows that it reads back."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def main(measure: Callable[[str, str, str], dict[str, Any]]) -> None:
    """Measure what the command line says, in a directory that is removed afterwards, and print one JSON object."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: cd bench; python -m subjects.{os.path.basename(sys.argv[0]).removesuffix('.py')} SUBJECT CASE")
    with tempfile.TemporaryDirectory(prefix="shmrerun-bench-") as scratch:
        print(json.dumps(measure(sys.argv[1], sys.argv[2], scratch)))


def library(subject: str) -> Any:
    """Import the library that goes by this name."""
    return import_module({"shmrerun": "shmrerun", "rerun-sdk": "rerun"}[subject])


def rrd_rows(path: str, prefix: str = "/bench/") -> int:
    """Return the rows of entities below a prefix in a recording."""
    from shmrerun.rrd.decoder import batches

    beginning = prefix.encode()
    return sum(batch.num_rows for _, _, batch in batches(path) if batch.schema.metadata[b"rerun:entity_path"].startswith(beginning))


def durable(path: str) -> None:
    """Wait until a file is on the device."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
