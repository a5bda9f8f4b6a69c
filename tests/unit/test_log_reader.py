"""A log read beside its writer: blocks, large messages, and what a spool has given back."""

from __future__ import annotations

import os

import pytest

from shmrerun import _core
from shmrerun.framing import ARROW_MSG, END, FRAME, HOLE, MESSAGE_HEADER_BYTES, STREAM_HEADER_BYTES, frame
from shmrerun.shm.log_reader import LogReader


class Log:
    may_trim = True

    def __init__(self, path, payloads):
        self.path = str(path)
        self.offsets = []
        data = b"RRF2" + bytes(8)
        for payload in payloads:
            self.offsets.append(len(data))
            data += frame(ARROW_MSG, payload)
        path.write_bytes(data)
        self.size = len(data)

    def give_back(self, first, last):
        """As a spool does: one hole for neighbours, whose own headers go."""
        end = self.offsets[last + 1] if last + 1 < len(self.offsets) else self.size
        start = self.offsets[first]
        fd = os.open(self.path, os.O_RDWR)
        size = end - start - MESSAGE_HEADER_BYTES
        os.pwrite(fd, FRAME.pack(HOLE, size), start)
        _core.punch(fd, start + MESSAGE_HEADER_BYTES, size)
        os.close(fd)


def read(log, offset=0, most=300):
    reader, found = LogReader(log, 1, offset), []
    while reader.offset < log.size:
        before = reader.offset
        found += [bytes(message.payload) for message in reader.messages(most)]
        reader.advance(reader.read_until)
        assert reader.offset > before
    reader.close()
    return found


PAYLOADS = [bytes([number]) * (50 if number % 7 else 700) for number in range(1, 41)]


def test_all_messages_whatever_the_block(tmp_path):
    log = Log(tmp_path / "log", PAYLOADS)
    for most in (1, 100, 300, 1 << 20):
        assert read(log, most=most) == PAYLOADS


@pytest.mark.parametrize("at", range(40))
def test_from_the_middle_of_a_hole(tmp_path, at):
    """Seen: a reader whose place was inside a hole of several messages took the zeros there for messages, and sent them to viewers."""
    log = Log(tmp_path / "log", PAYLOADS)
    log.give_back(3, 20)
    log.give_back(25, 30)
    left = [payload for number, payload in enumerate(PAYLOADS) if number >= at and not 3 <= number <= 20 and not 25 <= number <= 30]
    assert read(log, log.offsets[at]) == left
    reader = LogReader(log, 1)
    message = reader.at(log.offsets[at])
    reader.close()
    assert (message is None) == (3 <= at <= 20 or 25 <= at <= 30)


def test_a_log_that_is_shorter_than_it_says(tmp_path):
    log = Log(tmp_path / "log", PAYLOADS)
    os.truncate(log.path, log.offsets[10] + 20)
    with pytest.raises(OSError, match="makes no sense"):
        read(log, STREAM_HEADER_BYTES)


def test_the_end_of_a_finished_log(tmp_path):
    """Seen: the End of a spool that another sink had replaced was taken for a hole, so that its last rows could not be drained."""
    log = Log(tmp_path / "log", PAYLOADS)
    with open(log.path, "ab") as file:
        file.write(frame(END, b"footer"))
    log.size = os.path.getsize(log.path)
    reader = LogReader(log, 1)
    kinds = [message.kind for message in reader.messages(1 << 20)]
    reader.close()
    assert kinds == [ARROW_MSG] * len(PAYLOADS) + [END]
