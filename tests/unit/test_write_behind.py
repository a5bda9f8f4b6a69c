"""Files on their way to the device while they are written."""

import os
import threading

import pytest

from shmrerun import _core
from shmrerun.aggregator import write_behind
from shmrerun.aggregator.commit_log import CommitLog
from shmrerun.aggregator.descriptors import Descriptors
from shmrerun.aggregator.write_behind import STEP_BYTES
from shmrerun.aggregator.writes import DIRECT_BYTES, Writes
from shmrerun.framing import SET_STORE_INFO, frame
from shmrerun.testing import wait_until


@pytest.fixture
def steps(monkeypatch):
    """What the system was told: name, offset and size, by descriptors that were open then."""
    told, real = [], _core.write_behind

    def tell(fd, offset, size):
        told.append((os.path.basename(os.readlink(f"/proc/self/fd/{fd}")), offset, size))
        real(fd, offset, size)

    monkeypatch.setattr(_core, "write_behind", tell)
    return told


def ours(path):
    """Descriptors of this process that a file is open by."""
    names = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return [name for name in names if os.path.lexists(name) and os.readlink(name) == str(path)]


def test_no_descriptor_is_kept(tmp_path, steps):
    """Each step has a descriptor of its own, closed when it is done; the caller may close its own at once, or have none any more."""
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    for step in range(20):
        os.pwrite(fd, b"x" * 4096, step * STEP_BYTES)
        write_behind.begin(fd, step * STEP_BYTES, (step + 1) * STEP_BYTES)
    os.close(fd)
    write_behind.begin(fd, 0, STEP_BYTES)
    wait_until(lambda: len(steps) == 20 and not ours(path), 60, "all are told, and their descriptors closed")
    assert steps == [("file", step * STEP_BYTES, STEP_BYTES) for step in range(20)]
    assert path.stat().st_size == 19 * STEP_BYTES + 4096


@pytest.mark.parametrize("is_spool", [False, True])
def test_a_users_file_but_no_spool(tmp_path, steps, is_spool):
    """What is appended to a user's file is told of once it comes to 8 MiB; a spool is left to the system."""
    path = tmp_path / "log.rrd"
    log = CommitLog(os.open(path, os.O_RDWR | os.O_CREAT), str(path), ("app", "rec"), Descriptors(10), is_spool=is_spool)
    sizes = []
    for _ in range(6):
        log.append_messages(frame(SET_STORE_INFO, bytes(3 << 20)))
        sizes.append(log.size)
    expected = [] if is_spool else [("log.rrd", 0, sizes[2]), ("log.rrd", sizes[2], sizes[5] - sizes[2])]
    wait_until(lambda: len(steps) >= len(expected), 60, "the steps are told")
    log.close()
    assert steps == expected


def test_a_slow_disk_holds_up_no_direct_write(tmp_path, monkeypatch):
    """Whoever waits for one disk to take what is told of it does not keep another file's messages from theirs."""
    busy, asked = threading.Event(), threading.Event()
    monkeypatch.setattr(_core, "write_behind", lambda *_: (asked.set(), busy.wait()))
    fd = os.open(tmp_path / "slow", os.O_RDWR | os.O_CREAT)
    write_behind.begin(fd, 0, STEP_BYTES)
    asked.wait()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    into, data = Writes(), bytes(DIRECT_BYTES)
    into.write(other, [data], len(data), 0, directly=True)
    [(part, _)] = into._parts
    done = part._done.wait(60)
    busy.set()
    assert done
    into.settle()
    os.close(fd)
    os.close(other)
