"""How a session's log becomes another one, without processes."""

import os
from types import SimpleNamespace

import pytest

from shmrerun.aggregator.commit_log import CommitLog
from shmrerun.aggregator.descriptors import Descriptors
from shmrerun.aggregator.feed import Feed
from shmrerun.shm.locks import WRITER, is_file_locked
from shmrerun.shm.session import Sink
from shmrerun.shm.words import SINK_FILE


class Broken(CommitLog):
    """A buffer that cannot be read, for a reason that nobody planned."""

    def harm(self):
        raise MemoryError


def test_a_file_is_free_again_after_any_exception(tmp_path):
    """Seen: the wish was looked at again, and the aggregator found the file locked by itself: EAGAIN, to the caller of `save`."""
    path = tmp_path / "out.rrd"
    path.touch()
    found = path.stat()
    control = SimpleNamespace(words=SimpleNamespace(text=lambda name: name), pool=Descriptors(10))
    words = dict.fromkeys(Sink._fields, 0)
    sink = Sink(**words | {"kind": SINK_FILE, "device": found.st_dev, "inode": found.st_ino, "path": str(path)})
    buffered = Broken(os.open(tmp_path / "spool", os.O_RDWR | os.O_CREAT), str(tmp_path / "spool"), ("app", "rec"), control.pool)
    feed = Feed(control, lambda: None)
    for _ in range(2):
        with pytest.raises(MemoryError):
            feed._open_file(sink, buffered)
    with open(path, "rb") as file:
        assert not is_file_locked(file.fileno(), WRITER)
    log = feed._open_file(sink, None)
    log.close()
    buffered.close()
