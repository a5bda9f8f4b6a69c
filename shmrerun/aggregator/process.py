"""Entry point and loop of the aggregator: election, hosting of all sessions of its tree, reaping, end.

The loop's one thread waits on nothing but the doorbell, the tick and the log files. Pidfds in the same poll tell of deaths at
once; they only make it look, nobody is dead without both keys. Cleaning up never raises and never makes anything; whatever fails again
and again is waited for longer and longer, and given up at last: no aggregator outlives its tree.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING

from shmrerun import _core
from shmrerun.aggregator import budget, faults
from shmrerun.aggregator.descriptors import SPARE, Descriptors, raise_limit
from shmrerun.aggregator.host import Host
from shmrerun.aggregator.served import LiveWorker
from shmrerun.shm import segments
from shmrerun.shm.locks import lock_byte, unlock_byte
from shmrerun.shm.sweep import remove_tree_files
from shmrerun.shm.tree import AGGREGATOR_BYTE, BIRTH_BYTE, FIRST_BYTE, Tree, process_facts, process_gone
from shmrerun.shm.words import STATE_ENDED, STATE_ENDING, STATE_OPEN, TreeView

if TYPE_CHECKING:
    from collections.abc import Iterator

TURN_NANOS = 50_000_000  # how often lanes are looked at while rows come
BEAT_SECONDS = 0.2  # longest sleep: keeps the heartbeat fresh
IDLE_NANOS = 1_000_000_000  # while nothing asks for it, so often everything is looked at all the same
FAILURES = 50  # a session that fails this often, and has nobody left, is given up
UNLOCKED_NANOS = 2_000_000_000
REAP_NANOS = 250_000_000
RECOUNT_NANOS = 10_000_000_000  # the budget is counted anew so often, and sooner after deaths
AHEAD = ("numpy", "pyarrow", "shmrerun.rrd.chunk", "shmrerun.rrd.encoder", "shmrerun.rrd.footer")  # what the first chunk will need
DOUBTS = 3  # failures in a row after which the process begins anew
LOOP_FAILURES = 12  # the loop itself fails so often in a row, over half a minute: the aggregator ends


class Aggregator:
    """The one aggregator of a tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.hosts: dict[int, Host] = {}
        self.stopping = False
        limit = raise_limit()
        self._pool = Descriptors(limit - SPARE - limit // 4)
        self._live = LiveWorker(tree)
        self._most_pidfds = limit // 4
        self._failures: dict[int, faults.Backoff] = {}
        self._bell = -1
        self._poll = select.poll()
        self._pidfds: dict[int, tuple[int, int]] = {}  # slot -> (serial, pidfd)
        self._dead: set[int] = set()
        self._unlocked: dict[int, tuple[int, int]] = {}  # slot -> serial, and since when its lock is free though it lives
        self._next_reap = 0
        self._next_recount = 0
        self._ahead = list(AHEAD)

    # ---- election

    def elect(self) -> bool:
        """Become the aggregator. False: there is one, by either key."""
        if not lock_byte(self.tree.lock_fd(), AGGREGATOR_BYTE):
            return False
        words = self.tree.words
        pid = words.aggregator_pid
        if pid and pid != os.getpid() and not process_gone(pid, words.aggregator_start):
            return False  # alive, though its lock fell by accident
        words.aggregator_start = process_facts()[1]
        words.aggregator_pid = os.getpid()
        words.heartbeat = _core.monotonic()
        words.starter = 0
        return True

    # ---- the loop

    def run(self) -> None:
        """Serve until no process of the tree is left, then remove all that is the tree's."""
        self._open_bell()
        self._adopt()
        self.tree.words.add(TreeView.epoch, 1)
        backoff = faults.Backoff(0.05, 5.0, LOOP_FAILURES)
        while True:
            try:
                if self._turn_all():
                    return
                backoff.worked()
            except Exception:  # a fault of the loop itself: everything it needs is in shared memory, so go on
                faults.note()
                pause = backoff.fail()
                if backoff.count == DOUBTS:
                    faults.begin_anew()
                if backoff.is_hopeless:
                    faults.note(f"the aggregator gives up after {backoff.count} failures in a row")
                    return
                time.sleep(pause)

    def _turn_all(self) -> bool:
        """One turn of everything. True: the tree has ended."""
        words = self.tree.words
        words.need_wake = 0
        now = _core.monotonic()
        words.heartbeat = now
        if now >= self._next_reap:
            self._next_reap = now + REAP_NANOS
            self._look_for_dead()
        waiting = self._adopt()
        stopping, self.stopping = self.stopping, False
        due = [due for host in list(self.hosts.values()) if (due := self._turn(host, now, end_all=stopping)) is not None]
        self._forget_dead()
        if not waiting and (self.tree.recount or now >= self._next_recount):
            self._next_recount = now + RECOUNT_NANOS
            self.tree.recount = not budget.recount(self.tree, _Members(self.hosts))
        if not self.hosts and not waiting and not self._dead and self._nobody_left() and self._end():
            return True
        if self._ahead:
            self._import_ahead()
        else:
            self._sleep(min([*due, *waiting], default=None))
        return False

    def _import_ahead(self) -> None:
        """Import one thing, and look again who asks for something.

        Never in a thread of its own: of two that import at once, one may find a package that the other has not finished, which breaks it.
        """
        with contextlib.suppress(Exception):  # who needs it will say so
            importlib.import_module(self._ahead.pop(0))

    def _turn(self, host: Host, now: int, *, end_all: bool) -> int | None:
        """One turn of a session. One bad session never stops the others."""
        try:
            due = host.turn(now, self._dead, end_all=end_all)
        except Exception as error:
            return self._failed(host, error)
        self._failures.pop(host.serial, None)
        host.failures = 0
        if host.ended:
            self.hosts.pop(host.serial)
        return due

    def _failed(self, host: Host, error: Exception) -> int:
        """A turn ended half done: forget the host as if it had died; all that the next one needs is in shared memory. When that is made."""
        with contextlib.suppress(Exception):
            host.say(f"the aggregator failed on this recording: {error!r} {traceback.format_exc()[-300:]}")
        failures = self._back_off(host.serial, error)
        del self.hosts[host.serial]
        if failures.is_hopeless and host.abandon(self._dead):
            self._failures.pop(host.serial)
        else:
            host.leave()
        gc.collect()  # a host and its parts refer to each other; its mappings are to go
        return failures.until

    def _back_off(self, serial: int, error: Exception) -> faults.Backoff:
        """A session failed: wait for longer and longer."""
        faults.note()
        failures = self._failures.setdefault(serial, faults.Backoff(0.05, 1.0, FAILURES))
        failures.until = _core.monotonic() + int(failures.fail() * 1e9)
        if failures.count == DOUBTS or isinstance(error, faults.UnsureError):
            faults.begin_anew()
        return failures

    def _adopt(self) -> list[int]:
        """Host the sessions of the table that are not hosted; when those that failed are tried again."""
        serials = [serial for _, serial, _ in self.tree.sessions()]
        for serial in serials:
            failures = self._failures.get(serial)
            if serial in self.hosts or (failures is not None and _core.monotonic() < failures.until):
                continue
            try:
                self.hosts[serial] = Host(self.tree, serial, self._pool, self._live, failures.count if failures is not None else 0)
            except FileNotFoundError:
                self.tree.remove_session(serial)
            except Exception as error:
                if self._back_off(serial, error).is_hopeless:
                    self.tree.remove_session(serial)
        return [self._failures[serial].until for serial in serials if serial not in self.hosts and serial in self._failures]

    def _open_bell(self) -> None:
        path = f"{self.tree.directory}/bell"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        self._bell = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._bell, select.POLLIN)

    def _sleep(self, due: int | None) -> None:
        """Until the bell, a death or the next tick; armed when there is nothing at all to do."""
        now = _core.monotonic()
        if due is None:
            words = self.tree.words
            words.need_wake = 1
            _core.fence()  # SYNC POINT wake, consumer's half: arm, fence, look again
            if self._has_work():
                return
            events = self._poll.poll(BEAT_SECONDS * 1000)
            while not events and not self.stopping and (beat := _core.monotonic()) < now + IDLE_NANOS:
                words.heartbeat = beat
                events = self._poll.poll(BEAT_SECONDS * 1000)
        else:
            events = self._poll.poll(max(0.0, min(due - now, TURN_NANOS) / 1e6))
        for fd, _ in events:
            if fd == self._bell:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell, 65536)
            else:  # a death: look now; its pidfd stays readable, so poll it no more
                self._next_reap = 0
                self._stop_polling(fd)

    def _has_work(self) -> bool:
        if self.stopping or len(self.tree.sessions()) != len(self.hosts):
            return True
        return any(host.busy() for host in self.hosts.values())

    # ---- the dead

    def _look_for_dead(self) -> None:
        """Watch every process of the tree; note those that both keys say are gone."""
        tree = self.tree
        claims = dict(tree.claims())
        for host in self.hosts.values():  # of processes that gave their slot back, or whose slot has another one now
            self._dead.update(
                ref for ref in host.members() if claims.get(ref >> 32, 0) >> 32 != ref & 0xFFFF_FFFF or not claims[ref >> 32] & 0xFFFF_FFFF
            )
        for index, claim in claims.items():
            pid, serial = claim & 0xFFFF_FFFF, claim >> 32
            if not pid:
                continue
            watched = self._pidfds.get(index)
            if watched is not None and watched[0] != serial:
                self._unwatch(index)
                watched = None
            if watched is None:
                self._watch(index, serial, pid)
            if tree.is_dead(index) or self._became_another(index, serial, pid):
                self._dead.add(index << 32 | serial)

    def _became_another(self, index: int, serial: int, pid: int) -> bool:
        """Whether the process has been another program for a while: exec keeps pid and start time, but drops lock and mappings."""
        tree = self.tree
        if tree.lock_holder(FIRST_BYTE + index):
            self._unlocked.pop(index, None)
            return False
        known, since = self._unlocked.setdefault(index, (serial, _core.monotonic()))
        if known != serial:
            self._unlocked.pop(index)
        if known != serial or _core.monotonic() - since < UNLOCKED_NANOS:
            return False
        try:
            with open(f"/proc/{pid}/maps", "rb") as file:
                return f"shmrerun-{tree.token}".encode() not in file.read()
        except OSError:
            return False

    def _watch(self, index: int, serial: int, pid: int) -> None:
        fd = -1
        if len(self._pidfds) < self._most_pidfds:
            with contextlib.suppress(OSError, AttributeError):
                fd = os.pidfd_open(pid)
                self._poll.register(fd, select.POLLIN)
        self._pidfds[index] = (serial, fd)

    def _unwatch(self, index: int) -> None:
        _, fd = self._pidfds.pop(index, (0, -1))
        if fd >= 0:
            self._poll.unregister(fd)
            os.close(fd)

    def _stop_polling(self, fd: int) -> None:
        for index, (serial, known) in list(self._pidfds.items()):
            if known == fd:
                self._unwatch(index)
                self._pidfds[index] = (serial, -1)

    def _forget_dead(self) -> None:
        """Free the slots of dead processes that no session has as a member any more."""
        for ref in list(self._dead):
            if any(host.has_member(ref) for host in self.hosts.values()):
                continue
            self.tree.free_process(ref)
            self._unwatch(ref >> 32)
            self._dead.discard(ref)

    # ---- the end

    def _nobody_left(self) -> bool:
        return not any(claim & 0xFFFF_FFFF for _, claim in self.tree.claims())

    def _end(self) -> bool:
        """Remove the tree, unless somebody joins at this moment, or is making one of its name."""
        tree = self.tree
        locked = False
        with contextlib.suppress(OSError):  # the lock file was removed by somebody: then nobody can be joining by it
            if not lock_byte(tree.lock_fd(), BIRTH_BYTE):
                return False
            locked = True
        tree.words.state = STATE_ENDING
        _core.fence()  # SYNC POINT end
        if not self._nobody_left() or tree.sessions():
            tree.words.state = STATE_OPEN
            if locked:
                unlock_byte(tree.lock_fd(), BIRTH_BYTE)
            return False
        for name in segments.names_of(tree.token):  # what was being made when its maker died, and is in no table
            segments.unlink(name)
        segments.unlink(f"shmrerun-{tree.token}")
        remove_tree_files(tree.token, tree.directory)
        tree.words.state = STATE_ENDED
        self._live.ring()
        return True


class _Members:
    """The member tables of all hosted sessions, read anew each time."""

    def __init__(self, hosts: dict[int, Host]) -> None:
        self._hosts = hosts

    def __iter__(self) -> Iterator[list[tuple[int, ...]]]:
        return iter([host.words.members() for host in self._hosts.values()])


def main() -> None:
    """Run the aggregator of the tree named by the second word of the command line, ``shmrerun aggregator <tree>``."""
    token = sys.argv[3] if sys.argv[1:3] == ["shmrerun", "aggregator"] else sys.argv[-1]
    for name in ("SIGINT", "SIGQUIT", "SIGTSTP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        tree = Tree.attach(token)
    except FileNotFoundError:
        return  # the tree has ended
    except RuntimeError as error:
        faults.note(f"cannot join the tree: {error}")
        return
    aggregator = Aggregator(tree)

    def stop(*_: object) -> None:
        aggregator.stopping = True
        tree.wake()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    if not aggregator.elect():
        faults.note("another aggregator lives")
        return
    try:
        aggregator.run()
    except Exception:
        faults.note()


__all__ = ["Aggregator", "main"]
