"""Images of several processes while their aggregator is killed: messages that go to the device directly are whole, and there once."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from helpers import check, has_footer, is_gone, start, trees
from helpers_programs import returned

from shmrerun import _core
from shmrerun.shm import segments
from shmrerun.testing import wait_until

L = _core.LAYOUT

PROGRAM = """
    import os, sys, time
    import numpy
    import shmrerun as rr
    from helpers_programs import Returned

    DIRECTORY = sys.argv[1]

    def produce(number):
        count = Returned(DIRECTORY, number)
        sequence = 0
        while not os.path.exists(f"{DIRECTORY}/enough"):
            rr.set_time("step", sequence=sequence)
            rr.log(f"images/{number}", rr.Image(numpy.full((200 + sequence % 7 * 101, 640, 3), (sequence + number) % 251, numpy.uint8)))
            sequence += 1
            count.store(sequence)
            time.sleep(0.05)

    if __name__ == "__main__":
        rr.init("large")
        rr.save(f"{DIRECTORY}/out.rrd")
        rr.log("warm", rr.Scalars(0))
        children = []
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                produce(number)
                os._exit(0)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)
"""


def aggregator():
    """Pid of the living aggregator of the one tree, 0 if there is none at present."""
    for token in trees():
        pid = segments.attach(f"shmrerun-{token}", L["TREE_MAGIC"], L["sizeof.tree"]).load(L["tree.aggregator_pid"])
        return 0 if is_gone(pid) else pid
    return 0


@pytest.mark.timeout(120)
def test_images_while_the_aggregator_is_killed(tmp_path):
    """Four deaths: every pixel of every image, once."""
    program = start(PROGRAM, tmp_path, arguments=(tmp_path,))
    try:
        wait_until((tmp_path / "out.rrd").exists, 20, "it logs")
        for _ in range(4):
            time.sleep(random.uniform(0.3, 1.2))
            os.kill(wait_until(aggregator, 20, "there is an aggregator"), signal.SIGKILL)
        time.sleep(0.5)
        (tmp_path / "enough").touch()
        program.wait()
    finally:
        if program.process.poll() is None:
            program.kill()
    rows = check(tmp_path / "out.rrd")
    assert has_footer(tmp_path / "out.rrd")
    counted = returned(tmp_path)
    assert len(counted) == 3
    assert sum(counted.values()) > 30
    for number, count in counted.items():
        images = rows[f"/images/{number}"]
        assert sorted(row["step"] for row in images) == list(range(count))
        for row in images:
            pixels = row["Image:buffer"][0]
            assert len(pixels) == (200 + row["step"] % 7 * 101) * 640 * 3
            assert pixels == bytes([(row["step"] + number) % 251]) * len(pixels)
