"""Large values in a lane, and pages that the reader of a lane allocates ahead of its producer."""

import os

import numpy as np
import pytest

from shmrerun import _core
from shmrerun.model.parts import NULL, VARBIN
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


def read(hopper):
    """Read what the lanes have; it waits to be written."""
    for reader, shape, *_, columns in hopper.scan():
        hopper.define(reader, shape, hopper.add_group([(NULL if columns == b"first" else VARBIN, 0, True)], 0))
    hopper.collect(0)


def look(hopper):
    """A turn of the aggregator, as far as lanes go."""
    read(hopper)
    hopper.allocate_ahead()


def blocks(*files):
    return sum(os.fstat(fd).st_blocks for fd in files) * 512


@pytest.mark.skipif(not _core.CAN_POPULATE, reason="this kernel reserves segments when they are made")
def test_pages_ahead_are_allocated_and_change_nothing(lane_of):
    """A turn that saw much new allocates pages that the producer has not reached; they are zero, and what is written stays."""
    ring = 16 << 20
    lane, segment, fd = lane_of(ring)
    hopper = _core.Hopper()
    hopper.add_reader(segment)
    path, columns = _core.path(b"/large"), _core.columns(b"large")
    value = bytes(range(256)) * 4096  # 1 MiB
    for number in range(1, 13):
        assert lane.append(path, columns, (1, None, b"", value), 0)[0] <= 2
        before = blocks(fd)
        look(hopper)
        assert blocks(fd) >= before
        if number == 1:
            assert blocks(fd) - before > 3 << 20
    assert blocks(fd) >= ring
    os.close(fd)
    _, tail, _, _ = lane.position()
    raw = segment.read(512 + 4096, ring)
    assert raw.count(value) == 12
    assert not any(raw[tail:])


@pytest.mark.parametrize(("rows", "size"), [(20, 1000), (1, FROM - 1000), (20, 1 << 20)])
def test_small_rows_and_bursts_allocate_nothing_ahead(rows, size, lane_of):
    """A lane with little in it takes no memory that it may never need; for a burst such pages are no help."""
    lane, segment, fd = lane_of(64 << 20)
    hopper = _core.Hopper()
    hopper.add_reader(segment)
    path, columns = _core.path(b"/row"), _core.columns(b"large")
    for _ in range(rows):
        assert lane.append(path, columns, (1, None, b"", bytes(size)), 0)[0] <= 2
    before = blocks(fd)
    look(hopper)
    assert blocks(fd) == before
    os.close(fd)


def test_nothing_is_allocated_ahead_while_rows_wait_to_be_read(lane_of):
    """Reading and writing come first; the next turn that is done with them makes up for it."""
    lane, segment, fd = lane_of(32 << 20)
    hopper = _core.Hopper()
    hopper.add_reader(segment)
    path, columns = _core.path(b"/large"), _core.columns(b"large")
    assert lane.append(path, columns, (1, None, b"", bytes(1 << 20)), 0)[0] <= 2
    read(hopper)
    assert lane.append(path, columns, (1, None, b"", bytes(1 << 20)), 0)[0] <= 2
    before = blocks(fd)
    hopper.allocate_ahead()
    assert blocks(fd) == before
    if _core.CAN_POPULATE:
        look(hopper)
        assert blocks(fd) - before > 7 << 20
    os.close(fd)


@pytest.mark.skipif(not _core.CAN_POPULATE, reason="this kernel reserves segments when they are made")
def test_one_turn_allocates_so_much_for_all_lanes(lane_of):
    """Some milliseconds are what it may take, however many lanes there are."""
    hopper, files = _core.Hopper(), []
    path, columns = _core.path(b"/large"), _core.columns(b"large")
    for _ in range(5):
        lane, segment, fd = lane_of(32 << 20)
        hopper.add_reader(segment)
        assert lane.append(path, columns, (1, None, b"", bytes(3 << 20)), 0)[0] <= 2
        files.append(fd)
    before = blocks(*files)
    look(hopper)
    assert 7 << 20 < blocks(*files) - before <= 8 << 20
    for fd in files:
        os.close(fd)
