"""Rows from several processes until all are durable: ``cd bench; python -m subjects.throughput shmrerun scalar_4``."""

from __future__ import annotations

from typing import Any

import crowd
from sizes import scaled
from subject import main
from values import payload_bytes

ROWS = {"scalar": 50_000, "text": 25_000, "points": 2_500, "image": 80}  # of each process


def measure(subject: str, case: str, directory: str) -> dict[str, Any]:
    kind, _, processes = case.partition("_")
    outcome = crowd.run(subject, kind, int(processes), scaled(ROWS[kind]), directory)
    return {
        "dropped": outcome.dropped,
        "unit": "s",
        "n": outcome.rows,
        "secs": outcome.secs,
        "logged_secs": outcome.logged_secs,
        "rows_per_s": outcome.rows / outcome.secs,
        "payload_bytes_per_s": outcome.rows * payload_bytes(kind) / outcome.secs,
        "file_bytes": outcome.file_bytes,
        **outcome.facts,
    }


if __name__ == "__main__":
    main(measure)
