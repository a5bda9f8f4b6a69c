"""Large values in a lane, and pages that the reader of a lane allocates ahead of its producer."""

import os

import numpy as np
import pytest

from shmrerun import _core
from shmrerun.shm import segments

L = _core.LAYOUT
KEY = 78
FROM = 256 * 1024


def memory(size):
    fd = os.memfd_create("test")
    os.ftruncate(fd, size)
    segment = _core.Segment(fd, size)
    os.close(fd)
    return segment


@pytest.fixture
def lane_of():
    """A lane with its only generation, and a descriptor of its segment."""
    made = []

    def make(ring):
        tree, session = memory(L["sizeof.tree"]), memory(L["sizeof.session"])
        tree.store(L["tree.budget_limit"], 1 << 40)
        session.store(L["session.switches"], L["SWITCH_ENABLED"])
        session.store32(L["segment_head.uid"], os.geteuid())
        _core.reset_time(KEY)
        prefix = f"shmrerun-test{os.urandom(4).hex()}.0.0."
        lane = _core.Lane(tree, session, KEY, 0, 1, prefix, ring, 4096)
        made.append(prefix + "0")
        assert lane.append(_core.path(b"/first"), _core.columns(b"first"), (1,), 0)[0] <= 1
        return lane, segments.attach(prefix + "0", L["LANE_MAGIC"], L["sizeof.lane"]), os.open(f"/dev/shm/{prefix}0", os.O_RDONLY)

    yield make
    for name in made:
        segments.unlink(name)


@pytest.mark.parametrize("size", [FROM - 1, FROM, FROM + 1, FROM + 63, FROM + 64, FROM + 71, 1_000_003])
@pytest.mark.parametrize("before", [0, 1, 9, 17])
def test_large_values_arrive_whole(size, before, lane_of):
    """Every byte of a large value is in the ring, wherever it starts and ends, from sources that are not aligned too."""
    lane, segment, fd = lane_of(4 << 20)
    os.close(fd)
    source = np.random.default_rng(size).integers(0, 256, size + before, np.uint8)[before:]
    path, columns = _core.path(b"/large"), _core.columns(b"large")
    assert lane.append(path, columns, (1, None, bytes(before), source), 0)[0] <= 2
    _, tail, _, _ = lane.position()
    raw = segment.read(512 + 4096, tail)
    padded = -(-size // 8) * 8
    assert raw[tail - padded : tail - padded + size] == source.tobytes()


@pytest.mark.skipif(not _core.CAN_POPULATE, reason="this kernel reserves segments when they are made")
def test_pages_ahead_are_allocated_and_change_nothing(lane_of):
    """A scan that sees much new allocates pages that the producer has not reached; they are zero, and what is written stays."""
    ring = 16 << 20
    lane, segment, fd = lane_of(ring)
    hopper = _core.Hopper()
    hopper.add_reader(segment)
    path, columns = _core.path(b"/large"), _core.columns(b"large")
    value = bytes(range(256)) * 4096  # 1 MiB
    for number in range(1, 13):
        assert lane.append(path, columns, (1, None, b"", value), 0)[0] <= 2
        before = os.fstat(fd).st_blocks * 512
        hopper.scan()
        allocated = os.fstat(fd).st_blocks * 512
        assert allocated >= before
        if number == 1:
            assert allocated - before > 3 << 20
    assert allocated >= ring
    os.close(fd)
    _, tail, _, _ = lane.position()
    raw = segment.read(512 + 4096, ring)
    assert raw.count(value) == 12
    assert not any(raw[tail:])


def test_lanes_of_small_rows_allocate_nothing_ahead(lane_of):
    """A lane with little in it takes no memory that it may never need."""
    lane, segment, fd = lane_of(16 << 20)
    hopper = _core.Hopper()
    hopper.add_reader(segment)
    path, columns = _core.path(b"/small"), _core.columns(b"small")
    for _ in range(20):
        lane.append(path, columns, (1, None, bytes(1000)), 0)
        hopper.scan()
    assert os.fstat(fd).st_blocks * 512 < 1 << 20
    os.close(fd)


@pytest.mark.skipif(not _core.CAN_POPULATE, reason="this kernel reserves segments when they are made")
def test_a_lane_that_is_behind_gets_nothing_ahead(lane_of):
    """Where much waits to be written, that comes first."""
    lane, segment, fd = lane_of(64 << 20)
    hopper = _core.Hopper()
    hopper.add_reader(segment)
    path, columns = _core.path(b"/large"), _core.columns(b"large")
    for _ in range(20):
        assert lane.append(path, columns, (1, None, b"", bytes(1 << 20)), 0)[0] <= 2
    before = os.fstat(fd).st_blocks
    hopper.scan()
    assert os.fstat(fd).st_blocks == before
    os.close(fd)


@pytest.mark.skipif(not _core.CAN_POPULATE, reason="this kernel reserves segments when they are made")
def test_one_scan_allocates_so_much_for_all_lanes(lane_of):
    """Some milliseconds are what writing may wait for it, however many lanes there are."""
    hopper, files = _core.Hopper(), []
    path, columns = _core.path(b"/large"), _core.columns(b"large")
    for _ in range(5):
        lane, segment, fd = lane_of(32 << 20)
        hopper.add_reader(segment)
        assert lane.append(path, columns, (1, None, b"", bytes(3 << 20)), 0)[0] <= 2
        files.append(fd)
    before = sum(os.fstat(fd).st_blocks for fd in files) * 512
    hopper.scan()
    assert 7 << 20 < sum(os.fstat(fd).st_blocks for fd in files) * 512 - before <= 8 << 20
    for fd in files:
        os.close(fd)
