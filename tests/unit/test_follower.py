"""Followers over a real log, without a process: what a target raises, and what a stopped one may still write."""

from __future__ import annotations

import os
import threading

import pytest

from shmrerun import _core
from shmrerun.aggregator.commit_log import CommitLog
from shmrerun.aggregator.descriptors import Descriptors
from shmrerun.aggregator.follower import FileCopy, Follower
from shmrerun.shm.words import SessionView
from shmrerun.testing import wait_until


class Target:
    """A target that does as it is told."""

    whole_messages = False

    def __init__(self):
        self.error, self.got, self.gate, self.closed = None, b"", threading.Event(), False
        self.gate.set()

    def write(self, data, offset, stopped, hurry):
        self.gate.wait()
        if self.error is not None:
            raise self.error
        self.got += data

    def finish(self, footer, size):
        self.got += footer

    def close(self):
        self.closed = True


@pytest.fixture
def log(tmp_path):
    made = CommitLog(os.open(tmp_path / "log.rrd", os.O_RDWR | os.O_CREAT), str(tmp_path / "log.rrd"), ("app", "rec"), Descriptors(10))
    made.finish()
    yield made
    made.close()


@pytest.fixture
def entry():
    fd = os.memfd_create("test")
    os.ftruncate(fd, SessionView.size)
    words = SessionView(_core.Segment(fd, SessionView.size))
    os.close(fd)
    return words.sink(0)


@pytest.mark.parametrize("error", [OSError(28, "full"), ValueError("x"), KeyError("x"), MemoryError()])
def test_an_error_of_any_type_is_told_and_passes(log, entry, error):
    """Whatever a target raises is in the sink table, so that no flush waits for it; when it passes, the target gets all."""
    target = Target()
    target.error = error
    follower = Follower(log, 7, target, entry, lambda: None)
    follower.news()
    wait_until(lambda: entry.error, 10, "the error is told")
    assert entry.size == 0
    target.error = None
    wait_until(lambda: entry.size == log.size, 10, "all is there")
    assert (entry.error, entry.log) == (0, 7)
    wait_until(follower.has_finished, 10, "the footer is there")
    with open(log.path, "rb") as file:
        assert target.got == file.read()
    follower.stop()
    wait_until(lambda: target.closed, 10, "it is closed")


def test_a_stopped_follower_leaves_its_entry_alone(log, entry):
    """After `stop` the entry may be another sink's: a write that was under way is not told any more."""
    target = Target()
    target.gate.clear()
    follower = Follower(log, 7, target, entry, lambda: None)
    follower.news()
    follower.stop()
    entry.size, entry.error = 12345, 0
    target.gate.set()
    wait_until(lambda: target.closed, 10, "it has ended")
    assert (entry.size, entry.error) == (12345, 0)


def test_a_copy_is_the_log(log, entry, tmp_path):
    """A copy is equal to the log byte for byte, footer included."""
    follower = Follower(log, 1, FileCopy(os.open(tmp_path / "copy.rrd", os.O_RDWR | os.O_CREAT), write_footer=True), entry, lambda: None)
    wait_until(follower.has_finished, 10, "it has the footer")
    follower.stop()
    assert (tmp_path / "copy.rrd").read_bytes() == (tmp_path / "log.rrd").read_bytes()
