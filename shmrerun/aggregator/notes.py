"""What a member dropped, as a row of the recording itself: whoever reads the file sees that it is not whole, and why."""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from shmrerun.aggregator.merge import Group, Shape
from shmrerun.model.parts import TIMESTAMP, Column, pack_strings

if TYPE_CHECKING:
    from shmrerun.aggregator.commit_log import CommitLog

PATH = "/__dropped"
_CAUSES = {
    "dropped_full": "refused because its lane stayed full",
    "dropped_size": "refused because there was no memory for so large a record",
    "lost": "unreadable because its lane was damaged",
}


def note_drops(log: CommitLog, seen: set[bytes], token: bytes, owner: int, causes: dict[str, int]) -> None:
    """Append a TextLog with the counts by cause. OSError: it was not written.

    Parameters
    ----------
    log
        Of the session.
    seen
        Row ids that are in it already: the id of this row follows from token and text, so a replay writes it once.
    token
        Of the session.
    owner
        Process reference of the member.
    causes
        Counter of the member -> rows.
    """
    from shmrerun.model.archetype import archetype_class

    counts = ", ".join(f"{count} {_CAUSES[word]}" for word, count in causes.items() if count)
    text = f"{sum(causes.values())} rows of process {owner >> 32}.{owner & 0xFFFF_FFFF} are not in this recording: {counts}"
    row_id = bytes(7) + b"\1" + blake2b(token + text.encode(), digest_size=8).digest()
    if row_id in seen:
        return
    archetype: Any = archetype_class("TextLog")
    columns, parts = archetype(text, level="WARN")._row()
    times = bytes([TIMESTAMP]) + (8).to_bytes(4, "little") + b"log_time"
    group = Group(PATH, Shape(0, times, pack_strings([name for column in columns.columns for name in Column(*column)])))
    log.append(group.chunk_of_one(row_id, time.time_ns(), parts))
