"""The writer over a real lane and a real file, without a process: what fails at any step is pending again, or counted."""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import time
import tracemalloc

import numpy as np
import pytest

from shmrerun import _core, framing
from shmrerun.aggregator import faults, writer, writes
from shmrerun.aggregator.batcher import Batcher
from shmrerun.aggregator.commit_log import CommitLog
from shmrerun.aggregator.descriptors import Descriptors
from shmrerun.aggregator.merge import SCHEMAS
from shmrerun.aggregator.writer import ENCODE_TRIES, Writer
from shmrerun.aggregator.writes import Writes
from shmrerun.model.archetype import archetype_class
from shmrerun.model.parts import Column, ColumnSet
from shmrerun.rrd import decoder
from shmrerun.rrd.chunk import chunk_from_batch
from shmrerun.rrd.footer import Manifest
from shmrerun.shm import segments
from shmrerun.shm.words import (
    LANE_MAGIC,
    ROW_MESSAGE,
    ROW_STATIC,
    ROW_UNCOUNTED,
    SWITCH_ENABLED,
    HeadView,
    LaneView,
    SessionView,
    TreeView,
)


def memory(size):
    fd = os.memfd_create("test")
    os.ftruncate(fd, size)
    segment = _core.Segment(fd, size)
    os.close(fd)
    return segment


class Log(CommitLog):
    """A log that fails on demand."""

    error: Exception | None = None
    poison: float | None = None  # a value that no chunk may hold

    def append(self, chunk, *, wait=True):
        if self.error is not None:
            raise self.error
        if self.poison is not None and [self.poison] in chunk.batch.column(chunk.batch.num_columns - 1).to_pylist():
            raise KeyError("no such row")
        return super().append(chunk, wait=wait)


class Rig:
    """One producer's lane, one writer, one log; in place of a session, a feed and lanes."""

    def __init__(self, path, *, ring=1 << 16, dictionary=4096):
        tree, self.words = TreeView(memory(TreeView.size)), SessionView(memory(SessionView.size))
        tree.budget_limit = 1 << 30
        self.words.switches = SWITCH_ENABLED
        HeadView(self.words.segment).uid = os.geteuid()
        self.name = f"shmrerun-test{os.urandom(4).hex()}.0.0."
        self.lane = _core.Lane(tree.segment, self.words.segment, 99, 0, 1, self.name, ring, dictionary)
        self.hopper = _core.Hopper()
        self.log = Log(os.open(path, os.O_RDWR | os.O_CREAT), str(path), ("app", "rec"), Descriptors(100))
        self.writer = Writer(self, self.hopper, Batcher(0, 1 << 20, 1 << 62, patient=False), self, 8192)
        self.said = []
        self.failures = 0
        self.is_failing = False
        self.attached = False

    def say(self, text):
        self.said.append(text)

    def size(self):
        return self.log.size

    def failed(self, error):
        self.is_failing = True
        self.said.append(str(error))

    def worked(self):
        self.is_failing = False

    def failing(self):
        return self.is_failing

    def put_aside(self, reader):
        raise AssertionError(reader)

    def refuse_broken(self):
        return

    def row(self, value, path=b"/rows"):
        self.entity(archetype_class("Scalars")(value), path)

    def entity(self, entity, path=b"/rows"):
        columns, parts = entity._row()
        columns.id = columns.id or _core.columns(columns.definition)
        assert self.lane.append(_core.path(path), columns.id, parts, ROW_STATIC)[0] <= 2

    def flush(self, *, everything=True):
        if not self.attached:
            self.hopper.add_reader(segments.attach(self.name + "0", LANE_MAGIC, LaneView.least))
            self.attached = True
        self.writer.drain(self)
        return self.writer.flush(0, everything=everything, asked=True)

    @property
    def pending(self):
        return sum(rows for _, rows, _ in self.hopper.pending())


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path / "log.rrd")
    yield made
    made.log.close()
    made.lane.close()
    segments.unlink(made.name + "0")


@pytest.mark.parametrize("error", [MemoryError(), KeyError("x"), TypeError("x"), OSError(28, "full"), ArithmeticError(), RuntimeError()])
def test_rows_are_pending_again_after_any_exception(rig, error):
    """Whatever type of exception a chunk meets, its rows are tried again, and all of them written once it passes."""
    for value in range(10):
        rig.row(value)
    rig.log.error = error
    for _ in range(3):
        assert not rig.flush()
        assert rig.pending == 10
    rig.log.error = None
    while rig.pending:
        rig.flush()
    assert rig.writer.rows == 10
    assert rig.words.dropped == 0


@pytest.fixture(autouse=True)
def is_second(monkeypatch):
    """The process has begun anew already, so rows may be given up."""
    monkeypatch.setenv(faults._ANEW, "1")


def test_a_first_process_gives_no_row_up(rig, monkeypatch):
    """Seen: what was broken was the process (an import had failed half way), and every row was lost, one by one."""
    monkeypatch.delenv(faults._ANEW)
    rig.row(4.0)
    rig.log.poison = 4.0
    for _ in range(ENCODE_TRIES):
        rig.flush()
    with pytest.raises(faults.UnsureError, match="/rows"):
        rig.flush()
    assert (rig.words.dropped, rig.words.failures) == (0, 0)


def test_a_shape_is_refused_for_what_it_is(rig, monkeypatch):
    """Seen: whatever was raised while a definition was read put the lane aside, with all of its rows."""
    monkeypatch.setattr(writer, "Shape", lambda *_: {}["an import that failed"])
    rig.row(0)
    with pytest.raises(KeyError):
        rig.flush()
    rig.flush()  # with a hopper that knows no group for the row
    assert (rig.pending, rig.writer.rows) == (0, 0)


def test_what_is_in_the_log_is_not_taken_back(rig, monkeypatch):
    """Seen: an exception after the write had the rows written again."""
    rig.row(0)
    rig.flush()
    rig.row(1)
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "add", lambda *_: {}["no room"])
        with pytest.raises(KeyError):
            rig.flush()
    assert len(list(decoder.batches(rig.log.fd))) == 2


def test_a_full_disk_behind_the_head(rig, monkeypatch):
    """The log's first bytes fit, its first chunk does not: the file cannot be written at present, which is no fault of the turn."""
    real, calls = CommitLog._write, []

    def write(log, buffers, total, **options):
        calls.append(total)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(log, buffers, total, **options)

    monkeypatch.setattr(CommitLog, "_write", write)
    rig.row(0)
    assert not rig.flush()
    assert (rig.pending, rig.writer.rows, rig.is_failing) == (1, 0, True)
    assert rig.flush()
    assert (rig.pending, rig.writer.rows) == (0, 1)


def test_only_the_row_that_cannot_be_encoded_is_lost(rig):
    """One row that becomes no chunk costs itself alone, and is counted and said."""
    for value in range(10):
        rig.row(value)
    rig.log.poison = 4.0
    for _ in range(30):
        rig.flush()
    assert (rig.pending, rig.writer.rows, rig.words.dropped, rig.words.failures) == (0, 9, 1, 1)
    assert any("cannot be encoded" in text for text in rig.said)
    rig.row(11)
    rig.flush()
    assert rig.writer.rows == 10


def test_want_of_memory_loses_nothing(rig):
    """MemoryError never gives rows up, however often it comes."""
    for value in range(5):
        rig.row(value)
    rig.log.error = MemoryError()
    for _ in range(50):
        assert not rig.flush()
    rig.log.error = None
    while rig.pending:
        rig.flush()
    assert (rig.writer.rows, rig.words.dropped) == (5, 0)


def test_a_group_that_fails_holds_up_no_other_and_no_flush_is_called_done(rig):
    """While one entity's rows cannot be encoded, the others' are written, and the round says that it is not clean until none waits."""
    for value in range(6):
        rig.row(4.0)
        rig.row(value + 10, b"/others")
    rig.log.poison = 4.0
    assert not rig.flush()
    assert (rig.writer.rows, rig.pending) == (6, 6)
    rounds = 1
    while not rig.flush():
        assert rig.pending == 6
        rounds += 1
    assert rounds < 6
    assert (rig.pending, rig.writer.rows, rig.words.dropped) == (0, 6, 6)


def message(rig, *messages):
    """Log ready-made messages as one row."""
    data = b"".join(messages)
    columns = ColumnSet((Column("message", None, None, "binary"),))
    columns.id = columns.id or _core.columns(columns.definition)
    parts = (1, None, (0).to_bytes(4, "little") + len(data).to_bytes(4, "little"), data)
    flags = ROW_STATIC | ROW_UNCOUNTED | ROW_MESSAGE
    assert rig.lane.append(_core.path(b"/__messages"), columns.id, parts, flags)[0] <= 2


def test_messages_come_first_in_their_order_and_share_nothing(rig):
    """Ready-made messages are written as they are, before the rows that wait, though the batcher is in no hurry; they take no ticks."""
    batcher = Batcher(1 << 62, 1 << 20, 1 << 62, patient=False)
    rig.writer._batcher = batcher
    sent = [framing.frame(framing.BLUEPRINT_ACTIVATION, bytes([number] * number)) for number in range(1, 6)]
    rig.row(1)
    message(rig, *sent[:2])
    message(rig, *sent[2:3])
    rig.row(2)
    message(rig, *sent[3:])
    rig.flush(everything=False)
    assert (rig.pending, rig.writer.rows) == (2, 3)
    assert rig.hopper.next_tick == 2
    found = [framing.frame(m.kind, decoder.read_payload(rig.log.fd, m)) for m in decoder.scan(rig.log.fd)]
    assert found[1:] == sent
    rig.flush()
    assert (rig.pending, rig.writer.rows) == (0, 5)


def test_messages_that_are_none_are_lost_alone(rig):
    """A record that holds no messages costs itself, and is counted; the log is whole."""
    good = framing.frame(framing.BLUEPRINT_ACTIVATION, b"")
    message(rig, b"garbage garbage garbage garbage")
    message(rig, good)
    for _ in range(10):
        rig.flush()
    assert (rig.pending, rig.writer.rows, rig.words.dropped, rig.words.failures) == (0, 1, 1, 1)
    assert [m.kind for m in decoder.scan(rig.log.fd)] == [1, 3]


def test_messages_wait_while_the_log_cannot_be_written(rig):
    """A full disk costs no message."""
    rig.log.error = OSError(28, "full")
    rig.log.append_messages = rig.log.append
    message(rig, framing.frame(framing.BLUEPRINT_ACTIVATION, b""))
    assert not rig.flush(everything=False)
    assert rig.pending == 1
    del rig.log.append_messages
    rig.flush()
    assert (rig.pending, rig.writer.rows) == (0, 1)


def many_entities(rig, numbers):
    """Log and write a row for each of many entities, a part at a time; returns the bytes that Python objects took for each."""
    numbers = list(numbers)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for start in range(0, len(numbers), 500):
        for number in numbers[start : start + 500]:
            rig.row(number, b"/an/entity/with/quite/a/path/%d" % number)
        assert rig.flush()
        assert rig.hopper.advance() is None
    gc.collect()
    return (tracemalloc.get_traced_memory()[0] - before) / len(numbers)


def test_an_entity_costs_little_for_ever(tmp_path):
    """Beyond those that were written last an entity costs less than 1 kB, footer included; what is known already costs its chunks alone."""
    rig = Rig(tmp_path / "log.rrd", ring=1 << 22, dictionary=1 << 21)
    try:
        tracemalloc.start()
        many_entities(rig, range(SCHEMAS))  # what is kept of the last ones, and what all of them share
        each = many_entities(rig, range(SCHEMAS, SCHEMAS + 2000))
        again = many_entities(rig, range(2000))
        tracemalloc.stop()
        assert rig.writer.rows == SCHEMAS + 4000
        assert each < 1000
        assert again < 200
        rig.log.finish()
        assert len({chunk.entity_path for _, _, chunk in decoder.chunks(rig.log.path)}) == SCHEMAS + 2000
    finally:
        rig.log.close()
        rig.lane.close()
        segments.unlink(rig.name + "0")


def test_groups_of_a_family_meet_later(rig):
    """Rows of one entity with other components share a chunk from the second kind on, and a third of another type does not."""
    for value in range(3):
        rig.row(value)
        rig.flush()
    boxes = [archetype_class("Boxes2D").from_fields(half_sizes=[[1, 1]]), archetype_class("Boxes2D").from_fields(centers=[[2, 2]])]
    for row in (*boxes, archetype_class("TextLog")("x")):
        rig.entity(row)
    rig.flush()
    found = [sorted(d.component for d in chunk.schema.fields.descriptors) for _, _, chunk in decoder.chunks(rig.log.path)]
    assert found == [["Scalars:scalars"]] * 3 + [["Boxes2D:centers", "Boxes2D:half_sizes"], ["TextLog:text"]]


# ---- chunks that go to the device while the next ones are made


def images(rig, count):
    """Log rows of 700 kB, each of them different; returns a flush of all of them."""
    Image = archetype_class("Image")
    noise = np.random.default_rng(0)
    for value in range(count):
        pixels = noise.integers(0, 256, (480, 486, 3), np.uint8)
        pixels[0, 0, 0] = value
        rig.entity(Image(pixels), b"/images/%d" % (value % 2))


def logged(rig):
    """First bytes of the images in the file, in ascending order."""
    found = []
    for _, _, batch in decoder.batches(rig.log.fd):
        at = next(i for i, name in enumerate(batch.schema.names) if name.endswith("buffer"))
        found += [value[0][0] for value in batch.column(at).to_pylist()]
    return sorted(found)


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A rig for large rows, whose device is never too slow."""
    monkeypatch.setattr(writes, "SLOW_NANOS", 1 << 40)
    made = Rig(tmp_path / "log.rrd", ring=1 << 26)
    yield made
    made.log.close()
    made.lane.close()
    segments.unlink(made.name + "0")


@pytest.fixture
def no_signal():
    """A file that grows beyond the limit is an error, not the end of the process."""
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, kept)


def test_large_chunks_are_in_the_log_when_a_round_ends(large):
    """Whoever looks after a flush sees no message that is under way."""
    images(large, 30)
    assert large.flush()
    assert (large.pending, large.writer.rows, large.log.size) == (0, 30, large.log.end)
    assert large.writer.chunks > 3
    assert os.fstat(large.log.fd).st_size == large.log.size == large.writer.written_bytes + head_bytes(large)
    assert logged(large) == list(range(30))


def head_bytes(rig):
    """Of what is before the first chunk."""
    return next(message.offset for message in decoder.scan(rig.log.fd) if message.kind == framing.ARROW_MSG)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.55, 0.9, 0.999])
def test_a_disk_that_is_full_under_several_chunks(large, no_signal, share):
    """What was complete stays, all other rows are pending again; the footer knows each chunk once in the end."""
    images(large, 30)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(30 * 699_840 * share), resource.RLIM_INFINITY))
    for _ in range(3):
        assert not large.flush()
        assert large.is_failing
        assert (large.log.size, large.writer.rows + large.pending) == (large.log.end, 30)
        assert os.fstat(large.log.fd).st_size == large.log.size
        assert len(logged(large)) == large.writer.rows < 30
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert large.flush()
    assert (large.pending, large.writer.rows, large.is_failing) == (0, 30, False)
    large.log.finish()
    assert logged(large) == list(range(30))
    assert large.log.rows_known == 30


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), MemoryError(), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [0, 1, 2, 5])
def test_any_exception_while_a_chunk_is_under_way(large, monkeypatch, error, at):
    """In the thread, and in the middle of the round: the file holds whole chunks, and no row is in it that is pending too."""
    real, calls = Writes._write_part, []

    def write_part(*arguments):
        calls.append(arguments)
        if len(calls) == at + 1:
            raise error
        real(*arguments)

    monkeypatch.setattr(Writes, "_write_part", write_part)
    images(large, 30)
    if isinstance(error, OSError):
        assert not large.flush()
    else:
        with pytest.raises(type(error)):  # the host is made anew
            large.flush()
    assert os.fstat(large.log.fd).st_size == large.log.size
    whole = logged(large)
    if isinstance(error, OSError):
        assert (len(whole), large.pending) == (large.writer.rows, 30 - len(whole))
        while not large.flush():
            pass
        assert logged(large) == list(range(30))


def test_a_log_that_is_closed_waits_for_what_is_under_way(large, monkeypatch):
    """Its descriptor may be another file's a moment later."""
    real = Writes._write_part

    def write_part(*arguments):
        time.sleep(0.2)
        real(*arguments)

    monkeypatch.setattr(Writes, "_write_part", write_part)
    images(large, 1)
    monkeypatch.setattr(Writer, "_settle", lambda _: {}["interrupted"])
    with pytest.raises(KeyError):
        large.flush()
    monkeypatch.undo()
    large.log.rest()
    assert logged(large) == [0]


def test_a_log_is_finished_behind_what_is_under_way(large, monkeypatch):
    """A session that is given up after an interruption has a footer that knows all of its chunks."""
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_settle", lambda _: {}["interrupted"])
        images(large, 3)
        with pytest.raises(KeyError):
            large.flush()
    large.log.finish()
    assert large.log.footer_bytes
    assert logged(large) == [0, 1, 2]


def test_an_error_that_is_not_the_logs_takes_no_chunk_back_that_is_under_way(large, monkeypatch):
    """A chunk cannot be encoded, for an OSError, while the ones before it are written: those are in the log, once."""
    real, calls = CommitLog.append, []

    def append(log, chunk, *, wait=True):
        calls.append(chunk)
        if len(calls) == 4:
            raise OSError(errno.EMFILE, "no descriptor")
        return real(log, chunk, wait=wait)

    monkeypatch.setattr(CommitLog, "append", append)
    images(large, 30)
    assert not large.flush()
    assert large.is_failing
    assert 0 < len(logged(large)) == large.writer.rows == 30 - large.pending
    while not large.flush():
        pass
    assert logged(large) == list(range(30))


def test_messages_go_behind_what_is_under_way(large):
    """Ready-made chunks behind a large one that is not there yet: the footer knows where each of them is."""
    images(large, 1)
    large.flush()
    [(_, _, batch)] = list(decoder.batches(large.log.fd))
    ready = Log(os.open(f"{large.log.path}.other", os.O_RDWR | os.O_CREAT), f"{large.log.path}.other", ("app", "rec"), Descriptors(9))
    chunk = chunk_from_batch(batch)
    ready.append(chunk)
    data = os.pread(ready.fd, 1 << 20, framing.STREAM_HEADER_BYTES)
    large.log.append(chunk, wait=False)
    at = large.log.end
    large.log.append_messages(data)
    assert large.log.size == at + len(data)
    [manifest] = large.log._manifests.values()
    assert len(manifest) == 3
    assert manifest._numbers[-3] + manifest._numbers[-2] == large.log.size
    ready.close()
