"""The end of a process: its files are made whole, and what could go nowhere is said."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from shmrerun import _core
from shmrerun.errors import RowsLostError, ShmrerunError, UndeliveredError, say
from shmrerun.producer.process import this_process
from shmrerun.producer.work import finish_work
from shmrerun.shm.log_reader import log_of
from shmrerun.shm.words import STATE_ENDED, STATE_OPEN

if TYPE_CHECKING:
    from shmrerun.producer.member import Session
    from shmrerun.producer.process import Process


TELL_SECONDS = 2.0  # the aggregator is given to count what went nowhere
MOST_PATIENCE = 12  # times the patience: so long at most without progress, however busy the aggregator is


def hook_exit(me: Process) -> None:
    """Have :func:`at_exit` run after workers were joined, in this process only."""
    if me.hooked:
        return
    me.hooked = True
    stamp = me.stamp
    if "multiprocessing.util" in sys.modules:
        from multiprocessing.util import Finalize

        Finalize(None, at_exit, args=(stamp,), exitpriority=-100)
    else:
        import atexit

        atexit.register(at_exit, stamp)


def unhook_exit() -> None:
    """Take the hook back (``unregister_shutdown``)."""
    this_process().owned.clear()


def at_exit(stamp: int, patience: float = 10.0) -> None:
    """Wait until the files of this process's sessions are complete; bounded by progress, quiet on Ctrl-C."""
    if stamp != _core.stamp():
        return
    me = this_process()
    owned, me.owned = list(me.owned.values()), {}
    owned += [session for session in me.sessions.values() if session not in owned and _inherits(session)]
    try:
        finish_work()
        if me.unjoined:
            say(f"{me.unjoined:,} rows of process {me.pid} were dropped: it could not join their recording")
        for session in owned:
            _finish(session, patience)
        for session in me.sessions.values():
            if session not in owned and session.stamp == stamp and session.index >= 0 and session.active_sink() is not None:
                session.leave()
                if _inherits(session):  # whoever set the sink left at the same moment, and took us for one who stays
                    owned.append(session)
                    _wait_for_end(session, patience)
        for session in me.sessions.values():
            if session.stamp == stamp and session.maker == session.tree.ref:
                tell_unsaved(session)
        me.ended = bool(owned)
        for tree in me.trees.values():  # one that just died would leave our memory behind: nobody else may look again
            if tree.stamp == stamp and tree.index >= 0 and tree.words.state == STATE_OPEN:
                tree.see_aggregator()
        if 1 in (os.getpid(), os.getppid()):  # the container ends with us, and takes the aggregator along
            me.ended = True
            for session in me.sessions.values():
                session.leave()
            for tree in me.trees.values():
                tree.depart(seconds=1)
    except KeyboardInterrupt:
        say("interrupted while finishing; the aggregator goes on with it")
    except ShmrerunError as error:
        say(str(error))


def _inherits(session: Session) -> bool:
    """Whether the file is ours to finish though another process set its sink: it has left, and we made the session or are the last."""
    if session.stamp != _core.stamp():
        return False
    sink = session.active_sink()
    if sink is None or sink.owner == session.tree.ref:
        return False
    others = session.other_members()
    return sink.owner not in others and (session.maker == session.tree.ref or not others)


def tell_unsaved(session: Session) -> None:
    """One line if rows were logged that no sink was ever set for, or none took, and nobody else is left who could set one."""
    if session.active_sink() is not None or session.other_members():
        return
    session.tree.wake()
    rows = session.rows_waiting()
    if rows > 0:
        say(f"{rows:,} rows of {session.application_id!r} had no sink and are dropped: call save() to keep them")
    elif log_of(session.words) is not None:  # what a viewer did not take waits in a spool for the next sink
        before = session.words.dropped_limit
        session.leave()
        _wait_for_end(session, TELL_SECONDS, quiet=True)
        if (rows := session.words.dropped_limit - before) > 0:
            say(f"{rows:,} rows of {session.application_id!r} reached no sink and are dropped: call save() to keep such rows")


def _finish(session: Session, patience: float) -> None:
    """Barrier, then leave; then wait for the footer if nobody else is left to log, as only then the aggregator writes it."""
    if session.stamp != _core.stamp():
        return
    sink, given_up, undelivered = session.active_sink(), False, False
    if session.index >= 0 and sink is not None:
        progress, waiting, told = -1, _Waiting(session), False
        while True:
            try:
                session.flush(timeout=max(1.0, session.live_patience() + 0.5))
                break
            except RowsLostError as error:
                say(str(error))
            except UndeliveredError as error:
                say(str(error))
                given_up = undelivered = True
                break
            except ShmrerunError as error:
                rows = session.words.rows
                if not told:
                    told = True
                    say(f"finishing {sink.label or 'the recording'} ...")
                if rows != progress:
                    progress, waiting = rows, _Waiting(session)
                elif waiting.is_over(patience):
                    say(f"gave up finishing {sink.label}: {error}")
                    given_up = True
                    break
    session.leave()
    session.print_message()
    if sink is not None and not given_up and not session.other_members():  # of two that leave at once, both are the last
        _wait_for_end(session, patience)
    elif undelivered and not session.other_members():
        _wait_for_end(session, TELL_SECONDS, quiet=True)  # it has a message with the number of rows
    session.print_message()


def _wait_for_end(session: Session, patience: float, *, quiet: bool = False) -> None:
    """Wait until the aggregator has written the footer, or counted what went nowhere."""
    sink, waiting = session.active_sink(), _Waiting(session)
    label = sink.label if sink is not None else "the recording"
    while session.words.state != STATE_ENDED:
        if waiting.is_over(patience):
            if not quiet:
                say(f"did not wait any longer for {label} to be complete; the aggregator goes on with it")
            return
        session.tree.wake()
        time.sleep(0.001)
        with contextlib.suppress(ShmrerunError):
            session.tree.ensure_aggregator()


class _Waiting:
    """For the aggregator. While it is at work, or waits for a processor on a full machine, no patience is lost."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._began = time.monotonic()
        self._busy = self._busy_seconds()

    def is_over(self, patience: float) -> bool:
        """Whether it was idle for so many seconds, or has taken many times as long."""
        waited = time.monotonic() - self._began
        if waited <= patience:
            return False
        return waited - max(0.0, self._busy_seconds() - self._busy) > patience or waited > MOST_PATIENCE * patience

    def _busy_seconds(self) -> float:
        """For how long the aggregator, or the one that begins, ran or was ready to. Source: proc(5), schedstat."""
        tree = self._session.tree
        try:
            with open(f"/proc/{tree.words.aggregator_pid or tree.launched}/schedstat", "rb") as file:
                ran, was_ready, _ = file.read().split()
        except (OSError, ValueError):
            return 0.0
        return (int(ran) + int(was_ready)) / 1e9
