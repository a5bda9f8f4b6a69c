"""Entry point and loop of the aggregator: election, hosting of all sessions of its tree, reaping, end.

The loop's one thread waits on nothing but the doorbell, the tick and the log files. Pidfds in the same poll tell of deaths at
once; they only make it look, nobody is dead without both keys.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
import threading
import time
import traceback

from shmrerun import _core
from shmrerun.aggregator.host import Host
from shmrerun.shm import segments
from shmrerun.shm.sweep import remove_tree_files
from shmrerun.shm.tree import AGGREGATOR_BYTE, BIRTH_BYTE, FIRST_BYTE, Tree, process_facts, process_gone

L = _core.LAYOUT
TURN_NANOS = 50_000_000  # how often lanes are looked at while rows come
IDLE_SECONDS = 0.2  # longest sleep: keeps the heartbeat fresh
FAILURES = 50  # a session that fails this often, and has nobody left, is given up
UNLOCKED_NANOS = 2_000_000_000
REAP_NANOS = 250_000_000


class Aggregator:
    """The one aggregator of a tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.hosts: dict[int, Host] = {}
        self.failures: dict[int, int] = {}
        self.stopping = False
        self._bell = os.open(f"{tree.directory}/bell", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        self._pidfds: dict[int, tuple[int, int]] = {}  # slot -> (serial, pidfd)
        self._dead: set[int] = set()
        self._unlocked: dict[int, tuple[int, int]] = {}  # slot -> serial, and since when its lock is free though it lives
        self._next_reap = 0

    # ---- election

    def elect(self) -> bool:
        """Become the aggregator. False: there is one, by either key."""
        try:
            fcntl.lockf(self.tree.lock_fd(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, AGGREGATOR_BYTE)
        except OSError:
            return False
        segment = self.tree.segment
        pid = segment.load(L["tree.aggregator_pid"])
        if pid and pid != os.getpid() and not process_gone(pid, segment.load(L["tree.aggregator_start"])):
            return False  # alive, though its lock fell by accident
        segment.store(L["tree.aggregator_start"], process_facts()[1])
        segment.store(L["tree.aggregator_pid"], os.getpid())
        self._beat()
        segment.store(L["tree.starter"], 0)
        return True

    def _beat(self) -> None:
        self.tree.segment.store(L["tree.heartbeat"], _core.monotonic())

    # ---- the loop

    def run(self) -> None:
        """Serve until no process of the tree is left, then remove all that is the tree's."""
        segment = self.tree.segment
        self._adopt()
        segment.add(L["tree.epoch"], 1)
        while True:
            segment.store32(L["tree.need_wake"], 0)
            now = _core.monotonic()
            segment.store(L["tree.heartbeat"], now)
            if now >= self._next_reap:
                self._next_reap = now + REAP_NANOS
                self._look_for_dead()
            self._adopt()
            stopping, self.stopping = self.stopping, False
            due = [due for host in list(self.hosts.values()) if (due := self._turn(host, now, end_all=stopping)) is not None]
            self._forget_dead()
            if not self.hosts and not self._dead and self._nobody_left() and self._end():
                return
            self._sleep(min(due, default=None))

    def _turn(self, host: Host, now: int, *, end_all: bool) -> int | None:
        """One turn of a session. One bad session never stops the others."""
        try:
            due = host.turn(now, self._dead, end_all=end_all)
        except Exception as error:
            count = self.failures[host.serial] = self.failures.get(host.serial, 0) + 1
            if count < 10:
                traceback.print_exc()
            host.say(f"the aggregator failed on this recording ({count} times): {error!r} {traceback.format_exc()[-500:]}")
            if count > FAILURES and host.abandon(self._dead):
                self.hosts.pop(host.serial, None)
            return now + min(count, 20) * TURN_NANOS
        if host.ended:
            self.hosts.pop(host.serial, None)
        return due

    def _adopt(self) -> None:
        """Host sessions that were entered into the table since the last turn."""
        for _, serial, _ in self.tree.sessions():
            if serial in self.hosts:
                continue
            try:
                self.hosts[serial] = Host(self.tree, serial)
            except FileNotFoundError:
                self.tree.remove_session(serial)
            except (RuntimeError, ValueError):
                self.failures[serial] = self.failures.get(serial, 0) + 1
                if self.failures[serial] > 100:
                    self.tree.remove_session(serial)

    def _sleep(self, due: int | None) -> None:
        """Until the bell, a death or the next tick; armed when there is nothing at all to do."""
        now = _core.monotonic()
        if due is None:
            self.tree.segment.store32(L["tree.need_wake"], 1)
            _core.fence()  # SYNC POINT wake, consumer's half: arm, fence, look again
            if self._has_work():
                return
            wait = IDLE_SECONDS
        else:
            wait = max(0.0, min(due - now, TURN_NANOS) / 1e9)
        events = self._poll.poll(wait * 1000)
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
        for index, claim in tree.claims():
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
        try:
            fd = os.pidfd_open(pid)
        except (OSError, AttributeError):
            fd = -1
        if fd >= 0:
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
            self._dead.discard(ref)

    # ---- the end

    def _nobody_left(self) -> bool:
        return not any(claim & 0xFFFF_FFFF for _, claim in self.tree.claims())

    def _end(self) -> bool:
        """Remove the tree, unless somebody joins at this moment."""
        tree = self.tree
        segment = tree.segment
        fcntl.lockf(tree.lock_fd(), fcntl.LOCK_EX, 1, BIRTH_BYTE)
        segment.store(L["tree.state"], L["STATE_ENDING"])
        _core.fence()  # SYNC POINT end
        if not self._nobody_left() or tree.sessions():
            segment.store(L["tree.state"], L["STATE_OPEN"])
            fcntl.lockf(tree.lock_fd(), fcntl.LOCK_UN, 1, BIRTH_BYTE)
            return False
        segments.unlink(f"shmrerun-{tree.token}")
        remove_tree_files(tree.token, tree.directory)
        segment.store(L["tree.state"], L["STATE_ENDED"])
        return True


def _import_ahead() -> None:
    """What the first chunk will need, while lanes are being drained already."""
    import shmrerun.model.arrow_types
    import shmrerun.rrd.chunk
    import shmrerun.rrd.encoder
    import shmrerun.rrd.footer  # noqa: F401


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
        sys.stderr.write(f"cannot join the tree: {error}\n")
        return
    aggregator = Aggregator(tree)

    def stop(*_: object) -> None:
        aggregator.stopping = True
        tree.ring()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    if not aggregator.elect():
        sys.stderr.write("another aggregator lives\n")
        return
    importer = threading.Thread(target=_import_ahead, daemon=True)
    importer.start()
    while True:
        try:
            aggregator.run()
            break
        except Exception:  # a fault of the loop itself: everything it needs is in shared memory, so go on
            traceback.print_exc()  # stderr is the tree's file of faults
            time.sleep(0.1)
    importer.join(5)


__all__ = ["Aggregator", "main"]
