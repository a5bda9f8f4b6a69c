"""A tree: a program and all processes it started, with one aggregator. Runtime directory, liveness, starting the aggregator.

The directory of a tree, ``<runtime>/<token>/``, holds ``lock`` (byte 0: the aggregator; byte 1: held while the tree is made or
removed; byte 2: ``shmrerun recover``; byte 3: see ``meeting``; byte 4: the live worker; byte 16 + i: process slot i), ``bell`` (a FIFO;
``live`` is the worker's) and, once something spilled, ``spill`` (a link to where; see ``places``).
An empty ``said-...`` stands there for each thing that a process of the tree has said, for the others to be quiet of
(``errors.say_once``).

Nobody is dead by one key: the byte lock must be free *and* pid and start time must say so; zombies count as gone. Nobody waits for
another process without a bound: joining takes no lock at all, making and removing a tree give up after ``BIRTH_SECONDS``.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING

from shmrerun import _core, errors
from shmrerun.errors import AggregatorError, SegmentError, say_once
from shmrerun.shm import places, segments
from shmrerun.shm.launch import launch
from shmrerun.shm.locks import lock_byte, lock_holder, unlock_byte
from shmrerun.shm.words import (
    STATE_ENDED,
    STATE_ENDING,
    STATE_OPEN,
    TREE_MAGIC,
    TREE_PROCESSES,
    TREE_SESSIONS,
    ProcessSlotView,
    SessionSlotView,
    TreeView,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shmrerun.shm.words import Sessions

AGGREGATOR_BYTE, BIRTH_BYTE, RECOVER_BYTE, MEET_BYTE, FIRST_BYTE = 0, 1, 2, 3, 16

STALE_NANOS = 300_000_000  # a heartbeat older than this makes producers look at the two keys
FAILED_STARTS = 5  # so many aggregators of ours died before they were ready: say why
START_NANOS = 10_000_000_000  # an aggregator that is not ready after this is given up, and another one started
BIRTH_SECONDS = 5.0  # whoever makes or removes a tree has so long, then the others say who it is
SAID = "said-"  # what the names of marks begin with
SWEEP_SECONDS = 10.0  # the end of a tree or session takes no longer, unless the aggregator died in it


class TreeEndedError(SegmentError):
    """The tree, or the session, is gone: its last process left and its aggregator finished."""


def process_facts(pid: int | None = None) -> tuple[str, int]:
    """State letter and start time (clock ticks since boot) of a process; ``("", 0)`` if there is none. Source: proc(5), stat."""
    try:
        with open(f"/proc/{pid or 'self'}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return "", 0
    return fields[0].decode(), int(fields[19])


def pid_namespace() -> int:
    """Inode of this process's pid namespace, 0 where there is none."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def process_gone(pid: int, start_time: int) -> bool:
    """Whether key two says dead: no such pid, a zombie, or another process's start time."""
    state, started = process_facts(pid)
    return state in ("", "Z", "X") or (start_time != 0 and started != start_time)


class _Said:
    """What a tree's processes have said: an empty file for each key, of whoever was first. Inherited by fork, as the tree is."""

    most = 256  # files of one process; further keys are told once a process

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._made = 0

    def __call__(self, key: str) -> bool:
        """Whether no process of the tree has said this yet; True too if that cannot be known."""
        from hashlib import blake2b

        if self._made >= self.most:
            return True
        digest = blake2b(key.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
        try:
            os.close(
                os.open(f"{self._directory}/{SAID}{digest}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            )
        except FileExistsError:
            return False
        except OSError:  # the tree is gone, or belongs to another user, or there is no room
            return True
        self._made += 1
        return True


class Tree:
    """This process's part in one tree. Not inherited by fork: a child attaches for itself."""

    def __init__(self, token: str, directory: str, lock_fd: int, segment: _core.Segment) -> None:
        self.token = token
        self.directory = directory
        self.segment = segment
        self.words = TreeView(segment)
        self.stamp = _core.stamp()
        self.index = -1
        self.serial = 0
        self._lock_fd = lock_fd
        self._lock_file = self._identity(lock_fd)
        self._bell_fd = -1
        self._bell_file: tuple[int, int] | None = None
        self.launched = 0  # pid of the aggregator that we started last, if it is known
        self._failed_starts = 0
        self._sessions: tuple[bytes, Sessions] = (b"", [])
        self.is_new = False  # we made it
        self.recount = True  # by the aggregator: what is taken of the budget may not be what exists

    # ---- making and finding

    @classmethod
    def create(cls, token: str | None = None) -> Tree:
        """Make a tree, or join the one of that token (``SHMRERUN_TREE``). Raises SegmentError with what to do."""
        deadline = time.monotonic() + BIRTH_SECONDS
        while True:
            runtime = places.runtime_directory()
            token = places.settle(token or places.new_token(), runtime)
            directory = f"{runtime}/{token}"
            try:
                os.mkdir(directory, 0o700)
            except FileExistsError:
                pass
            except FileNotFoundError:
                continue  # the last tree's end removed the runtime directory a moment ago
            try:
                return cls._make(token, directory, deadline)
            except (FileNotFoundError, TreeEndedError):
                if time.monotonic() > deadline:
                    raise SegmentError(f"the tree {token} disappears again and again while it is made: {directory}") from None
                time.sleep(0.001)

    @classmethod
    def attach(cls, token: str) -> Tree:
        """Join a tree that exists. FileNotFoundError: it does not (any more)."""
        if not token.isalnum():
            raise FileNotFoundError(token)
        runtime = places.runtime_of(token)
        directory = f"{runtime}/{places.settle(token, runtime)}"
        deadline = time.monotonic() + BIRTH_SECONDS
        while True:
            try:
                return cls._join(token, directory)
            except segments.NotReadyError:  # being made at this moment, or its maker died: then it is not there
                if time.monotonic() > deadline:
                    raise FileNotFoundError(directory) from None
                time.sleep(0.001)

    @classmethod
    def _join(cls, token: str, directory: str) -> Tree:
        """Map what is there, without a lock. The lock file is made before the segment and removed after it, so they belong together."""
        path = f"{directory}/lock"
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            segment = segments.attach(f"shmrerun-{token}", TREE_MAGIC, TreeView.size)
            if cls._identity(fd) != cls._identity(path):
                raise FileNotFoundError(path)
        except BaseException:
            os.close(fd)
            raise
        return cls(token, directory, fd, segment)

    @classmethod
    def _make(cls, token: str, directory: str, deadline: float) -> Tree:
        """Join the tree, or fill it under the birth lock; with a process slot."""
        with contextlib.suppress(FileNotFoundError, segments.NotReadyError):
            tree = cls._join(token, directory)
            tree.claim()
            return tree
        path = f"{directory}/lock"
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_CREAT, 0o600)
        try:
            while not lock_byte(fd, BIRTH_BYTE):
                if time.monotonic() > deadline:
                    raise SegmentError(
                        f"process {lock_holder(fd, BIRTH_BYTE)} has been making or removing this tree for {BIRTH_SECONDS:g} s; "
                        f"is it stopped? Continue or end it (tree {token})"
                    )
                time.sleep(0.001)
            if cls._identity(fd) != cls._identity(path):  # the tree ended while we waited for the lock
                raise FileNotFoundError(path)
            tree = cls(token, directory, fd, cls._segment(token))
            tree.is_new = True
            tree._make_bell()
            tree.claim()
            unlock_byte(fd, BIRTH_BYTE)
        except BaseException:
            os.close(fd)
            raise
        return tree

    @staticmethod
    def _segment(token: str) -> _core.Segment:
        """The tree's segment, made if it is not there or was not finished. Under the birth lock."""
        name = f"shmrerun-{token}"
        try:
            return segments.attach(name, TREE_MAGIC, TreeView.size)
        except FileNotFoundError:
            pass
        except segments.NotReadyError:
            segments.unlink(name)  # its maker died half-way: we hold the lock
        segment = segments.create(name, TreeView.size)
        total, free = segments.free_bytes()
        words = TreeView(segment)
        words.state = STATE_OPEN
        words.next_session = 1
        words.budget_limit = min(total // 4, free // 4)
        segments.publish(segment, TREE_MAGIC, token=token.encode().ljust(16, b"\0")[:16])
        return segment

    @staticmethod
    def _identity(file: int | str) -> tuple[int, int]:
        try:
            found = os.fstat(file) if isinstance(file, int) else os.stat(file)
        except OSError:
            return 0, 0
        return found.st_dev, found.st_ino

    def _make_bell(self) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkfifo(f"{self.directory}/bell", 0o600)

    @contextlib.contextmanager
    def meeting(self, *, wanted: bool) -> Iterator[None]:
        """One process at a time, if wanted: those that meet in a named tree agree on one session and on one file. Waits a bounded time."""
        deadline = time.monotonic() + SWEEP_SECONDS
        while wanted and not lock_byte(self.lock_fd(), MEET_BYTE):
            if time.monotonic() > deadline:
                holder = lock_holder(self.lock_fd(), MEET_BYTE)
                say_once("meeting", f"going on without process {holder}, which has been joining tree {self.token} for long; is it stopped?")
                break
            time.sleep(0.001)
        try:
            yield
        finally:
            if wanted:
                unlock_byte(self.lock_fd(), MEET_BYTE)

    # ---- liveness

    def lock_fd(self) -> int:
        """The one descriptor of the lock file in this process; opened and locked again if the program closed it. OSError: it is gone."""
        if self._identity(self._lock_fd) != self._lock_file:
            self._lock_fd = os.open(f"{self.directory}/lock", os.O_RDWR | os.O_CLOEXEC)
            self._lock_file = self._identity(self._lock_fd)
            if self.index >= 0:
                lock_byte(self._lock_fd, FIRST_BYTE + self.index)
        return self._lock_fd

    def lock_holder(self, byte: int) -> int:
        """Pid of another process that holds a byte of the lock file (-1 if its pid has no number here), 0 if it is free."""
        try:
            return lock_holder(self.lock_fd(), byte)
        except OSError:  # the file was removed by somebody: the other key decides
            return 0

    @property
    def ref(self) -> int:
        """This process's reference in the tree: index << 32 | serial; 0 before :meth:`claim`."""
        return (self.index << 32 | self.serial) if self.index >= 0 else 0

    def claim(self) -> None:
        """Take a process slot: lock its byte first, then compare-and-swap. Idempotent. TreeEndedError: too late."""
        if self.index >= 0:
            return
        words, fd = self.words, self.lock_fd()
        start = words.add(TreeView.next_process, 1)  # round robin: a slot is reused as late as possible
        for step in range(TREE_PROCESSES):
            index = (start + step) % TREE_PROCESSES
            slot = words.process(index)
            claim = slot.claim
            if claim & 0xFFFF_FFFF or not lock_byte(fd, FIRST_BYTE + index):
                continue
            serial = ((claim >> 32) + 1) & 0xFFFF_FFFF or 1
            if slot.swap(ProcessSlotView.claim, claim, serial << 32 | os.getpid()):
                slot.current = 0
                slot.pid_namespace = pid_namespace()
                slot.start_time = process_facts()[1]
                self.index, self.serial = index, serial
                break
            unlock_byte(fd, FIRST_BYTE + index)
        else:
            raise SegmentError(f"the tree has {TREE_PROCESSES} processes that log, its limit (tree {self.token})")
        # SYNC POINT end: our slot, fence, then their state; the aggregator: its state, fence, then the slots.
        _core.fence()
        deadline = time.monotonic() + SWEEP_SECONDS
        while (state := words.state) == STATE_ENDING and time.monotonic() < deadline:
            time.sleep(0.001)
            self.ensure_aggregator()  # one that died in the middle of the end has to be followed
        if state != STATE_OPEN:
            ref, self.index = self.ref, -1
            self.free_process(ref)
            unlock_byte(fd, FIRST_BYTE + (ref >> 32))
            raise TreeEndedError(f"the tree has ended (tree {self.token})")
        errors.is_first_to_say = _Said(self.directory)

    def process_slot(self, index: int) -> tuple[int, int, int, int]:
        """Pid (0: free), serial, start time and pid namespace of a process slot."""
        slot = self.words.process(index)
        claim = slot.claim
        return claim & 0xFFFF_FFFF, claim >> 32, slot.start_time, slot.pid_namespace

    def is_dead(self, index: int) -> bool:
        """Whether both keys say that the process of a slot is gone. Another pid namespace has the lock alone."""
        pid, _, started, namespace = self.process_slot(index)
        if not pid or index == self.index or self.lock_holder(FIRST_BYTE + index):
            return False
        if namespace and namespace != pid_namespace():
            return True
        return process_gone(pid, started)

    def claims(self) -> list[tuple[int, int]]:
        """Claim words of all process slots that were ever used: (index, serial << 32 | pid)."""
        return [(index, claim) for index, (claim, _, _) in self.words.processes()]

    def free_process(self, ref: int) -> None:
        """Give a dead process's slot back; its ``current`` stays readable. By the aggregator."""
        slot = self.words.process(ref >> 32)
        claim = slot.claim
        if claim >> 32 == ref & 0xFFFF_FFFF:
            slot.swap(ProcessSlotView.claim, claim, claim & ~0xFFFF_FFFF)

    def ref_is_live(self, ref: int) -> bool:
        """Whether a process reference names a process that is not known to be dead."""
        index, serial = ref >> 32, ref & 0xFFFF_FFFF
        if not ref or index >= TREE_PROCESSES:
            return False
        pid, found, _, _ = self.process_slot(index)
        return bool(pid) and found == serial and not self.is_dead(index)

    # ---- what a process's global recording is

    def current_of(self, index: int) -> int:
        """Serial of the session that is the global recording of the process in a slot."""
        return self.words.process(index).current

    def current_offset(self, index: int) -> int:
        """Where :meth:`current_of` reads: the word that followers watch."""
        return self.words.process(index).at + ProcessSlotView.current.offset

    def set_current(self, session: int) -> None:
        """Say which session is this process's global recording; its children follow."""
        self.words.process(self.index).current = session
        self.words.swap(TreeView.root, 0, self.ref)

    # ---- sessions

    def add_session(self, serial: int, id_hash: int) -> None:
        """Enter a session that is ready into the table, where the aggregator and children find it."""
        for step in range(TREE_SESSIONS):
            slot = self.words.session((serial + step) % TREE_SESSIONS)
            if slot.serial == 0 and slot.swap(SessionSlotView.serial, 0, serial):
                slot.id_hash = id_hash
                return
        raise SegmentError(
            f"the tree has {TREE_SESSIONS} open recordings, its limit: disconnect and drop those that are done (tree {self.token})"
        )

    def sessions(self) -> Sessions:
        """All entries of the session table: (index, serial, id hash). Looking again at one that did not change costs next to nothing."""
        self._sessions = self.words.sessions(self._sessions)
        return self._sessions[1]

    def remove_session(self, serial: int) -> None:
        """Take an ended session out of the table. By the aggregator."""
        for index, found, _ in self.sessions():
            if found == serial:
                self.words.session(index).serial = 0

    def give_budget(self, size: int) -> None:
        """A segment of that many bytes was unlinked. By the aggregator."""
        self.words.add(TreeView.budget_used, -size)

    # ---- the doorbell and the aggregator

    def wake(self) -> None:
        """Wake the aggregator: one byte into its FIFO. Never blocks, never raises; no SIGPIPE, for we hold it open both ways."""
        try:
            if self._bell_fd < 0 or self._identity(self._bell_fd) != self._bell_file:
                fd = os.open(f"{self.directory}/bell", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
                if not stat.S_ISFIFO(os.fstat(fd).st_mode):
                    os.close(fd)
                    return
                self._bell_fd, self._bell_file = fd, self._identity(fd)
            os.write(self._bell_fd, b"!")
        except OSError:
            return

    def aggregator_is_live(self, *, certain: bool = False) -> bool:
        """Whether there is an aggregator: by a fresh heartbeat, unless it must be ``certain``, else by both keys."""
        if not certain and _core.monotonic() - self.words.heartbeat < STALE_NANOS:
            return True
        if self.lock_holder(AGGREGATOR_BYTE):
            return True
        pid = self.words.aggregator_pid
        return bool(pid) and not process_gone(pid, self.words.aggregator_start)

    def ensure_aggregator(self, *, certain: bool = False) -> None:
        """Start an aggregator if there is none and nobody else is starting one. Cost: 50 ns while one lives.

        AggregatorError: it cannot be started.
        """
        if self.aggregator_is_live(certain=certain):
            return
        words, now = self.words, _core.monotonic()
        starter = words.starter
        if starter and starter == self.ref and self.launched and process_gone(self.launched, 0):
            self._failed_starts += 1  # ours died before it was ready
            if self._failed_starts >= FAILED_STARTS:
                words.swap(TreeView.starter, starter, 0)
                self._failed_starts = self.launched = 0
                raise AggregatorError(f"the aggregator ends as soon as it is started: {self.fault()}. Rows wait in shared memory")
        elif starter and now - words.starter_time < START_NANOS and self.ref_is_live(starter):
            return
        self.claim()
        words.starter_time = now
        if words.swap(TreeView.starter, starter, self.ref):
            try:
                self.launched = launch("aggregator", self.token, self.directory)
            except BaseException:
                words.starter = 0
                raise

    def see_aggregator(self, seconds: float = 0.05) -> None:
        """Make sure that an aggregator lives at this very moment: ring, and see its heart beat, else look at both keys."""
        before = self.words.heartbeat
        self.wake()
        deadline = time.monotonic() + seconds
        while self.words.heartbeat == before and time.monotonic() < deadline:
            time.sleep(0.0005)
        if self.words.heartbeat == before:
            self.ensure_aggregator(certain=True)

    def fault(self) -> str:
        """Last line that an aggregator of this tree wrote to its stderr, empty if none had anything to say."""
        try:
            with open(f"{self.directory}/faults", encoding="utf-8", errors="replace") as file:
                return (file.read()[-4096:].strip().splitlines() or ["nothing was said"])[-1]
        except OSError:
            return "nothing was said"

    # ---- leaving

    def depart(self, seconds: float) -> None:
        """Leave the tree before the process ends, and wait that long for its removal if nobody else is in it."""
        if self.index < 0:
            return
        ref, self.index = self.ref, -1
        errors.is_first_to_say = None  # nothing may be made in the directory of a tree that ends
        self.free_process(ref)
        self.wake()
        deadline = time.monotonic() + seconds
        while not any(claim & 0xFFFF_FFFF for _, claim in self.claims()) and time.monotonic() < deadline:
            if self.words.state == STATE_ENDED:
                return
            time.sleep(0.001)

    def close(self) -> None:
        """Drop this process's part: the lock falls, so the aggregator sees it gone once the process is."""
        for fd, identity in ((self._lock_fd, self._lock_file), (self._bell_fd, self._bell_file)):
            if fd >= 0 and self._identity(fd) == identity:
                os.close(fd)
        self._lock_fd = self._bell_fd = -1
        self.segment.close()
