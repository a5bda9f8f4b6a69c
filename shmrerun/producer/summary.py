"""What a notebook shows of a recording: a table of its ids, its counters over all processes, and its sinks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from shmrerun.errors import ShmrerunError
from shmrerun.shm.session import sinks
from shmrerun.shm.words import SINK_CUSTOM, SINK_FILE, SINK_READER, SINK_SERVER, SINK_SPOOL, SessionView

if TYPE_CHECKING:
    from shmrerun.producer.member import Session
    from shmrerun.producer.stream import Stream


class Counters(NamedTuple):
    """Counters of a recording, over all its processes, as they stood when they were read."""

    rows: int  # that are in the log
    waiting: int  # that are safe in shared memory, and in no log yet
    chunks: int
    num_bytes: int
    dropped: int  # refused or given up, and counted
    lost: int  # whose memory somebody damaged or removed


def counters(words: SessionView) -> Counters:
    """Read the counters of a session. Each is exact; together they are of about one moment."""
    dropped = words.dropped_limit + words.dropped + words.unjoined
    waiting = lost = 0
    for index, _, _, _, _, written, _ in words.members():
        member = words.member(index)
        dropped += member.dropped_full + member.dropped_size
        lost += member.lost
        waiting += max(0, written - member.rows - member.lost)
    return Counters(words.rows, waiting, words.chunks, words.written_bytes, dropped, lost)


def html_table(stream: Stream) -> str:
    """Describe a recording as an HTML table. Every text of the user's is escaped."""
    lines = [("application", stream.application_id), ("recording", stream.recording_id)]
    try:
        session = stream.live()
        lines += _lines(session) if session is not None and stream.enabled() else [("state", "disabled, or ended")]
    except ShmrerunError as error:
        lines.append(("state", str(error)))
    cells = "".join(f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in lines)
    return f"<table class='shmrerun'>{cells}</table>"


def _lines(session: Session) -> list[tuple[str, str]]:
    words = session.words
    found = counters(words)
    lines = [
        ("rows", f"{found.rows:,}" + (f" and {found.waiting:,} that wait in shared memory" if found.waiting else "")),
        ("chunks", f"{found.chunks:,}"),
        ("bytes", f"{found.num_bytes:,}"),
        ("dropped", f"{found.dropped:,}"),
        ("lost", f"{found.lost:,}"),
    ]
    active = [sink for sink in sorted(sinks(words), key=lambda sink: sink.number) if sink.is_active and not sink.is_buffer]
    kinds = {SINK_FILE: "file", SINK_SPOOL: "memory", SINK_SERVER: "server", SINK_CUSTOM: "custom", SINK_READER: "reader"}
    places = [f"{kinds.get(sink.kind, 'viewer')} {sink.label if sink.kind != SINK_SPOOL else ''}".strip() for sink in active]
    return [*lines, ("sinks", ", ".join(places) or "none: rows are kept for the next one")]
