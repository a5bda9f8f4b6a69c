"""``shmrerun recover``: makes whole files of what programs left that were killed together with their aggregator.

It is the aggregator itself, run once more over a tree that is dead by both keys: it reads the sink table, skips the rows that are in
the file already, and ends the file. Sessions without a file get one first, before there is an aggregator that could drop their rows.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from shmrerun.errors import ShmrerunError
from shmrerun.producer.member import Session
from shmrerun.shm import sweep
from shmrerun.shm.locks import OPENER, lock_byte, lock_file
from shmrerun.shm.session import open_session, sinks, wish_word
from shmrerun.shm.tree import RECOVER_BYTE, Tree
from shmrerun.shm.words import SINK_FILE, SINK_READER, SINK_SPOOL, STATE_ENDED, WISH_FREE, SessionView

if TYPE_CHECKING:
    import argparse

    from shmrerun.shm.session import Sink
    from shmrerun.shm.sweep import Left

COMPLETE, INCOMPLETE, MISSING = 0, 1, 2
PATIENCE_SECONDS = 60.0  # without any progress
OPEN_SECONDS = 300.0  # for a file of our own to be taken over; bounded by patience in practice


class Made(NamedTuple):
    """A file that was made whole, or not."""

    tree: str
    application_id: str
    recording_id: str
    path: str
    rows: int
    complete: bool


def run(arguments: argparse.Namespace) -> int:
    """Recover all abandoned trees, or those given. Status 0: every file is complete; 1: one is not; 2: no such tree."""
    out = os.path.abspath(arguments.out)
    if not os.path.isdir(out):
        print(f"shmrerun: there is no such directory: {out}", file=sys.stderr)
        return MISSING
    tokens = [tree.token for tree in sweep.trees() if not arguments.trees or tree.token in arguments.trees]
    status = COMPLETE
    for token in arguments.trees:
        if token not in tokens:
            print(f"shmrerun: there is no tree {token}; shmrerun ps shows those that there are", file=sys.stderr)
            status = MISSING
    made: list[Made] = []
    for token in tokens:
        try:
            found = _recover(token, out, asked=token in arguments.trees)
        except (ShmrerunError, OSError) as error:
            print(f"shmrerun: tree {token}: {error}", file=sys.stderr)
            status = max(status, INCOMPLETE)
            continue
        made += found
        if not all(file.complete for file in found):
            status = max(status, INCOMPLETE)
    if arguments.json:
        print(json.dumps({"status": status, "files": [file._asdict() for file in made]}))
    else:
        for file in made:
            print(f"{file.path}: {file.rows:,} rows, {'complete' if file.complete else 'NOT COMPLETE'}")
        if not made and status == COMPLETE:
            print("No killed program left anything.")
    return status


def _recover(token: str, out: str, *, asked: bool) -> list[Made]:
    try:
        tree = Tree.attach(token)
    except FileNotFoundError:
        return []  # it ended meanwhile
    try:
        if not sweep.is_abandoned(tree):
            if asked:
                print(f"shmrerun: tree {token} is alive, and will finish its files itself", file=sys.stderr)
            return []
        if not lock_byte(tree.lock_fd(), RECOVER_BYTE):
            print(f"shmrerun: tree {token} is being recovered by another process", file=sys.stderr)
            return []
        found = sweep.left_in(tree)
        if not any(left.rows or left.has_file for left in found):
            sweep.remove(tree)
            return []
        return _run_aggregator(tree, found, out)
    finally:
        tree.close()


def _run_aggregator(tree: Tree, found: list[Left], out: str) -> list[Made]:
    """Give files to sessions that lack one, then run an aggregator until the tree is gone."""
    views = {left.serial: SessionView(open_session(tree.token, left.serial)) for left in found}
    lacking = [left for left in found if not _keeps_file(views[left.serial], left) and left.rows]
    tree.claim()
    own = {left.serial: Session.attach(tree, left.serial) for left in lacking}
    for session in own.values():
        session.join()  # all of them before there is an aggregator, which drops rows that nobody wants
    paths = {left.serial: left.sink.path for left in found if left.has_file and left.sink is not None}
    before = {path: set(_successors(path)) for path in paths.values()}
    for left in lacking:
        paths[left.serial] = _save(own[left.serial], left, out)
    for session in own.values():
        session.leave()
    _wait(tree, list(views.values()))
    made = []
    for left in found:
        if left.serial not in paths:
            continue
        path = paths[left.serial]
        if left.serial not in own and left.sink is not None and not _is_same(left.sink):
            path = max(set(_successors(path)) - before[path], default=path)
        made.append(Made(tree.token, left.application_id, left.recording_id, path, *_result(path)))
    return made


def _keeps_file(view: SessionView, left: Left) -> bool:
    """Whether the session goes on in its own file. If not, its entry is made one that a file of ours takes over from."""
    sink = left.sink
    if sink is None:
        return False
    entry = view.sink(sink.slot)
    if sink.kind == SINK_SPOOL:
        for reader in sinks(view):  # dead: what it read, and the spool still has, is recovered with the rest
            if reader.kind == SINK_READER:
                view.sink(reader.slot).wish = wish_word(reader.turn + 1, WISH_FREE)
        return False
    if _is_same(sink) and os.access(sink.path, os.W_OK):
        return True
    if not sink.is_wanted and os.access(os.path.dirname(sink.path), os.W_OK):
        return True  # moved or removed: the aggregator goes on beside it
    entry.wish = wish_word(sink.turn + 1, WISH_FREE)
    return False


def _is_same(sink: Sink) -> bool:
    try:
        found = os.stat(sink.path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (sink.device, sink.inode)


def _successors(path: str) -> list[str]:
    base = os.path.basename(path.removesuffix(".rrd")) + ".recovered-"
    directory = os.path.dirname(path)
    try:
        return [f"{directory}/{name}" for name in os.listdir(directory) if name.startswith(base)]
    except OSError:
        return []


def _save(session: Session, left: Left, out: str) -> str:
    """Set a new file as the sink of a session that had none. Nothing is ever overwritten."""
    name = re.sub(r"[^\w.+=@,() -]", "-", f"{left.application_id}-{left.recording_id}").strip(". ")[:120] or "recording"
    number, path = 0, f"{out}/{name}.rrd"
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            break
        except FileExistsError:
            number += 1
            path = f"{out}/{name}-{number}.rrd"
    lock_file(fd, OPENER)
    try:
        session.set_sink(SINK_FILE, 0, path, fd, timeout=OPEN_SECONDS)
    finally:
        os.close(fd)
    return path


def _wait(tree: Tree, views: list[SessionView]) -> None:
    """Keep an aggregator running until the tree is gone; give up without progress for a while."""
    progress: tuple[int, ...] = ()
    began, told = time.monotonic(), False
    while tree.words.state != STATE_ENDED:
        done = not tree.sessions()
        if not done or not tree.aggregator_is_live(certain=True):
            tree.ensure_aggregator(certain=True)
        if done and tree.index >= 0 and tree.aggregator_is_live(certain=True):
            tree.depart(0)
        tree.wake()
        rows = sum(view.rows for view in views)
        now = (
            rows,
            len(tree.sessions()),
            len([claim for _, claim in tree.claims() if claim & 0xFFFF_FFFF]),
            tree.words.epoch,
        )
        if now != progress:
            progress, began = now, time.monotonic()
        waited = time.monotonic() - began
        if waited > 2 and not told and sys.stderr.isatty():
            told = True
            print("shmrerun: recovering ...", file=sys.stderr)
        if waited > PATIENCE_SECONDS:
            why = next((sink for view in views for sink in _failing(view)), None)
            reason = f"{why.path}: {os.strerror(why.error)}" if why else tree.fault()
            print(f"shmrerun: no progress for {waited:.0f} s ({reason}); the aggregator goes on trying", file=sys.stderr)
            return
        time.sleep(0.01)


def _failing(view: SessionView) -> list[Sink]:
    with contextlib.suppress(*sweep.GONE):
        return [sink for sink in sinks(view) if sink.error]
    return []


def _result(path: str) -> tuple[int, bool]:
    """Rows of a file, and whether it has its footer."""
    from shmrerun.rrd import decoder

    try:
        return len(decoder.row_ids(path)), decoder.complete_length(path).has_footer
    except (OSError, ValueError):
        return 0, False
