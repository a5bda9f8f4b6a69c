"""A tree: a program and all processes it started, with one aggregator. Runtime directory, liveness, starting the aggregator.

The directory of a tree, ``<runtime>/<token>/``, holds ``lock``, ``bell`` (a FIFO) and, once something spilled, ``spill`` (a link to
where; see ``places``). Bytes of the lock file: 0 the aggregator; 1 held while the tree is made or removed; 2 held by ``shmrerun
recover``; 3 see ``meeting``; 16 + i process slot i.

Nobody is dead by one key: the byte lock must be free *and* pid and start time must say so; zombies count as gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
import sys
import time
from typing import TYPE_CHECKING

from shmrerun import _core
from shmrerun.errors import AggregatorError, SegmentError, say_once
from shmrerun.shm import places, segments

if TYPE_CHECKING:
    from collections.abc import Iterator

L = _core.LAYOUT
_SLOT, _PROCESS = L["sizeof.process_slot"], L["tree.process"]
_SESSIONS, _SESSION_SLOT = L["tree.session"], L["sizeof.session_slot"]
AGGREGATOR_BYTE, BIRTH_BYTE, RECOVER_BYTE, MEET_BYTE, FIRST_BYTE = 0, 1, 2, 3, 16
_FLOCK = "hhqqi"  # struct flock of fcntl(2) on 64-bit systems

STALE_NANOS = 300_000_000  # a heartbeat older than this makes producers look at the two keys
FAILED_STARTS = 5  # so many aggregators of ours died before they were ready: say why
START_NANOS = 10_000_000_000  # an aggregator that is not ready after this is given up, and another one started


# The aggregator is this very package, whatever else its interpreter has installed; nothing of the caller's path comes first.
_STUB = (
    "import sys,types;sys.path+=sys.argv[5:];package=types.ModuleType('shmrerun');package.__path__=[sys.argv[4]];"
    "sys.modules['shmrerun']=package;from shmrerun.aggregator.process import main;main()"
)


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
    if sys.platform == "linux":
        state, started = process_facts(pid)
        return state in ("", "Z", "X") or (start_time != 0 and started != start_time)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class Tree:
    """This process's part in one tree. Not inherited by fork: a child attaches for itself."""

    def __init__(self, token: str, directory: str, lock_fd: int, segment: _core.Segment) -> None:
        self.token = token
        self.directory = directory
        self.segment = segment
        self.stamp = _core.stamp()
        self.index = -1
        self.serial = 0
        self._lock_fd = lock_fd
        self._lock_file = self._identity(lock_fd)
        self._bell_fd = -1
        self._bell_file: tuple[int, int] | None = None
        self._launched = 0  # pid of the aggregator that we started last
        self._failed_starts = 0

    # ---- making and finding

    @classmethod
    def create(cls, token: str | None = None) -> Tree:
        """Make a tree, or join the one of that token (``SHMRERUN_TREE``). Raises SegmentError with what to do."""
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
            else:
                from shmrerun.shm import sweep  # it looks at trees

                sweep.notice(runtime)
            try:
                return cls._open(token, directory, make=True)
            except FileNotFoundError:
                continue

    @classmethod
    def attach(cls, token: str) -> Tree:
        """Join a tree that exists. FileNotFoundError: it does not (any more)."""
        if not token.isalnum():
            raise FileNotFoundError(token)
        runtime = places.runtime_of(token)
        return cls._open(places.settle(token, runtime), f"{runtime}/{token}", make=False)

    @classmethod
    def _open(cls, token: str, directory: str, *, make: bool) -> Tree:
        path = f"{directory}/lock"
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if make else 0), 0o600)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX, 1, BIRTH_BYTE)
            if cls._identity(fd) != cls._identity(path):  # the tree ended while we waited for the lock
                raise FileNotFoundError(path)
            segment = cls._segment(token, make=make)
            tree = cls(token, directory, fd, segment)
            tree._make_bell()
            if make:
                tree.claim()
            fcntl.lockf(fd, fcntl.LOCK_UN, 1, BIRTH_BYTE)
        except BaseException:
            os.close(fd)
            raise
        return tree

    @staticmethod
    def _segment(token: str, *, make: bool) -> _core.Segment:
        name = f"shmrerun-{token}"
        try:
            return segments.attach(name, L["TREE_MAGIC"], L["sizeof.tree"])
        except FileNotFoundError:
            if not make:
                raise
        except SegmentError:
            if not make or "not ready" not in str(sys.exception()):
                raise
            segments.unlink(name)  # its maker died half-way: we hold the birth lock
        segment = segments.create(name, L["sizeof.tree"])
        total, free = segments.free_bytes()
        segment.store(L["tree.state"], L["STATE_OPEN"])
        segment.store(L["tree.next_session"], 1)
        segment.store(L["tree.budget_limit"], min(total // 4, free // 4))
        segments.publish(segment, L["TREE_MAGIC"], token=token.encode().ljust(16, b"\0")[:16])
        return segment

    @staticmethod
    def _identity(file: int | str) -> tuple[int, int]:
        try:
            found = os.fstat(file) if isinstance(file, int) else os.stat(file)
        except OSError:
            return 0, 0
        return found.st_dev, found.st_ino

    def _make_bell(self) -> None:
        try:
            os.mkfifo(f"{self.directory}/bell", 0o600)
        except FileExistsError:
            return

    @contextlib.contextmanager
    def meeting(self, *, wanted: bool) -> Iterator[None]:
        """One process at a time, if wanted: those that meet in a named tree agree on one session and on one file."""
        if wanted:
            fcntl.lockf(self.lock_fd(), fcntl.LOCK_EX, 1, MEET_BYTE)
        try:
            yield
        finally:
            if wanted:
                fcntl.lockf(self.lock_fd(), fcntl.LOCK_UN, 1, MEET_BYTE)

    # ---- liveness

    def lock_fd(self) -> int:
        """The one descriptor of the lock file in this process; opened and locked again if the program closed it."""
        if self._identity(self._lock_fd) != self._lock_file:
            self._lock_fd = os.open(f"{self.directory}/lock", os.O_RDWR | os.O_CLOEXEC)
            self._lock_file = self._identity(self._lock_fd)
            if self.index >= 0:
                fcntl.lockf(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, FIRST_BYTE + self.index)
        return self._lock_fd

    def lock_holder(self, byte: int) -> int:
        """Pid of another process that holds a byte of the lock file (-1 if its pid has no number here), 0 if it is free."""
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(self.lock_fd(), fcntl.F_GETLK, asked)[: struct.calcsize(_FLOCK)])
        return 0 if kind == fcntl.F_UNLCK else int(pid) or -1

    @property
    def ref(self) -> int:
        """This process's reference in the tree: index << 32 | serial; 0 before :meth:`claim`."""
        return (self.index << 32 | self.serial) if self.index >= 0 else 0

    def claim(self) -> None:
        """Take a process slot: lock its byte first, then compare-and-swap. Idempotent. TreeEndedError: too late."""
        if self.index >= 0:
            return
        segment, fd = self.segment, self.lock_fd()
        count = L["TREE_PROCESSES"]
        start = segment.add(L["tree.next_process"], 1)  # round robin: a slot is reused as late as possible
        for step in range(count):
            index = (start + step) % count
            at = _PROCESS + index * _SLOT
            claim = segment.load(at)
            if claim & 0xFFFF_FFFF:
                continue
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, FIRST_BYTE + index)
            except OSError:
                continue
            serial = ((claim >> 32) + 1) & 0xFFFF_FFFF or 1
            if segment.swap(at, claim, serial << 32 | os.getpid()):
                segment.store(at + L["process_slot.current"], 0)
                segment.store(at + L["process_slot.pid_namespace"], pid_namespace())
                segment.store(at + L["process_slot.start_time"], process_facts()[1])
                self.index, self.serial = index, serial
                break
            fcntl.lockf(fd, fcntl.LOCK_UN, 1, FIRST_BYTE + index)
        else:
            msg = f"the tree has {count} processes that log, its limit (tree {self.token})"
            raise SegmentError(msg)
        # SYNC POINT end: our slot, fence, then their state; the aggregator: its state, fence, then the slots.
        _core.fence()
        deadline = time.monotonic() + 10
        while (state := segment.load(L["tree.state"])) == L["STATE_ENDING"] and time.monotonic() < deadline:
            time.sleep(0.001)
        if state != L["STATE_OPEN"]:
            msg = f"the tree has ended (tree {self.token})"
            raise TreeEndedError(msg)

    def process_slot(self, index: int) -> tuple[int, int, int, int]:
        """Pid (0: free), serial, start time and pid namespace of a process slot."""
        claim, started, namespace, _ = struct.unpack("4Q", self.segment.read(_PROCESS + index * _SLOT, _SLOT))
        return claim & 0xFFFF_FFFF, claim >> 32, started, namespace

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
        words = memoryview(self.segment.read(_PROCESS, L["TREE_PROCESSES"] * _SLOT)).cast("Q")[:: _SLOT // 8].tolist()
        return [(index, word) for index, word in enumerate(words) if word]

    def free_process(self, ref: int) -> None:
        """Give a dead process's slot back; its ``current`` stays readable. By the aggregator."""
        at = _PROCESS + (ref >> 32) * _SLOT
        claim = self.segment.load(at)
        if claim >> 32 == ref & 0xFFFF_FFFF:
            self.segment.swap(at, claim, claim & ~0xFFFF_FFFF)

    def ref_is_live(self, ref: int) -> bool:
        """Whether a process reference names a process that is not known to be dead."""
        index, serial = ref >> 32, ref & 0xFFFF_FFFF
        if not ref or index >= L["TREE_PROCESSES"]:
            return False
        pid, found, _, _ = self.process_slot(index)
        return bool(pid) and found == serial and not self.is_dead(index)

    # ---- what a process's global recording is

    def current_of(self, index: int) -> int:
        """Serial of the session that is the global recording of the process in a slot."""
        return self.segment.load(_PROCESS + index * _SLOT + L["process_slot.current"])

    @staticmethod
    def current_offset(index: int) -> int:
        """Where :meth:`current_of` reads: the word that followers watch."""
        return _PROCESS + index * _SLOT + L["process_slot.current"]

    def set_current(self, session: int) -> None:
        """Say which session is this process's global recording; its children follow."""
        self.segment.store(_PROCESS + self.index * _SLOT + L["process_slot.current"], session)
        self.segment.swap(L["tree.root"], 0, self.ref)

    # ---- sessions

    def add_session(self, serial: int, id_hash: int) -> None:
        """Enter a session that is ready into the table, where the aggregator and children find it."""
        count = L["TREE_SESSIONS"]
        for step in range(count):
            at = _SESSIONS + (serial + step) % count * _SESSION_SLOT
            if self.segment.load(at) == 0 and self.segment.swap(at, 0, serial):
                self.segment.store(at + L["session_slot.id_hash"], id_hash)
                return
        msg = f"the tree has {count} open recordings, its limit: disconnect and drop those that are done (tree {self.token})"
        raise SegmentError(msg)

    def sessions(self) -> list[tuple[int, int, int]]:
        """All entries of the session table: (index, serial, id hash)."""
        table = struct.unpack(f"{2 * L['TREE_SESSIONS']}Q", self.segment.read(_SESSIONS, L["TREE_SESSIONS"] * _SESSION_SLOT))
        return [(at // 2, table[at], table[at + 1]) for at in range(0, len(table), 2) if table[at]]

    def remove_session(self, serial: int) -> None:
        """Take an ended session out of the table. By the aggregator."""
        for index, found, _ in self.sessions():
            if found == serial:
                self.segment.store(_SESSIONS + index * _SESSION_SLOT, 0)

    def give_budget(self, size: int) -> None:
        """A segment of that many bytes was unlinked. By the aggregator."""
        self.segment.add(L["tree.budget_used"], -size)

    # ---- the doorbell and the aggregator

    def ring(self) -> None:
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
        if not certain and _core.monotonic() - self.segment.load(L["tree.heartbeat"]) < STALE_NANOS:
            return True
        if self.lock_holder(AGGREGATOR_BYTE):
            return True
        pid = self.segment.load(L["tree.aggregator_pid"])
        return bool(pid) and not process_gone(pid, self.segment.load(L["tree.aggregator_start"]))

    def ensure_aggregator(self, *, certain: bool = False) -> None:
        """Start an aggregator if there is none and nobody else is starting one. Cost: 50 ns while one lives.

        AggregatorError: it cannot be started.
        """
        if self.aggregator_is_live(certain=certain):
            return
        segment, now = self.segment, _core.monotonic()
        starter = segment.load(L["tree.starter"])
        if starter and starter == self.ref and self._launched and process_gone(self._launched, 0):
            self._failed_starts += 1  # ours died before it was ready
            if self._failed_starts >= FAILED_STARTS:
                segment.swap(L["tree.starter"], starter, 0)
                self._failed_starts = self._launched = 0
                msg = f"the aggregator ends as soon as it is started: {self.fault()}. Rows wait in shared memory"
                raise AggregatorError(msg)
        elif starter and now - segment.load(L["tree.starter_time"]) < START_NANOS and self.ref_is_live(starter):
            return
        self.claim()
        segment.store(L["tree.starter_time"], now)
        if segment.swap(L["tree.starter"], starter, self.ref):
            self._launch()

    def see_aggregator(self, seconds: float = 0.05) -> None:
        """Make sure that an aggregator lives at this very moment: ring, and see its heart beat, else look at both keys."""
        before = self.segment.load(L["tree.heartbeat"])
        self.ring()
        deadline = time.monotonic() + seconds
        while self.segment.load(L["tree.heartbeat"]) == before and time.monotonic() < deadline:
            time.sleep(0.0005)
        if self.segment.load(L["tree.heartbeat"]) == before:
            self.ensure_aggregator(certain=True)

    def fault(self) -> str:
        """Last line that an aggregator of this tree wrote to its stderr, empty if none had anything to say."""
        try:
            with open(f"{self.directory}/faults", encoding="utf-8", errors="replace") as file:
                return (file.read()[-4096:].strip().splitlines() or ["nothing was said"])[-1]
        except OSError:
            return "nothing was said"

    def _launch(self) -> None:
        python = os.environ.get("SHMRERUN_PYTHON") or _python()
        here = os.path.dirname(os.path.abspath(__file__))
        argv = [python, "-I", "-X", "utf8", "-c", _STUB, "shmrerun", "aggregator", self.token, here, *_library_paths()]
        drop = ("PYTHON", "RERUN", "SHMRERUN", "_RERUN")
        keep = [f"{k}={v}" for k, v in os.environ.items() if not k.startswith(drop) or k == "PYTHONHOME"]
        keep.append(f"{places.RUNTIME_VARIABLE}={os.path.dirname(self.directory)}")
        try:
            faults = os.fsencode(f"{self.directory}/faults")
            self._launched = _core.launch([os.fsencode(a) for a in argv], [os.fsencode(e) for e in keep], faults)
        except OSError as error:
            self.segment.store(L["tree.starter"], 0)
            msg = f"cannot start the aggregator: {error.strerror}. Set SHMRERUN_PYTHON to a Python that has shmrerun (tried {python})"
            raise AggregatorError(msg) from error

    # ---- leaving

    def depart(self, seconds: float) -> None:
        """Leave the tree before the process ends, and wait that long for its removal if nobody else is in it."""
        if self.index < 0:
            return
        ref, self.index = self.ref, -1
        self.free_process(ref)
        self.ring()
        deadline = time.monotonic() + seconds
        while not any(claim & 0xFFFF_FFFF for _, claim in self.claims()) and time.monotonic() < deadline:
            if self.segment.load(L["tree.state"]) == L["STATE_ENDED"]:
                return
            time.sleep(0.001)

    def close(self) -> None:
        """Drop this process's part: the lock falls, so the aggregator sees it gone once the process is."""
        for fd, identity in ((self._lock_fd, self._lock_file), (self._bell_fd, self._bell_file)):
            if fd >= 0 and self._identity(fd) == identity:
                os.close(fd)
        self._lock_fd = self._bell_fd = -1
        self.segment.close()


def _python() -> str:
    if getattr(sys, "frozen", False) or not sys.executable:
        msg = "this program has no Python interpreter of its own (frozen or embedded): set SHMRERUN_PYTHON to a Python that has shmrerun"
        raise AggregatorError(msg)
    spawn = sys.modules.get("multiprocessing.spawn")
    executable = spawn.get_executable() if spawn else None
    return os.fsdecode(executable or sys.executable)


def _library_paths() -> list[str]:
    """Where the aggregator's dependencies lie, for when they are not in its interpreter's own site-packages."""
    from importlib.util import find_spec

    paths: list[str] = []
    for name in ("posix_ipc", "numpy", "pyarrow", "google.protobuf", "xxhash"):
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is None or not spec.origin:
            say_once(f"missing {name}", f"the package {name} is not installed; the aggregator cannot work without it")
            continue
        up = os.path.dirname(spec.origin)
        for _ in range(name.count(".") + (1 if spec.submodule_search_locations else 0)):
            up = os.path.dirname(up)
        if up not in paths:
            paths.append(up)
    return paths
