"""What the tests share: programs as scripts with a deadline, and files read back by Rerun's own reader."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from typing import NamedTuple

import pytest

from shmrerun import _core, testing
from shmrerun.shm import places, segments
from shmrerun.shm.session import sinks
from shmrerun.shm.words import SessionView

L = _core.LAYOUT
RUNTIME = places.RUNTIME_VARIABLE
HERE = os.path.dirname(os.path.abspath(__file__))
MARK = "SUITE_MARK"  # in the environment of every program that this run starts, so that its processes can be found
RUN = f"{os.getpid()}-{os.urandom(4).hex()}"  # what the marks of this run begin with; each worker of xdist is a run of its own
_counter = 0


# ---- files


def read_rows(path):
    """Rows of an .rrd by entity, in file order: dicts of ``row_id``, ``chunk`` (its number) and every column that is not null."""
    import pyarrow as pa
    from rerun.chunk import RrdReader

    rows = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="RRD file has no footer")  # a file that still grows
        chunks_of_file = list(RrdReader(str(path)).stream())
    for number, chunk in enumerate(chunks_of_file):
        batch = chunk.to_record_batch()
        entity = batch.schema.metadata[b"rerun:entity_path"].decode()
        columns = {}
        for field, column in zip(batch.schema, batch.columns, strict=True):
            name = "row_id" if field.name == "rerun.controls.RowId" else field.name
            if pa.types.is_timestamp(column.type) or pa.types.is_duration(column.type):
                column = column.cast(pa.int64())
            columns[name] = [_bytes(value) for value in column] if _are_blobs(column.type) else column.to_pylist()
        found = rows.setdefault(entity, [])
        for at in range(batch.num_rows):
            row = {name: values[at] for name, values in columns.items() if values[at] is not None}
            row["chunk"] = number
            found.append(row)
    return rows


def _are_blobs(kind):
    import pyarrow as pa

    return pa.types.is_list(kind) and pa.types.is_list(kind.value_type) and kind.value_type.value_type == pa.uint8()


def _bytes(value):
    """A list of blobs as bytes: images as lists of numbers would take seconds."""
    return [blob.values.to_numpy().tobytes() for blob in value] if value.is_valid else None


def check(path):
    """Verify an .rrd with Rerun's command line, check that row ids ascend in each chunk and none is there twice; return its rows."""
    done = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "rerun"), "rrd", "verify", str(path)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "NO_COLOR": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"rerun rrd verify {path}: {done.stdout}{done.stderr}"
    rows = read_rows(path)
    seen = set()
    last = {}
    for entity, found in rows.items():
        for row in found:
            assert row["row_id"] not in seen, f"a row of {entity} is there twice: {row}"
            seen.add(row["row_id"])
            before = last.get(row["chunk"], b"")
            assert before < row["row_id"], f"row ids of a chunk of {entity} do not ascend: {before.hex()} then {row['row_id'].hex()}"
            last[row["chunk"]] = row["row_id"]
    return rows


def scalars(rows, entity):
    """The scalars of an entity's rows, in file order: tuples if rows have several."""
    found = [row["Scalars:scalars"] for row in rows.get(entity, [])]
    return [tuple(int(v) for v in values) if len(values) > 1 else int(values[0]) for values in found]


def chunks(rows):
    """Number of chunks that hold an entity that is not a property."""
    return len({row["chunk"] for entity, found in rows.items() if not entity.startswith("/__") for row in found})


def has_footer(path):
    """Whether a file ends as a finished recording does."""
    with open(path, "rb") as file:
        file.seek(-12, os.SEEK_END)
        return b"RRF2FOOT" in file.read()


# ---- programs


class Result(NamedTuple):
    """How a program ended."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float


class Program:
    """A running script with its output in files, in a process group of its own."""

    def __init__(self, process, base, deadline):
        self.process, self.base, self.deadline = process, base, deadline
        self.began = time.monotonic()

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        with (
            open(self.base + ".out", encoding="utf-8", errors="replace") as out,
            open(self.base + ".err", encoding="utf-8", errors="replace") as err,
        ):
            return out.read(), err.read()

    def wait(self, *, check=True):
        """Wait for the program, not for what it leaves running. On the deadline: stacks of all its processes, then fail."""
        while True:
            try:
                code = self.process.wait(max(0.1, self.began + self.deadline - time.monotonic()))
                break
            except subprocess.TimeoutExpired:
                waited = time.monotonic() - self.began
                if waited < self.deadline * testing.load():
                    continue
            report = "\n".join([f"no end within {waited:.0f} s", *self.output(), stacks(processes(self.base)), describe()])
            self.kill()
            raise AssertionError(report)
        result = Result(code, *self.output(), time.monotonic() - self.began)
        if check:
            assert code == 0, f"exit code {code}\n{result.stdout}\n{result.stderr}"
        return result

    def kill(self):
        """End what this program started."""
        for pid in processes(self.base):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)


def start(text, tmp_path, *, arguments=(), deadline=60, env=None, prefix=(), shared=True, strict=True, name="program"):
    """Write a script and run it. ``prefix``: a command to run it under. ``shared``: it may import :mod:`helpers_programs`.

    ``strict``: warnings are errors in it.
    """
    global _counter
    _counter += 1
    base = f"{tmp_path}/{name}{_counter}"
    path = f"{base}.py"
    seconds = (deadline - min(5, deadline / 2)) * testing.load()
    watchdog = f"import faulthandler; faulthandler.enable(); faulthandler.dump_traceback_later({seconds})\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(watchdog + textwrap.dedent(text))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SHMRERUN", "RERUN", "_RERUN"))}
    runtime = os.environ[RUNTIME]
    if SMALL_SHM in prefix:  # where nobody else looks
        runtime = private_shm(runtime)
    environment |= {MARK: f"{RUN}:{base}", RUNTIME: runtime}
    environment |= {"PYTHONPATH": HERE} if shared else {}
    environment |= env or {}
    flags = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"] if strict else []
    with open(base + ".out", "wb") as out, open(base + ".err", "wb") as err:
        process = subprocess.Popen(
            [*prefix, sys.executable, *flags, path, *map(str, arguments)], cwd=str(tmp_path), env=environment,
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
        )  # fmt: skip
    return Program(process, base, deadline)


def run(text, tmp_path, *, check=True, **options):
    """Run a script to its end; see :func:`start`."""
    program = start(text, tmp_path, **options)
    try:
        return program.wait(check=check)
    finally:
        if program.process.poll() is None:
            program.kill()


def processes(mark=None):
    """Pids of living processes that this run started: all, or those of one program."""
    wanted = f"\0{MARK}={RUN}:{mark}\0".encode() if mark else f"\0{MARK}={RUN}:".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if wanted in b"\0" + file.read() + b"\0":
                        found.append(int(name))
            except OSError:
                continue
    return found


trees_before = set()  # that others left or have; set when a test begins


def trees():
    """Tokens of the trees that were made since the test began."""
    return [tree for tree in testing.trees() if tree not in trees_before]


def is_gone(pid):
    """Whether a process has ended; a zombie has."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


# ---- what went wrong


def stacks(pids):
    """Stacks of processes, by py-spy; and their groups and signals."""
    texts = []
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            texts.append(
                f"--- {pid}: group {os.getpgid(pid)}, " + ", ".join(line.strip() for line in file if line.startswith(("Sig", "Shd")))
            )
        command = [os.path.join(os.path.dirname(sys.executable), "py-spy"), "dump", "--pid", str(pid)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            texts.append(f"--- {pid}\n{done.stdout}{done.stderr}")
        except (OSError, subprocess.TimeoutExpired) as error:
            texts.append(f"--- {pid}: no stack ({error})")
    return "\n".join(texts)


def describe():
    """State words of every tree and session, for a failure's report."""
    texts = []
    for token in testing.trees():
        try:
            tree = segments.attach(f"shmrerun-{token}", L["TREE_MAGIC"], L["sizeof.tree"])
        except (OSError, RuntimeError) as error:
            texts.append(f"tree {token}: {error}")
            continue
        age = (_core.monotonic() - tree.load(L["tree.heartbeat"])) / 1e9
        words = ("tree.state", "tree.epoch", "tree.aggregator_pid", "tree.starter", "tree.budget_used")
        texts.append(f"tree {token}: heartbeat {age:.2f} s ago, " + ", ".join(f"{w[5:]} {tree.load(L[w])}" for w in words))
        for index in range(64):
            at = L["tree.process"] + index * L["sizeof.process_slot"]
            if claim := tree.load(at):
                pid = claim & 0xFFFF_FFFF
                texts.append(f"  process slot {index}: pid {pid}, serial {claim >> 32}, {'gone' if is_gone(pid) else 'there'}")
        for name in sorted(os.listdir("/dev/shm")):
            if re.fullmatch(f"shmrerun-{token}(\\.[0-9a-z]+){{3}}", name):
                with contextlib.suppress(OSError, RuntimeError):
                    lane = segments.attach(name, L["LANE_MAGIC"], L["sizeof.lane"])
                    words = ("lane.tail", "lane.head_position", "lane.closed", "lane.ring_size", "lane.dictionary_tail")
                    texts.append(f"  {name}: " + ", ".join(f"{w[5:]} {lane.load(L[w])}" for w in words))
            if not re.fullmatch(f"shmrerun-{token}\\.[0-9a-z]+", name):
                continue
            try:
                session = segments.attach(name, L["SESSION_MAGIC"], L["sizeof.session"])
            except (OSError, RuntimeError) as error:
                texts.append(f"  {name}: {error}")
                continue
            words = (
                "session.state",
                "session.rows",
                "session.chunks",
                "session.flush_wanted",
                "session.flush_done",
                "session.dropped_limit",
            )
            members = []
            for member in range(L["SESSION_MEMBERS"]):
                at = L["session.member"] + member * L["sizeof.member"]
                if session.load(at):
                    states = {w: session.load32(at + L[f"member.{w}"]) for w in ("oldest", "newest", "left")}
                    members.append({"slot": session.load(at) >> 32, **states})
            texts.append(f"  {name}: " + ", ".join(f"{w[8:]} {session.load(L[w])}" for w in words) + f"; members {members}")
            if size := session.load32(L["session.message_size"]):
                texts.append("    message: " + session.read(L["session.message"], min(size, 1016)).decode("utf-8", "replace"))
            texts += [f"    {sink}" for sink in sinks(SessionView(session))]
    return "\n".join(texts)


# ---- what the machine permits


def can(*command):
    """Whether a command works here, for tests that need privileges."""
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


needs_mounts = pytest.mark.skipif(
    sys.platform != "linux" or not can("unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"),
    reason="needs permission to mount a tmpfs in a mount namespace of its own",
)
needs_pid_namespace = pytest.mark.skipif(
    sys.platform != "linux" or not can("unshare", "-m", "--pid", "--fork", "--mount-proc", "true"),
    reason="needs permission to make a pid namespace",
)


SMALL_SHM = "small_shm"  # the shell's name for itself


def private_shm(runtime):
    """The runtime directory of programs that have a /dev/shm of their own; what they spill begins with its prefix."""
    return f"/dev/shm/{os.path.basename(runtime)}"


def small_shm(size, *options):
    """Command prefix that gives a program a /dev/shm of its own of that size ("64m"); ``options`` are unshare's."""
    return ("unshare", "-m", *options, "sh", "-c", f'mount -t tmpfs -o size={size},mode=1777 tmpfs /dev/shm && exec "$@"', SMALL_SHM)
