"""A hypothesis state machine drives the real lane and hopper beside a model made of lists."""

import os
import struct

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shmrerun import _core
from shmrerun.shm import segments

L = _core.LAYOUT
KEY = 77


def memory(size):
    fd = os.memfd_create("test")
    os.ftruncate(fd, size)
    segment = _core.Segment(fd, size)
    os.close(fd)
    return segment


class LaneMachine(RuleBasedStateMachine):
    """Rows of five shapes go through growing generations; any of them may be flushed, restored or replayed at any time."""

    @initialize(ring=st.sampled_from([512, 1024, 4096]))
    def start(self, ring):
        self.tree, self.session = memory(L["sizeof.tree"]), memory(L["sizeof.session"])
        self.session.store(L["session.switches"], L["SWITCH_ENABLED"])
        self.session.store32(L["segment_head.uid"], os.geteuid())
        _core.reset_time(KEY)
        self.prefix = f"shmrerun-test{os.urandom(4).hex()}.0.0."
        self.tree.store(L["tree.budget_limit"], 1 << 30)
        self.lane = _core.Lane(self.tree, self.session, KEY, 0, 1, self.prefix, ring, 4096)
        self.columns = _core.columns(b"state machine")
        self.segments = []
        self.sent, self.written = [], []  # (path, payload)
        self.hopper, self.readers, self.groups, self.by_number = _core.Hopper(), [], {}, {}

    def find(self):
        """Open generations that were made since the last look."""
        for number in range(len(self.segments), self.session.load32(L["session.member"] + L["member.newest"])):
            segment = segments.attach(self.prefix + f"{number:x}", L["LANE_MAGIC"], L["sizeof.lane"])  # below 10 in these tests
            self.segments.append(segment)
            self.readers.append(self.hopper.add_reader(segment))

    @rule(path=st.integers(0, 4), payload=st.binary(max_size=300))
    def append(self, path, payload):
        """A row is appended, in a next generation if it does not fit."""
        parts = (1, None, struct.pack("<ii", 0, len(payload)), payload)
        number = _core.path(b"/entity%d" % path)
        assert self.lane.append(number, self.columns, parts, L["ROW_STATIC"])[0] <= 2
        self.sent.append((b"/entity%d" % path, payload))

    @rule()
    def drain(self):
        self.find()
        for reader, shape, _, path, _, _ in self.hopper.scan():
            if path not in self.groups:
                self.groups[path] = self.hopper.add_group([(3, 0, True)], 0)
                self.by_number[self.groups[path]] = path
            self.hopper.define(reader, shape, self.groups[path])
        self.hopper.collect(len(self.written))

    @rule(fail=st.booleans(), most=st.integers(1, 50))
    def flush_one(self, fail, most):
        """One group is written, or its write fails and its rows are pending again."""
        for group, rows, _ in self.hopper.pending()[:1]:
            token, taken, lost, ids, times, _, columns = self.hopper.take(group, 8192, most, 1 << 30)
            assert (taken, lost, times) == (min(rows, most), 0, [])
            assert [ids[i : i + 16] for i in range(0, len(ids), 16)] == sorted(ids[i : i + 16] for i in range(0, len(ids), 16))
            if fail:
                self.hopper.restore(token)
                return
            ((_, (length, validity, offsets, data)),) = columns
            assert (length, validity) == (taken, None)
            ends = struct.unpack(f"<{taken + 1}i", offsets)
            self.written += [(self.by_number[group], data[a:b]) for a, b in zip(ends, ends[1:], strict=False)]
            self.hopper.commit(token)
            self.hopper.advance()

    @rule()
    def die(self):
        """The aggregator dies: a new one reads every lane from its head and skips what is in the file."""
        self.find()
        self.hopper.advance()
        pending = sum(rows for _, rows, _ in self.hopper.pending())
        heads = [self.hopper.reader(reader)[3] for reader in self.readers]
        self.hopper, self.groups, self.by_number = _core.Hopper(), {}, {}
        self.readers = [self.hopper.add_reader(segment) for segment in self.segments]
        assert [self.hopper.reader(reader)[3] for reader in self.readers] == heads
        self.skip_committed(pending)

    def skip_committed(self, pending):
        """Rows behind a head that were written already are in the file by content; drop them from the replay as the log does."""
        self.drain()
        replayed = sum(rows for _, rows, _ in self.hopper.pending())
        if replayed == pending:
            return
        for group, _, _ in self.hopper.pending():
            token, _, _, _, _, _, columns = self.hopper.take(group, 8192, (1 << 62), 1 << 30)
            ((_, (_, _, offsets, data)),) = columns
            ends = struct.unpack(f"<{len(offsets) // 4}i", offsets)
            keep = [(self.by_number[group], data[a:b]) for a, b in zip(ends, ends[1:], strict=False)]
            sent = [row for row in self.sent if row[0] == self.by_number[group]]
            done = sum(1 for row in self.written if row[0] == self.by_number[group])
            assert keep[-(len(sent) - done) or len(keep) :] == sent[done:]
            self.written += sent[done:]
            self.hopper.commit(token)
        self.hopper.advance()

    @invariant()
    def positions_hold(self):
        """Head <= read <= tail <= head + size in every generation, and nothing is quarantined."""
        if not hasattr(self, "hopper"):
            return
        for segment, reader in zip(self.segments, self.readers, strict=True):
            _, tail, read, head, *_, broken = self.hopper.reader(reader)
            assert broken is None
            assert head <= read <= tail <= head + segment.load(L["lane.ring_size"])

    def teardown(self):
        if not hasattr(self, "hopper"):
            return
        self.drain()
        while self.hopper.pending():
            self.flush_one(fail=False, most=1 << 30)
        for path in {path for path, _ in self.sent}:
            assert [row for row in self.written if row[0] == path] == [row for row in self.sent if row[0] == path]
        assert len(self.written) == len(self.sent) == self.session.load(L["session.member"] + L["member.written"])
        self.lane.close()
        assert self.tree.load(L["tree.budget_used"]) == sum(segment.size for segment in self.segments)
        for number in range(len(self.segments)):
            assert segments.unlink(self.prefix + f"{number:x}")


LaneMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLane = LaneMachine.TestCase
TestLane.__doc__ = "Whatever the order of appends, growth, flushes, failures and deaths: every row once, in order, value by value."
