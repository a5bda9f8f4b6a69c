"""Large messages go past the page cache, and what is in the file is the same."""

import errno
import fcntl
import os
import random
import resource
import signal

import pytest

from shmrerun.aggregator import writes
from shmrerun.aggregator.commit_log import CommitLog
from shmrerun.aggregator.descriptors import Descriptors
from shmrerun.aggregator.writes import BLOCK, DIRECT_BYTES, STAGE_BYTES, Writes
from shmrerun.framing import SET_STORE_INFO, frame


@pytest.fixture
def fd(tmp_path):
    """A new file."""
    number = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield number
    os.close(number)


@pytest.fixture
def direct(monkeypatch, tmp_path):
    """Offsets and sizes of what is written past the page cache."""
    try:
        os.close(os.open(tmp_path / "probe", os.O_RDWR | os.O_CREAT | os.O_DIRECT))
    except OSError:
        pytest.skip("the file system has no direct writes")
    told, real = [], os.pwritev

    def tell(number, buffers, offset):
        count = real(number, buffers, offset)
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_DIRECT:
            told.append((offset, count))
        return count

    monkeypatch.setattr(os, "pwritev", tell)
    return told


def pieces(data, seed):
    """The same bytes in several buffers, some of them empty."""
    source = random.Random(seed)
    cuts = sorted(source.randrange(len(data) + 1) for _ in range(5))
    return [memoryview(data)[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.parametrize("seed", range(4))
def test_messages_of_every_size(fd, direct, monkeypatch, seed):
    """Small ones between large ones, at odd offsets and around every limit: the file is what ordinary writes make."""
    monkeypatch.setattr(writes, "SLOW_NANOS", 1 << 40)  # however slow the device is at this moment
    source = random.Random(seed)
    limits = [1, BLOCK - 1, BLOCK, BLOCK + 1, DIRECT_BYTES - 1, DIRECT_BYTES, DIRECT_BYTES + 1, STAGE_BYTES - BLOCK, STAGE_BYTES]
    sizes = [*limits, STAGE_BYTES + 1, 2 * STAGE_BYTES + 17, *(source.randrange(1, 3_000_000) for _ in range(6))]
    source.shuffle(sizes)
    into, expected = Writes(), b""
    for size in sizes:
        data = source.randbytes(size)
        into.write(fd, pieces(data, size), size, len(expected), directly=True)
        expected += data
        if source.random() < 0.5:
            into.settle()
            assert os.fstat(fd).st_size == into.end == len(expected)
    into.settle()
    assert os.pread(fd, len(expected) + 1, 0) == expected
    assert all(offset % BLOCK == 0 and count % BLOCK == 0 for offset, count in direct)
    large = sum(size for size in sizes if size >= DIRECT_BYTES)
    assert large - 2 * BLOCK * len(sizes) < sum(count for _, count in direct) <= large
    assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT


def test_without_a_thread(fd, monkeypatch):
    """The system has none to spare: the writes are done by who asks for them, and their errors are its own."""
    monkeypatch.setattr(writes._device, "submit", lambda _: (_ for _ in ()).throw(RuntimeError("can't start new thread")))
    into, data = Writes(), random.randbytes(STAGE_BYTES + DIRECT_BYTES + 5)
    into.write(fd, [data], len(data), 0, directly=True)
    assert into.end == len(data)
    assert os.pread(fd, len(data) + 1, 0) == data
    other = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    with pytest.raises(OSError, match="Bad file descriptor"):
        into.write(other, [data], len(data), len(data), directly=True)
    os.close(other)
    assert into.end == len(data)


def test_nothing_is_written_behind_a_part_that_failed(fd, monkeypatch):
    """However many are waiting; the first error is told, once, and the next message is written."""
    real, fails = writes._write_all, [True]

    def write_all(number, buffers, offset):
        if offset and fails and any(map(len, buffers)):
            fails.clear()
            raise OSError(errno.EIO, "broken")
        real(number, buffers, offset)

    monkeypatch.setattr(writes, "_write_all", write_all)
    into, data = Writes(), random.randbytes(3 * STAGE_BYTES)

    def write(number, offset):
        into.write(number, [data[offset:]], len(data) - offset, offset, directly=True)
        into.settle()

    with pytest.raises(OSError, match="broken"):
        write(fd, 0)
    assert (into.end, os.fstat(fd).st_size) == (STAGE_BYTES, STAGE_BYTES)
    into.settle()
    write(fd, STAGE_BYTES)
    fails.append(True)
    with pytest.raises(OSError, match="broken"):
        write(fd, STAGE_BYTES)
    into.write(fd, [data[:DIRECT_BYTES]], DIRECT_BYTES, 0, directly=True)
    assert into.end == 0  # and not where the longer one ended that failed
    into.settle()
    assert into.end == DIRECT_BYTES
    assert os.pread(fd, len(data) + 1, 0) == data


def test_not_what_others_read(fd, direct):
    """Unless it is asked for, everything stays in the page cache."""
    data = random.randbytes(DIRECT_BYTES)
    Writes().write(fd, [data], len(data), 0, directly=False)
    assert os.pread(fd, len(data), 0) == data
    assert not direct


@pytest.mark.parametrize(("is_spool", "is_followed"), [(False, False), (True, False), (False, True)])
def test_only_a_users_file_that_nobody_follows(tmp_path, direct, is_spool, is_followed):
    """What is read back soon stays in the page cache: spools, and files that a viewer or a custom sink follows."""
    path = tmp_path / "log.rrd"
    log = CommitLog(os.open(path, os.O_RDWR | os.O_CREAT), str(path), ("app", "rec"), Descriptors(10), is_spool=is_spool)
    log.is_followed = is_followed
    log.append_messages(frame(SET_STORE_INFO, bytes(DIRECT_BYTES)))
    log.close()
    assert bool(direct) is not (is_spool or is_followed)


def test_a_file_system_that_refuses(fd, monkeypatch):
    """The device's own refusal (what is written is not aligned here): all is written ordinarily, and it is not tried again."""
    monkeypatch.setattr(writes, "BLOCK", 1)
    into, data = Writes(), random.randbytes(DIRECT_BYTES + 7)
    asked = []
    real = fcntl.fcntl
    monkeypatch.setattr(fcntl, "fcntl", lambda *arguments: asked.append(arguments) or real(*arguments))
    into.write(fd, [b"a" * 5], 5, 0, directly=True)
    into.write(fd, [data], len(data), 5, directly=True)
    into.settle()
    once = len(asked)
    into.write(fd, [data], len(data), 5 + len(data), directly=True)
    into.settle()
    assert os.pread(fd, 3 * len(data), 0) == b"aaaaa" + data + data
    if once > 2:  # else nothing was refused
        assert len(asked) == once
        assert not real(fd, fcntl.F_GETFL) & os.O_DIRECT


def test_a_slow_device_is_left_to_the_cache(fd, direct, monkeypatch):
    """For a while, which is doubled each time."""
    monkeypatch.setattr(writes, "SLOW_NANOS", 0)
    monkeypatch.setattr(writes, "_JUDGED_BYTES", 1 << 20)
    monkeypatch.setattr(writes, "_PAUSE_BYTES", 4 << 20)
    into, data = Writes(), bytes(1 << 20)
    for number in range(32):
        into.write(fd, [data], len(data), number << 20, directly=True)
        into.settle()
    assert [offset >> 20 for offset, _ in direct] == [0, 4, 12, 28]


def test_a_limit_in_the_middle_of_a_message(tmp_path):
    """The size of files is limited: the message is not added, what was there stays, and later ones go on when there is room."""
    path = tmp_path / "log.rrd"
    log = CommitLog(os.open(path, os.O_RDWR | os.O_CREAT), str(path), ("app", "rec"), Descriptors(10))
    log.append_messages(frame(SET_STORE_INFO, bytes(DIRECT_BYTES)))
    before = path.read_bytes()
    assert len(before) == log.size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    message = frame(SET_STORE_INFO, random.randbytes(2 * STAGE_BYTES))
    for limit in (log.size, log.size + 100, log.size + BLOCK, log.size + STAGE_BYTES + 4, log.size + len(message) - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(OSError, match="File too large") as caught:
                log.append_messages(message)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.errno == errno.EFBIG
        assert path.read_bytes() == before
    signal.signal(signal.SIGXFSZ, kept)
    log.append_messages(message)
    log.close()
    assert path.read_bytes() == before + message
